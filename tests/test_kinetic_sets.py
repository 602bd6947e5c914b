"""Every set of kinetics: the laws, an implementation of its own, and how a set is chosen, refused and varied."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

import kapsim
import reference
from kapsim.cli import main
from kapsim.concentrations import NAMES, Concentrations, concentration_course, propagate
from kapsim.course import MICRO_PER_MILLI, build_course, drugs_seen
from kapsim.engine.grid import TICKS_PER_HOUR
from kapsim.evidence import load_evidence, load_parameters, references
from kapsim.kinetic_sets import SETS, build_kinetics, kinetic_set
from kapsim.mechanisms.kinetics import PUMP, holds_drug
from kapsim.mechanisms.pharmacokinetics import S_SHARE
from kapsim.mechanisms.published.base import Published
from kapsim.patient import parse_patient
from kapsim.patient.sampling import People, sample_people
from kapsim.units import convert, dimension

Array = NDArray[np.float64]
#: A dose by every route that any set knows; one device, so that double the dose would be another share.
ROUTES = {
    "iv": "route: iv, amount: 30 mg, duration: 40 min",
    "im": "route: im, amount: 70 mg",
    "sc": "route: sc, amount: 40 mg",
    "intranasal": "route: intranasal, amount: 84 mg",
    "sublingual": "route: sublingual, amount: 50 mg",
    "oral": "route: oral, amount: 80 mg",
    "oral_extended_release": "route: oral, form: extended_release, amount: 80 mg",
    "inhaled": "route: inhaled, amount: 40 mg",
}
PUBLISHED = [name for name, kind in SETS.items() if issubclass(kind, Published)]
CASES = [(name, route) for name, kind in SETS.items() for route in kind.routes]
PEOPLE = sample_people(None, 12, 3)


def given(route: str, *hours: float, drug: str = "esketamine") -> str:
    return "".join(f"- {{drug: {drug}, {ROUTES[route]}, at: [{hour} h]}}\n" for hour in hours)


def course_of(doses: str, people: People, kinetics: str, horizon: str = "2 d") -> Concentrations:
    return concentration_course(reference.protocol(f"doses:\n{doses}", horizon=horizon), people, kinetics)


def person(weight: float = 82.0, age: float = 71.0) -> People:
    patient = parse_patient(f"schema_version: 1\nweight: {weight} kg\nage: {age} a\nsex: male\n")
    return sample_people(patient, 1, 0, spread=False)


# --- the sets -------------------------------------------------------------------------------------------------------


def test_names_are_those_the_sets_bear_and_the_default_is_first() -> None:
    assert list(SETS) == ["default", "kamp2020", "otto2021", "perezruixo2021", "simons2022"]
    assert all(kind.name == name for name, kind in SETS.items())


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_value_of_a_published_set_is_an_evidence_record_in_a_unit_that_fits(name: str) -> None:
    kind, evidence = kinetic_set(name), load_evidence()
    assert issubclass(kind, Published)
    for item in kind.read():
        record = evidence[item.metadata["record"]]
        assert record.value is not None
        assert dimension(item.metadata["unit"]) == dimension(record.unit), item.name
    assert set(kind.records()) <= set(evidence)
    assert references(kind.records())
    registry = load_parameters()
    assert all(item.metadata["id"] in registry for item in kind.declared())


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_moved_record_moves_a_concentration(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No value is read for nothing: each record, a tenth larger, changes what somebody's blood holds."""
    kind, evidence = kinetic_set(name), load_evidence()
    assert issubclass(kind, Published)
    people = sample_people(parse_patient("schema_version: 1\nage: 75 a\nweight: 85 kg\n"), 6, 1)
    doses = "".join(given(route, 24.0 * k) for k, route in enumerate(kind.routes))

    def solved() -> dict[str, Array]:
        # on the nodes that every run has
        course = course_of(doses, people, name, horizon="3 d")
        hours = np.arange(0.0, 72.0, 0.5)
        return {v: np.array([np.interp(hours, course.hours, row) for row in getattr(course, v).T]) for v in NAMES}

    plain = solved()
    for identity in kind.records():
        moved = evidence[identity].model_copy(update={"value": 1.1 * evidence[identity].value})
        with monkeypatch.context() as patch:
            patch.setattr("kapsim.kinetic_sets._records", lambda moved=moved: {**evidence, moved.id: moved})
            found = solved()
        change = max(float(np.abs(found[v] - plain[v]).max() / max(plain[v].max(), 1e-9)) for v in NAMES)
        assert change > 1e-5, identity


