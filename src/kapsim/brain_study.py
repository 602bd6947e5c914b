"""A study of the cortex at full size: the same people under placebo and drug, scanned at given hours, from one noise.

The chain says what block and slow states are at each hour (`brain.states`), the whole-brain model what a scanner would
see. Placebo is the same protocol with saline in the place of every drug. A person has the same noise in every scan, so
differences hold no chance but what the drug makes of it; scans of a person who is not changed are the same bits.

What a real study would see is another thing: there each scan has a noise of its own. The attribute `effects` therefore
puts the simulated difference over the spread that scans of this length, and these people, would have.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapsim.brain.connectome import Connectome
from kapsim.brain.fixed_point import FixedPoint, follow, rest, steepest_gating
from kapsim.brain.haemodynamics import Balloon, band_pass, remove_global_signal
from kapsim.brain.mean_field import MeanField, RegionalInputs
from kapsim.brain.measures import (
    CONNECTIVITY,
    connectivity_measure,
    connectivity_measures,
    effective_samples,
    paired_power,
    relative_activity,
    simulated_scans,
    task_response,
)
from kapsim.brain.moments import RESTING_BAND, correlation, seen_covariance, without_global_signal
from kapsim.brain.regions import Regions
from kapsim.brain.simulation import BrainRun, simulate
from kapsim.brain.states import CorticalStates, block_hours, cortical_states, one_of
from kapsim.brain.working_point import working_point
from kapsim.errors import FixedPointError, InputError
from kapsim.evidence import evidence_version, load_parameters
from kapsim.file_model import Quantity
from kapsim.kinetic_sets import DEFAULT
from kapsim.patient import Patient
from kapsim.patient.sampling import People, sample_people
from kapsim.protocol import Protocol
from kapsim.protocol.schema import TARGETABLE
from kapsim.simulation import simulate_people
from kapsim.statements import DISCLAIMER

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

#: Fixed points by arm, hour and person.
Points = Mapping[str, Sequence[Sequence[FixedPoint | None]]]

ARMS = ("placebo", "drug")
#: What holds of every figure that is printed.
LIMITS = (
    "Effect sizes hold sampling error and what is drawn of people, and are upper limits; the mean connectivity of the "
    "model is a tenth of the measured one, so that signs and effect sizes can be compared, differences of z cannot "
    "(docs/brain.md)."
)
#: Draws behind the spread of scans.
SCANS = 200
#: Name → (unit, long name) of measures that are no connectivity.
ACTIVITY = {
    "cortex_rate": ("Hz", "mean excitatory rate of the cortex"),
    "dmn_rate": ("Hz", "mean excitatory rate of the default mode network"),
    "dmn_relative": ("1", "default mode network over cortex, rate"),
    "dmn_task": ("%", "BOLD of the default mode network while a task drives attention"),
}


@dataclass(frozen=True)
class Scan:
    """How people are scanned.

    Attributes
    ----------
    minutes : float
        Length of a scan.
    repetition_s : float
        Repetition time, s.
    global_signal : bool
        False removes it by regression.
    engine : str
        As in `kapsim.brain.simulate`.
    """

    minutes: float = 8.0
    repetition_s: float = 2.0
    global_signal: bool = True
    engine: str = "auto"

    def __post_init__(self) -> None:
        if not 0.0 < self.repetition_s <= 10.0:
            raise InputError(f"a TR of {self.repetition_s:g} s is out of range; give one above 0 and up to 10 s")
        if not self.repetition_s * 32.0 <= self.minutes * 60.0 <= 6 * 3600.0:
            raise InputError(
                f"a scan of {self.minutes:g} min is out of range at a TR of {self.repetition_s:g} s; give at least "
                f"{self.repetition_s * 32.0 / 60.0:.3g} min (32 volumes) and at most 360"
            )

    @property
    def duration_s(self) -> float:
        """Length in whole volumes, s."""
        return round(self.minutes * 60.0 / self.repetition_s) * self.repetition_s


def placebo_of(protocol: Protocol) -> Protocol:
    """Return the same protocol with saline in the place of every drug that is given as a dose."""
    nothing = Quantity(0.0, "mg")
    doses = tuple(dose.model_copy(update={"drug": "saline", "amount": nothing}) for dose in protocol.doses)
    return protocol.model_copy(update={"doses": doses})


def check_study(protocol: Protocol, hours: Sequence[float]) -> None:
    """Raise InputError where a protocol gives no ketamine, or an hour lies outside it."""
    if not any(dose.drug in TARGETABLE for dose in protocol.dose_events()):
        raise InputError(
            f"{protocol.name}: gives no ketamine, so that there is nothing to compare with placebo; give a protocol "
            f"with {', '.join(TARGETABLE)}"
        )
    if not len(hours):
        raise InputError("no hours to scan at; give at least one")
    for hour in hours:
        if not 0.0 <= hour <= protocol.horizon_h:
            raise InputError(
                f"{protocol.name}: {hour:g} h is outside the protocol, which runs from 0 to {protocol.horizon_h:g} h"
            )


def study_states(
    protocol: Protocol,
    hours: Sequence[float],
    *,
    patient: Patient | None = None,
    subjects: int = 4,
    seed: int = 0,
    spread: bool = True,
    variant: str = "standard",
    kinetics: str = DEFAULT,
) -> tuple[People, dict[str, CorticalStates]]:
    """Return the people of a study and the states of their cortex under placebo and drug.

    Parameters
    ----------
    protocol : Protocol
    hours : sequence of float
        Hours from the start of the protocol.
    patient : Patient, optional
        What is known of the people; the rest is drawn.
    subjects : int
    seed : int
    spread : bool
        False takes the typical person, as often as there are subjects: they differ in noise alone.
    variant, kinetics : str
        As in `kapsim.simulate`.

    Returns
    -------
    tuple of People and dict of str to CorticalStates
        By the names of `ARMS`.

    Raises
    ------
    InputError
        As `check_study` raises, and for a number of subjects that cannot be.
    """
    check_study(protocol, hours)
    people = sample_people(patient, subjects, seed, spread=spread)
    depressed = patient is None or patient.diagnosis != "healthy"
    taken = [(item.start_h, item.end_h) for item in protocol.co_medications() if item.drug == "benzodiazepine"]
    at = block_hours([dose.start_h for dose in protocol.dose_events()], hours, protocol.horizon_h)
    states = {}
    for arm, plan in zip(ARMS, (placebo_of(protocol), protocol), strict=True):
        results = simulate_people(plan, people, patient, variant=variant, kinetics=kinetics, seed=seed, at=at)
        states[arm] = cortical_states(results, people, hours, depressed=depressed, benzodiazepine_h=taken)
    return people, states


def settled(
    states: CorticalStates, hour: int, coupling: Array, regions: Regions, field: MeanField
) -> list[FixedPoint | None]:
    """Return the fixed point of each person at an hour, None where the low branch does not lead there."""
    start, held = states.resting(hour, coupling, regions, field), states.held(hour, coupling, regions, field)
    end = states.inputs(hour, coupling, regions, field, held=held)
    found: list[FixedPoint | None] = []
    for person in range(states.size):
        try:
            if np.isnan(held[person]):
                raise FixedPointError("the low branch does not reach this person's own rest")
            found.append(follow(rest(field, coupling, one_of(start, person)), one_of(end, person)))
        except FixedPointError:
            found.append(None)
    return found


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
    ).assign_attrs(_study_effects(points, names, values, how, regions, people, seed))


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


def _study_effects(
    points: Points,
    names: Mapping[str, tuple[str, str]],
    values: Array,
    scan: Scan,
    regions: Regions,
    people: int,
    seed: int,
) -> dict[str, str]:
    """Return effect sizes and power as an attribute: hour by hour, measure by measure, null where there is none.

    The difference is that of the simulated scans. Its spread is that of single scans of this length, from the spectra
    of the model, and of the persons' true differences, from their fixed points.
    """
    found: list[dict[str, Any]] = []
    for hour in range(values.shape[-1]):
        pairs = [
            (a, b) for a, b in zip(points["placebo"][hour], points["drug"][hour], strict=True) if a is not None and b
        ]
        row: dict[str, Any] = {}
        if len(pairs) == people and people > 1:
            both = [[_covariance(state, scan) for state in pair] for pair in pairs]
            samples = float(np.mean([effective_samples(pair[0], scan.duration_s) for pair in pairs]))
            for name in names:
                if name not in CONNECTIVITY or samples < 4:
                    continue
                true = np.array(
                    [[float(connectivity_measure(correlation(c), regions, name)) for c in pair] for pair in both]
                )
                drawn = [
                    connectivity_measure(
                        simulated_scans(np.mean([pair[at] for pair in both], axis=0), samples, SCANS, seed + at),
                        regions,
                        name,
                    )
                    for at in (0, 1)
                ]
                at = list(names).index(name)
                sampling = 0.5 * (drawn[0].var(ddof=1) + drawn[1].var(ddof=1))
                differing = float((true[:, 1] - true[:, 0]).var(ddof=1))
                row[name] = _paired(
                    float((values[at, :, 1, hour] - values[at, :, 0, hour]).mean()),
                    2.0 * float(sampling) + differing,
                    people,
                )
        found.append(row)
    return {"effects": json.dumps(found)}


def _covariance(point: FixedPoint, scan: Scan) -> Array:
    found = seen_covariance(point.model, point.coupling, point.gating, point.inputs, Balloon.build(), RESTING_BAND)
    return np.asarray(found if scan.global_signal else without_global_signal(found))


def _paired(difference: float, variance: float, people: int) -> dict[str, float]:
    """Return Cohen's d of paired differences, and the power of a two-sided test at 5 %."""
    size = difference / float(np.sqrt(variance))
    return {"size": size, "power": paired_power(size, people)}


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


