"""The scans of a study: everybody simulated under placebo and drug, from one noise, and measured."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.connectome import Connectome
from kapsim.brain.fixed_point import steepest_gating
from kapsim.brain.haemodynamics import band_pass, remove_global_signal
from kapsim.brain.mean_field import MeanField, RegionalInputs
from kapsim.brain.measures import CONNECTIVITY, connectivity_measures, relative_activity, task_response
from kapsim.brain.moments import RESTING_BAND
from kapsim.brain.regions import Regions
from kapsim.brain.simulation import BrainRun, simulate
from kapsim.brain.states import CorticalStates, one_of
from kapsim.brain.working_point import working_point
from kapsim.brain_study.effects import study_effects
from kapsim.brain_study.plan import ARMS, Array, Points, Scan, settled
from kapsim.errors import FixedPointError
from kapsim.evidence import evidence_version, load_parameters
from kapsim.statements import DISCLAIMER

if TYPE_CHECKING:
    import xarray as xr

#: Name → (unit, long name) of measures that are no connectivity.
ACTIVITY = {
    "cortex_rate": ("Hz", "mean excitatory rate of the cortex"),
    "dmn_rate": ("Hz", "mean excitatory rate of the default mode network"),
    "dmn_relative": ("1", "default mode network over cortex, rate"),
    "dmn_task": ("%", "BOLD of the default mode network while a task drives attention"),
}


def run_study(
    states: Mapping[str, CorticalStates],
    connectome: Connectome,
    scan: Scan | None = None,
    *,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Scan the same people under placebo and drug.

    Parameters
    ----------
    states : mapping of str to CorticalStates
        By the names of `ARMS`.
    connectome : Connectome
    scan : Scan, optional
    seed : int
        Names the noise; a person has the same in every scan.
    progress : callable, optional
        Called with a short text at each stage.

    Returns
    -------
    xarray.Dataset
        Dimensions `subject`, `arm`, `hour`, `volume`, `region`, `region_2` and `measure`; regions labelled.

    Raises
    ------
    InputError
        For settings that cannot be.
    SolverError
        Where a simulation is no longer finite.
    """
    how, say = scan or Scan(), progress or (lambda _: None)
    field, point, regions = MeanField.build(), working_point(), connectome.regions
    coupling = point.scaled(connectome)
    first = states[ARMS[0]]
    people, hours = first.size, len(first.hours)
    acting = {arm: [states[arm].inputs(k, coupling, regions, field) for k in range(hours)] for arm in ARMS}

    # scans of a person whom nothing changes are the same bits: each is simulated once
    wanted: dict[tuple[int, bytes], RegionalInputs] = {}
    key_of: dict[tuple[str, int, int], tuple[int, bytes]] = {}
    for arm in ARMS:
        for k in range(hours):
            for person in range(people):
                one = one_of(acting[arm][k], person)
                key = (person, b"".join(np.asarray(value, dtype=float).tobytes() for value in one))
                wanted.setdefault(key, one)
                key_of[arm, k, person] = key
    rows = list(wanted)
    stacked = RegionalInputs(
        *(np.stack([part + np.zeros(len(regions)) for part in parts]) for parts in zip(*wanted.values(), strict=True))
    )
    say(f"simulating {len(rows)} scans of {how.minutes:g} min")
    run = simulate(
        coupling,
        stacked,
        coupling=1.0,
        duration_s=how.duration_s,
        repetition_s=how.repetition_s,
        seed=seed,
        simulations=np.array([person for person, _ in rows]),
        engine=how.engine,
    )
    say("measuring")
    series = run.bold
    seen = band_pass(series, how.repetition_s, RESTING_BAND[0], min(RESTING_BAND[1], 0.45 / how.repetition_s))
    seen = seen if how.global_signal else remove_global_signal(seen)
    place = {key: row for row, key in enumerate(rows)}
    index = np.array([[[place[key_of[arm, k, n]] for k in range(hours)] for arm in ARMS] for n in range(people)])
    deviation = seen.std(axis=1)
    centred = (seen - seen.mean(axis=1, keepdims=True)) / deviation[:, None, :]
    connectivity = np.swapaxes(centred, 1, 2) @ centred / seen.shape[1]
    points = {arm: [settled(states[arm], k, coupling, regions, field) for k in range(hours)] for arm in ARMS}
    limit = np.asarray(steepest_gating(field, stacked))
    tipped = (run.gating.mean(axis=1) > limit).any(axis=1)
    off = np.array([[[points[arm][k][n] is None for k in range(hours)] for arm in ARMS] for n in range(people)])
    names, values = _measures(connectivity[index], run.rate.mean(axis=1)[index], points, regions)
    return _labelled(
        connectome, how, first.hours, seed, run, index, series, seen, connectivity, (off, tipped[index]), names, values
    ).assign_attrs(study_effects(points, names, values, how, regions, people, seed))


