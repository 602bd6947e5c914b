"""The kinetics alone: the same concentrations as a whole run has, at every node, without the rest of the chain."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import kapsim
import reference
from kapsim.concentrations import NAMES, concentration_course
from kapsim.patient.sampling import sample_people
from kapsim.protocol import load_protocol
from kapsim.results import VARIABLES

INFUSION = "doses: [{drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, at: [0 h]}]\n"


@pytest.mark.parametrize("name", ["single_infusion", "esketamine_induction", "kap_sublingual", "midazolam_infusion"])
def test_the_kinetics_alone_are_those_of_a_whole_run(name: str) -> None:
    """Sampled people, who absorb differently each time, by every kind of dose."""
    alone = concentration_course(load_protocol(name), sample_people(None, 9, 8))
    whole = kapsim.simulate(name, draws=9, seed=8)
    nodes = np.searchsorted(alone.hours, whole.time.values)
    np.testing.assert_array_equal(alone.hours[nodes], whole.time.values)
    shared = [item for item in NAMES if item in VARIABLES]
    assert len(shared) == 9
    for item in shared:
        expected = whole[item].values.T
        np.testing.assert_allclose(
            getattr(alone, item)[nodes], expected, rtol=1e-9, atol=1e-12 * expected.max(), err_msg=item
        )


def test_people_are_solved_alike_in_any_number() -> None:
    plan = reference.protocol(INFUSION, horizon="1 d")
    many, few = (concentration_course(plan, sample_people(None, count, 3)) for count in (300, 7))
    for item in NAMES:
        np.testing.assert_array_equal(getattr(many, item)[:, :7], getattr(few, item), err_msg=item)
    assert many.plasma_ketamine_arterial.shape == (len(many.hours), 300)


def test_a_broken_person_is_named() -> None:
    people = sample_people(None, 5, 0)
    people.values["pk.v1"][3] = np.nan
    with pytest.raises(kapsim.SolverError, match="patient 3"):
        concentration_course(reference.protocol(INFUSION, horizon="1 d"), people)


def test_the_kinetics_alone_load_neither_jax_nor_xarray() -> None:
    code = (
        "import sys; from kapsim.concentrations import concentration_course; "
        "from kapsim.patient.sampling import sample_people; from kapsim.protocol import load_protocol; "
        "concentration_course(load_protocol('single_infusion'), sample_people(None, 2, 0)); "
        "print(sorted({'jax', 'xarray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