# --- laws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "route"), CASES)
def test_drug_is_conserved(name: str, route: str) -> None:
    """What is in the body and what has left it make what has entered."""
    plan = reference.protocol(f"doses:\n{given(route, 1.0)}", horizon="3 d")
    course = build_course(plan, PEOPLE, kinetics=name)
    amounts, kinetics, names = propagate(course), course.kinetics, course.compartments
    entered = 0.0
    milligrams = plan.dose_events()[0].amount * np.ones(PEOPLE.size)
    for item in kinetics.inputs(
        "esketamine", route, milligrams, lambda p: PEOPLE.keyed.normal(f"occasion:0{p and ':'}{p}", PEOPLE.size)
    ):
        assert np.all(np.asarray(item.share) >= 0.0)
        entered = entered + item.share * milligrams * MICRO_PER_MILLI / kinetics.molar_mass
    holds = np.array([holds_drug(item, kinetics.followers) for item in names])
    leaving = np.zeros((len(names), PEOPLE.size))
    for flow in kinetics.flows("s", PEOPLE.body):
        assert np.all(np.asarray(flow.rate) >= 0.0), flow
        if flow.target is None and flow.source in names and flow.source not in kinetics.followers:
            leaving[names.index(flow.source)] += flow.rate
    start, end = amounts[:-1, 0].copy(), amounts[1:, 0]
    for tick, jump in course.jumps.items():
        node = int(np.searchsorted(course.grid.ticks, tick))
        if node < len(start):
            start[node] += jump[0]
    step = np.diff(course.grid.hours)[:, None]
    # the trapezoidal rule over every step, corrected by the slopes at both ends
    turn = np.einsum("bij,tjb->tib", course.matrices[0], start - end)
    outflow = 0.5 * step * ((start + end) * leaving).sum(axis=1) + step**2 / 12.0 * (turn * leaving).sum(axis=1)
    gone, held = outflow.sum(axis=0), amounts[-1, 0, holds].sum(axis=0)
    np.testing.assert_allclose(gone + held, entered * np.ones(PEOPLE.size), rtol=2e-6)
    assert (gone > 0.3 * entered).all()
    assert np.all(amounts[-1, 0, [n for n, item in enumerate(names) if item.startswith(PUMP)]] < 1e-9)


@pytest.mark.parametrize(("name", "route"), CASES)
def test_doses_add_and_scale(name: str, route: str) -> None:
    people = reference.without_occasions(PEOPLE)
    first, second, both = (course_of(given(route, *hours), people, name) for hours in ((1.0,), (9.5,), (1.0, 9.5)))
    common = [h for h in both.hours if h in first.hours and h in second.hours]
    assert len(common) > 20
    at = [np.searchsorted(course.hours, common) for course in (first, second, both)]
    amount = ROUTES[route].split("amount: ")[1].split(" mg")[0]
    halved = given(route, 1.0).replace(f"{amount} mg", f"{float(amount) / 2} mg")
    half = course_of(halved, people, name) if route != "intranasal" else None
    for variable in NAMES:
        one, two, sum_ = (getattr(c, variable)[k] for c, k in zip((first, second, both), at, strict=True))
        np.testing.assert_allclose(sum_, one + two, rtol=1e-9, atol=1e-9 * max(sum_.max(), 1e-6))
        if half is not None:
            np.testing.assert_allclose(2.0 * getattr(half, variable), getattr(first, variable), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "route"), CASES)
def test_waiting_first_changes_nothing(name: str, route: str) -> None:
    now, later = (course_of(given(route, start), PEOPLE, name) for start in (1.0, 8.5))
    ticks = {round(h * TICKS_PER_HOUR): k for k, h in enumerate(later.hours)}
    pairs = [
        (k, ticks[moved])
        for k, h in enumerate(now.hours)
        if (moved := round((h + 7.5) * TICKS_PER_HOUR)) in ticks and h > 1.0
    ]
    assert len(pairs) > 50
    early, late = zip(*pairs, strict=True)
    for variable in NAMES:
        expected = getattr(now, variable)
        # a person's release may end between two nodes of a grid that begins elsewhere: the whole enters all the same
        close = 1e-9 if name != "simons2022" or route == "iv" else 2e-3
        np.testing.assert_allclose(
            getattr(later, variable)[list(late)],
            expected[list(early)],
            rtol=1e-9,
            atol=close * max(expected.max(), 1e-9),
        )


