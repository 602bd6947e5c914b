"""Which links carry the effect: the sharing against brute force, the knock-outs against the model without the link."""

from __future__ import annotations

import functools
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapsim.attribution import LINKS, Link, account, shapley, support
from kapsim.attribution.explanation import SCALES, STEPS, Explanation, explain
from kapsim.attribution.game import MOST_PLAYERS, estimate, ratio_estimate
from kapsim.attribution.links import SHARED, knocked_out
from kapsim.attribution.subsets import solve_settings
from kapsim.attribution.supports import own_parameters
from kapsim.cli import main
from kapsim.course import build_course
from kapsim.errors import InputError, SolverError
from kapsim.evidence import load_parameters
from kapsim.mechanisms.base import REST
from kapsim.mechanisms.switches import KNOCKOUTS, VARIANTS, Switches
from kapsim.model import NO_DRUG, Model, flatten
from kapsim.outcomes import endpoints
from kapsim.patient.sampling import sample_people
from kapsim.protocol import load_protocol, parse_protocol
from kapsim.protocol.changes import followed, without_drug, without_therapy
from kapsim.simulation import simulate_people
from kapsim.solving import integrate

# --- the sharing ----------------------------------------------------------------------------------------------------

games = st.integers(1, 4).flatmap(
    lambda players: st.lists(st.floats(-50, 50, allow_nan=False), min_size=1 << players, max_size=1 << players).map(
        np.asarray
    )
)


def by_orders(worth: np.ndarray) -> np.ndarray:
    """The mean over every order in which the players may come of what each then adds."""
    players = len(worth).bit_length() - 1
    added = np.zeros(players)
    for order in itertools.permutations(range(players)):
        there = 0
        for player in order:
            added[player] += worth[there | 1 << player] - worth[there]
            there |= 1 << player
    return added / math.factorial(players)


@given(games)
def test_the_value_is_the_mean_over_all_orders(worth: np.ndarray) -> None:
    np.testing.assert_allclose(shapley(worth), by_orders(worth), atol=1e-9)


@given(games)
def test_the_shares_sum_to_the_whole(worth: np.ndarray) -> None:
    assert shapley(worth).sum() == pytest.approx(worth[-1] - worth[0], abs=1e-9)


@given(games, st.integers(0, 3))
def test_who_never_changes_anything_gets_nothing(worth: np.ndarray, seat: int) -> None:
    players = len(worth).bit_length() - 1
    seat = seat % (players + 1)
    low = (1 << seat) - 1
    joined = np.asarray([worth[(s & low) | (s >> 1 & ~low)] for s in range(2 << players)])
    value = shapley(joined)
    assert value[seat] == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(np.delete(value, seat), shapley(worth), atol=1e-9)


@given(games)
def test_who_are_alike_get_the_same(worth: np.ndarray) -> None:
    if len(worth) < 4:
        return
    swapped = np.asarray([(s & ~3) | (s & 1) << 1 | (s >> 1 & 1) for s in range(len(worth))])
    value = shapley(worth + worth[swapped])
    assert value[0] == pytest.approx(value[1], abs=1e-9)


@given(games, st.floats(-3, 3), st.integers(0, 2**31))
def test_the_value_is_linear_and_games_side_by_side_do_not_mix(worth: np.ndarray, factor: float, seed: int) -> None:
    other = np.random.default_rng(seed).normal(size=worth.shape)
    np.testing.assert_allclose(shapley(worth + factor * other), shapley(worth) + factor * shapley(other), atol=1e-8)
    both = shapley(np.stack([worth, other], axis=-1))
    np.testing.assert_allclose(both, np.stack([shapley(worth), shapley(other)], axis=-1), atol=1e-12)


def test_no_game_has_three_subsets() -> None:
    with pytest.raises(InputError, match="power of two"):
        shapley(np.zeros(3))


