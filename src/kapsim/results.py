"""Solved states → a labelled data set: units, long names and what reproduces it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapsim.applicability import applicability
from kapsim.averaging import AVERAGE, switches_for, variant_weights, variants_of
from kapsim.concentrations import plasma
from kapsim.course import Course, drugs_seen, metabolite_volumes
from kapsim.errors import InputError, SolverError
from kapsim.evidence import load_parameters
from kapsim.mechanisms.base import Setting
from kapsim.model import Model, added_links, unflatten
from kapsim.patient import Patient
from kapsim.patient.sampling import People
from kapsim.population.traits import TRAITS
from kapsim.protocol import Protocol
from kapsim.ratings.rated import Ratings
from kapsim.ratings.rating_error import SCALES
from kapsim.scales import scale_scores

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

#: Hours after the first dose at which endpoints look, by their short name.
LOOKS = {"4h": 4.0, "24h": 24.0, "day7": 168.0, "day14": 336.0, "day28": 672.0}

#: Variable → (link, unit, long name), in the order of the story.
VARIABLES: dict[str, tuple[str, str, str]] = {
    **{
        f"plasma_{drug}_{site}": ("pharmacokinetics", "ng/mL", f"{name} in {site} plasma")
        for drug, name in (
            ("ketamine", "ketamine, both enantiomers,"),
            ("s_ketamine", "S-ketamine"),
            ("r_ketamine", "R-ketamine"),
        )
        for site in ("arterial", "venous")
    },
    "plasma_norketamine_arterial": ("pharmacokinetics", "ng/mL", "norketamine in arterial plasma"),
    "plasma_norketamine_venous": ("pharmacokinetics", "ng/mL", "norketamine in venous plasma"),
    "hydroxynorketamine": ("pharmacokinetics", "ng/mL", "hydroxynorketamine in plasma"),
    "nmda_block": ("receptor", "1", "share of NMDA receptors blocked, pyramidal cells"),
    "nmda_block_interneuron": ("receptor", "1", "share of NMDA receptors blocked, interneurons"),
    "interneuron_rate": ("network", "1", "interneuron firing, healthy at rest = 1"),
    "pyramidal_rate": ("network", "1", "pyramidal firing, healthy at rest = 1"),
    "glutamate": ("glutamate", "1", "extracellular glutamate, healthy = 1"),
    "glx_mrs": ("glutamate", "1", "glutamate plus glutamine by spectroscopy, healthy = 1"),
    "dmn_activity": ("network", "1", "default mode network activity over cortex, healthy = 1"),
    "dmn_connectivity": ("network", "1", "connectivity within the default mode network, healthy = 1"),
    "sgacc_dmn_connectivity": ("network", "1", "subgenual to default mode network coupling, healthy = 1"),
    "surface_excess": ("network", "1", "distance beyond the domain of the response surface, 0 inside"),
    "ampa_drive": ("plasticity", "1", "AMPA drive on pyramidal cells, healthy = 1"),
    "bdnf": ("plasticity", "1", "central BDNF-TrkB, healthy = 1"),
    "blood_bdnf": ("plasticity", "1", "BDNF in blood, healthy = 1"),
    "potentiation": ("plasticity", "1", "fast synaptic potentiation, rest = 0"),
    "spine_density": ("plasticity", "1", "density of dendritic spines, healthy = 1"),
    "plasticity_window": ("plasticity", "1", "opening of the plasticity window, rest = 0"),
    "neurogenesis": ("plasticity", "1", "neurogenesis, rest = 1"),
    "tnf": ("inflammation", "1", "TNF-like drive, healthy = 1"),
    "il6": ("inflammation", "1", "interleukin 6, healthy = 1"),
    "crp": ("inflammation", "mg/L", "C-reactive protein"),
    "microglia": ("inflammation", "1", "microglial activation, healthy = 1"),
    "negative_belief": ("mind", "1", "labile negative self-belief"),
    "schema": ("mind", "1", "consolidated negative schema"),
    "rumination": ("mind", "1", "rumination"),
    "expectancy": ("mind", "1", "expectancy"),
    "care": ("mind", "1", "part of care and an oral antidepressant in force"),
    "recovery": ("mind", "1", "share of severity gone of its own accord"),
    "madrs": ("mood", "points", "MADRS, expected score"),
    "hdrs17": ("mood", "points", "HDRS-17, expected score"),
    "qids": ("mood", "points", "QIDS-SR16, expected score"),
    "phq9": ("mood", "points", "PHQ-9, expected score"),
    "bdi": ("mood", "points", "BDI, expected score"),
    "hama": ("mood", "points", "HAM-A, expected score"),
    "gad7": ("mood", "points", "GAD-7, expected score"),
    "madrs_momentary": ("mood", "points", "MADRS, expected, if it had no recall period"),
    "hama_momentary": ("mood", "points", "HAM-A, expected, if it had no recall period"),
    "cadss": ("acute", "points", "dissociation, CADSS"),
    "dissociation_tolerance": ("acute", "1", "memory of past dissociation"),
    "sedation": ("acute", "1", "sedation, share of the most"),
    "loss_of_consciousness": ("acute", "1", "probability of loss of consciousness"),
    "nausea": ("acute", "1", "probability of nausea"),
    "systolic_pressure": ("acute", "mm[Hg]", "change of systolic blood pressure"),
    "diastolic_pressure": ("acute", "mm[Hg]", "change of diastolic blood pressure"),
    "mean_arterial_pressure": ("acute", "mm[Hg]", "change of mean arterial pressure"),
    "heart_rate": ("acute", "/min", "change of heart rate"),
    "cardiac_output": ("acute", "%", "change of cardiac output"),
}


def known_variables() -> dict[str, tuple[str, str, str]]:
    """Return `VARIABLES` and those of the links that extensions add."""
    found = dict(VARIABLES)
    for name, link in added_links().items():
        for variable, about in link.variables.items():
            if variable in found:
                raise InputError(f"extension: link {name!r}: there is a variable {variable!r} already; rename it")
            found[variable] = (name, *about)
    return found


def label(
    protocol: Protocol,
    patient: Patient | None,
    people: People,
    course: Course,
    states: Array,
    amounts: Array,
    provenance: Mapping[str, str],
    ratings: Ratings | None = None,
    *,
    met: Patient | None = None,
    keep_failures: bool = False,
    variables: Collection[str] | None = None,
) -> xr.Dataset:
    """Return the labelled results of a solved course.

    Parameters
    ----------
    protocol, patient, people, course
        What was simulated.
    states : ndarray, shape (outputs, states, patient)
    amounts : ndarray, shape (outputs, systems, compartments, patient)
    provenance : mapping
        Attributes that reproduce the run, among them `variant`.
    ratings : Ratings, optional
        Makes ratings with their error; without it the scales hold expected scores alone.
    met : Patient, optional
        Whom a study would say it treated, to be held beside the published ones; by default `patient`.
    keep_failures : bool
        Leave numbers that are not finite as they are.
    variables : collection of str, optional
        Which of `VARIABLES` to keep, by default all.

    Returns
    -------
    xarray.Dataset
        Dimensions (patient, time), every variable that is kept; with `ratings` also (patient, visit), every scale
        with `_rated` after its name.

    Raises
    ------
    SolverError
        Where a variable of a patient is not finite, unless `keep_failures`.
    """
    import xarray as xr

    from kapsim.statements import DISCLAIMER

    hours = course.grid.hours[course.outputs]
    values = _values(protocol, people, course, hours, states, amounts, provenance["variant"])
    kept = {name: about for name, about in known_variables().items() if variables is None or name in variables}
    for name in kept:
        broken = ~np.isfinite(values[name])
        if broken.any() and not keep_failures:
            patient_index = int(np.argmax(broken.any(axis=0)))
            first = int(np.argmax(broken[:, patient_index]))
            raise SolverError(patient_index, float(hours[max(first - 1, 0)]), name)
    columns: dict[str, Any] = {
        name: (
            ("patient", "time"),
            np.ascontiguousarray(values[name].T),
            {"units": unit, "long_name": text, "link": link},
        )
        for name, (link, unit, text) in kept.items()
    }
    coordinates: dict[str, Any] = {
        "time": ("time", hours, {"units": "h", "long_name": "time since the start"}),
        "patient": ("patient", np.arange(people.size, dtype=np.int32)),
        "parameter_draw": (
            "patient",
            people.parameter_draw.astype(np.int32),
            {"long_name": "draw of the uncertain parameters"},
        ),
        "weight": ("patient", people.body.weight, {"units": "kg", "long_name": "body weight"}),
        "age": ("patient", people.body.age, {"units": "a", "long_name": "age"}),
        "female": ("patient", people.body.female.astype(np.int32), {"units": "1", "long_name": "1 where female"}),
        "ketamine_given": (
            "patient",
            course.given,
            {"units": "mg", "long_name": "ketamine given in all, both enantiomers"},
        ),
        "baseline_madrs": ("patient", people.traits.madrs, {"units": "points", "long_name": "MADRS at the start"}),
    }
    coordinates.update(_covariates(people))
    if provenance["variant"] == AVERAGE:
        names = list(variant_weights())
        coordinates["variant_number"] = (
            "patient",
            np.asarray([names.index(name) for name in variants_of(people)], dtype=np.int32),
            {"long_name": "variant of the contested links", "flag_meanings": " ".join(names)},
        )
    used = [*Model.parameter_ids(), *(item.metadata["id"] for item in course.kinetics.declared())]
    used += [name for name in load_parameters() if name.startswith(("patient.", "mood."))]
    if ratings is not None:
        kinds = ("rating.", "scatter.", "enrolment.")
        used += [name for name in load_parameters() if name.removeprefix("observation.").startswith(kinds)]
    attributes: dict[str, Any] = {
        "title": f"kapsim simulation of {protocol.title}",
        "disclaimer": DISCLAIMER,
        "protocol_name": protocol.name,
        "protocol": protocol.to_yaml(),
        "patient": "" if patient is None else patient.model_dump_json(exclude_none=True),
        **provenance,
        "parameters_used": json.dumps(list(dict.fromkeys(used))),
        "records_used": json.dumps(course.kinetics.records()),
        "applicability": applicability(protocol, patient if met is None else met).to_json(),
        "doses": json.dumps(
            [
                {
                    "start_h": dose.start_h,
                    "duration_h": dose.duration_h,
                    "label": f"{dose.drug} {dose.amount:g} {dose.unit} {dose.pathway.replace('_', ' ')}",
                    "drug": dose.drug,
                    "amount": dose.amount,
                    "unit": dose.unit,
                }
                for dose in protocol.dose_events()
            ]
        ),
        "sessions": json.dumps(
            [
                {"start_h": item.start_h, "duration_h": item.duration_h, "label": f"{item.kind} ({item.place})"}
                for item in protocol.session_events()
            ]
        ),
        "stressors": json.dumps(
            [
                {"start_h": item.start_h, "duration_h": item.duration_h, "label": f"stressor {item.intensity:g}"}
                for item in protocol.stressor_events()
            ]
        ),
        "ratings": json.dumps(list(protocol.rating_times())),
    }
    if ratings is not None:
        visits = visit_hours(protocol, float(hours[-1]))
        coordinates["visit"] = ("visit", visits, {"units": "h", "long_name": "visit with a rating, since the start"})
        columns.update(_rated(ratings, hours, values, visits))
    return xr.Dataset(columns, coords=coordinates, attrs=attributes)


def _covariates(people: People) -> dict[str, Any]:
    """Return what a population says of the people, for a data set; nothing where none was named."""
    found: dict[str, Any] = {}
    for trait, values in people.covariates.items():
        # weight, age and sex of the body, and severity, stand there in any case
        if trait in ("weight", "age", "female", "madrs"):
            continue
        about = TRAITS[trait]
        # the score and the concentration themselves change over time
        name = f"baseline_{trait}" if trait in ("hama", "crp") else trait
        shown = values.astype(np.int32) if about.yes_no else np.asarray(values)
        found[name] = ("patient", shown, {"units": about.unit, "long_name": about.long_name})
    return found


def visit_hours(protocol: Protocol, end: float) -> Array:
    """Return when people are rated: at the start, at the protocol's ratings, where endpoints look, and at the end.

    Parameters
    ----------
    protocol : Protocol
    end : float
        Of the simulation, h.

    Returns
    -------
    ndarray, shape (visit,)
        Ascending, h.
    """
    doses = [dose.start_h for dose in protocol.dose_events()]
    first = doses[0] if doses else 0.0
    looked = [first + hour for hour in LOOKS.values() if first + hour <= end]
    return np.unique(np.asarray([0.0, *protocol.rating_times(), *looked, end]))


def _rated(ratings: Ratings, hours: Array, values: Mapping[str, Array], visits: Array) -> dict[str, Any]:
    """Return every scale as rated at the visits, for a data set."""
    at = [int(np.argmin(np.abs(hours - visit))) for visit in visits]
    found = {}
    for scale, words in SCALES.items():
        expected = values[scale][at]
        entry = expected[0]
        columns = [ratings.at_entry(scale, entry)]
        columns += [
            ratings.at_visit(scale, score, float(visit), entry=entry)
            for visit, score in zip(visits[1:], expected[1:], strict=True)
        ]
        about = {"units": "points", "long_name": f"{words} as rated, with error", "link": "mood"}
        found[f"{scale}_rated"] = (("patient", "visit"), np.stack(columns, axis=1), about)
    return found


def _values(
    protocol: Protocol, people: People, course: Course, hours: Array, states: Array, amounts: Array, variant: str
) -> dict[str, Array]:
    """Return every variable, shape (time, patient)."""
    kinetics = course.kinetics
    model = Model.build(people.values, switches_for(variant, people))
    shape = (len(hours), people.size)
    values: dict[str, Array] = {}
    masses = (people.values["pk.molar_mass.norketamine"], people.values["pk.molar_mass.hydroxynorketamine"])
    read = plasma(kinetics, people.body, course, amounts, masses)
    values.update({name: value for name, value in read.items() if name in VARIABLES})
    observe = drugs_seen(course.seen)
    drugs = observe(np.moveaxis(amounts, 0, 2), {"volumes": metabolite_volumes(kinetics, people)})
    last = len(course.settings) - 1
    rows = [course.settings[min(int(node), last)] for node in course.outputs]
    setting = Setting(*(np.asarray(column)[:, None] for column in zip(*rows, strict=True)))
    state, rest = unflatten(np.moveaxis(states, 0, 1)), model.rest(people.traits)
    readouts = model.readouts(state, rest, people.traits, drugs, setting)
    values.update({name: np.broadcast_to(value, shape) for name, value in readouts.items()})
    anchors = [*(dose.start_h for dose in protocol.dose_events()), *protocol.rating_times()]
    mood = state.mood
    momentary = (values["madrs_momentary"], values["hama_momentary"])
    values.update(scale_scores(hours, (mood.depression, mood.anxiety), momentary, anchors))
    return values
