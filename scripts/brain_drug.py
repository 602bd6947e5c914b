"""Hold the cortex at full size against every brain record: `python scripts/brain_drug.py` (a minute).

Each record that can be simulated is, in the typical healthy or depressed person, at the working point, by fixed points
and the connectivity of long scans, under two atlases, with and without the global signal. Signs are compared, and sizes
only where they mean the same. It writes the table of docs/brain.md between its markers. Nothing is fitted here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from brain_working_point import PAGE
from numpy.typing import NDArray
from pages import markdown, replace

from kapsim.brain import load_atlas
from kapsim.brain.connectome import Connectome
from kapsim.brain.fixed_point import FixedPoint
from kapsim.brain.haemodynamics import Balloon
from kapsim.brain.mean_field import MeanField
from kapsim.brain.measures import drawn_effect, effective_samples, mean_link, relative_activity, task_response
from kapsim.brain.moments import RESTING_BAND, correlation, seen_covariance, without_global_signal
from kapsim.brain.states import CorticalStates
from kapsim.brain.working_point import working_point
from kapsim.brain_study import settled, study_states
from kapsim.evidence import load_observed, load_parameters
from kapsim.patient import Patient
from kapsim.protocol import parse_protocol

Array = NDArray[np.float64]
ATLASES = ("dk68", "schaefer200")
#: Length of a scan (s) behind the power at which a null finding is held right or wrong; records do not give it.
SCAN_S = 600.0

Set = Callable[[Connectome], NDArray[np.intp]]


def named(name: str) -> Set:
    return lambda connectome: connectome.regions.members(name)


def called(*words: str) -> Set:
    """Regions whose name holds one of the words: lobes and gyri that no set stands for."""

    def rows(connectome: Connectome) -> NDArray[np.intp]:
        found = [k for k, name in enumerate(connectome.regions.names) if any(word in name for word in words)]
        return np.array(found, dtype=np.intp)

    return rows


def everything(connectome: Connectome) -> NDArray[np.intp]:
    return np.arange(len(connectome))


PREFRONTAL = called("PFC", "FrMed", "OFC", "frontal", "pars", "rostralanterior")
#: Observable, or record where the observable is not enough → the two sets whose mean connectivity it is.
LINKS: dict[str, tuple[str, Set, Set]] = {
    "brain.global_connectivity": ("all pairs", everything, everything),
    "dmn.connectivity": ("within the DMN", named("default"), named("default")),
    "bonhomme2016.s2.mpfc_dmn": ("mPFC – DMN", named("mpfc"), named("default")),
    "dmn.anticorrelation": ("DMN – somatomotor", named("default"), named("somatomotor")),
    "brain.salience_connectivity": ("within salience", named("salience"), named("salience")),
    "dmn.pcc_mpfc": ("PCC – mPFC", named("pcc"), named("mpfc")),
    "dmn.pcc_dmpfc": ("PCC – dmPFC", named("pcc"), named("dmpfc")),
    "dmn.sgacc_dmn": ("subgenual – dmPFC", named("subgenual"), named("dmpfc")),
    "hamilton2015.sgpfc_dmn": ("subgenual – DMN", named("subgenual"), named("default")),
    "brain.frontoparietal_connectivity": ("within control", named("control"), named("control")),
    "danyeli2023.pgacc_ipl": ("mPFC – inferior parietal", named("mpfc"), called("inferiorparietal", "Default_Par")),
    "danyeli2023.pgacc_dlpfc": ("mPFC – dlPFC", named("mpfc"), called("rostralmiddlefrontal", "PFCl_")),
}
#: Regions whose oxygen metabolism is held against the mean rate.
METABOLISM = {
    "ismrm2020.cmro2.prefrontal": ("prefrontal rate", PREFRONTAL),
    "ismrm2020.cmro2.visual": ("visual rate", named("visual")),
    "ismrm2020.cmro2.sensorimotor": ("somatomotor rate", named("somatomotor")),
}
CANNOT = {
    "eeg.": "a mean field of rates has no rhythms",
    "brain.thalamocortical": "no model of a thalamus",
    "brain.striatal": "no model of a striatum",
    "brain.cerebellum": "no cerebellum",
    "brain.amygdala": "a predictor, no outcome; no amygdala",
    "brain.pgacc_activity": "an association between persons, no outcome of a regimen",
    "brain.ketamine_fingerprint": "the published pattern of pairs is not at hand",
    "brain.frontoparietal_nmda": "a parameter of another model",
    "brain.frontoparietal_ampa": "a parameter of another model",
    "brain.parietal_gain": "a parameter of another model",
    "dmn.distance_from_healthy": "the published pattern of the healthy is not at hand",
}


@dataclass(frozen=True)
class Contrast:
    """Two fixed points that a record compares."""

    connectome: Connectome
    before: FixedPoint
    after: FixedPoint


def main() -> int:
    rows, states = [], {}
    chains: dict[str, dict[str, CorticalStates]] = {}
    for record in load_observed():
        if not (record.id.split(".")[0] and record.outcome.observable.startswith(("brain.", "dmn.", "eeg."))):
            continue
        if record.group is not None and record.group.diagnosis in ("rodent", "primate"):
            continue
        observable = record.outcome.observable
        reason = next((why for part, why in CANNOT.items() if observable.startswith(part)), None)
        if record.use == "none" and reason is None:
            reason = "no outcome of a regimen"
        doses = record.regimen.doses
        if reason is None and not doses and record.outcome.against not in ("healthy", None):
            reason = "no ketamine is given"
        if record.id.startswith("zhou2020"):
            reason = "an induced state of mind"
        if ".w1." in record.id:
            reason = "the waking state with which the next record is compared"
        points = record.points if observable != "brain.global_connectivity" else record.points[-1:]
        value = points[-1].value
        if record.id.startswith("bonhomme2016.s2"):
            before = next(r for r in load_observed() if r.id == record.id.replace(".s2.", ".w1."))
            value = float(value) - float(before.points[0].value)
        cells = []
        for name in ATLASES:
            if reason is not None:
                break
            key = (name, _key(record, points[-1].time_h))
            if key not in states:
                states[key] = contrast(load_atlas(name), record, float(points[-1].time_h or 0.0), chains)
            found = states[key]
            cells += ["leaves the low branch"] * 2 if found is None else scored(record, float(value), found)
        shown = f"{value:+.2g}" if record.outcome.statistic != "sign" else {1: "+", -1: "−", 0: "0"}[int(value)]
        if reason is not None:
            cells = [f"cannot: {reason}", "", "", ""]
        rows.append([record.id, _what(record), shown, *cells])
        print(rows[-1], flush=True)
    block = markdown(
        (
            "record",
            "what",
            "observed",
            *(f"{name}, global signal {word}" for name in ATLASES for word in ("kept", "removed")),
        ),
        rows,
    )
    right = sum(cell.startswith("right") for row in rows for cell in row[3:])
    wrong = sum(cell.startswith("wrong") for row in rows for cell in row[3:])
    replace(PAGE, {"drug": f"{block}\n\nOf {right + wrong} signs {right} are right and {wrong} wrong."})
    return 0


def _key(record, hour) -> str:  # type: ignore[no-untyped-def]
    doses = record.regimen.doses if record.regimen else ()
    given = [(dose.drug, dose.amount, dose.unit, dose.duration_min) for dose in doses]
    return f"{hour}|{record.group.diagnosis}|{record.outcome.against}|{given}"


def _what(record) -> str:  # type: ignore[no-untyped-def]
    name = record.outcome.observable
    if record.id in METABOLISM:
        return METABOLISM[record.id][0]
    if record.id in LINKS or name in LINKS:
        return LINKS.get(record.id, LINKS.get(name))[0]  # type: ignore[index]
    return str(name)


def contrast(connectome: Connectome, record, hour: float, chains) -> Contrast | None:  # type: ignore[no-untyped-def]
    """Return what a record compares: drug with placebo at its hour, or the depressed with the healthy."""
    illness = not record.regimen or not record.regimen.doses
    healthy = record.group.diagnosis == "healthy"
    dose = None if illness else record.regimen.doses[0]
    given = ("ketamine", 0.5, "mg/kg", 40.0) if dose is None else (dose.drug, dose.amount, dose.unit, dose.duration_min)
    protocol = parse_protocol(
        f"schema_version: 1\nname: record\ntitle: A record\nhorizon: 2 wk\ndoses:\n- drug: {given[0]}\n  route: iv\n"
        f"  amount: {given[1]} {given[2]}\n  duration: {given[3]} min\n  at: 0 h\n"
    )
    patient = Patient(schema_version=1, diagnosis="healthy" if healthy else "mdd")
    key = _key(record, hour)
    if key not in chains:
        chains[key] = study_states(protocol, [hour], patient=patient, subjects=1, spread=False)[1]
    states = chains[key]
    model, coupling = MeanField.build(), working_point().scaled(connectome)
    first, second = ("placebo", "drug")
    pair = (states[first].healthy(), states[first]) if illness else (states[first], states[second])
    found = [settled(state, 0, coupling, connectome.regions, model)[0] for state in pair]
    if found[0] is None or found[1] is None:
        return None
    return Contrast(connectome, found[0], found[1])


def scored(record, observed: float, pair: Contrast) -> list[str]:  # type: ignore[no-untyped-def]
    """Return what the model says with and without the global signal."""
    before, after, regions = pair.before, pair.after, pair.connectome.regions
    rates = before.firing.excitatory, after.firing.excitatory
    name = record.outcome.observable
    if record.id in METABOLISM:
        rows = METABOLISM[record.id][1](pair.connectome)
        change = float(rates[1][rows].mean() / rates[0][rows].mean() - 1.0)
        return [f"{_verdict(change, observed)}: {100.0 * change:+.1f} % against {100.0 * observed:+.0f} %", "the same"]
    if name == "dmn.activity":
        if record.id == "li2018.precuneus":
            rows, cortex = called("precuneus", "pCun")(pair.connectome), slice(None)
            shares = [float(rate[rows].mean() / rate[cortex].mean()) for rate in rates]
            return [
                f"{_verdict(shares[1] - shares[0], observed)}: {100.0 * (shares[1] / shares[0] - 1.0):+.2f} %",
                "the same",
            ]
        change = float(relative_activity(rates[1], regions) / relative_activity(rates[0], regions) - 1.0)
        return [f"{_verdict(change, observed)}: {100.0 * change:+.2f} %", "the same"]
    if name == "brain.sgacc_activity":
        rows = regions.members("subgenual")
        change = float(rates[1][rows].mean() / rates[0][rows].mean() - 1.0)
        return [f"{_verdict(change, observed)}: {100.0 * change:+.1f} %", "the same"]
    if name == "dmn.deactivation":
        current = load_parameters()["brain.task.current"].value
        falls = [-task_response(point, regions, current)["seen_bold"] for point in (before, after)]
        return [f"{_verdict(falls[1] - falls[0], observed)}, but the DMN rises in both", "the same"]
    link = LINKS.get(record.id) or LINKS.get(name)
    if link is None:
        return ["cannot: no such measure", ""]
    try:
        one, other = (part(pair.connectome) for part in link[1:])
    except Exception as error:  # a set that an atlas lacks
        return [f"cannot: {str(error).split(';')[0]}"] * 2
    cells = []
    for kept in (True, False):
        if not kept and link[1] is everything and link[2] is everything:
            cells.append("no test: regression of the mean fixes the mean")
            continue
        both = [_covariance(point, kept) for point in (before, after)]
        z = [float(mean_link(np.asarray(correlation(c)), one, other)) for c in both]
        size = z[1] - z[0]
        word = _verdict(size, observed)
        if observed == 0.0:
            people = int(record.points[-1].n or record.study.n or 20)
            effect = drawn_effect(
                both[0], both[1], lambda found: mean_link(found, one, other), samples=effective_samples(before, SCAN_S),
                persons=people, paired=bool(record.regimen.doses),
            )  # fmt: skip
            word = f"{'right' if effect.power < 0.5 else 'wrong'} (power {100.0 * effect.power:.0f} %)"
        cells.append(f"{word}: {size:+.4f}")
    return cells


def _covariance(point: FixedPoint, kept: bool) -> Array:
    found = seen_covariance(point.model, point.coupling, point.gating, point.inputs, Balloon.build(), RESTING_BAND)
    return np.asarray(found if kept else without_global_signal(found))


def _verdict(change: float, observed: float) -> str:
    if observed == 0.0:
        return "right" if abs(change) < 0.01 else "wrong"
    return "right" if np.sign(change) == np.sign(observed) else "wrong"


if __name__ == "__main__":
    raise SystemExit(main())
