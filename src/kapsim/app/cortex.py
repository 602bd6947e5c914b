"""The cortex of a few people around the first dose of a course: rates and functional connectivity, without simulation.

Of each person the whole-brain model stands still at one point before the dose, one while it acts and one a day after.
About such a point the connectivity that long recordings would have is known exactly (`kapsim.brain.moments`), so that
nothing here is noise. `kapsim brain` scans people as a study would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from kapsim.errors import KapsimError
from kapsim.protocol import load_protocol

if TYPE_CHECKING:
    import xarray as xr

    from kapsim.brain.fixed_point import FixedPoint

#: Courses whose first dose can be looked at.
COURSES: Final = ("single_infusion", "kap_six_sessions", "kap_sublingual", "esketamine_induction", "anaesthetic_bolus")
#: Moments beside that before the dose: (value, label, hours from the start of the first dose).
MOMENTS: Final = (("during", "40 min after the start of the dose", 40.0 / 60.0), ("after", "24 h after it", 24.0))
BEFORE: Final = "before"
PEOPLE, CONNECTOME = 4, "dk68"


def around_dose(name: str) -> xr.Dataset:
    """Return rates (Hz) and connectivity before, during and after the first dose of a named course.

    Returns
    -------
    xarray.Dataset
        `rate` and `connectivity` by `subject`, `moment` and `region`; people whose network leaves its low branch at any
        moment are left out, and counted in the attribute `left_out`.

    Raises
    ------
    KapsimError
        Where nobody is left.
    """
    import xarray as xr

    from kapsim.brain import load_atlas
    from kapsim.brain.mean_field import MeanField
    from kapsim.brain.moments import bold_connectivity
    from kapsim.brain.working_point import working_point
    from kapsim.brain_study import settled, study_states

    protocol = load_protocol(name)
    first = protocol.dose_events()[0].start_h
    hours = [first, *(first + after for _, _, after in MOMENTS)]
    _, states = study_states(protocol, hours, subjects=PEOPLE)
    connectome, field = load_atlas(CONNECTOME), MeanField.build()
    regions, coupling = connectome.regions, working_point().scaled(connectome)
    found = [settled(states["drug"], hour, coupling, regions, field) for hour in range(len(hours))]
    people: list[Sequence[FixedPoint]] = []
    for person in zip(*found, strict=True):
        points = [point for point in person if point is not None]
        if len(points) == len(hours):
            people.append(points)
    if not people:
        raise KapsimError(f"{name}: the network leaves its low branch in all {PEOPLE} people; there is nothing to show")
    connectivity = np.stack([[bold_connectivity(point) for point in person] for person in people])
    rate = np.stack([[np.asarray(point.firing.excitatory) for point in person] for person in people])
    places = {} if regions.centroids is None else dict(zip("xyz", regions.centroids.T, strict=True))
    by = ("subject", "moment", "region")
    return xr.Dataset(
        {
            "rate": (by, rate, {"units": "Hz", "long_name": "mean excitatory rate"}),
            "connectivity": ((*by, "region_2"), connectivity, {"units": "1", "long_name": "correlation of BOLD"}),
        },
        coords={
            "moment": [BEFORE, *(value for value, _, _ in MOMENTS)],
            "region": list(regions.names),
            "region_2": list(regions.names),
            "hemisphere": ("region", list(regions.hemispheres)),
            "network": ("region", list(regions.networks)),
            **{axis: ("region", column, {"units": "mm"}) for axis, column in places.items()},
        },
        attrs={"protocol_name": name, "connectome": connectome.name, "left_out": PEOPLE - len(people)},
    )


def pair(found: xr.Dataset, moment: str) -> xr.Dataset:
    """Return the moment before the dose and another as the two arms of a study, for its figures."""
    both = found.sel(moment=[BEFORE, moment]).rename(moment="arm")
    return both.expand_dims(hour=[0.0], axis=2).transpose("subject", "arm", "hour", ...)


def measure_table(found: xr.Dataset) -> list[list[float | str]]:
    """Return name, unit, and the mean over people at each moment of every measure of the default mode network."""
    from kapsim.brain import load_atlas
    from kapsim.brain.measures import CONNECTIVITY, connectivity_measures, relative_activity

    regions = load_atlas(CONNECTOME).regions
    rows: list[list[float | str]] = []
    for name, values in connectivity_measures(found["connectivity"].values, regions).items():
        if values.ndim > found["connectivity"].ndim - 2:
            # one number a region: their mean over the cortex
            values = values.mean(axis=-1)
        title = CONNECTIVITY[name].title
        rows.append([title[0].upper() + title[1:], "Fisher's z", *values.mean(axis=0).tolist()])
    relative = relative_activity(found["rate"].values, regions)
    rows.append(["Rate of the default mode network over the cortex", "1", *relative.mean(axis=0).tolist()])
    return rows
