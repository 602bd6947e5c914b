"""Event tables simulated: as the protocol they come from, as their rows say, and as the papers behind the kinetics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import kapsim
from commands import EVENT_TABLE
from kapsim.concentrations import concentration_course
from kapsim.evidence import load_evidence, load_observed, load_parameters
from kapsim.exchange import (
    OBSERVABLES,
    EventTable,
    Observation,
    Predictions,
    measured_events,
    parse_events,
    protocol_events,
    simulate_events,
    write_events,
)
from kapsim.exchange.simulating import draw_subjects, residual_sd
from kapsim.patient import parse_patient
from kapsim.patient.sampling import Keyed, sample_people
from kapsim.protocol import load_protocol, named_protocols
from test_kinetic_figures import kamp_rates

Array = NDArray[np.float64]
OBSERVED = {record.id: record for record in load_observed()}


def typical(rows: str, kinetics: str = "default") -> Array:
    """PRED of a table without covariates: the typical person."""
    return simulate_events(parse_events(f"ID,TIME,AMT,RATE,CMT,DRUG,II,ADDL\n{rows}"), kinetics, spread=False).pred


def asked(times: Iterable[float], cmt: str = ".") -> list[tuple[float, str]]:
    return [(float(time), f"1,{float(time)!r},.,.,{cmt},.,.,.\n") for time in times]


def rows(*parts: Iterable[tuple[float, str]]) -> str:
    """Rows in order of time; of those at one time the first given comes first."""
    return "".join(text for _, text in sorted((row for part in parts for row in part), key=lambda row: row[0]))


# --- there and back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["single_infusion", "kap_six_sessions", "esketamine_induction", "kap_sublingual"])
def test_a_protocol_through_a_table_is_the_protocol(name: str) -> None:
    """Drawn people, who absorb differently each time, at every default time and of every observable."""
    protocol = load_protocol(name)
    table = protocol_events(protocol, subjects=5, seed=4, observed=tuple(OBSERVABLES))
    found = simulate_events(parse_events(write_events(table)), seed=4)
    times = sorted({row.time_h for row in table.subjects[0].observations})
    people = draw_subjects(table.subjects, Keyed(4, True))
    direct = concentration_course(protocol, people, at=times)
    nodes = [int(np.argmin(np.abs(direct.hours - time))) for time in times]
    expected = np.stack([getattr(direct, item)[nodes] for item in OBSERVABLES], axis=1)  # time, observable, person
    got = found.ipred.reshape(5, len(times), len(OBSERVABLES))
    np.testing.assert_allclose(
        got, np.moveaxis(expected, 2, 0), rtol=1e-12, atol=1e-12 * expected.max(), err_msg="through a table"
    )
    assert expected.max() > 10.0


def test_every_named_protocol_becomes_a_table_or_says_why_not() -> None:
    refused = []
    for name in named_protocols():
        try:
            table = protocol_events(load_protocol(name), subjects=2)
        except kapsim.InputError as error:
            refused.append(str(error))
        else:
            assert parse_events(write_events(table)) == table
    assert all("midazolam" in line for line in refused)


def test_a_patient_file_sets_the_covariates_of_a_table() -> None:
    patient = parse_patient("schema_version: 1\nweight: 61 kg\nage: 33 a\nsex: male\n")
    table = protocol_events(load_protocol("single_infusion"), patient, subjects=3, at=[1.0])
    assert {(one.weight_kg, one.age_years, one.female) for one in table.subjects} == {(61.0, 33.0, 0.0)}
    assert table.subjects[0].doses[0].milligrams == 30.5


def test_a_table_draws_its_people_as_a_run_does_but_for_what_is_not_known() -> None:
    table = protocol_events(load_protocol("single_infusion"), subjects=20, seed=6, at=[1.0])
    values = draw_subjects(table.subjects, Keyed(6, True)).values
    expected = Keyed(6, True).normal("between:pk.cl.s", 20)
    drawn = np.log(values["pk.cl.s"])
    np.testing.assert_allclose(np.corrcoef(drawn, expected)[0, 1], 1.0, atol=1e-9)
    np.testing.assert_array_equal(
        Keyed(6, True).at("x", np.array([300, 2, 2])), Keyed(6, True).normal("x", 301)[[300, 2, 2]]
    )
    assert not Keyed(6, False).at("x", np.arange(3)).any()


def test_what_a_table_cannot_say_is_refused() -> None:
    import reference

    dose = "{drug: ketamine, route: iv, amount: %s, duration: 40 min, at: 0 h}"
    target = reference.protocol("doses: [" + dose % "100 ng/mL" + "]\n", horizon="1 d")
    with pytest.raises(kapsim.InputError, match="aims at 100 ng/mL; an event table holds doses"):
        protocol_events(target)
    inhibited = reference.protocol(
        "doses: [" + dose % "20 mg" + "]\nco_medication: [{drug: ticlopidine}]\n", horizon="1 d"
    )
    with pytest.raises(kapsim.InputError, match="ticlopidine changes how ketamine is cleared"):
        protocol_events(inhibited)
    plan = load_protocol("single_infusion")
    for keys, words in (
        ({"subjects": 0}, "subjects: 0 is not between"),
        ({"seed": -1}, "seed: -1 is not between"),
        ({"at": [1e6]}, "at: 1e"),
        ({"at": [float("nan")]}, "at: nan"),
        ({"observed": ["plasma_ketamin_venous"]}, "nearest valid name 'plasma_ketamine_venous'"),
    ):
        with pytest.raises(kapsim.InputError, match=words):
            protocol_events(plan, **keys)  # type: ignore[arg-type]


def test_people_of_a_run_and_of_a_table_share_their_deviates() -> None:
    """What is drawn for ID 3 is what is drawn for the third person of any sample of the seed."""
    table = protocol_events(load_protocol("single_infusion"), subjects=3, seed=8, at=[1.0])
    sample = sample_people(None, 3, 8)
    np.testing.assert_array_equal([one.female for one in table.subjects], sample.body.female)


# --- who else stands in the table ----------------------------------------------------------------------------------


def a_cohort() -> EventTable:
    """Two schedules, three people each, mingled; covariates known of some."""
    one = protocol_events(load_protocol("single_infusion"), subjects=6, seed=2, at=[0.5, 1.0, 4.0]).subjects
    other = protocol_events(load_protocol("esketamine_induction"), subjects=6, seed=2, at=[169.0, 180.0]).subjects
    mingled = [(one if place % 2 else other)[place] for place in range(6)]
    mingled[2] = replace(mingled[2], weight_kg=None, female=None)
    return EventTable(tuple(mingled))


def by_person(found: Predictions) -> dict[tuple[int, int], Array]:
    values = np.stack([found.pred, found.ipred, found.dv])
    keys = list(zip(found.subjects.tolist(), found.replicates.tolist(), strict=True))
    return {key: values[:, [row for row, own in enumerate(keys) if own == key]] for key in dict.fromkeys(keys)}


@pytest.mark.parametrize("kinetics", ["default", "perezruixo2021"])
def test_neither_order_nor_company_nor_batch_changes_a_person(kinetics: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = a_cohort()
    if kinetics != "default":
        cohort = EventTable(cohort.subjects[0::2])
    whole = by_person(simulate_events(cohort, kinetics, draws=2, seed=9))
    backwards = by_person(simulate_events(EventTable(cohort.subjects[::-1]), kinetics, draws=2, seed=9))
    alone = {}
    for person in cohort.subjects:
        alone.update(by_person(simulate_events(EventTable((person,)), kinetics, draws=2, seed=9)))
    monkeypatch.setattr("kapsim.exchange.simulating._AT_A_TIME", 1)
    singly = by_person(simulate_events(cohort, kinetics, draws=2, seed=9))
    assert set(whole) == set(backwards) == set(alone) == set(singly)
    for key, expected in whole.items():
        for other in (backwards, alone, singly):
            np.testing.assert_allclose(other[key], expected, rtol=1e-9, err_msg=str(key))
    first = [whole[key][1] for key in whole if key[1] == 1]
    again = [whole[key][1] for key in whole if key[1] == 2]
    assert all((a != b).all() for a, b in zip(first, again, strict=True))


def test_further_rows_change_no_measurement() -> None:
    table = parse_events(EVENT_TABLE)
    first = table.subjects[0]
    more = replace(first, records=(*first.records[:2], Observation(1.0), *first.records[2:]))
    few, many = (simulate_events(EventTable((one,)), seed=1).dv for one in (first, more))
    np.testing.assert_allclose(many[[0, 2]], few, rtol=1e-12)


def test_measurements_spread_as_published() -> None:
    people = "".join(f"{number},0,20,.\n{number},1,.,.\n" for number in range(1, 2001))
    found = simulate_events(parse_events(f"ID,TIME,AMT,DV\n{people}"), seed=5)
    ratio = found.dv / found.ipred - 1.0
    sd = residual_sd(found.observations)[0]
    assert sd == load_parameters()["pk.residual.ketamine_venous"].value
    assert ratio.std() == pytest.approx(sd, rel=0.06)
    assert abs(ratio.mean()) < 4 * sd / np.sqrt(2000)
    assert np.std(np.log(found.ipred / found.pred)) > 0.1
    np.testing.assert_array_equal(simulate_events(found.table, seed=5, spread=False).dv, found.pred)


def test_a_data_set_for_fitting_holds_the_simulated_measurements() -> None:
    found = simulate_events(parse_events(EVENT_TABLE), draws=2, seed=1)
    data = parse_events(write_events(measured_events(found, 2)), observed=True)
    got = [np.nan if row.value is None else row.value for person in data.subjects for row in person.observations]
    np.testing.assert_array_equal(got, found.dv[found.replicates == 2])
    with pytest.raises(kapsim.InputError, match="replicate: 3 is not between 1 and 2"):
        measured_events(found, 3)


# --- traps of other tools ------------------------------------------------------------------------------------------


def test_additional_doses_are_the_doses_written_out() -> None:
    looks = asked([0.5, 11.9, 12.5, 24.0, 30.0, 36.5])
    for first, row in (
        ("1,0,30,60,1,.,{ii},{addl}\n", "1,{t},30,60,1,.,0,0\n"),
        ("1,0,30,.,oral,.,{ii},{addl}\n", "1,{t},30,.,oral,.,0,0\n"),
        ("1,0,30,1.5,1,.,{ii},{addl}\n", "1,{t},30,1.5,1,.,0,0\n"),  # each runs 20 h, into the next
    ):
        repeated = typical(rows(looks, [(0.0, first.format(ii=12, addl=3))]))
        explicit = typical(rows(looks, [(12.0 * k, row.format(t=12 * k)) for k in range(4)]))
        np.testing.assert_allclose(repeated, explicit, rtol=1e-12)
        assert repeated[-1] > 1.05 * typical(rows(looks, [(0.0, first.format(ii=0, addl=0))]))[-1]


def test_an_observation_at_an_additional_dose_is_the_trough() -> None:
    once = typical(rows(asked([24.0]), [(0.0, "1,0,30,.,1,.,0,0\n")]))
    repeated = typical(rows(asked([24.0]), [(0.0, "1,0,30,.,1,.,24,1\n")]))
    written = typical(rows(asked([24.0]), [(0.0, "1,0,30,.,1,.,0,0\n"), (24.0, "1,24,30,.,1,.,0,0\n")]))
    np.testing.assert_allclose(repeated, once, rtol=1e-12)
    np.testing.assert_allclose(written, once, rtol=1e-12)


def test_an_infusion_lasts_amount_over_rate_whatever_is_absorbed() -> None:
    times = np.round(np.arange(0.0, 3.0, 0.05), 10)
    for rate in (15.0, 30.0, 60.0):
        found = typical(rows(asked(times, "plasma_ketamine_arterial"), [(0.0, f"1,0,30,{rate},1,.,0,0\n")]))
        assert times[found.argmax()] == pytest.approx(30.0 / rate)


def test_less_bioavailability_lowers_a_release_and_does_not_shorten_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere a lower F shortens a zero-order input of given rate; here the amount is scaled and its time stays."""
    evidence = load_evidence()
    table = rows(asked([0.1, 0.25, 0.4, 0.5, 0.75, 1.0, 2.0, 6.0]), [(0.0, "1,0,84,.,oral,esketamine,0,0\n")])
    whole = typical(table, "perezruixo2021")
    gut = evidence["pk.perezruixo2021.fgut"]
    assert gut.value is not None
    half = {gut.id: gut.model_copy(update={"value": 0.5 * gut.value})}
    monkeypatch.setattr("kapsim.kinetic_sets._records", lambda: {**evidence, **half})
    np.testing.assert_allclose(typical(table, "perezruixo2021"), 0.5 * whole, rtol=1e-9)