@pytest.mark.parametrize(("name", "route"), CASES)
def test_people_are_the_same_in_any_number(name: str, route: str) -> None:
    many, few = (course_of(given(route, 0.5), sample_people(None, n, 3), name, "1 d") for n in (140, 5))
    for variable in NAMES:
        np.testing.assert_array_equal(getattr(many, variable)[:, :5], getattr(few, variable))


# --- an implementation of its own -----------------------------------------------------------------------------------

Rates = Callable[[float, Array, Callable[[str, float], float]], Any]


def value(record: str) -> float:
    found = load_evidence()[record].value
    assert found is not None
    return float(found)


def kamp(people: People) -> tuple[Rates, dict[str, tuple[int, float]], list[tuple[str, float, float]]]:
    """Milligrams, minutes turned into hours, micro-constants as a pump holds them."""
    w = float(people.body.weight[0])
    k = {n: value(f"pk.kamp2020.{n}") for n in ("v1", "v2", "v3", "cl", "q2", "q3")}
    v1 = k["v1"] * w / 70.0

    def rates(t: float, x: Array, into: Callable[[str, float], float]) -> Any:
        a, b, c = x
        out = (k["cl"] + k["q2"] + k["q3"]) / k["v1"]
        return [
            into("vein", t) - out * a + k["q2"] / k["v2"] * b + k["q3"] / k["v3"] * c,
            k["q2"] / k["v1"] * a - k["q2"] / k["v2"] * b,
            k["q3"] / k["v1"] * a - k["q3"] / k["v3"] * c,
        ]

    return rates, {"plasma_s_ketamine_arterial": (0, v1), "plasma_s_ketamine_venous": (0, v1)}, [("vein", 0.0, 30.0)]


def otto(people: People) -> tuple[Rates, dict[str, tuple[int, float]], list[tuple[str, float, float]]]:
    w = float(people.body.weight[0]) / 70.0
    f, n = "pk.fanta2015.s", "pk.otto2021.snk"
    v1, cl = value(f"{f}.v1") * w, value(f"{f}.cl") * w**0.75
    vn, cln = value(f"{n}.v") * w, value(f"{n}.cl") * w**0.75

    def rates(t: float, x: Array, into: Callable[[str, float], float]) -> Any:
        c, p1, p2 = x[0] / v1, x[1] / value(f"{f}.vp1"), x[2] / value(f"{f}.vp2")
        m, mp = x[3] / vn, x[4] / value(f"{n}.vp")
        slow, fast = value(f"{f}.q1") * (c - p1), value(f"{f}.q2") * (c - p2)
        deep = value(f"{n}.q") * (m - mp)
        return [into("vein", t) - cl * c - slow - fast, slow, fast, cl * c - cln * m - deep, deep]

    read = {
        "plasma_s_ketamine_venous": (0, v1),
        "plasma_s_ketamine_arterial": (0, v1),
        "plasma_norketamine_venous": (3, vn),
    }
    return rates, read, [("vein", 0.0, 30.0)]


def perez(people: People, route: str) -> tuple[Rates, dict[str, tuple[int, float]], list[tuple[str, float, float]]]:
    p = {n: value(f"pk.perezruixo2021.{n}") for n in (
        "frn", "frn_dose_effect", "ka_nasal", "d_swallowed", "ka_swallowed", "d_oral", "ka_oral", "fgut", "vc", "q1",
        "vp1", "q2", "vp2", "qh", "qh_age", "vh", "kel", "kmet", "vcn", "cln", "vpn", "q3",
    )}  # fmt: skip
    qh = p["qh"] + p["qh_age"] * max(float(people.body.age[0]) - 60.0, 0.0)

    def rates(t: float, x: Array, into: Callable[[str, float], float]) -> Any:
        nose, stomach, solution, a, b, c, liver, m, mp = x
        ca, cb, cc, ch = a / p["vc"], b / p["vp1"], c / p["vp2"], liver / p["vh"]
        cm, cmp = m / p["vcn"], mp / p["vpn"]
        return [
            -p["ka_nasal"] * nose,
            into("stomach", t) - p["ka_swallowed"] * stomach,
            into("solution", t) - p["ka_oral"] * solution,
            into("vein", t) + p["ka_nasal"] * nose + p["q1"] * (cb - ca) + p["q2"] * (cc - ca) + qh * (ch - ca),
            p["q1"] * (ca - cb),
            p["q2"] * (ca - cc),
            p["ka_swallowed"] * stomach + p["ka_oral"] * solution + qh * (ca - ch) - (p["kel"] + p["kmet"]) * liver,
            p["kmet"] * liver - p["cln"] * cm + p["q3"] * (cmp - cm),
            p["q3"] * (cm - cmp),
        ]

    read = {"plasma_s_ketamine_venous": (3, p["vc"]), "plasma_norketamine_venous": (7, p["vcn"])}
    if route == "iv":
        return rates, read, [("vein", 0.0, 30.0)]
    if route == "oral":
        return rates, read, [("solution", 0.0, 80.0 * p["fgut"])]
    doses = []
    for k in range(3):
        through = p["frn"] * (p["frn_dose_effect"] if k else 1.0)
        doses += [("nose", k * 5.0 / 60.0, 28.0 * through)]
        doses += [("stomach", k * 5.0 / 60.0, 28.0 * (1.0 - through) * p["fgut"])]
    return rates, read, doses


