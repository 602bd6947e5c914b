"""The links as one registry of parameters, and their equations on floats, arrays and symbols."""

from __future__ import annotations

import ast
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import kapsim.mechanisms.base
import kapsim.model
from kapsim.engine.runtime import jax_numpy
from kapsim.evidence import load_parameters
from kapsim.mechanisms import operators
from kapsim.mechanisms.base import REST, Drugs, Mechanism, Setting
from kapsim.mechanisms.pharmacokinetics import CYP_DRUGS, DEPOTS, ROUTES, Body, Pharmacokinetics
from kapsim.mechanisms.switches import Switches
from kapsim.model import NO_DRUG, STATES, Model, State, Traits, flatten, state_names, unflatten
from kapsim.patient.sampling import sample_people
from kapsim.units import convert, dimension

LINKS: dict[str, type[Mechanism]] = {"pharmacokinetics": Pharmacokinetics, **Model.links()}
#: Prefix of a registry id → the link that its records belong to.
LINK_OF_PREFIX = {"pk": "pharmacokinetics", "brain": "network"}
#: Parameters that a link borrows from another, because both need the same number.
BORROWED = {"acute": {"pk.molar_mass.ketamine", "pk.molar_mass.norketamine"}}

EVERYTHING = Switches(*([1.0] * len(Switches._fields)))
POINTS = 12


# --- one registry ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", LINKS)
def test_every_declared_parameter_is_in_the_registry_with_its_unit(link: str) -> None:
    registry = load_parameters()
    for item in LINKS[link].declared():
        identifier, unit = item.metadata["id"], item.metadata["unit"]
        assert identifier in registry, f"{link}.{item.name} declares {identifier}, which model.yaml does not have"
        record = registry[identifier]
        assert dimension(unit) == dimension(record.unit), f"{identifier}: {unit} against {record.unit}"
        assert convert(1.0, unit, record.unit) == pytest.approx(1.0, rel=1e-12), f"{identifier}: scale of the unit"


@pytest.mark.parametrize("link", LINKS)
def test_every_declared_parameter_belongs_to_its_link(link: str) -> None:
    registry = load_parameters()
    for item in LINKS[link].declared():
        identifier = item.metadata["id"]
        if identifier not in BORROWED.get(link, set()):
            assert registry[identifier].link == link, identifier


@pytest.mark.parametrize("link", LINKS)
def test_no_link_declares_a_parameter_twice_and_every_field_is_declared(link: str) -> None:
    declared = LINKS[link].declared()
    ids = [item.metadata["id"] for item in declared]
    assert len(ids) == len(set(ids))
    assert {item.name for item in declared} == set(LINKS[link].__dataclass_fields__)


def test_the_id_of_a_parameter_says_its_link() -> None:
    for identifier, record in load_parameters().items():
        prefix = identifier.split(".")[0]
        assert record.link == LINK_OF_PREFIX.get(prefix, prefix), identifier


def test_every_link_with_a_state_has_its_name_in_the_state() -> None:
    # what extensions add comes last
    assert (*STATES, "added") == State._fields
    assert set(STATES) <= set(LINKS)
    assert len(state_names()) == len(set(state_names())) == len(flatten(unflatten(range(len(state_names())))))


# --- numbers that are not in the registry ---------------------------------------------------------------------------

#: Numbers that carry no claim about the world: identities, doubling, halving (2x/2, squares, tanh form of expit).
PLAIN = {0, 1, 2, 0.5}
#: The rest, each with its place and reason.
REASONED: dict[tuple[str, str], str] = {
    ("receptor.py", "1000.0"): "nmol in a umol",
    ("acute.py", "3.0"): "mean arterial pressure by convention: a third systolic, two thirds diastolic",
    ("inflammation.py", "4.0"): "the 4ac of a quadratic equation",
    ("operators.py", "1e-08"): "CORNER: width of the smooth corner at zero, a numerical choice",
    ("mind.py", "0.03"): "_EDGE: how near to its level the rise of expectancy bends, a numerical choice",
    ("operators.py", "0.01"): "SERIES: where `rectified` goes by its series, a numerical choice",
    ("operators.py", "40.0"): "an exponent beyond which `rectified` is 1e-15",
    **dict.fromkeys(
        [("operators.py", text) for text in ("12.0", "720.0", "6.0", "180.0", "5040.0")],
        "coefficients of the series of x / (1 − e^−x) and of its derivative",
    ),
    ("pharmacokinetics.py", "0.6931471805599453"): "LOG_2: half-life times rate",
}