def test_an_interval_holds_the_spread_of_draws_and_not_that_of_people() -> None:
    rng = np.random.default_rng(5)
    draws, each = 400, 4
    draw = np.repeat(np.arange(draws), each)
    centre = rng.normal(0.0, 1.0, draws)
    values = centre[draw] + rng.normal(0.0, 3.0, draws * each)
    found = estimate(values, draw)
    assert found.low is not None
    assert found.high is not None
    # 90 % of a standard normal; taken raw, the means of four people would give 1.8 times as much
    assert (found.high - found.low) / 2 == pytest.approx(1.645, rel=0.25)
    assert found.error == pytest.approx(math.sqrt((1.0 + 9.0 / each) / draws), rel=0.2)
    lone = estimate(values[:4], draw[:4])
    assert (lone.low, lone.high, lone.error) == (None, None, None)


def test_a_ratio_whose_denominator_may_be_zero_is_not_given() -> None:
    rng = np.random.default_rng(6)
    draw = np.repeat(np.arange(50), 2)
    noise = rng.normal(size=100)
    assert ratio_estimate(noise + 5.0, noise - noise.mean(), draw) is None
    found = ratio_estimate(3.0 * (10.0 + noise), 10.0 + noise, draw)
    assert found is not None
    assert found.mean == pytest.approx(3.0)
    assert found.low == pytest.approx(3.0)
    assert found.high == pytest.approx(3.0)


# --- the links ------------------------------------------------------------------------------------------------------


def test_links_are_at_most_eight_and_their_parameters_are_the_chains() -> None:
    assert len(LINKS) <= MOST_PLAYERS
    known = Model.parameter_ids()
    for link in LINKS:
        for start in link.parameters:
            assert any(name.startswith(start) for name in known) or start == "network.block.", start
    homes = [name for link in LINKS for name in own_parameters(link)]
    assert len(homes) == len(set(homes))
    # what carries no mood: read-outs, other acute effects, and what the kinetics own
    unread = ("acute.", "pk.", "network.", "glutamate.mrs_", "plasticity.blood_bdnf_gain")
    left = [name for name in known if name not in homes and not name.startswith((*SHARED, *unread))]
    assert left == [], "parameters that no link owns or shares"


def test_every_knock_out_switch_is_on_in_every_variant_and_used() -> None:
    for switches in VARIANTS.values():
        assert all(getattr(switches, name) == 1.0 for name in KNOCKOUTS)
    used = {name for link in LINKS for name in link.out}
    assert set(KNOCKOUTS) <= used


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_knock_out_leaves_rest_where_it_is(variant: str) -> None:
    people = sample_people(None, 50, seed=3)
    before = Model.build(people.values, VARIANTS[variant])
    home = before.rest(people.traits)
    for links in [*((link,) for link in LINKS), LINKS]:
        after = Model.build(people.values, knocked_out(VARIANTS[variant], links, 0))
        for here, there in zip(flatten(after.rest(people.traits)), flatten(home), strict=True):
            np.testing.assert_array_equal(here, there)
        rates = flatten(after.rates(home, home, people.traits, NO_DRUG, REST))[:-3]
        moving = [rate for rate in rates if np.ndim(rate)]
        assert max(float(np.abs(rate).max()) for rate in moving[:-2]) < 1e-11


COURSE = """
schema_version: 1
name: short
title: short
horizon: 3 wk
masking: saline
doses:
- {drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, at: [2 d, 9 d]}
therapy:
- {kind: cbt, duration: 60 min, at: [1 d, 3 d, 10 d]}
practice: {level: 0.05}
"""
#: What a link is without: values of parameters that make it do nothing.
ABSENT: dict[str, dict[str, float]] = {
    "surge": {"plasticity.indirect_gain": 0.0},
    "resting_block": {"plasticity.direct_gain": 0.0},
    "connections": {"mood.weight.anhedonia": 0.0, "mood.weight.neurogenesis": 0.0},
    "inflammation": {f"inflammation.{name}": 0.0 for name in ("fast_tnf", "slow_down", "il6_up")},
    "therapy": {"mind.learning_rate": 0.0},
    "window": {"plasticity.window_gain": 0.0},
    "expectancy": {"mood.weight.expectancy": 0.0},
}
EVERYTHING = Switches(hnk=1.0, fast_tnf=1.0, slow_down=1.0, il6_up=1.0)


