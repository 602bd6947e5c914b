"""A person at rest stays there: every sampled steady state is stable, under every variant."""

from __future__ import annotations

import numpy as np
import pytest

from kapsim.mechanisms.base import REST
from kapsim.model import NO_DRUG, VARIANTS, Model, flatten, state_names, unflatten
from kapsim.patient.sampling import sample_people

PEOPLE = 500


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_sampled_rest_is_a_stable_steady_state(variant: str) -> None:
    people = sample_people(None, PEOPLE, seed=11)
    model = Model.build(people.values, VARIANTS[variant])
    home = model.rest(people.traits)
    rest = np.stack([value + np.zeros(PEOPLE) for value in flatten(home)])
    kept = [k for k, name in enumerate(state_names()) if not name.startswith("mood.")]  # integrals have no rest

    def rates(states: np.ndarray) -> np.ndarray:
        found = flatten(model.rates(unflatten(states), home, people.traits, NO_DRUG, REST))
        return np.stack([value + np.zeros(PEOPLE) for value in found])[kept]

    assert np.abs(rates(rest)).max() < 1e-12
    jacobian, step = np.zeros((PEOPLE, len(kept), len(kept))), 1e-6
    for column, state in enumerate(kept):
        up, down = rest.copy(), rest.copy()
        up[state] += step
        down[state] -= step
        jacobian[:, :, column] = ((rates(up) - rates(down)) / (2 * step)).T
    slowest = np.linalg.eigvals(jacobian).real.max(axis=1)
    assert (slowest < -1e-6).all(), f"{int((slowest >= -1e-6).sum())} of {PEOPLE} people drift away from rest"