def literals(path: Path) -> set[str]:
    """Return the numbers in a module that are not plain, as text."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, complex) and node.value not in PLAIN:
            found.add(repr(node.value))
    return found


MODULES = [*sorted(Path(kapsim.mechanisms.base.__file__).parent.rglob("*.py")), Path(kapsim.model.__file__)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_every_number_of_an_equation_comes_from_the_registry(path: Path) -> None:
    strangers = {text for text in literals(path) if (path.name, text) not in REASONED}
    assert not strangers, f"{path.name}: {sorted(strangers)} belong in model.yaml, or here with a reason"


def test_no_reasoned_number_is_left_over() -> None:
    present = {(path.name, text) for path in MODULES for text in literals(path)}
    assert set(REASONED) <= present


# --- one set of equations on every kind of number -------------------------------------------------------------------


class Point:
    """A random but possible moment of a random person: everything that the rates are computed from."""

    def __init__(self, index: int) -> None:
        people, rng = sample_people(None, POINTS, 7), np.random.default_rng(index)
        self.values = {name: float(value[index]) for name, value in people.values.items()}
        self.switches = Switches(*rng.uniform(0.1, 1.0, len(Switches._fields)))
        self.traits = Traits(*(float(np.asarray(value)[index]) for value in people.traits))
        self.body = Body(*(float(np.asarray(value)[index]) for value in people.body))
        self.drugs = Drugs(*rng.uniform(0.0, 3.0, len(Drugs._fields)))
        self.setting = Setting(*rng.uniform(0.0, 1.0, len(Setting._fields)))
        rest = flatten(Model.build(self.values, self.switches).rest(self.traits))
        self.rest = unflatten([float(value) for value in rest])
        self.state = unflatten([float(value) * rng.uniform(0.7, 1.2) + rng.uniform(0.0, 0.05) for value in rest])

    @property
    def flat(self) -> list[float]:
        """Every number, in the order of `symbols`."""
        groups = (self.switches, self.traits, self.drugs, self.setting, flatten(self.rest), flatten(self.state))
        return [*(self.values[name] for name in Model.parameter_ids()), *(float(v) for group in groups for v in group)]


@functools.cache
def point(index: int) -> Point:
    return Point(index)


def model_outputs(numbers: Any) -> dict[str, Any]:
    """Rest, rates and read-outs from one flat sequence of numbers, arrays or symbols."""
    rows = iter(numbers)
    values = {name: next(rows) for name in Model.parameter_ids()}

    def take(count: int) -> list[Any]:
        return [next(rows) for _ in range(count)]

    switches = Switches(*take(len(Switches._fields)))
    traits = Traits(*take(len(Traits._fields)))
    drugs = Drugs(*take(len(Drugs._fields)))
    setting = Setting(*take(len(Setting._fields)))
    rest, state = unflatten(take(len(state_names()))), unflatten(take(len(state_names())))
    model = Model.build(values, switches)
    outputs = dict(zip((f"rest of {n}" for n in state_names()), flatten(model.rest(traits)), strict=True))
    rates = flatten(model.rates(state, rest, traits, drugs, setting))
    outputs |= zip((f"rate of {n}" for n in state_names()), rates, strict=True)
    return outputs | model.readouts(state, rest, traits, drugs, setting)


@functools.cache
def numeric() -> dict[str, np.ndarray]:
    """Outputs at every point by plain floats, one point after another."""
    rows = [model_outputs(point(k).flat) for k in range(POINTS)]
    return {name: np.asarray([float(row[name]) for row in rows]) for name in rows[0]}


def test_floats_and_numpy_arrays_agree() -> None:
    arrays = model_outputs(np.asarray([point(k).flat for k in range(POINTS)]).T)
    for name, expected in numeric().items():
        np.testing.assert_allclose(arrays[name], expected, rtol=1e-12, atol=1e-15, err_msg=name)


def test_floats_and_jax_arrays_agree() -> None:
    jax = jax_numpy()
    arrays = jax.jit(model_outputs)(jax.numpy.asarray([point(k).flat for k in range(POINTS)]).T)
    for name, expected in numeric().items():
        np.testing.assert_allclose(arrays[name], expected, rtol=1e-9, atol=1e-14, err_msg=name)


@functools.cache
def symbolic() -> dict[str, np.ndarray]:
    symbols = sympy.symbols(f"x:{len(point(0).flat)}", real=True)
    outputs = model_outputs(symbols)
    function = sympy.lambdify(symbols, [sympy.sympify(value) for value in outputs.values()], "mpmath", cse=True)
    rows = [function(*point(k).flat) for k in range(POINTS)]
    return dict(zip(outputs, np.asarray(rows, dtype=float).T, strict=True))


@functools.cache
def numeric_without_corner() -> dict[str, np.ndarray]:
    """Outputs by floats with the corner of `power` shrunk to nothing: symbols have none, it is numerics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operators, "CORNER", 1e-30)
        patch.setattr(operators, "LOG_CORNER", math.log(1e-30))
        return numeric.__wrapped__()


