"""The response surface: what ships against the whole-brain model itself, and its polynomials on any kind of number."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import kapsim
from kapsim.brain import load_atlas
from kapsim.brain import surface as making
from kapsim.brain.cerebrum import Cerebrum, cortex_at
from kapsim.brain.surface import (
    BOX,
    MEASURES,
    RATES,
    compute,
    corners,
    design,
    digest,
    fitted,
    log_readouts,
    response_surface,
)
from kapsim.brain.working_point import WorkingPoint, working_point
from kapsim.engine.runtime import jax_numpy
from kapsim.errors import InputError
from kapsim.evidence import load_parameters
from kapsim.mechanisms.base import REST
from kapsim.mechanisms.network import Network, NetworkState
from kapsim.mechanisms.receptor import Block
from kapsim.mechanisms.response_surface import (
    Axis,
    Cortex,
    Term,
    Variables,
    from_records,
    polynomial,
    shipped_surface,
    to_records,
)
from kapsim.mechanisms.switches import VARIANTS, Switches
from kapsim.protocol import parse_protocol
from kapsim.simulation import simulate

SHIPPED = shipped_surface()
READOUTS = (*RATES, *MEASURES)
EQUIVALENTS = (SHIPPED.pyramidal_equivalent, SHIPPED.inhibition_equivalent)
HEALTH = Cortex(0.0, 0.0, 0.0, 1.0, 1.0)

inside = st.tuples(*(st.floats(axis.low, axis.high) for axis in BOX)).map(lambda row: Variables(*row))
anywhere = st.tuples(*(st.floats(-1.0, 1.0) for _ in BOX)).map(lambda row: Variables(*row))


@functools.cache
def cerebrum(name: str = "dk68") -> Cerebrum:
    return Cerebrum.at_working_point(load_atlas(name))


@functools.cache
def network() -> Network:
    return Network.build({name: item.value for name, item in load_parameters().items()})


# --- the whole-brain model ------------------------------------------------------------------------------------------


def test_the_shipped_surface_is_that_of_this_version() -> None:
    """It is stale where connectome, working point, constants, box or method have changed since."""
    assert SHIPPED.digest == digest(load_atlas(SHIPPED.connectome)), "run scripts/brain_surface.py"
    assert response_surface(load_atlas(SHIPPED.connectome)) is SHIPPED
    assert set(SHIPPED.terms) == set(SHIPPED.errors) == set(READOUTS)
    assert SHIPPED.axes == BOX


def test_the_hash_knows_weights_working_point_and_box(monkeypatch: pytest.MonkeyPatch) -> None:
    connectome, at = load_atlas("dk68"), working_point()
    other = dataclasses.replace(connectome, weights=connectome.weights * 1.01)
    moved = WorkingPoint(at.coupling + 0.01, at.exponent, at.gradient)
    prints = {digest(connectome), digest(other), digest(connectome, moved), digest(load_atlas("schaefer200"))}
    assert len(prints) == 4
    monkeypatch.setattr(making, "BOX", BOX._replace(net=Axis(-0.1, 0.03, 0.01)))
    assert digest(connectome) not in prints


@pytest.mark.parametrize("place", design(64, 1)[:5])
def test_the_surface_is_the_model_within_its_error(place: Variables) -> None:
    """These points were held out of the fit."""
    exact = log_readouts(cerebrum(), place, EQUIVALENTS)
    for name in READOUTS:
        largest, _ = SHIPPED.errors[name]
        assert SHIPPED.logarithm(name, place) == pytest.approx(exact[name], abs=1.1 * largest), name


def test_errors_are_small_against_what_is_described() -> None:
    places = design(256, 1)
    for name in READOUTS:
        spread = np.std([SHIPPED.logarithm(name, place) for place in places])
        assert 0.0 < SHIPPED.errors[name][1] < 0.1 * spread, name


@pytest.mark.slow
def test_the_shipped_surface_comes_out_again() -> None:
    again = compute(load_atlas(SHIPPED.connectome))
    assert again.pyramidal_equivalent == pytest.approx(SHIPPED.pyramidal_equivalent, rel=1e-4)
    assert again.inhibition_equivalent == pytest.approx(SHIPPED.inhibition_equivalent, rel=1e-4)
    for name in READOUTS:
        off = [again.logarithm(name, p) - SHIPPED.logarithm(name, p) for p in design(128, 2)]
        assert np.sqrt(np.square(off).mean()) <= SHIPPED.errors[name][1], name
        assert again.errors[name] == pytest.approx(SHIPPED.errors[name], rel=0.2), name


def test_a_fit_from_few_states_is_near_the_shipped_one() -> None:
    """The pyramidal rate, which has the fewest terms, from a design of its own."""
    places = design(64, 5) + design(64, 6, 0.5)
    home = cerebrum().mean_rate(cerebrum().home)
    states = (cerebrum().state(cortex_at(place._replace(strength=0.0), EQUIVALENTS)) for place in places)
    values = np.array([np.log(cerebrum().mean_rate(state) / home) for state in states])
    again = dataclasses.replace(SHIPPED, terms={"pyramidal": fitted("pyramidal", places, values)})
    off = [again.logarithm("pyramidal", p) - SHIPPED.logarithm("pyramidal", p) for p in design(64, 7)]
    assert np.abs(off).max() <= 3.0 * SHIPPED.errors["pyramidal"][0]


@pytest.mark.parametrize("place", [corner for corner in corners() if corner.net > 0.0 and corner.strength > 0.0][::3])
def test_the_box_ends_before_the_low_branch(place: Variables) -> None:
    assert cerebrum().state(cortex_at(place, EQUIVALENTS)).margin > 0.0


@pytest.mark.slow
@pytest.mark.parametrize("place", corners())
def test_the_low_branch_exists_at_every_corner(place: Variables) -> None:
    assert cerebrum().state(cortex_at(place, EQUIVALENTS)).margin > 0.0


def test_without_drug_the_mean_rate_is_at_its_set_point() -> None:
    for strength, subgenual in ((0.85, 1.1), (1.03, 0.9), (1.0, 1.0)):
        point = cerebrum().undrugged(strength, subgenual)
        assert cerebrum().mean_rate(point) == pytest.approx(cerebrum().mean_rate(cerebrum().home), rel=1e-9)


@pytest.mark.parametrize(("name", "sign"), [("dk68", -1), ("schaefer200", 1)])
def test_the_sign_of_the_dmn_change_is_the_parcellations(name: str, sign: int) -> None:
    """Disinhibition: both parcellations with a subgenual node contradict each other, and the link follows the first."""
    variables = SHIPPED.variables(HEALTH._replace(interneuron_cut=0.03))
    model = log_readouts(cerebrum(name), variables, EQUIVALENTS)
    assert np.sign(model["dmn"]) == sign
    if name == SHIPPED.connectome:
        assert np.sign(SHIPPED.logarithm("dmn", SHIPPED.bounded(variables))) == sign


def test_a_parcellation_without_a_subgenual_node_is_refused() -> None:
    with pytest.raises(InputError, match="subgenual"):
        Cerebrum.at_working_point(load_atlas("schaefer100"))


def test_another_surface_is_computed_once_and_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connectome = dataclasses.replace(load_atlas("dk68"), weights=load_atlas("dk68").weights * 2.0)
    made = dataclasses.replace(SHIPPED, digest=digest(connectome))
    calls = []

    def computed(*_: object, **__: object) -> object:
        calls.append(1)
        return made

    monkeypatch.setattr(making, "compute", computed)
    first, second = (response_surface(connectome, folder=tmp_path / "cache") for _ in range(2))
    assert first == second == made
    assert len(calls) == 1
    [stored] = (tmp_path / "cache").iterdir()
    stored.write_text("{}")
    assert response_surface(connectome, folder=tmp_path / "cache") == made
    assert len(calls) == 2


def test_a_small_surface_reports_errors_at_points_it_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way from a connectome to a surface, with states from the shipped one in the place of solved ones."""
    monkeypatch.setattr(making, "log_readouts", lambda _, place, __: {n: SHIPPED.logarithm(n, place) for n in READOUTS})
    surface = compute(load_atlas("dk68"), points=256, held_out=32)
    for name in READOUTS:
        assert surface.errors[name][0] < 0.2 * SHIPPED.errors[name][0] + 1e-4, name