def test_a_lag_holds_for_every_additional_dose() -> None:
    """The second device of 56 mg follows five minutes after the first, at every repetition."""
    looks = asked([0.05, 0.1, 0.3, 24.05, 24.1, 24.3])
    repeated = typical(rows(looks, [(0.0, "1,0,56,.,4,2,24,1\n")]), "perezruixo2021")
    devices = [(t, f"1,{t!r},28,.,4,2,0,0\n") for t in (0.0, 1 / 12, 24.0, 24.0 + 1 / 12)]
    np.testing.assert_allclose(repeated, typical(rows(looks, devices), "perezruixo2021"), rtol=1e-9)
    assert repeated[1] / repeated[0] > 2.0


def test_a_covariate_acts_at_every_dose_and_may_be_given_once() -> None:
    text = "ID,TIME,AMT,WT\n1,0,20,{}\n1,1,.,{}\n1,24,20,{}\n1,25,.,{}\n"
    full, once = (simulate_events(parse_events(text.format(*cells)), spread=False).pred for cells in (
        ("120",) * 4, (".", "120", ".", "."),
    ))  # fmt: skip
    np.testing.assert_array_equal(full, once)
    assert (full < simulate_events(parse_events(text.format(*("60",) * 4)), spread=False).pred).all()


DOSES = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.floats(1.0, 200.0),
        st.sampled_from(["iv", "im", "oral", "sublingual"]),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=25)