def simons(people: People, route: str) -> tuple[Rates, dict[str, tuple[int, float]], list[tuple[str, float, float]]]:
    """Micromoles, in minutes of the paper: rates times 60."""
    w = float(people.body.weight[0]) / 70.0
    p = {n.split(".")[-1]: value(n) for n in load_evidence() if n.startswith("pk.simons2022.s.")}
    v = {n: p[n] * w for n in ("vk1", "vk2", "vk3", "vn2", "vh1", "vh2")}
    cl = {n: p[n] * w**0.75 * 60.0 for n in ("clk1", "clk2", "clk3", "cln1", "cln2", "clh1", "clh2")}
    k1, k2, kg = p["ka1"] * 60.0, p["ka2"] * 60.0, 60.0 / p["mtt_gut"]
    kn, kh = 120.0 / p["mtt_k_nk"], 120.0 / p["mtt_nk_hnk"]

    def rates(t: float, x: Array, into: Callable[[str, float], float]) -> Any:
        film, gut, portal, a, b, c, t1, t2, n, np_, t3, t4, h, hp = x
        ca, cb, cc = a / v["vk1"], b / v["vk2"], c / v["vk3"]
        cn, cnp, ch, chp = n / v["vk1"], np_ / v["vn2"], h / v["vh1"], hp / v["vh2"]
        return [
            into("film", t) - k1 * film,
            into("gut", t) - k2 * gut,
            k2 * gut - kg * portal,
            into("vein", t) + k1 * film - cl["clk1"] * ca - cl["clk2"] * (ca - cb) - cl["clk3"] * (ca - cc),
            cl["clk2"] * (ca - cb),
            cl["clk3"] * (ca - cc),
            kg * portal + cl["clk1"] * ca - kn * t1,
            kn * (t1 - t2),
            p["fm_nk"] * kn * t2 - cl["cln1"] * cn - cl["cln2"] * (cn - cnp),
            cl["cln2"] * (cn - cnp),
            cl["cln1"] * cn - kh * t3,
            kh * (t3 - t4),
            p["fm_hnk"] * kh * t4 - cl["clh1"] * ch - cl["clh2"] * (ch - chp),
            cl["clh2"] * (ch - chp),
        ]

    mass = {n: load_parameters()[f"pk.molar_mass.{n}"].value for n in ("ketamine", "norketamine", "hydroxynorketamine")}
    read = {
        # the amounts are milligrams of S-ketamine: moles carry over, masses do not
        "plasma_s_ketamine_arterial": (3, v["vk1"]),
        "plasma_norketamine_arterial": (8, v["vk1"] * mass["ketamine"] / mass["norketamine"]),
        "hydroxynorketamine": (12, v["vh1"] * mass["ketamine"] / mass["hydroxynorketamine"]),
    }
    if route == "iv":
        return rates, read, [("vein", 0.0, 30.0)]
    return rates, read, [("film", 0.0, 50.0 * p["f1_mucosal"]), ("gut", 0.0, 50.0 * p["f2_gut"])]