# --- the polynomials ------------------------------------------------------------------------------------------------


def test_health_at_rest_is_exactly_one() -> None:
    variables = SHIPPED.variables(HEALTH)
    assert variables == Variables(0.0, 0.0, 0.0, 0.0, 0.0)
    assert set(SHIPPED.readouts(SHIPPED.bounded(variables)).values()) == {1.0}


@given(anywhere)
def test_strength_and_efficacy_move_no_pyramidal_rate_without_drug(place: Variables) -> None:
    still = Cortex(0.0, 0.0, 0.0, 1.0 + place.strength, 1.0 + place.subgenual)
    assert SHIPPED.logarithm("pyramidal", SHIPPED.bounded(SHIPPED.variables(still))) == 0.0


@given(inside)
def test_inside_the_box_nothing_is_bent(place: Variables) -> None:
    assert SHIPPED.bounded(place) == pytest.approx(place, abs=1e-15)
    assert SHIPPED.beyond(place) == 0.0


@given(anywhere)
def test_outside_it_stops_within_the_bend(place: Variables) -> None:
    bent = SHIPPED.bounded(place)
    for value, found, axis in zip(place, bent, BOX, strict=True):
        assert axis.low - axis.width - 1e-12 <= found <= axis.high + axis.width + 1e-12
        assert (found - min(max(value, axis.low), axis.high)) * (value - found) >= -1e-12
    outside = any(not axis.low <= value <= axis.high for value, axis in zip(place, BOX, strict=True))
    assert (SHIPPED.beyond(place) > 0.0) == outside