@given(DOSES)
def test_doses_add_up(doses: list[tuple[int, float, str, int]]) -> None:
    """Kinetics are linear: a table is the sum of its doses, overlapping infusions too."""
    looks = asked(np.arange(0.3, 60.0, 3.7))

    def row(start: int, amount: float, route: str, hours: int) -> tuple[float, str]:
        rate = repr(amount / hours) if hours and route == "iv" else "0"
        return float(start), f"1,{start},{amount!r},{rate},{route},.,0,0\n"

    together = typical(rows(looks, [row(*dose) for dose in doses]))
    apart = sum(typical(rows(looks, [row(*dose)])) for dose in doses)
    np.testing.assert_allclose(together, apart, rtol=1e-9, atol=1e-9 * together.max())


# --- published models against their papers -------------------------------------------------------------------------


def observed(record: str) -> float:
    (point,) = OBSERVED[record].points
    assert point.value is not None
    return float(point.value)


def exposure(doses: str, observable: str, kinetics: str, *, until: float, weight: float = 70.0) -> tuple[float, float]:
    """Peak (ng/mL) and area to `until` (ng.h/mL) of a person of 40 years, through a table."""
    times = np.unique(np.round(np.concatenate([np.arange(0, 8, 1 / 60), np.arange(8, until, 0.1), [until]]), 9))
    times = times[times <= until]
    head = "ID,TIME,AMT,RATE,CMT,DRUG,II,ADDL,WT,AGE\n"
    looks = [(float(t), f"1,{float(t)!r},.,.,{observable},.,.,.,{weight},40\n") for t in times]
    given = [(float(line.split(",")[0]), f"1,{line},{weight},40\n") for line in doses.split()]
    found = simulate_events(parse_events(head + rows(looks, given)), kinetics, spread=False).pred
    return float(found.max()), float(np.trapezoid(found, times))