def default(people: People, route: str) -> tuple[Rates, dict[str, tuple[int, float]], list[tuple[str, float, float]]]:
    """Milligrams of S-ketamine, litres and hours, mass flows between concentrations."""
    p = {n.removeprefix("pk."): float(x[0]) for n, x in people.values.items() if n.startswith("pk.")}
    w, age = float(people.body.weight[0]) / 70.0, float(people.body.age[0])
    s = w ** p["allometry.clearance"]
    aged = 1.0 + p["liver.flow_age"] * max(age - 60.0, 0.0) / p["liver.flow"]
    cl = p["cl.s"] * s * aged
    fm, fh, escape, liver = (
        p["formation.norketamine"], p["formation.hydroxynorketamine"], p["gut.escape"], p["liver.escape"]
    )  # fmt: skip
    mass = {n: p[f"molar_mass.{n}"] for n in ("ketamine", "norketamine", "hydroxynorketamine")}

    def rates(t: float, x: Array, into: Callable[[str, float], float]) -> Any:
        needle, nose, film, mouth, stomach, gut, a, b, c, t1, t2, n, np_, h, hp, ven, eff, tablet, lung = x
        ca, cb, cc = a / (p["v1"] * w), b / (p["v2"] * w), c / (p["v3"] * w)
        cn, cnp = n / (p["norketamine.v1"] * w), np_ / (p["norketamine.v2"] * w)
        ch, chp = h / (p["hydroxynorketamine.v1"] * w), hp / (p["hydroxynorketamine.v2"] * w)
        kgut, kt = p["gut.ka"] * gut, 2.0 / p["norketamine.delay"]
        ka = p["im.ka"] if route == "im" else p["sc.ka"]
        fast, slow = p["q2"] * s * (ca - cb), p["q3"] * s * (ca - cc)
        deep_n = p["norketamine.q"] * s * (cn - cnp)
        deep_h = p["hydroxynorketamine.q"] * s * (ch - chp)
        formed_h = fh * p["norketamine.cl"] * s * cn
        return [
            -ka * needle,
            -p["nasal.ka"] * nose,
            -film / p["sublingual.release"],
            film / p["sublingual.release"] - p["sublingual.ka"] * mouth,
            tablet / p["oral.release"] - stomach / p["gut.delay"],
            stomach / p["gut.delay"] - kgut,
            into("vein", t) + ka * needle + p["nasal.ka"] * nose + p["sublingual.ka"] * mouth + p["inhaled.ka"] * lung
            + kgut * escape * liver - cl * ca - fast - slow,
            fast,
            slow,
            fm * cl * ca - kt * t1,
            kt * (t1 - t2),
            kt * t2 + kgut * escape * (1.0 - liver) * fm - p["norketamine.cl"] * s * cn - deep_n,
            deep_n,
            formed_h - p["hydroxynorketamine.cl"] * s * ch - deep_h,
            deep_h,
            p["venous.rate"] * (ca - ven),
            math.log(2.0) / p["effect.half_time"] * (ca - eff),
            -tablet / p["oral.release"],
            -p["inhaled.ka"] * lung,
        ]  # fmt: skip

    read = {
        "plasma_s_ketamine_arterial": (6, p["v1"] * w),
        "plasma_norketamine_venous": (11, p["norketamine.v1"] * w * mass["ketamine"] / mass["norketamine"]),
        "hydroxynorketamine": (
            13, p["hydroxynorketamine.v1"] * w * mass["ketamine"] / mass["hydroxynorketamine"]
        ),
        "effect_s_ketamine": (16, 1.0),
    }  # fmt: skip
    amount = float(ROUTES[route].split("amount: ")[1].split(" mg")[0])
    if route == "iv":
        return rates, read, [("vein", 0.0, amount)]
    if route in ("im", "sc"):
        return rates, read, [("needle", 0.0, amount * p["im.bioavailability"])]
    if route == "oral":
        return rates, read, [("stomach", 0.0, amount)]
    if route == "oral_extended_release":
        return rates, read, [("tablet", 0.0, amount)]
    if route == "inhaled":
        return rates, read, [("lung", 0.0, amount * p["inhaled.share"])]
    share = p["sublingual.share"]
    if route == "intranasal":
        devices = amount / p["nasal.device"]
        share = p["nasal.share"] * (1.0 + p["nasal.later_devices"] * (devices - 1.0)) / devices
    outside = "film" if route == "sublingual" else "nose"
    return rates, read, [(outside, 0.0, amount * share), ("stomach", 0.0, amount * (1.0 - share))]


#: Compartments that an instant dose enters, by the position in the equations above.
PLACE = {
    "default": {"needle": 0, "nose": 1, "film": 2, "stomach": 4, "tablet": 17, "lung": 18},
    "perezruixo2021": {"nose": 0},
}
SIZE = {"default": 19, "kamp2020": 3, "otto2021": 5, "perezruixo2021": 9, "simons2022": 14}