@pytest.mark.parametrize("name", model_outputs(point(0).flat))
def test_floats_and_symbols_agree(name: str) -> None:
    np.testing.assert_allclose(symbolic()[name], numeric_without_corner()[name], rtol=1e-9, atol=1e-14)


def test_the_corner_changes_nothing_that_can_be_seen() -> None:
    for name, expected in numeric_without_corner().items():
        np.testing.assert_allclose(numeric()[name], expected, rtol=1e-6, atol=1e-6, err_msg=name)


def flow_rates(values: Any, body: Any, enantiomer: str, taken: frozenset[str]) -> dict[tuple[Any, ...], Any]:
    flows = Pharmacokinetics.build(values).flows(enantiomer, body, taken)
    return {(flow.source, flow.target, flow.copies): flow.rate for flow in flows}


@pytest.mark.parametrize("taken", [frozenset(), *(frozenset({drug}) for drug in CYP_DRUGS)], ids=lambda t: "".join(t))
@pytest.mark.parametrize("enantiomer", ["s", "r"])
def test_kinetics_agree_on_every_kind_of_number(enantiomer: str, taken: frozenset[str]) -> None:
    jnp = jax_numpy().numpy
    names = [item.metadata["id"] for item in Pharmacokinetics.declared()]
    points = [point(k) for k in range(3)]
    expected = [flow_rates(p.values, p.body, enantiomer, taken) for p in points]
    stacked = {name: np.asarray([p.values[name] for p in points]) for name in names}
    body = Body(*np.asarray([p.body for p in points]).T)
    on_numpy = flow_rates(stacked, body, enantiomer, taken)
    on_jax = flow_rates(
        {name: jnp.asarray(value) for name, value in stacked.items()}, Body(*map(jnp.asarray, body)), enantiomer, taken
    )
    symbols = dict(zip(names, sympy.symbols(f"p:{len(names)}", positive=True), strict=True))
    covariates = Body(*sympy.symbols("weight age female", real=True))
    on_symbols = flow_rates(symbols, covariates, enantiomer, taken)
    assert on_numpy.keys() == on_jax.keys() == on_symbols.keys() == expected[0].keys()
    evaluate = sympy.lambdify([*symbols.values(), *covariates], list(on_symbols.values()), "mpmath", cse=True)
    for k, p in enumerate(points):
        by_symbol = evaluate(*(p.values[name] for name in names), *p.body)
        for key, from_symbol in zip(on_symbols, by_symbol, strict=True):
            wanted = pytest.approx(float(expected[k][key]), rel=1e-9, abs=1e-14)
            assert float(np.broadcast_to(on_numpy[key], 3)[k]) == wanted, key
            assert float(jnp.broadcast_to(on_jax[key], (3,))[k]) == wanted, key
            assert float(from_symbol) == wanted, key


