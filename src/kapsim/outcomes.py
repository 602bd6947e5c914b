"""Endpoints: what a trial or a clinic would count, one number a patient."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import load_parameters
from kapsim.results import LOOKS

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

#: Words for the hours at which endpoints look.
_LOOK_WORDS = {"4h": "4 h", "24h": "24 h", "day7": "7 days", "day14": "14 days", "day28": "28 days"}


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of a run.

    Parameters
    ----------
    name : str
        Stable name.
    unit : str
        Unit of the values.
    long_name : str
        What it is, in words.
    values : ndarray, shape (patient,)
        One number a patient; not a number where it does not apply (no relapse, say).
    """

    name: str
    unit: str
    long_name: str
    values: Array


def summarise(values: Array) -> dict[str, float | None]:
    """Return median, 5th and 95th percentile over patients, leaving out those to whom the endpoint does not apply."""
    kept = values[np.isfinite(values)]
    if not len(kept):
        return {"median": None, "p5": None, "p95": None}
    low, middle, high = np.quantile(kept, [0.05, 0.5, 0.95])
    return {"median": float(middle), "p5": float(low), "p95": float(high)}


def endpoints(dataset: xr.Dataset) -> dict[str, Endpoint]:
    """Return every endpoint of a run, by name.

    Parameters
    ----------
    dataset : xarray.Dataset
        Results of `kapsim.simulate` or `kapsim.load_results`. Endpoints of a scale are counted on ratings with their
        error where the results hold such, else on expected scores.

    Returns
    -------
    dict of str to Endpoint
        In the order of the story: exposure, block, acute effects, mood, anxiety, mind, slow biology.
    """
    hours = dataset["time"].values
    doses = json.loads(dataset.attrs["doses"])
    ratings = np.asarray(json.loads(dataset.attrs["ratings"]), dtype=float)
    origin = doses[0]["start_h"] if doses else 0.0
    found: list[Endpoint] = []

    def add(name: str, unit: str, text: str, values: Any) -> None:
        found.append(Endpoint(name, unit, text, np.asarray(values, dtype=float)))

    def at(name: str, time: float) -> Array:
        return np.asarray(dataset[name].values[:, int(np.argmin(np.abs(hours - time)))])

    def rated(scale: str, time: float) -> Array:
        if f"{scale}_rated" not in dataset:
            return at(scale, time)
        visit = int(np.argmin(np.abs(dataset["visit"].values - time)))
        return np.asarray(dataset[f"{scale}_rated"].values[:, visit])

    def peak(name: str) -> Array:
        return np.asarray(dataset[name].values.max(axis=1))

    add("peak_plasma_ketamine_venous", "ng/mL", "highest ketamine in venous plasma", peak("plasma_ketamine_venous"))
    add("peak_plasma_norketamine", "ng/mL", "highest norketamine in plasma", peak("plasma_norketamine_venous"))
    add("cumulative_ketamine", "mg", "ketamine given in all, both enantiomers", dataset["ketamine_given"].values)
    add("peak_nmda_block", "1", "highest share of NMDA receptors blocked", peak("nmda_block"))
    add(
        "peak_glutamate",
        "1",
        "highest extracellular glutamate over its start",
        peak("glutamate") / at("glutamate", 0.0),
    )
    add("peak_plasticity_window", "1", "widest plasticity window", peak("plasticity_window"))
    add("peak_cadss", "points", "highest CADSS", peak("cadss"))
    add("peak_sedation", "1", "deepest sedation, share of the most", peak("sedation"))
    add("loss_of_consciousness", "1", "highest probability of loss of consciousness", peak("loss_of_consciousness"))
    add("peak_systolic_pressure", "mm[Hg]", "highest rise of systolic pressure", peak("systolic_pressure"))
    add("peak_heart_rate", "/min", "highest rise of heart rate", peak("heart_rate"))

    end = float(hours[-1])
    baseline = rated("madrs", 0.0) if "madrs_rated" in dataset else np.asarray(dataset["baseline_madrs"].values)
    response, remission, relapse = (
        load_parameters()[f"mood.definition.{name}"].value for name in ("response", "remission", "relapse")
    )
    for label, time in LOOKS.items():
        text = _LOOK_WORDS[label]
        if origin + time <= end:
            score = rated("madrs", origin + time)
            since = "the first dose" if doses else "the start"
            add(f"madrs_change_{label}", "points", f"change of MADRS, {text} after {since}", score - baseline)
            add(f"response_{label}", "1", f"response, {text} after {since}", score <= (1 - response) * baseline)
    final = rated("madrs", end)
    add("madrs_end", "points", "MADRS at the end", final)
    add("madrs_change_end", "points", "change of MADRS at the end", final - baseline)
    add("response_end", "1", "response at the end: MADRS down by half or more", final <= (1 - response) * baseline)
    add("remission_end", "1", f"remission at the end: MADRS of {remission:g} or less", final <= remission)
    scores = np.stack([rated("madrs", time) for time in ratings], axis=1) if len(ratings) else final[:, None]
    visits = ratings if len(ratings) else np.asarray([end])
    responded: Any = np.asarray(scores <= (1 - response) * baseline[:, None])
    add("response_ever", "1", "response at any visit", responded.any(axis=1))
    add("remission_ever", "1", "remission at any visit", (scores <= remission).any(axis=1))
    add(
        "time_to_relapse",
        "h",
        f"from first response to a visit with a MADRS of {relapse:g} or more; those who do not relapse are left out",
        _time_to_relapse(scores, responded, visits, relapse),
    )
    add("relapse", "1", "relapse among responders", _relapsed(scores, responded, relapse))
    add("hama_change_end", "points", "change of HAM-A at the end", rated("hama", end) - rated("hama", 0.0))
    add("rumination_change_end", "1", "change of rumination at the end", at("rumination", end) - at("rumination", 0.0))
    add("schema_change_end", "1", "change of negative schema at the end", at("schema", end) - at("schema", 0.0))
    add("peak_spine_gain", "1", "largest gain of spine density", peak("spine_density") - at("spine_density", 0.0))
    lowest = dataset["dmn_activity"].values.min(axis=1)
    add("lowest_dmn_change", "1", "largest fall of default mode activity", lowest - at("dmn_activity", 0.0))
    return {item.name: item for item in found}


def _first_relapse(scores: Array, responded: Any, relapse: float) -> tuple[Array, Array]:
    """Return the visits (as positions, −1 for none) of first response and of first relapse after it."""
    ever = responded.any(axis=1)
    first = np.where(ever, responded.argmax(axis=1), -1)
    later = np.arange(scores.shape[1])[None, :] > first[:, None]
    worse: Any = np.asarray((scores >= relapse) & later & ever[:, None])
    return first, np.where(worse.any(axis=1), worse.argmax(axis=1), -1)


def _time_to_relapse(scores: Array, responded: Any, visits: Array, relapse: float) -> Array:
    first, again = _first_relapse(scores, responded, relapse)
    return np.asarray(np.where(again >= 0, visits[again] - visits[first], np.nan))


def _relapsed(scores: Array, responded: Any, relapse: float) -> Array:
    first, again = _first_relapse(scores, responded, relapse)
    return np.where(first >= 0, (again >= 0).astype(float), np.nan)