def lasts(name: str, where: str) -> float:
    """Hours over which an input runs, in whole ticks as the solver has them; 0 at once."""
    if where == "vein":
        return 40.0 / 60.0
    record = {
        ("perezruixo2021", "stomach"): ("pk.perezruixo2021.d_swallowed", 1.0),
        ("perezruixo2021", "solution"): ("pk.perezruixo2021.d_oral", 1.0),
        ("simons2022", "film"): ("pk.simons2022.s.d1", 1.0 / 60.0),
        ("simons2022", "gut"): ("pk.simons2022.s.d2", 1.0 / 60.0),
    }.get((name, where))
    return 0.0 if record is None else round(value(record[0]) * record[1] * TICKS_PER_HOUR) / TICKS_PER_HOUR


def by_ode(name: str, route: str, people: People, hours: Array) -> dict[str, Array]:
    """Concentrations by LSODA, ng/mL, at `hours`; the dose is given at 0."""
    made: Any = {"default": default, "perezruixo2021": perez, "simons2022": simons}.get(name)
    rates, read, doses = made(people, route) if made else {"kamp2020": kamp, "otto2021": otto}[name](people)
    spans = [(where, start, start + lasts(name, where), amount) for where, start, amount in doses]
    x = np.zeros(SIZE[name])
    edges = sorted({0.0, hours[-1], *(s for _, s, _, _ in spans), *(e for _, _, e, _ in spans)})
    found = {0.0: x}
    for first, last in itertools.pairwise(edges):
        for where, start, end, amount in spans:
            if start == first and end == start:
                x = x.copy()
                x[PLACE[name][where]] += amount
        middle = 0.5 * (first + last)

        def into(wanted: str, _: float, middle: float = middle) -> float:
            return sum(a / (e - s) for where, s, e, a in spans if where == wanted and s < middle < e)

        inside = hours[(hours > first + 1e-9) & (hours < last - 1e-9)]
        done = solve_ivp(
            lambda t, y, into=into: rates(t, y, into),
            (first, last),
            x,
            method="LSODA",
            rtol=1e-11,
            atol=1e-14,
            t_eval=[*inside, last],
        )
        assert done.success
        found.update(zip([*inside, last], done.y.T, strict=True))
        x = done.y[:, -1]
    times = np.array(sorted(found))
    solved = np.array([found[t] for t in times])
    nearest = np.array([int(np.argmin(np.abs(times - h))) for h in hours])
    assert np.abs(times[nearest] - hours).max() < 1e-8
    return {variable: 1000.0 * solved[nearest, k] / volume for variable, (k, volume) in read.items()}


@pytest.mark.parametrize(("name", "route"), CASES)
def test_an_implementation_of_its_own_agrees(name: str, route: str) -> None:
    people = person()
    course = course_of(given(route, 0.0), people, name, "1 d")
    keep = np.flatnonzero(np.diff(course.hours, prepend=-1.0) > 0.002)[::3]
    hours = course.hours[keep]
    for variable, expected in by_ode(name, route, people, np.append(hours, 24.5)[:-1]).items():
        mine = getattr(course, variable)[keep, 0]
        assert expected.max() > 0.5, variable
        error = np.abs(mine - expected) / (np.abs(expected) + 1e-3 * expected.max())
        assert error.max() <= 1e-6, (variable, float(hours[error.argmax()]), float(error.max()))


# --- people ---------------------------------------------------------------------------------------------------------

MANY = sample_people(parse_patient("schema_version: 1\nweight: 70 kg\nage: 40 a\n"), 4000, 11)


@pytest.mark.parametrize("name", PUBLISHED)
def test_people_differ_as_the_source_says(name: str) -> None:
    kind = kinetic_set(name)
    assert issubclass(kind, Published)
    built = build_kinetics(name, MANY)
    for item in kind.read():
        drawn = np.asarray(getattr(built, item.name))
        record = load_evidence()[item.metadata["record"]]
        centre = convert(float(record.value or 0.0), record.unit, item.metadata["unit"])
        spread = item.metadata["spread"]
        if spread is None:
            assert np.all(drawn == centre), item.name
            continue
        size = value(spread.record)
        if spread.kind == "variance":
            size = math.sqrt(size)
        elif spread.kind == "cv":
            size = math.sqrt(math.log(1.0 + (size / 100.0) ** 2))
        z = np.log(drawn / (1.0 - drawn)) if spread.kind == "logit" else np.log(drawn)
        middle = math.log(centre / (1.0 - centre)) if spread.kind == "logit" else math.log(centre)
        assert np.std(z) == pytest.approx(size, rel=0.04), item.name
        assert np.mean(z) == pytest.approx(middle, abs=4.0 * size / math.sqrt(4000)), item.name