@pytest.mark.parametrize("devices", [1, 2, 3])
def test_perez_ruixo_through_a_table_gives_the_exposures_of_the_paper(devices: int) -> None:
    """Devices of 28 mg five minutes apart, as additional doses."""
    peak, area = exposure(
        f"0,28,.,intranasal,esketamine,{5 / 60!r},{devices - 1}",
        "plasma_s_ketamine_venous",
        "perezruixo2021",
        until=24.0,
    )
    record = f"perezruixo2021.cauc.{28 * devices}mg"
    assert peak == pytest.approx(observed(f"{record}.k_cmax"), rel=0.05)
    assert area == pytest.approx(observed(f"{record}.k_auc24"), rel=0.05)


def test_kamp_through_a_table_is_the_closed_form_of_its_six_values() -> None:
    """Three infusions by RATE, ADDL and II against sums of exponentials, which know no grid and no table."""
    exponents, coefficients = kamp_rates()
    span, times = 35.0 / 52.5, np.arange(1, 720) / 15.0
    expected = np.zeros(len(times))
    for start in (0.0, 12.0, 24.0):
        t = np.maximum(times - start, 0.0)[:, None]
        rising = (1.0 - np.exp(-exponents * np.minimum(t, span))) * np.exp(-exponents * np.maximum(t - span, 0.0))
        expected += 1000.0 * 52.5 * (coefficients / exponents * rising).sum(axis=1)
    looks = asked(times, "plasma_ketamine_arterial")
    got = typical(rows(looks, [(0.0, "1,0,35,52.5,central,ketamine,12,2\n")]), "kamp2020")
    assert np.abs(got - expected).max() <= 1e-9 * expected.max()