@functools.cache
def solved() -> tuple[np.ndarray, tuple[Switches, ...]]:
    """MADRS of six people over the course with everything, then without each link, (outputs, patient, setting)."""
    people = sample_people(None, 6, seed=1)
    course = build_course(parse_protocol(COURSE), people, STEPS)
    settings = (EVERYTHING, *(link.without(EVERYTHING) for link in LINKS), knocked_out(EVERYTHING, LINKS, 0))
    return solve_settings(course, people, settings).madrs, settings


def alone(switches: Switches, values: dict[str, float] | None = None) -> np.ndarray:
    """MADRS of the same people by the solver of a run, with some parameters changed, (outputs, patient)."""
    people = sample_people(None, 6, seed=1)
    for identifier, value in (values or {}).items():
        people.values[identifier] = np.full(people.size, value)
    course = build_course(parse_protocol(COURSE), people, STEPS)
    states, amounts = integrate(course, people, switches)
    from kapsim.course import drugs_seen, metabolite_volumes
    from kapsim.mechanisms.base import Setting
    from kapsim.model import unflatten

    model = Model.build(people.values, switches)
    volumes = metabolite_volumes(course.kinetics, people)
    drugs = drugs_seen(course.seen)(np.moveaxis(amounts, 0, 2), {"volumes": volumes})
    rows = [course.settings[min(int(node), len(course.settings) - 1)] for node in course.outputs]
    setting = Setting(*(np.asarray(column)[:, None] for column in zip(*rows, strict=True)))
    rest = model.rest(people.traits)
    return np.asarray(model.flow(unflatten(np.moveaxis(states, 0, 1)), rest, people.traits, drugs, setting).madrs)


