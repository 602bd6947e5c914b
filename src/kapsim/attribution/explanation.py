"""The main job: a protocol and people → what each link of the chain contributes to the change of mood, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kapsim.applicability import Applicability, applicability
from kapsim.attribution.game import MOST_PLAYERS, Estimate, estimate, shapley
from kapsim.attribution.links import LINKS, Link, knocked_out
from kapsim.attribution.subsets import solve_settings
from kapsim.attribution.supports import Support, support
from kapsim.attribution.synergies import Synergy, synergy
from kapsim.averaging import drawn_under, registry_under
from kapsim.course import SHAM, build_course
from kapsim.engine.grid import Resolution
from kapsim.errors import SolverError
from kapsim.evidence import load_parameters
from kapsim.kinetic_sets import DEFAULT, check_protocol
from kapsim.mechanisms.switches import Switches
from kapsim.model import variant_switches
from kapsim.patient import Patient, load_patient
from kapsim.patient.sampling import People, sample_people
from kapsim.protocol import Protocol, load_protocol
from kapsim.protocol.changes import followed, without_drug, without_therapy
from kapsim.protocol.schema import TARGETABLE
from kapsim.scales import window_mean
from kapsim.simulation import provenance

Array = NDArray[np.float64]

#: People who share a draw of the uncertain parameters: few, so that there are many draws.
PER_DRAW = 4
#: People by default.
DRAWS = 96
#: Coarser than for a run: a mean score at the moments below errs by less than a hundredth of a point (tested).
STEPS = Resolution(sharp=8, soft=64, growth=8, largest=8192)
#: How many times as fine the grid is made where a solution breaks down, one after the other.
_FINER = (1, 4, 16)
SCALES = ("madrs", "hama")
_DAY, _WEEK = 24.0, 168.0
#: After the first dose (or the start): name, words, hours.
_MOMENTS = (("24h", "24 h", _DAY), ("week4", "week 4", 4 * _WEEK), ("month6", "month 6", 26 * _WEEK))


@dataclass(frozen=True)
class Moment:
    """A time at which effects are told: its name, its words, and the hour since the start."""

    name: str
    title: str
    hour: float


@dataclass(frozen=True)
class Effect:
    """The change of one scale at one moment, shared among the links; points, negative where people are better.

    Attributes
    ----------
    scale, moment : str
    whole : Estimate
        With every link, less without any.
    nothing : float
        Without any link: 0, but for a stressor that no link carries.
    shares : dict of str to Estimate
        Shapley's value of each link; they sum to the whole.
    lost : dict of str to Estimate
        What is lost where one link alone is knocked out.
    alone : dict of str to Estimate
        What one link does without any other.
    worth : dict of str to float
        Mean change for every subset of the links that are not silent, named by its links joined with '+'.
    """

    scale: str
    moment: str
    whole: Estimate
    nothing: float
    shares: dict[str, Estimate]
    lost: dict[str, Estimate]
    alone: dict[str, Estimate]
    worth: dict[str, float]


@dataclass(frozen=True)
class Explanation:
    """What each link contributes, therapy against drug, how well each link is supported, and how far all of it reaches.

    Attributes
    ----------
    protocol : Protocol
        As given.
    settings : dict of str to str
        What reproduces it.
    moments : tuple of Moment
    silent : dict of str to str
        Links that can do nothing here, and why; their shares are exactly 0.
    effects : tuple of Effect
        By scale, then moment.
    synergies : tuple of Synergy
        Empty where the protocol lacks drug or therapy.
    supports : tuple of Support
        One for each of `kapsim.attribution.LINKS`.
    applicability : Applicability
    subsets : int
        Number of subsets simulated.
    """

    protocol: Protocol
    settings: dict[str, str]
    moments: tuple[Moment, ...]
    silent: dict[str, str]
    effects: tuple[Effect, ...]
    synergies: tuple[Synergy, ...]
    supports: tuple[Support, ...]
    applicability: Applicability
    subsets: int

    def effect(self, scale: str, moment: str) -> Effect:
        """Return the effect on a scale at a moment, by their names."""
        return next(item for item in self.effects if (item.scale, item.moment) == (scale, moment))


def explain(
    protocol: Protocol | str | Path,
    patient: Patient | str | Path | None = None,
    *,
    variant: str = "standard",
    kinetics: str = DEFAULT,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Explanation:
    """Say how much of the change of mood each link of the chain carries.

    Every subset of the links is simulated on the same people; the effect is shared by Shapley's value. Links that stand
    one after the other share what needs both.

    Parameters
    ----------
    protocol : Protocol, str or Path
        What is done: a protocol, the name of one, or a file. People are followed to six months after the first dose
        where it ends earlier.
    patient : Patient, str or Path, optional
        Who it is done to; what is not given is drawn from the population of treatment-resistant depression.
    variant, kinetics : str
        As in `kapsim.simulate`; what a variant switches off stays off.
    draws : int
        Number of people; every four share one draw of the uncertain parameters.
    seed : int
        Root of all randomness.
    progress : callable, optional
        Called with a short text as the work goes on.

    Raises
    ------
    InputError
        For an unknown name, an unreadable file or an impossible number.
    SolverError
        Where the solution of a patient breaks down: names patient and time.
    """
    say = progress or (lambda _: None)
    switches = variant_switches(variant)
    plan = protocol if isinstance(protocol, Protocol) else load_protocol(protocol)
    check_protocol(kinetics, plan)
    who = patient if patient is None or isinstance(patient, Patient) else load_patient(patient)
    say("drawing people")
    people = drawn_under(variant, lambda own: sample_people(who, draws, seed, per_draw=PER_DRAW, parameters=own))
    moments = _moments(plan)
    silent = _silent(plan, switches)
    players = tuple(link for link in LINKS if link.name not in silent)
    assert len(players) <= MOST_PLAYERS
    settings = [knocked_out(switches, players, subset) for subset in range(1 << len(players))]
    change = _changes(plan, people, moments, settings, kinetics, say)
    effects = tuple(
        _effect(scale, moment.name, change[at, when], players, people.parameter_draw)
        for at, scale in enumerate(SCALES)
        for when, moment in enumerate(moments)
    )
    return Explanation(
        protocol=plan,
        settings=provenance(variant, seed, people.size, kinetics),
        moments=moments,
        silent=silent,
        effects=effects,
        synergies=_synergies(plan, people, moments, switches, kinetics, change[..., -1], say),
        supports=tuple(support(link, registry_under(variant)) for link in LINKS),
        applicability=applicability(plan, who),
        subsets=len(settings),
    )


def _moments(plan: Protocol) -> tuple[Moment, ...]:
    """Return when effects are told; the end of the protocol where no other moment is there."""
    doses = plan.dose_events()
    first = doses[0].start_h if doses else 0.0
    found = [Moment(name, title, first + hours) for name, title, hours in _MOMENTS]
    if all(abs(plan.horizon_h - moment.hour) > 1.0 for moment in found):
        found.append(Moment("end", f"end ({plan.horizon})", plan.horizon_h))
    return tuple(sorted(found, key=lambda moment: moment.hour))


def _silent(plan: Protocol, switches: Switches) -> dict[str, str]:
    """Return the links that can do nothing, and why."""
    found = {link.name: "switched off in this variant" for link in LINKS if link.silent(switches)}
    taught = any(session.kind not in SHAM for session in plan.session_events())
    if not taught and (plan.practice is None or plan.practice.level == 0.0):
        found.setdefault("therapy", "the protocol holds no therapy")
    return found


def _changes(
    plan: Protocol,
    people: People,
    moments: Sequence[Moment],
    settings: Sequence[Switches],
    kinetics: str,
    say: Callable[[str], None],
    arms: Sequence[Protocol] | None = None,
) -> Array:
    """Return the change of each scale from baseline, shape (scale, moment, patient, setting).

    `arms` are what is done in each setting, where that differs: the plan, or less than it.
    """
    end = max(moment.hour for moment in moments)
    longer = followed(plan, end)
    parameters = load_parameters()
    recall = {scale: parameters[f"mood.recall.{scale}"].value for scale in SCALES}
    # what a rating looks back to must be an output, or its integral could not be told there
    looks = {moment.hour - hours for moment in moments for hours in (0.0, *recall.values())}
    for factor in _FINER:
        steps = STEPS.finer(factor)
        course = build_course(longer, people, steps, kinetics, at=sorted(hour for hour in looks if hour > 0.0))
        laid_out = None if arms is None else [build_course(arm, people, steps, kinetics, at=[end]) for arm in arms]
        try:
            scores = solve_settings(course, people, settings, arms=laid_out, progress=say)
            break
        except SolverError:
            # somebody's rates are too fast for the steps in use
            if factor == _FINER[-1]:
                raise
            say(f"on a grid {_FINER[_FINER.index(factor) + 1]} times as fine")
    hours = course.grid.hours[course.outputs]
    anchors = [*(dose.start_h for dose in longer.dose_events()), *longer.rating_times()]
    found = np.zeros((len(SCALES), len(moments), people.size, len(settings)))
    for at, (scale, score, integral) in enumerate(
        (("madrs", scores.madrs, scores.madrs_integral), ("hama", scores.hama, scores.hama_integral))
    ):
        flat = (len(hours), -1)
        rated = window_mean(hours, integral.reshape(flat), score.reshape(flat), anchors, recall[scale])
        rated = rated.reshape(score.shape)
        baseline = np.asarray(getattr(people.traits, scale))
        for when, moment in enumerate(moments):
            found[at, when] = rated[int(np.argmin(np.abs(hours - moment.hour)))] - baseline[:, None]
    return found


def _effect(scale: str, moment: str, change: Array, players: tuple[Link, ...], draw: NDArray[np.int64]) -> Effect:
    """Share a change (patient, subset) among the players."""
    worth = np.moveaxis(change, -1, 0)
    everybody = len(worth) - 1
    values = dict(zip((link.name for link in players), shapley(worth), strict=True))
    nobody = Estimate(0.0, 0.0, 0.0, 0.0)
    bits = {link.name: 1 << position for position, link in enumerate(players)}
    names = [link.name for link in players]
    return Effect(
        scale=scale,
        moment=moment,
        whole=estimate(worth[everybody] - worth[0], draw),
        nothing=float(worth[0].mean()),
        shares={link.name: estimate(values[link.name], draw) if link.name in values else nobody for link in LINKS},
        lost={name: estimate(worth[everybody] - worth[everybody ^ bit], draw) for name, bit in bits.items()},
        alone={name: estimate(worth[bit] - worth[0], draw) for name, bit in bits.items()},
        worth={
            "+".join(name for position, name in enumerate(names) if subset >> position & 1): float(values.mean())
            for subset, values in enumerate(worth)
        },
    )


def _synergies(
    plan: Protocol,
    people: People,
    moments: Sequence[Moment],
    switches: Switches,
    kinetics: str,
    both: Array,
    say: Callable[[str], None],
) -> tuple[Synergy, ...]:
    """Return therapy against drug on each scale at each moment; nothing where the protocol has not both.

    `both` is the change with everything, shape (scale, moment, patient).
    """
    drugged = any(dose.drug in TARGETABLE for dose in plan.dose_events())
    if not drugged or not (plan.session_events() or plan.practice):
        return ()
    longer = followed(plan, max(moment.hour for moment in moments))
    arms = {
        "drug": without_therapy(longer),
        "therapy": without_drug(longer),
        "neither": without_drug(without_therapy(longer)),
    }
    say("therapy against drug")
    alone = _changes(plan, people, moments, [switches] * len(arms), kinetics, say, list(arms.values()))
    cells = {"both": both, **{name: alone[..., number] for number, name in enumerate(arms)}}
    return tuple(
        synergy(
            scale,
            moment.name,
            {name: values[at, when] for name, values in cells.items()},
            people.parameter_draw,
        )
        for at, scale in enumerate(SCALES)
        for when, moment in enumerate(moments)
    )
