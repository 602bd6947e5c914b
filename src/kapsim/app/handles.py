"""Lines on the course page that can be dragged along the time axis, each standing for a slider of the first course.

The sliders are the way for a keyboard; a line that is dropped sets its slider, and all else follows from that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kapsim.app.controls import Controls
from kapsim.app.course_page import SLIDERS, bounds
from kapsim.report.figures import event_list
from kapsim.report.layout import TimeAxis
from kapsim.report.theme import DOSE_COLOUR, THERAPY_COLOUR

if TYPE_CHECKING:
    import xarray as xr

_DAY_H = 24.0


def handles(dataset: xr.Dataset, controls: Controls, axis: TimeAxis) -> list[dict[str, Any]]:
    """Return the lines of a course that its axis shows: the shape, and how it moves its slider.

    Parameters
    ----------
    dataset : xarray.Dataset
        Results of the course.
    controls : Controls
        That it was solved for.
    axis : TimeAxis
    """
    doses = [float(event["start_h"]) for event in event_list(dataset, "doses")]
    after = [
        float(event["start_h"]) for event in event_list(dataset, "sessions") if "integration" in str(event["label"])
    ]
    wanted: list[tuple[str, float, float, float, str]] = []
    if doses and controls.drug != "none":
        wanted.append(("first", doses[0], doses[0] / _DAY_H, _DAY_H, DOSE_COLOUR))
        if len(doses) > 1:
            wanted.append(("every", doses[1], (doses[1] - doses[0]) / _DAY_H, _DAY_H, DOSE_COLOUR))
        if after and controls.after and controls.therapy != "none":
            wanted.append(("after", after[0], controls.after, 1.0, THERAPY_COLOUR))
    per_unit = 1.0 if axis.unit == "h" else _DAY_H
    found = []
    for name, hour, value, size, colour in wanted:
        if not axis.start_h <= hour <= axis.end_h:
            continue
        low, high = bounds(name)
        place = axis.one(hour)
        shape = {
            "type": "line", "xref": "x", "yref": "paper", "x0": place, "x1": place, "y0": 0, "y1": 1,
            "line": {"color": colour, "width": 2, "dash": "dot"}, "opacity": 0.7, "layer": "above",
        }  # fmt: skip
        # of 'slider': how far it moves for one unit of the axis
        move = {"slider": f"a-{name}", "value": value, "per_unit": per_unit / size, "step": SLIDERS[name][1]}
        found.append({"shape": shape, **move, "low": low, "high": high})
    return found