@given(inside)
def test_a_bend_is_smooth(place: Variables) -> None:
    for at, axis in enumerate(BOX):
        for edge in (axis.low, axis.high):
            step = 1e-6
            values = [SHIPPED.bounded(place._replace(**{place._fields[at]: edge + k * step}))[at] for k in (-1, 0, 1)]
            assert values[1] == pytest.approx(edge, abs=1e-15)
            assert (values[2] - values[0]) / (2 * step) == pytest.approx(1.0, abs=1e-6)


@given(place=anywhere, up=st.floats(0.001, 0.5))
def test_the_rate_falls_with_inhibition_and_rises_with_the_net_cut(place: Variables, up: float) -> None:
    """Anywhere that the chain can go, however large the cuts and inhibition."""
    cortex = cortex_at(place, EQUIVALENTS)
    low, high = (
        SHIPPED.logarithm("pyramidal", SHIPPED.bounded(SHIPPED.variables(state)))
        for state in (cortex, cortex._replace(interneuron_cut=cortex.interneuron_cut + up))
    )
    assert high >= low - 1e-12


@given(st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3))
def test_horner_is_the_sum_of_terms(values: list[float]) -> None:
    rng = np.random.default_rng(0)
    terms = [Term(tuple(map(int, rng.integers(0, 4, 3))), float(rng.normal())) for _ in range(12)]
    expected = sum(t.coefficient * np.prod(np.array(values) ** np.array(t.powers)) for t in terms)
    assert polynomial(terms, values) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_symbols_arrays_and_gradients_agree() -> None:
    places = np.array([*design(20, 3), *(np.array(place) * 4.0 for place in design(20, 4))]).T
    symbols = sympy.symbols("a:5", real=True)
    jax = jax_numpy()
    for name in READOUTS:

        def at(values: Any, name: str = name) -> Any:
            return SHIPPED.logarithm(name, SHIPPED.bounded(Variables(*values)))

        numeric = at(places)
        function = sympy.lambdify(symbols, at(symbols), "mpmath")
        np.testing.assert_allclose([float(function(*row)) for row in places.T], numeric, rtol=1e-9, atol=1e-12)
        jitted = jax.jit(at)(jax.numpy.asarray(places))
        np.testing.assert_allclose(jitted, numeric, rtol=1e-9, atol=1e-12)
        gradient = jax.vmap(jax.grad(at))(jax.numpy.asarray(np.vstack([places.T, np.zeros(5)])))
        assert np.isfinite(gradient).all()


def test_feedback_is_the_slope_at_rest() -> None:
    step = 1e-6
    up, down = (
        SHIPPED.logarithm("pyramidal", SHIPPED.variables(HEALTH._replace(inhibition=sign * step))) for sign in (1, -1)
    )
    assert SHIPPED.feedback == pytest.approx(-(up - down) / (2 * step), rel=1e-6)
    assert SHIPPED.feedback > 0.0


def test_records_round_trip_and_damage_is_refused() -> None:
    records = json.loads(json.dumps(to_records(SHIPPED)))
    assert from_records(records, "file") == SHIPPED
    for broken in (
        {},
        {**records, "axes": {}},
        {**records, "log_readouts": {"pyramidal": [[1]]}},
        {**records, "pyramidal_equivalent": "much"},
        {**records, "axes": {**records["axes"], "net": [0.0, 1.0, 0.0]}},
    ):
        with pytest.raises(InputError, match="file: no response surface"):
            from_records(broken, "file")


# --- the link -------------------------------------------------------------------------------------------------------

WHOLE = VARIANTS["standard"]