def test_volume_and_clearance_go_together_as_otto_found() -> None:
    built: Any = build_kinetics("otto2021", MANY)
    for v, cl, record in (
        (built.v1, built.cl, "pk.otto2021.s.omega_cov_v1_cl"),
        (built.v_norketamine, built.cl_norketamine, "pk.otto2021.snk.omega_cov_v_cl"),
    ):
        assert np.cov(np.log(v), np.log(cl))[0, 1] == pytest.approx(value(record), rel=0.1)


def test_a_film_is_absorbed_differently_each_time_but_wholly() -> None:
    """Shares and durations differ by dose; a release that ends between nodes still lets the whole amount in."""
    plan = reference.protocol(f"doses:\n{given('sublingual', 0.0, 24.0)}", horizon="2 d")
    people = sample_people(parse_patient("schema_version: 1\nweight: 70 kg\n"), 400, 2)
    course = build_course(plan, people, kinetics="simons2022")
    amounts = propagate(course)
    names = course.compartments
    pump, mouth = names.index("pump_mouth"), names.index("mouth")
    start = amounts[:, 0].copy()
    for tick, jump in course.jumps.items():
        start[np.searchsorted(course.grid.ticks, tick)] += jump[0]
    rates = start[:-1, pump]
    entered = rates * np.diff(course.grid.hours)[:, None]
    first = course.grid.hours[:-1] < 23.9
    micromoles = 50.0 * MICRO_PER_MILLI / course.kinetics.molar_mass
    share = [entered[part].sum(axis=0) / micromoles for part in (first, ~first)]
    for drawn in share:
        assert np.log(drawn).std() == pytest.approx(math.sqrt(value("pk.simons2022.iov2.f1")), rel=0.12)
    assert abs(np.corrcoef(np.log(share[0]), np.log(share[1]))[0, 1]) < 0.2
    assert np.abs(amounts[-1, 0, mouth]).max() < 1e-6
    running = (rates[first] > 0.0) * np.diff(course.grid.hours)[:, None][first]
    hours = running.sum(axis=0)
    assert np.median(hours) == pytest.approx(value("pk.simons2022.s.d1") / 60.0, rel=0.08)
    assert np.log(hours).std() == pytest.approx(math.sqrt(value("pk.simons2022.iov2.d1")), rel=0.12)


