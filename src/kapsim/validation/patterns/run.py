"""The patterns run: their arms simulated once, each pattern judged, and what came of it as plain data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapsim.evidence import Parameter, load_evidence, load_observed, load_parameters
from kapsim.kinetic_sets import kinetic_set
from kapsim.model import variant_switches
from kapsim.patient.sampling import People
from kapsim.statements import DISCLAIMER
from kapsim.validation.arms import Answers, Arm, Settings, Want, collect
from kapsim.validation.cases import blank, prepare
from kapsim.validation.figures import figure
from kapsim.validation.groups import DRAWS, GroupKey, virtual_group
from kapsim.validation.patterns.courses import courses
from kapsim.validation.patterns.criteria import PEOPLE, Judged, Part, Pattern, judge
from kapsim.validation.patterns.one_dose import one_dose
from kapsim.validation.patterns.readings import Published

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Patterns:
    """What came of the patterns of the clinical record.

    Parameters
    ----------
    judged : tuple of Judged
        In the order of their numbers.
    failures : tuple of str
        Arms whose simulation broke down.
    settings : mapping of str to str
        What reproduces it.
    """

    judged: tuple[Judged, ...]
    failures: tuple[str, ...]
    settings: Mapping[str, str]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many patterns have each verdict."""
        return Counter(pattern.verdict for pattern in self.judged)


def published(parameters: Mapping[str, Parameter]) -> Published:
    """Return the shipped records and evidence that patterns are made of.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        Registry.
    """
    # only people and their ratings or acute effects are asked for; the other files need not be made ready
    records = [r for r in load_observed() if r.outcome.observable.startswith(("scale.", "acute."))]
    return Published(prepare(records, parameters), load_evidence(), parameters)


def patterns(known: Published) -> tuple[Pattern, ...]:
    """Return every pattern, in the order of its number.

    Parameters
    ----------
    known : Published
    """
    return tuple(sorted((*one_dose(known), *courses(known)), key=lambda pattern: pattern.number))


def requests(known: Published, wanted: Sequence[Pattern]) -> dict[Arm, set[Want]]:
    """Return what is asked of every arm.

    Parameters
    ----------
    known : Published
    wanted : sequence of Pattern
    """
    found: list[tuple[Arm, Want]] = []

    def note(arm: Arm, want: Want) -> Array:
        found.append((arm, want))
        return blank(arm, want)

    for pattern in wanted:
        for criterion in pattern.criteria:
            criterion.figure(note)
    asked = {arm for arm, _ in found}
    # a rating looks back to the visit before it: arms of records keep the visits of all their figures
    for case in known.cases:
        if case.subject is not None and case.subject.arm in asked:
            for point in case.points:
                figure(case.subject, point, lambda arm, want: note(arm, want) if arm in asked else blank(arm, want))
    return collect(found)


def judge_patterns(
    *,
    variant: str = "standard",
    kinetics: str = "default",
    seed: int = 0,
    parameters: Mapping[str, Parameter] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Patterns:
    """Simulate the regimens that the patterns speak of and judge each pattern by its rule.

    Parameters
    ----------
    variant : str
        Setting of the contested links.
    kinetics : str
        Named kinetic parameter set.
    seed : int
        Root of all randomness.
    parameters : mapping of str to Parameter, optional
        Registry, by default the shipped one.
    progress : callable, optional
        Called with a short text before each arm.

    Returns
    -------
    Patterns

    Raises
    ------
    InputError
        For an unknown variant or kinetics.
    """
    from kapsim.simulation import provenance

    variant_switches(variant)
    kinetic_set(kinetics)
    registry = load_parameters() if parameters is None else dict(parameters)
    known = published(registry)
    wanted = patterns(known)

    def people_of(group: GroupKey) -> People:
        return virtual_group(group, registry, seed, patients=PEOPLE)

    settings = Settings(registry, variant, kinetics, seed)
    answers = Answers(settings, requests(known, wanted), progress, people_of=people_of, shape=(DRAWS, PEOPLE))
    return Patterns(
        tuple(judge(pattern, answers, seed) for pattern in wanted),
        tuple(answers.failures),
        {**provenance(variant, seed, DRAWS * PEOPLE), "kinetics": kinetics},
    )


# --- as plain data ---------------------------------------------------------------------------------------------------


def account(found: Patterns) -> dict[str, Any]:
    """Return the patterns as plain data for programs.

    Parameters
    ----------
    found : Patterns

    Returns
    -------
    dict
        `patterns`, `counts`, `failures`, `settings`, `disclaimer`.
    """
    return {
        "disclaimer": DISCLAIMER,
        "settings": dict(found.settings),
        "counts": dict(found.counts),
        "patterns": [
            {
                "number": pattern.number,
                "pattern": pattern.words,
                "verdict": pattern.verdict,
                "left_out": pattern.left_out,
                "parts": [_part(part) for part in pattern.parts],
            }
            for pattern in found.judged
        ],
        "failures": list(found.failures),
    }


def _part(part: Part) -> dict[str, Any]:
    numbers = {name: _number(getattr(part, name)) for name in ("published", "predicted", "low", "high", "share")}
    return {**part._asdict(), **numbers, "cited": [item._asdict() for item in part.cited]}


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