def test_many_settings_at_once_are_what_each_is_alone() -> None:
    madrs, settings = solved()
    for number in (0, 3, len(settings) - 1):
        np.testing.assert_allclose(madrs[..., number], alone(settings[number]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ABSENT)
def test_a_link_knocked_out_is_a_model_without_it(name: str) -> None:
    madrs, _ = solved()
    number = 1 + [link.name for link in LINKS].index(name)
    without = madrs[..., number]
    np.testing.assert_allclose(without, alone(EVERYTHING, ABSENT[name]), rtol=1e-9, atol=1e-8)
    assert np.abs(without - madrs[..., 0]).max() > 1e-3


def test_the_default_mode_network_knocked_out_reaches_the_mind_as_at_rest() -> None:
    people = sample_people(None, 20, seed=2)
    state = Model.build(people.values, Switches()).rest(people.traits).mind
    dmn_rest, rng = np.full(20, 1.1), np.random.default_rng(0)

    def rates(dmn: np.ndarray, switches: Switches) -> np.ndarray:
        model = Model.build(people.values, switches)
        return np.stack(
            flatten_mind(
                model.mind.rates(
                    state,
                    state,
                    window=np.full(20, 0.4),
                    dmn=dmn,
                    dmn_rest=dmn_rest,
                    felt_drug=np.zeros(20),
                    relief=np.full(20, 0.3),
                    alliance=people.traits.alliance,
                    expectation=people.traits.expectation,
                    remitting=people.traits.remitting,
                    setting=REST._replace(therapy=1.0),
                    switches=switches,
                )
            )
        )

    def flatten_mind(found: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        return [np.broadcast_to(value, (20,)) for value in found]

    moved = dmn_rest * rng.uniform(0.6, 1.0, 20)
    out = Switches(quieting=0.0)
    np.testing.assert_allclose(rates(moved, out), rates(dmn_rest, Switches()), rtol=1e-12, atol=1e-15)
    assert np.abs(rates(moved, Switches()) - rates(dmn_rest, Switches())).max() > 1e-6
    # under a variant without the path there is nothing left to knock out
    off = Switches(dmn=0.0)
    np.testing.assert_array_equal(rates(moved, off), rates(moved, off._replace(quieting=0.0)))


def test_without_any_link_nothing_moves() -> None:
    madrs, _ = solved()
    np.testing.assert_allclose(madrs[..., -1], madrs[:1, :, -1] + 0 * madrs[..., -1], atol=1e-8)


def test_silent_links_do_nothing() -> None:
    people = sample_people(None, 2, seed=4)
    course = build_course(parse_protocol(COURSE), people, STEPS)
    settings, pairs = [], []
    for variant in ("standard", "indirect", "direct", "expectancy_only"):
        settings.append(VARIANTS[variant])
        own = len(settings) - 1
        for link in LINKS:
            if link.silent(VARIANTS[variant]):
                pairs.append((own, len(settings), f"{variant}: {link.name}"))
                settings.append(link.without(VARIANTS[variant]))
    assert len(pairs) >= 4 + len(LINKS) - 1
    madrs = solve_settings(course, people, settings).madrs
    for own, without, name in pairs:
        np.testing.assert_allclose(madrs[..., without], madrs[..., own], atol=1e-10, err_msg=name)


# --- protocols changed in one thing ----------------------------------------------------------------------------------


def test_without_drug_the_visits_stay_and_without_therapy_the_doses() -> None:
    plan = parse_protocol(COURSE)
    placebo, drug = without_drug(plan), without_therapy(plan)
    assert [(d.start_h, d.duration_h, d.drug, d.amount) for d in placebo.dose_events()] == [
        (d.start_h, d.duration_h, "saline", 0.0) for d in plan.dose_events()
    ]
    assert placebo.session_events() == plan.session_events()
    assert placebo.practice == plan.practice
    assert drug.dose_events() == plan.dose_events()
    assert drug.session_events() == ()
    assert drug.practice is None
    for changed in (placebo, drug):
        assert changed.rating_times() == plan.rating_times()
        assert (changed.masking, changed.horizon_h) == (plan.masking, plan.horizon_h)


@pytest.mark.parametrize("name", ["kap_sublingual", "esketamine_induction", "midazolam_infusion"])
def test_controls_go_by_route_and_other_drugs_stay(name: str) -> None:
    plan = load_protocol(name)
    given = {dose.drug for dose in without_drug(plan).dose_events()}
    assert given == {"kap_sublingual": {"placebo"}, "esketamine_induction": {"placebo_nasal"}}.get(name, {"midazolam"})


def test_followed_for_longer_nothing_more_is_done() -> None:
    plan = parse_protocol(COURSE + "co_medication: [{drug: naltrexone}, {drug: clarithromycin}]\n")
    longer = followed(plan, 1000.0)
    assert longer.horizon_h == 1000.0
    assert longer.practice == plan.practice
    assert longer.rating_times() == plan.rating_times()
    assert [(item.drug, item.end_h) for item in longer.co_medications()] == [
        ("naltrexone", plan.horizon_h),
        ("clarithromycin", 1000.0),
    ]
    assert followed(plan, 10.0) is plan


# --- the whole -------------------------------------------------------------------------------------------------------

PEOPLE = 8


@functools.cache
def explained() -> Explanation:
    return explain(parse_protocol(COURSE), draws=PEOPLE, seed=7)


def test_shares_sum_to_the_whole_at_every_moment() -> None:
    found = explained()
    assert [moment.name for moment in found.moments] == ["24h", "end", "week4", "month6"]
    for effect in found.effects:
        total = sum(share.mean for share in effect.shares.values())
        assert total == pytest.approx(effect.whole.mean, abs=1e-9)
        assert effect.nothing == pytest.approx(0.0, abs=1e-6)
        assert set(effect.shares) == {link.name for link in LINKS}
        assert len(effect.worth) == found.subsets == 128
    assert found.silent == {"inflammation": "switched off in this variant"}
    assert {effect.shares["inflammation"] for effect in found.effects} == {(0.0, 0.0, 0.0, 0.0)}


def test_the_whole_is_what_a_run_says() -> None:
    plan, found = parse_protocol(COURSE), explained()
    people = sample_people(None, PEOPLE, 7, per_draw=4)
    run = endpoints(simulate_people(plan, people, seed=7))
    for moment, name in (("24h", "madrs_change_24h"), ("end", "madrs_change_end")):
        effect = found.effect("madrs", moment)
        assert effect.whole.mean + effect.nothing == pytest.approx(float(run[name].values.mean()), abs=0.01)


@pytest.mark.parametrize(
    "name",
    [
        "surge",
        "resting_block",
        "connections",
        "window",
    ],
)
def test_all_is_lost_with_either_of_two_links_in_series(name: str) -> None:
    # at the end: on the first day the window has had hardly any experience to work on
    assert explained().effect("madrs", "end").lost[name].mean < -0.05


def test_links_in_series_do_nothing_alone() -> None:
    effect = explained().effect("madrs", "24h")
    for name in ("surge", "resting_block", "connections", "window"):
        assert effect.alone[name].mean == pytest.approx(0.0, abs=1e-6), name
        assert effect.lost[name].mean < 0.0, name
    assert effect.alone["expectancy"].mean < -1.0
    assert effect.worth["surge+connections"] < -0.5


def test_the_four_cells_are_the_four_protocols() -> None:
    plan, found = parse_protocol(COURSE), explained()
    people = sample_people(None, PEOPLE, 7, per_draw=4)
    arms = {
        "neither": without_drug(without_therapy(plan)),
        "drug": without_therapy(plan),
        "therapy": without_drug(plan),
        "both": plan,
    }
    change = {
        name: endpoints(simulate_people(arm, people, seed=7))["madrs_change_end"].values for name, arm in arms.items()
    }
    (cell,) = (item for item in found.synergies if (item.scale, item.moment) == ("madrs", "end"))
    for name, values in change.items():
        assert cell.cells[name].mean == pytest.approx(float(values.mean()), abs=0.01), name
    beyond = change["both"] - change["drug"] - change["therapy"] + change["neither"]
    assert cell.points.mean == pytest.approx(float(beyond.mean()), abs=0.03)
    assert cell.ratio is not None
    assert cell.ratio.mean == pytest.approx(cell.both.mean / (cell.drug.mean + cell.therapy.mean))


def test_the_same_seed_gives_the_same_explanation() -> None:
    assert explain(parse_protocol(COURSE), draws=PEOPLE, seed=7) == explained()


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.name)
def test_support_counts_what_the_registry_says(link: Link) -> None:
    registry = load_parameters()
    found = support(link)
    own = own_parameters(link)
    assert sum(found.statuses.values()) == len(own) > 0
    assert found.statuses["assumed"] == sum(registry[name].status == "assumed" for name in own)
    assert list(found.verdicts) == list(link.clauses)
    assert all(f"{clause}: {verdict}" in found.sentence for clause, verdict in found.verdicts.items())


def test_support_says_what_a_calibration_left() -> None:
    registry = load_parameters(chain=False)
    (window,) = (link for link in LINKS if link.name == "window")
    assert support(window, registry).kept is None
    moved = next(item for item in registry.values() if item.status == "calibrated" and item.prior is not None)
    assert moved.prior is not None
    assert moved.uncertainty is not None
    name = own_parameters(window)[0]
    prior = moved.prior.model_copy(update={"uncertainty": moved.uncertainty.model_copy(update={"sd": 0.4})})
    law = moved.uncertainty.model_copy(update={"sd": 0.1})
    changed = registry[name].model_copy(update={"status": "calibrated", "prior": prior, "uncertainty": law})
    found = support(window, {**registry, name: changed})
    assert found.kept == pytest.approx(0.25)
    assert "25 %" in found.sentence
    assert found.statuses["calibrated"] == 1


def test_account_is_complete_and_fit_for_json() -> None:
    found = explained()
    text = json.dumps(account(found), allow_nan=False)
    back = json.loads(text)
    assert set(back["links"]) == {link.name for link in LINKS}
    assert len(back["effects"]) == len(SCALES) * len(found.moments)
    for effect in back["effects"]:
        total = sum(share["mean"] for share in effect["shapley"].values())
        assert total == pytest.approx(effect["whole"]["mean"], abs=1e-9)
        # the shares can be had again from what is printed
        order = [name for name in back["links"] if name not in found.silent]
        worth = [
            effect["change_by_subset"]["+".join(name for k, name in enumerate(order) if subset >> k & 1)]
            for subset in range(1 << len(order))
        ]
        again = dict(zip(order, shapley(np.asarray(worth)), strict=True))
        for name, value in again.items():
            assert effect["shapley"][name]["mean"] == pytest.approx(value, abs=1e-9)
    assert back["applicability"]["sides"]


def test_page_holds_figures_tables_limits_and_safety() -> None:
    from kapsim.report.explanation_page import explanation_html, waterfall_spec
    from kapsim.statements import LIMITS_OF_USE, SAFE_MESSAGING

    found = explained()
    page = explanation_html(found, command="kapsim explain short")
    for statement in (*LIMITS_OF_USE, *SAFE_MESSAGING):
        assert statement.text[:40] in page.replace("&#39;", "'")
    assert page.count('data-figure="') == len(found.moments)
    for link in LINKS:
        assert link.title in page
    assert "kapsim explain short" in page
    for item in found.supports:
        assert item.sentence in page.replace("&#39;", "'")
    effect = found.effect("madrs", "24h")
    (trace,) = waterfall_spec(effect)["data"]
    assert sum(trace["x"][:-1]) == pytest.approx(trace["x"][-1], abs=1e-4)
    import plotly.graph_objects as go

    go.Figure(waterfall_spec(effect))  # plotly knows every key


def test_where_rates_are_too_fast_the_grid_is_made_finer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def once_broken(course: Any, *rest: Any, **more: Any) -> Any:
        seen.append(len(course.grid.ticks))
        if len(seen) == 1:
            raise SolverError(0, 1.0, "a rate")
        return solve_settings(course, *rest, **more)

    plain = explained()
    monkeypatch.setattr("kapsim.attribution.explanation.solve_settings", once_broken)
    again = explain(parse_protocol(COURSE), draws=PEOPLE, seed=7)
    assert seen[1] > 2 * seen[0]
    for moment in ("24h", "end"):
        whole, finer = (found.effect("madrs", moment).whole.mean for found in (plain, again))
        assert finer == pytest.approx(whole, abs=0.02)

    def broken(*_: Any, **__: Any) -> Any:
        raise SolverError(0, 1.0, "a rate")

    monkeypatch.setattr("kapsim.attribution.explanation.solve_settings", broken)
    with pytest.raises(SolverError, match="patient 0"):
        explain(parse_protocol(COURSE), draws=PEOPLE)


def test_command_writes_tables_json_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "short.yaml"
    plan.write_text(COURSE.replace("practice: {level: 0.05}", "").replace("masking: saline", "masking: open"))
    page = tmp_path / "page.html"
    assert main(["explain", str(plan), "--draws", "8", "--variant", "expectancy_only", "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "expectancy and care" in shown
    assert "Silent: glutamate surge, switched off in this variant." in " ".join(shown.split())
    assert "evidence, " in shown
    assert "Research and education only" in shown
    assert "<!doctype html>" in page.read_text(encoding="utf-8")
    assert main(["explain", str(plan), "--draws", "8", "--variant", "expectancy_only", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["provenance"]["subsets"] == 2
    assert found["provenance"]["command"] == "kapsim explain short.yaml --variant expectancy_only --draws 8 --seed 0"
    share = found["effects"][0]["shapley"]["expectancy"]["mean"]
    assert share == pytest.approx(found["effects"][0]["whole"]["mean"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["no_such_protocol"],
        ["single_infusion", "--variant", "indirct"],
        ["single_infusion", "--kinetics", "nobody1999"],
        ["single_infusion", "--draws", "0"],
        ["single_infusion", "--seed", "-1"],
        ["single_infusion", "--patient", "absent.yaml"],
        ["single_infusion", "--html", "no/such/folder/page.html"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_used_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *arguments]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert len(found.err.strip().splitlines()) == 1
    assert found.err.startswith("kapsim: error: ")