@settings(max_examples=30)
@given(block=st.floats(0.0, 0.95), more=st.floats(0.0, 0.95), subgenual=st.floats(0.8, 1.3))
def test_inhibition_drifts_until_the_rate_is_back(block: float, more: float, subgenual: float) -> None:
    """However deep the block, standing still it ends at the set point, and inhibition stays positive."""
    held, state = Block(block, max(block, more)), NetworkState(1.0)
    hours, step = 12.0 * 40, 2.0
    for _ in range(int(hours / step)):
        place = network().place(state, held, 1.0, subgenual, REST, WHOLE)
        state = NetworkState(state.inhibition + step * network().rates(state, held, REST, WHOLE, place).inhibition)
        assert state.inhibition > 0.0
    seen = (state, held, 1.0, subgenual, REST, WHOLE)
    activity = network().activity(*seen, network().place(*seen))
    assert activity.pyramidal == pytest.approx(1.0, abs=1e-3)


@given(
    st.floats(0.0, 0.4), st.floats(0.0, 0.4), st.floats(0.7, 1.2), st.floats(0.9, 1.2), st.floats(0.98, 1.02),
    st.floats(0.0, 1.0),
)  # fmt: skip
def test_a_plain_switch_leaves_out_only_what_it_switches_off(
    pyramidal: float, interneuron: float, strength: float, subgenual: float, inhibition: float, between: float
) -> None:
    """A number that is plainly 0 or 1 gives what a traced one does, and anything between lies between."""
    state, block = NetworkState(inhibition), Block(pyramidal, interneuron)

    def all_of(switch: Any) -> np.ndarray:
        switches = Switches(whole_brain=switch)
        seen = (state, block, strength, subgenual, REST, switches)
        place = network().place(*seen)
        drift = network().rates(state, block, REST, switches, place)
        return np.array([*network().activity(*seen, place), *network().imaging(*seen, place), *drift], dtype=float)

    ends = [all_of(value) for value in (0.0, 1.0)]
    for value, end in zip((0.0, 1.0), ends, strict=True):
        np.testing.assert_allclose(all_of(np.array(value)), end, rtol=1e-12, atol=1e-14)
    middle = all_of(between)
    assert (middle >= np.minimum(*ends) - 1e-12).all()
    assert (middle <= np.maximum(*ends) + 1e-12).all()


def test_both_descriptions_name_their_read_outs_alike() -> None:
    """Each read-out of the pair of nodes, and of the surface, comes back under its own name."""
    state, block = NetworkState(1.0), Block(0.05, 0.2)
    for switches in (VARIANTS["node_pair"], WHOLE):
        seen = (state, block, 0.95, 1.05, REST, switches)
        place = network().place(*seen)
        found = network().activity(*seen, place)._asdict() | network().imaging(*seen, place)._asdict()
        if place is None:
            expected = network().reduced(*seen[:-1])._asdict()
        else:
            expected = {name: SHIPPED.logarithm(name, place.inside) for name in READOUTS}
        assert {name: float(np.log(found[name])) for name in expected} == pytest.approx(expected, abs=1e-12)
    # the pair of nodes: disinhibition lifts firing, and block of interneurons lowers theirs
    pair = network().activity(state, block, 1.0, 1.0, REST, VARIANTS["node_pair"], None)
    assert pair.pyramidal > 1.0
    assert network().imaging(state, block, 1.0, 1.0, REST, VARIANTS["node_pair"], None).interneuron < 1.0


def test_a_run_says_when_it_leaves_the_surface() -> None:
    def run(amount: str) -> Any:
        dose = f"{{drug: ketamine, route: iv, {amount}, at: 0 h}}"
        text = f"schema_version: 1\nname: t\ntitle: t\nhorizon: 1 d\ndoses: [{dose}]"
        return simulate(parse_protocol(text), draws=1, spread=False)

    plain, deep = run("amount: 0.25 mg/kg, duration: 40 min"), run("amount: 20 mg/kg, duration: 40 min")
    assert float(plain["surface_excess"].max()) == 0.0
    assert all(np.isfinite(values).all() for values in deep.data_vars.values())
    net = network().cortex(NetworkState(1.0), Block(0.2, 0.9), 1.0, 1.0, REST)
    assert SHIPPED.beyond(SHIPPED.variables(net)) > 0.0


def test_the_summary_says_in_how_many_people() -> None:
    from rich.console import Console

    from kapsim.report.summary import print_summary, share_beyond_surface

    dataset = kapsim.simulate("kap_six_sessions", draws=40, seed=1)
    share = share_beyond_surface(dataset)
    assert 0.0 < share < 1.0
    console = Console(record=True, width=250, file=io.StringIO())
    print_summary(dataset, kapsim.endpoints(dataset), console=console)
    assert f"In {100 * share:.0f} % of the people the cortex" in console.export_text()


def test_the_chain_needs_no_whole_brain_model() -> None:
    """An ordinary run loads neither the mean field nor Numba."""
    code = (
        "import sys, kapsim; kapsim.simulate('single_infusion', draws=1); "
        "print(any(name.startswith(('kapsim.brain', 'numba')) for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