def measure_rows(study: xr.Dataset, hour: int) -> list[dict[str, Any]]:
    """Return every measure at an hour: means over people under placebo and drug, difference, effect size and power."""
    values, effects = study["value"].values[..., hour], json.loads(study.attrs["effects"])[hour]
    found = []
    for row, name in enumerate(study["measure"].values):
        placebo, drug = (float(np.mean(values[row, :, arm])) for arm in (0, 1))
        effect = effects.get(str(name), {})
        found.append(
            {
                "measure": str(name),
                "name": str(study["measure_name"].values[row]),
                "unit": str(study["measure_unit"].values[row]),
                "placebo": placebo,
                "drug": drug,
                "difference": drug - placebo,
                "effect_size": effect.get("size", float("nan")),
                "power": effect.get("power", float("nan")),
            }
        )
    return found


def warnings_of(study: xr.Dataset) -> list[str]:
    """Return a line for each arm and hour at which the network left its low branch for somebody."""
    lines = []
    for k, hour in enumerate(study["hour"].values):
        for a, arm in enumerate(study["arm"].values):
            gone, high = (int(study[name].values[:, a, k].astype(bool).sum()) for name in ("off_low_branch", "tipped"))
            if gone or high:
                lines.append(
                    f"{arm} at {hour:.3g} h: the network leaves its low branch in {max(gone, high)} of "
                    f"{study.sizes['subject']} people; their figures describe no resting cortex"
                )
    return lines


def sign_sentence(study: xr.Dataset) -> list[str]:
    """Return what the model says of the default mode network, an hour a line, whatever the popular account says."""
    lines: list[str] = []
    measures = list(study["measure"].values)
    for k, hour in enumerate(study["hour"].values):
        parts = []
        for name, word in (("dmn_within", "connectivity within it"), ("dmn_relative", "its rate over the cortex")):
            if name in measures:
                value = study["value"].values[measures.index(name), :, :, k]
                change = float((value[:, 1] - value[:, 0]).mean())
                parts.append(f"{word} {'rises' if change > 0 else 'falls' if change < 0 else 'is unchanged'}")
        if parts:
            lines.append(f"default mode network at {hour:.3g} h: {', '.join(parts)}, as the model gives it")
    return lines