def _measures(
    connectivity: Array, rates: Array, points: Points, regions: Regions
) -> tuple[dict[str, tuple[str, str]], Array]:
    """Return (unit, long name) of each measure, and its values, shape (measure, subject, arm, hour)."""
    cortex = np.flatnonzero(regions.cortical)
    names: dict[str, tuple[str, str]] = {}
    values = []
    for name, found in connectivity_measures(connectivity, regions).items():
        names[name] = ("z", CONNECTIVITY[name].title)
        values.append(found)
    kept = dict(ACTIVITY)
    values_of = {"cortex_rate": rates[..., cortex].mean(axis=-1)}
    if "default" in regions.sets:
        values_of["dmn_rate"] = rates[..., regions.members("default")].mean(axis=-1)
        values_of["dmn_relative"] = relative_activity(rates, regions)
    if {"default", "attention"} <= set(regions.sets):
        values_of["dmn_task"] = _task(points, regions, rates.shape[:3])
    for name, found in values_of.items():
        names[name] = kept[name]
        values.append(found)
    return names, np.stack(values)


def _task(points: Points, regions: Regions, shape: tuple[int, ...]) -> Array:
    """Return the answer of the default mode network to a task, %, at the fixed points; NaN where there is none."""
    current = load_parameters()["brain.task.current"].value
    found = np.full(shape, np.nan)
    for person, arm, hour in np.ndindex(*shape):
        at = points[ARMS[arm]][hour][person]
        if at is not None:
            with contextlib.suppress(FixedPointError):
                found[person, arm, hour] = 100.0 * task_response(at, regions, current)["seen_bold"]
    return found


def _labelled(
    connectome: Connectome,
    scan: Scan,
    hours: Array,
    seed: int,
    run: BrainRun,
    index: NDArray[np.int64],
    series: Array,
    seen: Array,
    connectivity: Array,
    branch: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    names: Mapping[str, tuple[str, str]],
    values: Array,
) -> xr.Dataset:
    import xarray as xr

    regions = connectome.regions
    by = ("subject", "arm", "hour")
    variables = {
        "bold": ((*by, "volume", "region"), series[index], {"units": "1", "long_name": "BOLD, relative change"}),
        "bold_clean": (
            (*by, "volume", "region"),
            seen[index],
            {
                "units": "1",
                "long_name": "BOLD after the band-pass" + ("" if scan.global_signal else ", global signal removed"),
            },
        ),
        "rate": ((*by, "region"), run.rate.mean(axis=1)[index], {"units": "Hz", "long_name": "mean excitatory rate"}),
        "connectivity": (
            (*by, "region", "region_2"),
            connectivity[index],
            {"units": "1", "long_name": "Pearson correlation of BOLD"},
        ),
        "value": (("measure", *by), values, {"long_name": "measure; its unit is measure_unit"}),
        "off_low_branch": (by, branch[0], {"long_name": "1 where the low branch does not lead to this state"}),
        "tipped": (by, branch[1], {"long_name": "1 where a region spent the scan on its high branch"}),
    }
    coordinates: dict[str, Any] = {
        "subject": np.arange(1, len(index) + 1, dtype=np.int32),
        "arm": list(ARMS),
        "hour": ("hour", hours, {"units": "h", "long_name": "time since the start of the protocol"}),
        "volume": ("volume", run.time_s, {"units": "s", "long_name": "end of the volume"}),
        "region": list(regions.names),
        "region_2": list(regions.names),
        "hemisphere": ("region", list(regions.hemispheres)),
        "network": ("region", list(regions.networks)),
        "measure": list(names),
        "measure_unit": ("measure", [unit for unit, _ in names.values()]),
        "measure_name": ("measure", [text for _, text in names.values()]),
    }
    if regions.centroids is not None:
        for axis, column in zip("xyz", regions.centroids.T, strict=True):
            coordinates[axis] = ("region", column, {"units": "mm"})
    return xr.Dataset(
        variables,
        coords=coordinates,
        attrs={
            "title": "kapsim simulation of a study of the cortex",
            "disclaimer": DISCLAIMER,
            "simulated_data": "true",
            "kapsim_version": run.provenance["version"],
            "evidence_version": evidence_version(),
            "evidence_hash": run.provenance["evidence_hash"],
            "connectome": connectome.name,
            "connectome_source": connectome.source,
            "connectome_fingerprint": connectome.fingerprint,
            "coupling": working_point().coupling,
            "exponent": working_point().exponent,
            "engine": run.provenance["engine"],
            "noise_seed": str(seed),
            "minutes": scan.duration_s / 60.0,
            "repetition_s": scan.repetition_s,
            "global_signal": "kept" if scan.global_signal else "removed",
        },
    )
