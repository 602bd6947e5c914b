"""Patterns 8 to 18: courses of doses, their end, the nose, age, clinics, and therapy.

Every rule stands here as it was written before the first run of it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kapsim.validation.arms import Arm, Want
from kapsim.validation.comparisons import comparison
from kapsim.validation.figures import figure
from kapsim.validation.joining import hazard_ratio
from kapsim.validation.patterns.criteria import Pattern
from kapsim.validation.patterns.readings import (
    Build,
    Published,
    advantage,
    change,
    control_of,
    difference,
    joined,
    made,
    percent_of,
    responders,
    score,
    typical,
)
from kapsim.validation.regimens import without_therapy
from kapsim.validation.shares import follow, phase_start, stopped
from kapsim.validation.subject import Ask, Subject

Array = NDArray[np.float64]

#: The oldest of the elderly, as young as they can be; the words of the evidence are '75 and over' (tested).
OLDEST = 75.0
#: The elderly of the trial are '65 years and over'; those under `OLDEST` are taken at the middle of theirs (tested).
ELDERLY = 65.0
_DAY = 24.0


def courses(known: Published) -> tuple[Pattern, ...]:
    """Return patterns 8 to 18.

    Parameters
    ----------
    known : Published
    """
    return (
        _frequency(known),
        _repetition(known),
        _early_stop(known),
        _late_stop(known),
        _nasal_dose(known),
        _catching_up(known),
        Pattern(
            14,
            "Site and region move placebo more than dose moves drug",
            (),
            "an input: what arms of a study share is drawn, not predicted",
        ),
        _age(known),
        Pattern(
            16,
            "Comparator order depends on setting",
            (),
            "an input: electroconvulsive therapy and quetiapine are not modelled",
        ),
        _clinics(known),
        _therapy(known),
    )


def _frequency(known: Published) -> Pattern:
    twice, thrice = "singh2016.ket2w.madrs", "singh2016.ket3w.madrs"
    hour = known.hour(twice)
    return Pattern(
        8,
        "Twice weekly equals thrice",
        (
            known.inside(twice, "change on ketamine twice weekly"),
            known.inside(thrice, "change on ketamine thrice weekly"),
            known.inside("singh2016.pbo2w.madrs", "change on saline twice weekly"),
            known.inside("singh2016.pbo3w.madrs", "change on saline thrice weekly"),
            known.seen(
                "a trial of that size does not tell twice from thrice",
                (twice, thrice),
                0.0,
                lambda ask: (change(ask, known.arm(twice), hour), change(ask, known.arm(thrice), hour)),
                known.people(twice),
            ),
        ),
    )


def _repetition(known: Published) -> Pattern:
    six, upkeep = "phillips2019.repeated.response", "phillips2019.maintenance.change"
    course, kept = known.arm(six), known.arm(upkeep)

    def responding(ask: Ask, hour: float) -> Array:
        return np.asarray(100.0 * responders(ask, course, hour, known.response).mean(axis=-1))

    return Pattern(
        9,
        "Repetition adds, then plateaus",
        (
            known.inside(six, "response after six infusions"),
            known.order(
                "more respond after six infusions than a day after one",
                (six,),
                lambda ask: responding(ask, known.hour(six)) - responding(ask, _DAY),
                "%",
            ),
            known.seen(
                "a study of that size finds no further change over weekly upkeep",
                (upkeep,),
                known.value(upkeep),
                lambda ask: (score(ask, kept, known.hour(upkeep)), score(ask, kept, 0.0)),
                known.people(upkeep),
                paired=True,
            ),
        ),
        "the doubling of responders and the median of three infusions stand in a note, not in figures",
    )


def _early_stop(known: Published) -> Pattern:
    dose, placebo, sustained = (
        "bedroc2024.dose180.relapse",
        "bedroc2024.placebo.relapse",
        "mcinnes2022.ketamine.sustained",
    )

    def relapsed(ask: Ask, name: str) -> Array:
        return joined(figure(known.subject(name), known.point(name), ask))

    return Pattern(
        10,
        "Stopping early means relapse in weeks",
        (
            known.inside(f"{sustained}@672", "still responding in clinics after 4 weeks"),
            known.inside(f"{sustained}@1344", "still responding in clinics after 8 weeks"),
            known.inside(placebo, "relapse after five oral doses, on placebo"),
            known.inside(dose, "relapse after five oral doses, on 180 mg"),
            known.order(
                "more relapse on placebo than on 180 mg",
                (placebo, dose),
                lambda ask: relapsed(ask, placebo) - relapsed(ask, dose),
                "%",
            ),
        ),
        "27.5 days in PTSD: the model has no course of this disorder",
    )


def _late_stop(known: Published) -> Pattern:
    ratio, median, clinic = (
        "sustain1.esk.responders.hr", "sustain1.pbo.remitters.median_relapse", "mcinnes2022.ketamine.sustained",
    )  # fmt: skip
    remitters = "clinical.relapse.esk.hr_remitters"
    kept, ended, early = known.subject(ratio), known.subject(median), known.subject(clinic)
    other = kept.other(stopped(kept.arm.treatment))
    last = kept.arm.treatment.end_h
    well = known.value("clinical.definition.remission.madrs.janssen_phase3")

    def in_remission(ask: Ask, arm: Arm) -> tuple[Array, ...]:
        entered, lost, time = follow(kept, arm, last, ask)
        begin = ask(arm, Want("madrs", "at", (phase_start(arm.treatment),)))[..., 0]
        stable = (begin <= well).astype(float)
        return entered * stable, lost * stable, time * stable

    def hazard(subject: Subject, end: float, ask: Ask) -> Array:
        entered, lost, time = follow(subject, subject.arm, end, ask)
        someone = entered.sum(axis=-1) > 0
        return np.where(someone, lost.sum(axis=-1) / np.maximum(time.sum(axis=-1), 1.0), np.nan)

    weeks = known.hour(f"{clinic}@1344")
    return Pattern(
        11,
        "Stopping after 16 weeks is gentler",
        (
            known.inside(ratio, "hazard of relapse on esketamine over placebo, responders"),
            known.pool(
                "the same, remitters",
                remitters,
                made(
                    hazard_ratio,
                    "log",
                    lambda ask: (*in_remission(ask, kept.arm), *in_remission(ask, other)),
                    paired=False,
                ),
            ),
            known.inside(median, "median time to relapse on placebo"),
            known.order(
                "a higher hazard after six infusions than after 16 weeks",
                ("clinical.relapse.iv.hazard_derived", "clinical.relapse.esk.placebo_hazard_derived"),
                lambda ask: 168.0 * (hazard(early, weeks, ask) - hazard(ended, ended.arm.treatment.end_h, ask)),
                "/wk",
            ),
        ),
    )


def _nasal_dose(known: Published) -> Pattern:
    names = {
        "placebo": "daly2018.placebo.p1.madrs@168",
        **{f"{mg} mg": f"daly2018.esk{mg}.p1.madrs@168" for mg in (28, 56, 84)},
    }
    arms = [known.arm(reference.partition("@")[0]) for reference in names.values()]
    hour = known.hour(names["placebo"])

    def steps(ask: Ask) -> Array:
        means = [change(ask, arm, hour).mean(axis=-1) for arm in arms]
        return np.asarray(np.min([less - more for less, more in pairwise(means)], axis=0))

    return Pattern(
        12,
        "Nasal dose-response at day 8",
        (
            *(known.inside(reference, f"change on {name}") for name, reference in names.items()),
            known.order("each dose above the one before: the smallest step", tuple(names.values()), steps, "points"),
        ),
    )


def _catching_up(known: Published) -> Pattern:
    day, month = "clinical.effect.intranasal.madrs_24h", "clinical.effect.intranasal.madrs_28d"
    drug = typical(known.arm("takahashi2021.esk84.madrs"), "pattern 13")
    placebo = control_of(drug)
    # the pool says 28 days; trials of four weeks rate at this hour
    late = known.hour("takahashi2021.esk84.madrs")

    def gap(hour: float) -> Build:
        return difference(lambda ask: (change(ask, placebo, hour), change(ask, drug, hour)))

    return Pattern(
        13,
        "The drug gap shrinks as placebo catches up",
        (
            known.pool("the gap at 24 h", day, gap(_DAY)),
            known.pool("the gap at day 28", month, gap(late)),
            known.order(
                "the gap is larger at 24 h than at day 28",
                (day, month),
                lambda ask: advantage(ask, drug, placebo, _DAY) - advantage(ask, drug, placebo, late),
                "points",
            ),
            known.order(
                "placebo has fallen further at day 28 than at 24 h",
                (day, month),
                lambda ask: (change(ask, placebo, _DAY) - change(ask, placebo, late)).mean(axis=-1),
                "points",
            ),
        ),
    )


def _age(known: Published) -> Pattern:
    reference, oldest = "transform3.diff", "clinical.modifier.age.esk_75plus"
    end = known.hour(reference)
    trial = known.arm(reference)

    def aged(years: float | None) -> tuple[Arm, Arm]:
        # ages of a stratum lie close together; spread as in the population, some would be older than people become
        drug = Arm(trial.study, trial.group._replace(age=years, age_sd=None if years is None else 0.0), trial.treatment)
        return drug, control_of(drug)

    def gap(arms: tuple[Arm, Arm]) -> Build:
        return difference(lambda ask: (change(ask, arms[0], end), change(ask, arms[1], end)))

    adults, elderly, old = aged(None), aged(0.5 * (ELDERLY + OLDEST)), aged(OLDEST)
    return Pattern(
        15,
        "Age blunts",
        (
            known.study(
                "the gap at 65 and over",
                (reference,),
                known.value(reference),
                gap(elderly),
                "points",
                known.people(reference),
            ),
            known.pool("the gap at 75 and over", oldest, gap(old)),
            known.order(
                "a smaller gap at 75 than in the usual population",
                (reference, oldest),
                lambda ask: advantage(ask, *adults, end) - advantage(ask, *old, end),
                "points",
            ),
        ),
        "the gap at 65 to 74 stands in a note, not in a figure",
    )


def _clinics(known: Published) -> Pattern:
    reference = "mcinnes2022.ketamine.response"
    clinic, hour = known.arm(reference), known.hour(reference)
    low = known.parameters["mood.definition.remission"].value

    def remitted(ask: Ask) -> Array:
        return (score(ask, clinic, hour) <= low).astype(float)

    return Pattern(
        17,
        "Clinics resemble trials, loosely",
        (
            known.pool(
                "response after six open infusions",
                "clinical.effect.realworld.response",
                percent_of(lambda ask: responders(ask, clinic, hour, known.response)),
            ),
            known.pool(
                "remission after six open infusions", "clinical.effect.realworld.remission", percent_of(remitted)
            ),
        ),
    )


def _therapy(known: Published) -> Pattern:
    month, slope, cbt = (
        "price2022.ketamine_asat_vs_saline_asat.madrs_30d", "price2022.ketamine_sham.madrs_slope_sign",
        "wilkinson2021.cbt.d_madrs",
    )  # fmt: skip
    trained, end = known.arm(month), known.hour(month)
    saline = comparison(known.subject(month), "saline_asat")
    assert saline is not None
    sham = known.subject(month).other(without_therapy(trained.treatment, sham=True))
    over = trained.treatment.end_h
    drifting = known.subject(slope)
    people = known.people(slope)

    def worse(arm: Arm, ask: Ask) -> tuple[Array, Array]:
        return score(ask, arm, end), score(ask, arm, _DAY)

    return Pattern(
        18,
        "Therapy prolongs more than it deepens",
        (
            known.inside(month, "effect of ketamine with training over saline with training, to day 30"),
            known.seen(
                "with training, no loss from 24 h to day 30",
                (month,),
                0.0,
                lambda ask: worse(trained, ask),
                people,
                paired=True,
            ),
            known.seen(
                "with sham training, loss from 24 h to day 30",
                (slope,),
                known.value(slope),
                lambda ask: worse(drifting.arm, ask),
                people,
                paired=True,
            ),
            known.seen(
                "by day 30 ketamine with sham is not told from saline",
                (slope,),
                0.0,
                lambda ask: (score(ask, sham, end), score(ask, saline, end)),
                people,
            ),
            known.order(
                "training makes a larger difference at day 30 than when it ends",
                (month, slope),
                lambda ask: advantage(ask, trained, sham, end) - advantage(ask, trained, sham, over),
                "points",
            ),
            known.inside(cbt, "effect of CBT after response"),
        ),
        "abstinence from cocaine: the model has no course of this disorder",
    )
