"""Mood: what no treatment reaches limits all of them together, and relief teaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapsim.evidence import load_parameters
from kapsim.mechanisms.base import REST
from kapsim.mechanisms.mood import Carriers, Mood
from kapsim.mechanisms.switches import Switches
from kapsim.model import NO_DRUG, Model
from kapsim.patient import Patient
from kapsim.patient.sampling import People, sample_people

VALUES = {name: parameter.value for name, parameter in load_parameters().items()}
MOOD = Mood.build(VALUES)
STILL = Carriers(*[0.0] * len(Carriers._fields))
baselines = st.floats(1.0, 55.0)
shares = st.floats(0.0, 0.999)
reliefs = st.floats(0.0, 40.0)
quick = settings(max_examples=80, deadline=None)


def scores(relief: float, *, madrs: float = 35.0, untouched: float = 0.3) -> Any:
    """Return the scores of somebody whose expectancy alone lifts them by `relief` logits."""
    now = STILL._replace(expectancy=relief / MOOD.expectancy)
    seen = {"madrs_rest": madrs, "hama_rest": madrs, "untouched": untouched, "gate": 1.0, "switches": Switches()}
    return MOOD.scores(now, STILL, **seen)


@given(madrs=baselines, untouched=shares, relief=reliefs)
@quick
def test_nobody_falls_below_what_no_treatment_reaches(madrs: float, untouched: float, relief: float) -> None:
    for score in scores(relief, madrs=madrs, untouched=untouched):
        assert untouched * madrs - 1e-9 <= score <= madrs + 1e-9
    for score in scores(0.0, madrs=madrs, untouched=untouched):
        assert score == pytest.approx(madrs)
    for score in scores(60.0, madrs=madrs, untouched=untouched):
        assert score == pytest.approx(untouched * madrs, abs=1e-6)


@given(madrs=baselines, untouched=shares, relief=reliefs, more=st.floats(0.01, 5.0))
@quick
def test_more_relief_never_hurts(madrs: float, untouched: float, relief: float, more: float) -> None:
    less, much = (scores(size, madrs=madrs, untouched=untouched)[0] for size in (relief, relief + more))
    assert much <= less + 1e-9


def test_two_reliefs_gain_less_together_than_apart_and_the_less_the_more_is_out_of_reach() -> None:
    lost = []
    for untouched in (0.0, 0.4, 0.8):
        one, both = (35.0 - scores(size, untouched=untouched)[0] for size in (2.0, 4.0))
        lost.append(both / (2.0 * one))
    assert lost[0] < 1.0
    assert lost == sorted(lost, reverse=True)


def test_older_people_are_harder_to_reach() -> None:
    young, old = (sample_people(Patient(schema_version=1, age=age), 400, 2) for age in ("30 a", "75 a"))
    assert (old.traits.untouched >= young.traits.untouched).mean() > 0.8
    typical = sample_people(None, 1, 0, spread=False)
    assert typical.traits.untouched[0] == pytest.approx(VALUES["patient.untouched"])
    assert (young.traits.untouched > 0.0).all()
    assert (old.traits.untouched < 1.0).all()


def belief_rate(people: People, relief: float) -> Any:
    """Return how fast belief changes in people at rest of whose severity a share is gone."""
    model = Model.build(people.values, Switches())
    rest = model.rest(people.traits)
    now = rest._replace(mind=rest.mind._replace(expectancy=rest.mind.expectancy + relief))
    return model.rates(now, rest, people.traits, NO_DRUG, REST).mind.belief


def test_relief_teaches_as_therapy_does() -> None:
    """Whatever brought it: here expectancy, far from any drug or session."""
    people = sample_people(None, 60, 4)
    np.testing.assert_allclose(belief_rate(people, 0.0), 0.0, atol=1e-12)
    little, much = belief_rate(people, 0.5), belief_rate(people, 1.0)
    assert (much < 0.0).all()
    assert (much <= little).all()
    untaught = People(
        people.values | {"mind.everyday_rate": np.zeros(60)}, *(getattr(people, name) for name in ("traits", "body")),
        people.parameter_draw, people.keyed,
    )  # fmt: skip
    np.testing.assert_allclose(belief_rate(untaught, 1.0), 0.0, atol=1e-12)