@pytest.mark.parametrize("taken", [(), *((drug,) for drug in CYP_DRUGS), CYP_DRUGS])
def test_kinetics_conserve_drug(taken: tuple[str, ...]) -> None:
    """No flow is negative, and what enters a body is at most what was given."""
    for k in range(POINTS):
        p = point(k)
        for enantiomer in ("s", "r"):
            rates = flow_rates(p.values, p.body, enantiomer, frozenset(taken))
            assert all(rate >= 0.0 for rate in rates.values()), {key: r for key, r in rates.items() if r < 0}
        kinetics = Pharmacokinetics.build(p.values)
        for drug in ("ketamine", "esketamine"):
            for route in ROUTES:
                shares = kinetics.entry(drug, route, 84.0, 1.5)
                assert set(shares) <= {"central", *DEPOTS}
                assert all(0.0 <= share <= 1.0 for share in shares.values())
                assert sum(shares.values()) <= 1.0 + 1e-12


# --- gradients ------------------------------------------------------------------------------------------------------


@functools.cache
def jacobians() -> dict[str, np.ndarray]:
    """Jacobians of all rates at rest without drug, with every contested link on."""
    jax = jax_numpy()
    jnp = jax.numpy
    p = point(0)
    traits, home = Traits(*map(jnp.asarray, p.traits)), jnp.asarray(flatten(p.rest))

    def rates(parameters: Any, state: Any, drugs: Any, setting: Any) -> Any:
        model = Model.build(dict(zip(Model.parameter_ids(), parameters, strict=True)), EVERYTHING)
        found = model.rates(unflatten(state), unflatten(home), traits, Drugs(*drugs), Setting(*setting))
        return jnp.stack([value + 0.0 * state[0] for value in flatten(found)])

    parameters = jnp.asarray([p.values[name] for name in Model.parameter_ids()])
    at = (parameters, home, jnp.asarray(NO_DRUG), jnp.asarray(REST))
    found = {}
    for mode, transform in (("forward", jax.jacfwd), ("reverse", jax.jacrev)):
        parts = jax.jit(transform(rates, argnums=(0, 1, 2, 3)))(*at)
        found |= {f"{mode} {name}": np.asarray(j) for name, j in zip("psdc", parts, strict=True)}
    return found


@pytest.mark.parametrize("row", range(len(state_names())), ids=state_names())
def test_gradients_at_rest_without_drug_are_finite(row: int) -> None:
    """By parameters, states, drugs and setting: the very point where a power law usually breaks."""
    for name, jacobian in jacobians().items():
        assert np.isfinite(jacobian[row]).all(), name


def test_forward_and_reverse_gradients_agree() -> None:
    found = jacobians()
    for part in "psdc":
        np.testing.assert_allclose(found[f"forward {part}"], found[f"reverse {part}"], rtol=1e-9, atol=1e-12)


def test_nothing_moves_at_rest() -> None:
    for k in range(POINTS):
        p = point(k)
        for switches in (Switches(), EVERYTHING):
            model = Model.build(p.values, switches)
            rest = model.rest(p.traits)
            rates = model.rates(rest, rest, p.traits, NO_DRUG, REST)
            still = [*flatten(rates._replace(mood=rates.mood._replace(depression=0.0, anxiety=0.0)))]
            np.testing.assert_allclose(still, 0.0, atol=1e-12)
            # the integrals of mood grow by the person's own scores
            assert rates.mood.depression == pytest.approx(p.traits.madrs, rel=1e-9)
            assert rates.mood.anxiety == pytest.approx(p.traits.hama, rel=1e-9)


# --- operators ------------------------------------------------------------------------------------------------------

drives = st.floats(0.0, 1e6)
slopes = st.floats(0.3, 8.0)
reals = st.floats(-1e6, 1e6)
widths = st.floats(1e-3, 10.0)
quick = settings(max_examples=60, deadline=None)


def gradient(function: Any, x: float) -> float:
    return float(jax_numpy().grad(function)(jax_numpy().numpy.asarray(x)))


@quick
@given(slopes)
def test_power_is_zero_at_zero_with_a_finite_gradient(n: float) -> None:
    assert operators.power(0.0, n) == 0.0
    assert np.isfinite(gradient(lambda x: operators.power(x, n), 0.0))
    assert np.isfinite(float(jax_numpy().grad(lambda m: operators.power(0.0 * m, m))(n)))


@quick
@given(drives, st.floats(0.3, 2.0))
def test_power_is_within_the_corner_of_the_true_power(x: float, n: float) -> None:
    allowed = operators.CORNER**n
    assert abs(operators.power(x, n) - x**n) <= allowed * (1 + 1e-6) + 1e-9 * x**n