# --- choosing and refusing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dose", "more", "message"),
    [
        ("otto2021", given("intranasal", 0.0), "", "kinetics 'otto2021' knows no intranasal dose; it knows iv"),
        ("otto2021", given("iv", 0.0, drug="ketamine"), "", "kinetics 'otto2021' knows no ketamine; it knows esket"),
        ("kamp2020", given("oral", 0.0), "", "kinetics 'kamp2020' knows no oral dose; it knows iv"),
        ("perezruixo2021", given("iv", 0.0, drug="arketamine"), "", "knows no arketamine; it knows esketamine"),
        ("simons2022", given("oral", 0.0), "", "knows no oral dose; it knows iv, sublingual"),
        ("kamp2020", given("iv", 0.0), "co_medication: [{drug: rifampicin}]\n", "knows no effect of rifampicin"),
        ("otto2012", given("iv", 0.0), "", "no kinetics 'otto2012'; did you mean 'otto2021'"),
    ],
)
def test_what_a_set_does_not_know_is_one_line(name: str, dose: str, more: str, message: str) -> None:
    plan = reference.protocol(f"doses:\n{dose}{more}", horizon="2 d")
    with pytest.raises(kapsim.InputError, match=message.replace("'", ".")) as caught:
        kapsim.simulate(plan, kinetics=name, draws=2)
    assert "\n" not in str(caught.value)
    with pytest.raises(kapsim.InputError):
        build_course(plan, PEOPLE, kinetics=name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_chain_runs_on_every_set(name: str) -> None:
    """What it lacks is zero, its one site stands at both, and a run says which set it was."""
    kind = kinetic_set(name)
    drug = "ketamine" if "ketamine" in kind.drugs else "esketamine"
    plan = reference.protocol(f"doses:\n{given('iv', 0.0, drug=drug)}", horizon="2 d", name="a_set")
    run = kapsim.simulate(plan, kinetics=name, draws=8, seed=5)
    assert run.attrs["kinetics"] == name
    assert json.loads(run.attrs["records_used"]) == list(kind.records())
    assert "pk.v1" not in json.loads(run.attrs["parameters_used"])
    assert float(run["nmda_block"].max()) > 0.03
    np.testing.assert_array_equal(run["plasma_ketamine_arterial"].values, run["plasma_ketamine_venous"].values)
    assert (float(run["plasma_norketamine_venous"].max()) == 0.0) == ("norketamine" in kind.gaps)
    assert (float(run["hydroxynorketamine"].max()) == 0.0) == ("hydroxynorketamine" in kind.gaps)
    assert (float(run["plasma_r_ketamine_venous"].max()) > 0.0) == (S_SHARE[drug] < 1.0)
    other = kapsim.simulate(plan, draws=8, seed=5)
    assert other.attrs["kinetics"] == "default"
    assert json.loads(other.attrs["records_used"]) == []
    np.testing.assert_array_equal(run["weight"].values, other["weight"].values)
    assert not np.allclose(run["plasma_ketamine_venous"].values, other["plasma_ketamine_venous"].values)


def test_the_alike_enantiomers_of_kamp_have_half_each() -> None:
    both = course_of(given("iv", 0.0, drug="ketamine"), PEOPLE, "kamp2020")
    one = course_of(given("iv", 0.0, drug="esketamine"), PEOPLE, "kamp2020")
    np.testing.assert_array_equal(both.plasma_s_ketamine_arterial, both.plasma_r_ketamine_arterial)
    np.testing.assert_allclose(both.plasma_ketamine_arterial, one.plasma_s_ketamine_arterial, rtol=1e-12)


def test_midazolam_is_the_same_under_every_set() -> None:
    plan = reference.protocol(
        "doses: [{drug: midazolam, route: iv, amount: 0.045 mg/kg, duration: 40 min, at: [0 h]}]\n", horizon="2 d"
    )
    runs = [kapsim.simulate(plan, kinetics=name, draws=4) for name in ("default", "kamp2020", "simons2022")]
    assert float(runs[0]["sedation"].max()) > 0.01
    for other in runs[1:]:
        np.testing.assert_allclose(other["sedation"].values, runs[0]["sedation"].values, rtol=1e-9, atol=1e-12)


def test_a_set_is_compiled_once_for_all_protocols_of_a_shape() -> None:
    courses = [
        build_course(reference.protocol(f"doses:\n{given('iv', 0.0, *more)}", horizon="2 d"), PEOPLE, kinetics=name)
        for name in SETS
        for more in ((), (24.0,))
    ]
    for first, second in zip(courses[::2], courses[1::2], strict=True):
        assert drugs_seen(first.seen) is drugs_seen(second.seen)


def test_the_command_line_lists_chooses_and_records(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kinetics"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(SETS)
    for line, kind in zip(lines, SETS.values(), strict=True):
        assert all(word in line for word in (*kind.sites, *kind.routes, *kind.gaps, kind.structure))
    plan = tmp_path / "own.yaml"
    plan.write_text(reference.protocol(f"doses:\n{given('iv', 0.0)}", horizon="2 d", name="own").to_yaml())
    out = tmp_path / "out"
    assert main(["run", str(plan), "--kinetics", "otto2021", "--draws", "8", "--json", "--out", str(out)]) == 0
    shown = json.loads(capsys.readouterr().out)["provenance"]
    assert shown["kinetics"] == "otto2021"
    assert "--kinetics otto2021" in shown["command"]
    assert main(["cite", str(out / "results.nc")]) == 0
    cited = capsys.readouterr().out
    assert "Otto (2021)" in cited
    assert "Fanta (2015)" in cited
    assert "kinetics" in (out / "report.html").read_text()
    assert main(["compare", str(plan), "single_infusion", "--kinetics", "otto2021"]) == 2
    assert "knows no ketamine" in capsys.readouterr().err
    assert main(["compare", str(plan), "saline_infusion", "--kinetics", "otto2021", "--draws", "8", "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert all("--kinetics otto2021" in run["provenance"]["command"] for run in runs.values())
