"""A trial conducted: people recruited, randomised, treated, rated and lost, for a block of replicates at once.

Everybody is simulated under the arm they got, with what they missed, gave up or were given as rescue; what a rater
writes down has its error. Nothing depends on which other replicates are in the block.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.kinetic_sets import DEFAULT
from kapsim.patient.sampling import People
from kapsim.ratings import dropout
from kapsim.ratings.rated import Ratings
from kapsim.scales import from_madrs, gad7_from_hama
from kapsim.trial.allocation import allocate, sites_of, strata
from kapsim.trial.design import Trial
from kapsim.trial.draws import Parameters, TrialDeviates
from kapsim.trial.recruits import Intake, draw, intake, part_of, unable_to_tell
from kapsim.trial.regimen import Fate, occasion_starts, regimen
from kapsim.trial.solving import Chain, expected_scores

__all__ = ["Conducted", "Settings", "conduct", "under_control"]

Array = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]

_WEEK_H = 168.0
_EPSILON_H = 1e-6


@dataclass(frozen=True)
class Settings:
    """How trials are conducted.

    Parameters
    ----------
    patients : int
        People recruited into each replicate.
    seed : int
        Root of all randomness.
    parameters : str
        'ensemble': each replicate draws its own row of what is not known; 'fixed': all have the middle.
    variant : str
        Setting of the contested links; under 'average' each replicate has one, by weight.
    kinetics : str
        Name of the kinetics.
    threads : int, optional
        Cores to use, by default all; the numbers do not depend on it.
    """

    patients: int
    seed: int = 0
    parameters: Parameters = "fixed"
    variant: str = "standard"
    kinetics: str = DEFAULT
    threads: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Conducted:
    """Replicates of a trial, as they were conducted; arrays of shape (replicate, patient) unless it is said.

    Parameters
    ----------
    trial : Trial
    settings : Settings
    replicates : ndarray of int, shape (replicate,)
        Their numbers.
    group : ndarray of int
        Arm or sequence that people were randomised to; −1 for those who were not.
    site, stratum : ndarray of int
    age, weight : ndarray
        Years and kg.
    female : ndarray
        1 where female.
    ratings : dict of str to ndarray, shape (replicate, patient, 1 + visit)
        What raters would write down at entry and at every visit, points, also where nobody came; not a number after a
        solution that broke down.
    seen : ndarray of bool, shape (replicate, patient, 1 + visit)
        Who came to which visit.
    missed : ndarray of int
        Treatment visits missed.
    stopped_h, rescued_h : ndarray
        When treatment was given up and when rescue began, h; infinite for never.
    failed : ndarray of bool
        Whose solution broke down.
    """

    trial: Trial
    settings: Settings
    replicates: Places
    group: Places
    site: Places
    stratum: Places
    age: Array
    weight: Array
    female: Array
    ratings: Mapping[str, Array]
    seen: Flags
    missed: Places
    stopped_h: Array
    rescued_h: Array
    failed: Flags

    @property
    def hours(self) -> tuple[float, ...]:
        """Entry and every visit, h."""
        return (0.0, *self.trial.hours)

    def under(self, trial: Trial) -> Conducted:
        """Return the same data read by a trial that differs in its endpoint or estimand alone."""
        return dataclasses.replace(self, trial=trial)

    def first(self, patients: int) -> Conducted:
        """Return the trials that stop recruiting after so many people: people, strata and arms come in order.

        Parameters
        ----------
        patients : int
            At most those who were recruited.
        """
        changed: dict[str, Any] = {
            item.name: value[:, :patients]
            for item in dataclasses.fields(self)
            if isinstance(value := getattr(self, item.name), np.ndarray) and value.ndim > 1
        }
        changed["ratings"] = {scale: values[:, :patients] for scale, values in self.ratings.items()}
        changed["settings"] = dataclasses.replace(self.settings, patients=patients)
        return dataclasses.replace(self, **changed)


def under_control(trial: Trial) -> Trial:
    """Return the null of a trial: whatever people are randomised to, they get what the control gets."""
    return dataclasses.replace(trial, protocols=(trial.protocols[trial.control],) * len(trial.protocols))


def conduct(
    trial: Trial,
    settings: Settings,
    replicates: Sequence[int] | Places,
    *,
    who: Intake | None = None,
    forced: int | None = None,
    blind: bool = False,
) -> Conducted:
    """Conduct replicates of a trial.

    Parameters
    ----------
    trial : Trial
    settings : Settings
    replicates : sequence of int
        Numbers of the replicates; each is what it is whatever others there are.
    who : Intake, optional
        Who is recruited, where it is known already.
    forced : int, optional
        Everybody gets this arm or sequence, comes to every visit and is chosen for it, to see what an arm does.
    blind : bool
        Nobody can feel what they are given.

    Returns
    -------
    Conducted
    """
    numbers = np.asarray(replicates, dtype=np.int64)
    recruited = intake(trial) if who is None else who
    people = draw(recruited, settings.seed, numbers, settings.patients, settings.parameters, settings.variant)
    if blind:
        people = unable_to_tell(people)
    return _Conduct(trial, settings, numbers, recruited, people, forced).run()


class _Conduct:
    """One block of replicates on its way; people in one row of replicate times patient."""

    def __init__(
        self, trial: Trial, settings: Settings, numbers: Places, who: Intake, people: People, forced: int | None
    ) -> None:
        self.trial, self.settings, self.numbers = trial, settings, numbers
        self.people, self.forced = people, forced
        self.who = who
        assert isinstance(people.keyed, TrialDeviates)
        self.keyed: TrialDeviates = people.keyed
        self.chain = Chain(settings.variant, settings.kinetics)
        self.shape = (len(numbers), settings.patients)
        self.hours = np.asarray([0.0, *trial.hours])
        self.shift = np.zeros(people.size)
        own = trial.design
        self.ratings: dict[str, Array] = {
            scale: np.full((people.size, len(self.hours)), np.nan) for scale in own.scales
        }
        # groups that get the same are solved together
        plans = [trial.periods(group) for group in range(len(trial.groups))]
        self.same = [plans.index(plan) for plan in plans]

    def run(self) -> Conducted:
        trial, own = self.trial, self.trial.design
        entry = self._rated_at_entry()
        sites = sites_of(self.keyed, self.shape, own.sites)
        if own.sites is not None and own.sites.sd > 0.0:
            effects = own.sites.sd * self.keyed.table("site_effect", own.sites.count)
            self.shift = np.take_along_axis(effects, sites, axis=1).ravel()
        cut = self._usual_severity()
        stratum = strata(own.stratify, sites, self.people.body.female.reshape(self.shape), entry, cut)
        chosen = np.ones(self.people.size, dtype=bool)
        if own.kind == "withdrawal":
            chosen = self._run_in()
        group = np.full(self.people.size, -1, dtype=np.int64)
        if self.forced is None:
            ratios = (1, 1) if own.kind == "crossover" else tuple(arm.ratio for arm in own.arms)
            group = allocate(self.keyed, ratios, stratum, chosen.reshape(self.shape)).ravel()
        else:
            group[chosen] = self.forced
        fates = self._fates(group)
        self._solve(group >= 0, fates)
        seen = self._seen(group)
        rescued = self._rescue(group, fates, seen)
        if rescued.any():
            self._solve(rescued, fates)
            seen = self._seen(group)
        return self._result(trial, group, sites, stratum, fates, seen)

    def _result(
        self, trial: Trial, group: Places, sites: Places, stratum: Places, fates: list[Fate], seen: Flags
    ) -> Conducted:
        broken = ~np.all([np.isfinite(values).all(axis=1) for values in self.ratings.values()], axis=0)
        body, shape = self.people.body, self.shape
        return Conducted(
            trial=trial,
            settings=self.settings,
            replicates=self.numbers,
            group=group.reshape(shape),
            site=sites,
            stratum=stratum,
            age=np.asarray(body.age, dtype=float).reshape(shape),
            weight=np.asarray(body.weight, dtype=float).reshape(shape),
            female=np.asarray(body.female, dtype=float).reshape(shape),
            ratings={scale: values.reshape(*shape, -1) for scale, values in self.ratings.items()},
            seen=seen.reshape(*shape, -1),
            missed=np.asarray([len(fate.missed) for fate in fates], dtype=np.int64).reshape(shape),
            stopped_h=np.asarray([fate.stopped_h for fate in fates]).reshape(shape),
            rescued_h=np.asarray([fate.rescued_h for fate in fates]).reshape(shape),
            failed=(broken & (group >= 0)).reshape(shape),
        )

    def _rated_at_entry(self) -> Array:
        """Return the rating that severity is told by at entry, shape (replicate, patient)."""
        scale = self._decisive()
        madrs, hama = self.people.traits.madrs, self.people.traits.hama
        if scale in ("hama", "gad7"):
            expected = hama if scale == "hama" else gad7_from_hama(hama)
        else:
            expected = madrs if scale == "madrs" else from_madrs(scale, madrs)
        return self._raters(self.people).at_entry(scale, np.asarray(expected)).reshape(self.shape)

    def _decisive(self) -> str:
        return "madrs" if self.who.enrolment is None else self.who.enrolment.scale

    def _usual_severity(self) -> float:
        return self.who.registry["patient.madrs"].value if self.who.enrolment is None else self.who.enrolment.mean

    def _raters(self, people: People) -> Ratings:
        return Ratings(people.keyed, people.size, self.who.enrolment, self.who.registry)

    def _rate(self, places: Places, expected: Mapping[str, Array], visits: int, after_h: Array) -> None:
        """Write down ratings of some people at entry and the first `visits`, where those come after `after_h`."""
        raters = self._raters(part_of(self.people, places))
        for scale, scores in expected.items():
            entry = scores[:, 0]
            columns = [raters.at_entry(scale, entry)]
            for place in range(1, visits + 1):
                score = scores[:, place] + self.shift[places]
                columns.append(raters.at_visit(scale, score, float(self.hours[place]), entry=entry))
            new = np.stack(columns, axis=1)
            later = self.hours[None, : visits + 1] > after_h[:, None] + _EPSILON_H
            here = self.ratings[scale][places, : visits + 1]
            self.ratings[scale][places, : visits + 1] = np.where(later, new, here)

    def _run_in(self) -> Flags:
        """Follow everybody through the run-in; return who does well enough to be randomised."""
        trial = self.trial
        plan = regimen(trial, Fate(0), until=trial.second_start)
        everybody = np.arange(self.people.size)
        expected = expected_scores(plan, self.people, trial.design.scales, self.chain, threads=self.settings.threads)
        self._rate(everybody, expected, 1, np.full(self.people.size, -math.inf))
        assert trial.design.withdrawal is not None
        before, now = self.ratings["madrs"][:, 0], self.ratings["madrs"][:, 1]
        cut = self.who.registry[f"mood.definition.{trial.design.withdrawal.randomise}"].value
        well = now <= (1.0 - cut) * before if trial.design.withdrawal.randomise == "response" else now <= cut
        if self.forced is not None or trial.design.dropout == "none":
            return np.asarray(well)
        return np.asarray(well & self._seen_until(2)[:, 1])

    def _fates(self, group: Places) -> list[Fate]:
        """Return what each person missed and gave up, which no rating decides."""
        own, size = self.trial.design, self.people.size
        if own.adherence is None and own.discontinuation is None:
            kinds = [Fate(place) for place in self.same]
            return [kinds[place] if place >= 0 else Fate(0) for place in group]
        from scipy.special import log_ndtr, ndtr

        starts = [occasion_starts(self.trial, place) for place in range(len(self.same))]
        most = max(len(times) for times in starts)
        misses = np.zeros((size, most), dtype=bool)
        if own.adherence is not None:
            for number in range(most):
                misses[:, number] = ndtr(self.keyed.normal(f"missed:{number}", size)) < own.adherence.missed
        leaves = np.full(size, math.inf)
        if own.discontinuation is not None and own.discontinuation.weekly > 0.0:
            hazard = -math.log1p(-own.discontinuation.weekly) / _WEEK_H
            leaves = -log_ndtr(self.keyed.normal("discontinuation", size)) / hazard
        found = []
        for place, gone, absent in zip(group, leaves, misses, strict=True):
            if place < 0:
                found.append(Fate(0))
                continue
            times = starts[place]
            stopped = next((time for time in times if time > gone), math.inf)
            missed = tuple(k for k, time in enumerate(times) if absent[k] and time < stopped)
            found.append(Fate(self.same[place], missed, stopped))
        return found

    def _solve(self, wanted: Flags, fates: list[Fate]) -> None:
        """Simulate the wanted people, those of one fate together, and rate them from where their fate turned."""
        together: dict[Fate, list[int]] = {}
        for place in np.flatnonzero(wanted):
            together.setdefault(fates[place], []).append(int(place))
        for fate, members in together.items():
            places = np.asarray(members, dtype=np.int64)
            plan = regimen(self.trial, fate)
            expected = expected_scores(
                plan,
                part_of(self.people, places),
                self.trial.design.scales,
                self.chain,
                threads=self.settings.threads,
            )
            turned = fate.rescued_h if math.isfinite(fate.rescued_h) else -math.inf
            if self.trial.design.kind == "withdrawal":
                turned = self.trial.second_start
            self._rate(places, expected, len(self.hours) - 1, np.full(len(places), turned))

    def _rescue(self, group: Places, fates: list[Fate], seen: Flags) -> Flags:
        """Enter in the fates who gets rescue at which visit; return whom that changes."""
        rule, size = self.trial.design.rescue, self.people.size
        changed = np.zeros(size, dtype=bool)
        if rule is None:
            return changed
        scores = self.ratings[self.trial.design.primary.scale]
        due = (scores >= rule.at_least) & seen & (self.hours >= rule.from_.to("h") - _EPSILON_H)[None, :]
        # what is begun at the last visit changes nothing any more
        due[:, 0] = due[:, -1] = False
        for place in np.flatnonzero(due.any(axis=1) & (group >= 0)):
            visit = int(due[place].argmax())
            fates[place] = fates[place]._replace(rescued_h=float(self.hours[visit]))
            changed[place] = True
        return changed

    def _seen(self, group: Places) -> Flags:
        """Return who comes to which visit: nobody who was not randomised comes after that was found."""
        full = len(self.hours)
        if self.forced is not None or self.trial.design.dropout == "none":
            came = np.ones((self.people.size, full), dtype=bool)
        else:
            came = self._seen_until(full)
        came[group < 0, 2:] = False
        return np.asarray(came & np.isfinite(self.ratings[self.trial.design.primary.scale]))

    def _seen_until(self, visits: int) -> Flags:
        setting = self.trial.design.dropout
        assert setting != "none"
        scores = self.ratings[self.trial.design.primary.scale][:, :visits]
        return dropout.seen(self.keyed, self.hours[:visits].tolist(), scores, setting=setting)