@pytest.mark.parametrize("n", [0.8, 1.0, 1.2, 1.8, 2.0, 6.0])
@pytest.mark.parametrize("x", [1e-4, 0.01, 0.3, 1.0, 20.0])
def test_power_has_the_true_gradient_beyond_the_corner(x: float, n: float) -> None:
    assert gradient(lambda value: operators.power(value, n), x) == pytest.approx(n * x ** (n - 1.0), rel=1e-6)


@quick
@given(drives, drives, slopes)
def test_power_and_hill_never_fall(x: float, y: float, n: float) -> None:
    low, high = sorted((x, y))
    assert operators.power(low, n) <= operators.power(high, n)
    assert 0.0 <= operators.hill(low, n) <= operators.hill(high, n) <= 1.0
    assert 0.0 <= operators.hill(low) <= operators.hill(high) < 1.0


@quick
@given(slopes)
def test_hill_is_zero_half_and_one_where_it_should_be(n: float) -> None:
    assert operators.hill(0.0, n) == 0.0
    # the corner is worth c^n, which matters only for slopes that no parameter has
    assert operators.hill(1.0, n) == pytest.approx(0.5, abs=operators.CORNER**n + 1e-9)
    assert operators.hill(1e12, n) == pytest.approx(1.0, abs=1e-3)
    assert np.isfinite(gradient(lambda x: operators.hill(x, n), 0.0))


def test_hill_without_a_slope_has_the_gradient_of_its_drive_at_zero() -> None:
    assert gradient(operators.hill, 0.0) == 1.0


@quick
@given(reals, reals, widths)
def test_positive_part_is_between_zero_and_its_argument_and_never_falls(x: float, y: float, width: float) -> None:
    low, high = (operators.positive_part(value, width) for value in sorted((x, y)))
    assert 0.0 <= low <= high <= max(x, y, 0.0) * (1.0 + 1e-12)
    if x <= 0.0:
        assert operators.positive_part(x, width) == 0.0


@quick
@given(widths)
def test_positive_part_is_its_argument_far_above_the_width_and_flat_at_zero(width: float) -> None:
    assert operators.positive_part(1e3 * width, width) == pytest.approx(1e3 * width, rel=1e-5)
    assert operators.positive_part(width, width) == pytest.approx(0.5 * width)

    def part(x: Any) -> Any:
        return operators.positive_part(x, width)

    assert gradient(part, 0.0) == 0.0
    assert gradient(jax_numpy().grad(part), 0.0) == 0.0
    assert gradient(part, 1e3 * width) == pytest.approx(1.0, rel=1e-5)


@quick
@given(reals, reals)
def test_expit_is_bounded_and_never_falls(x: float, y: float) -> None:
    low, high = sorted((x, y))
    assert 0.0 <= operators.expit(low) <= operators.expit(high) <= 1.0
    assert operators.expit(x) + operators.expit(-x) == pytest.approx(1.0, abs=1e-15)
    assert np.isfinite(gradient(operators.expit, x))


def test_expit_has_its_value_and_gradient_at_zero_and_does_not_overflow() -> None:
    assert operators.expit(0.0) == 0.5
    assert gradient(operators.expit, 0.0) == 0.25
    assert operators.expit(1e300) == 1.0
    assert operators.expit(-1e300) == 0.0


@pytest.mark.parametrize("x", [-2.0, 0.0, 0.3, 4.0])
def test_operators_agree_on_symbols(x: float) -> None:
    s = sympy.Symbol("s", real=True)
    width = sympy.Rational(1, 5)
    for on_symbol, on_float in (
        (operators.expit(s), operators.expit(x)),
        (operators.positive_part(s, width), operators.positive_part(x, 0.2)),
        (operators.maximum(s, sympy.Integer(1)), operators.maximum(x, 1.0)),
        (operators.minimum(s, sympy.Integer(1)), operators.minimum(x, 1.0)),
        (operators.hill(operators.maximum(s, sympy.Integer(0)), sympy.Integer(2)), operators.hill(max(x, 0.0), 2)),
    ):
        assert float(on_symbol.subs(s, x).evalf(40)) == pytest.approx(float(on_float), rel=1e-9, abs=1e-15)