@pytest.mark.parametrize("film", [50, 100])
def test_simons_through_a_table_gives_the_peak_after_the_vein(film: int) -> None:
    peak, _ = exposure(
        f"0,{film},.,sublingual,esketamine,.,.\n6,20,60,central,esketamine,.,.",
        "plasma_s_ketamine_arterial",
        "simons2022",
        until=8.0,
        weight=73.0,
    )
    assert peak == pytest.approx(observed(f"simons2022.iv20_after{film}.k_peak"), rel=0.05)


@pytest.mark.parametrize(
    ("analyte", "observable"),
    [
        ("k", "plasma_s_ketamine_arterial"),
        ("nk", "plasma_norketamine_arterial"),
        ("hnk", "hydroxynorketamine"),
    ],
)
def test_simons_through_a_table_gives_its_table_over_both_films(analyte: str, observable: str) -> None:
    """The model is linear and the data were not: single films are up to 15 % off (`test_kinetic_figures`)."""
    ratios = []
    for film in (50, 100):
        found = exposure(f"0,{film},.,sublingual,2,.,.", observable, "simons2022", until=6.0, weight=73.0)
        paper = [observed(f"simons2022.otf{film}.{analyte}_{measure}") for measure in ("cmax", "auc6")]
        ratios.append([got / expected for got, expected in zip(found, paper, strict=True)])
    means = 2.0 / (1.0 / np.array(ratios)).sum(axis=0)
    # the typical person peaks lower than people do on average, most for the flattest curve
    assert means[0] == pytest.approx(1.0, abs=0.065 if analyte == "hnk" else 0.05)
    assert means[1] == pytest.approx(1.0, abs=0.05)


def test_a_dose_that_the_kinetics_do_not_know_is_named_by_line() -> None:
    with pytest.raises(kapsim.InputError, match=r"^<table>:2: DRUG: kinetics 'simons2022' knows no ketamine; it knows"):
        simulate_events(parse_events(EVENT_TABLE), "simons2022")
    with pytest.raises(kapsim.InputError, match=r"^<table>:5: CMT: kinetics 'kamp2020' knows no im dose; it knows iv"):
        simulate_events(parse_events(EVENT_TABLE), "kamp2020")


def test_an_analyte_that_the_kinetics_lack_is_named_by_line_and_not_zero() -> None:
    text = "ID,TIME,AMT,CMT,DRUG\n1,0,20,.,2\n1,1,.,.,.\n1,2,.,{},.\n"
    for kinetics, observable, lacking in (
        ("perezruixo2021", "hydroxynorketamine", "hydroxynorketamine"),
        ("kamp2020", "plasma_norketamine_venous", "norketamine"),
        ("simons2022", "plasma_r_ketamine_arterial", "R-ketamine"),
    ):
        with pytest.raises(
            kapsim.InputError, match=rf"^<table>:4: CMT: kinetics '{kinetics}' has no {lacking}, so not"
        ):
            simulate_events(parse_events(text.format(observable)), kinetics)
    table = protocol_events(load_protocol("esketamine_induction"), at=[1.0], observed=["hydroxynorketamine"])
    with pytest.raises(kapsim.InputError, match=r"^esketamine_induction: CMT: kinetics 'perezruixo2021' has no"):
        simulate_events(table, "perezruixo2021")
    for name in OBSERVABLES:
        assert simulate_events(parse_events(text.replace(",2\n", ",1\n").format(name)), spread=False).pred[1] > 0.0


def test_a_person_who_breaks_down_is_named_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise kapsim.SolverError(0, 1.0, "plasma_ketamine_venous")

    monkeypatch.setattr("kapsim.exchange.simulating.concentration_course", broken)
    with pytest.raises(kapsim.SolverError, match="patient 1 "):
        simulate_events(parse_events(EVENT_TABLE))
