"""Each published set against its own paper: what agrees within 5 %, and what does not and why.

Nothing is tuned. Where a paper's figure cannot be met with the paper's own parameters, the gap itself is asserted, so
that it cannot grow or vanish unseen.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import reference
from kapsim.concentrations import Concentrations, concentration_course
from kapsim.evidence import load_evidence, load_observed
from kapsim.patient import parse_patient
from kapsim.patient.sampling import sample_people
from kapsim.units import convert

Array = NDArray[np.float64]
CLOSE = 0.05
OBSERVED = {record.id: record for record in load_observed()}


def figure(record: str, unit: str) -> float:
    found = load_evidence()[record]
    assert found.value is not None
    return convert(found.value, found.unit, unit)


def observed(record: str) -> float:
    """The one value of an observed record."""
    (point,) = OBSERVED[record].points
    assert point.value is not None
    return float(point.value)


def course(kinetics: str, doses: str, *, weight: float = 70.0, horizon: str = "2 d") -> Concentrations:
    """The typical person of 40 years."""
    patient = parse_patient(f"schema_version: 1\nweight: {weight} kg\nage: 40 a\n")
    plan = reference.protocol(f"doses:\n{doses}", horizon=horizon)
    return concentration_course(plan, sample_people(patient, 1, 0, spread=False), kinetics)


def dose(route: str, milligrams: float, minutes: float = 0.0, at: float = 0.0) -> str:
    duration = f", duration: {minutes} min" if minutes else ""
    return f"- {{drug: esketamine, route: {route}, amount: {milligrams} mg{duration}, at: [{at} h]}}\n"


def auc(found: Concentrations, variable: str, until: float | None = None) -> float:
    """Area in ng.h/mL to `until`, else with the tail of the terminal phase."""
    values = getattr(found, variable)[:, 0]
    inside = found.hours <= (until if until is not None else found.hours[-1]) + 1e-9
    area = float(np.trapezoid(values[inside], found.hours[inside]))
    return area if until is not None else area + float(values[-1]) * half_life(found, variable) / np.log(2.0)


def half_life(found: Concentrations, variable: str) -> float:
    """Half-life of the last quarter of a course, h."""
    last = found.hours > 0.75 * found.hours[-1]
    return float(-np.log(2.0) / np.polyfit(found.hours[last], np.log(getattr(found, variable)[last, 0]), 1)[0])


def peak(found: Concentrations, variable: str, after: float = 0.0) -> tuple[float, float]:
    """Peak (ng/mL) and its time (h)."""
    late = found.hours > after
    values = getattr(found, variable)[late, 0]
    return float(values.max()), float(found.hours[late][values.argmax()])


def steady_volume(found: Concentrations, variable: str, milligrams: float, minutes: float) -> float:
    """Volume at steady state, L, from the mean residence time after an infusion."""
    t, c = found.hours, getattr(found, variable)[:, 0]
    k = np.log(2.0) / half_life(found, variable)
    area = auc(found, variable)
    moment = float(np.trapezoid(t * c, t)) + float(c[-1]) * (t[-1] / k + 1.0 / k**2)
    return milligrams * 1000.0 / area * (moment / area - minutes / 120.0)


# --- Kamp 2020 ------------------------------------------------------------------------------------------------------

KAMP = "plasma_s_ketamine_arterial"


def kamp_rates() -> tuple[Array, Array]:
    """Exponents (1/h) and coefficients (1/L) of the response to a bolus, in closed form from the six values."""
    v1, v2, v3, cl, q2, q3 = (figure(f"pk.kamp2020.{n}", u) for n, u in (
        ("v1", "L"), ("v2", "L"), ("v3", "L"), ("cl", "L/h"), ("q2", "L/h"), ("q3", "L/h"),
    ))  # fmt: skip
    k10, k12, k13, k21, k31 = cl / v1, q2 / v1, q3 / v1, q2 / v2, q3 / v3
    cubic = [1.0, k10 + k12 + k13 + k21 + k31, k10 * (k21 + k31) + k12 * k31 + k13 * k21 + k21 * k31, k10 * k21 * k31]
    exponents = np.sort(-np.roots(cubic).real)
    coefficients = np.array(
        [
            (k21 - a) * (k31 - a) / np.prod([b - a for b in exponents if b != a]) / v1  # the partial fractions
            for a in exponents
        ]
    )
    return exponents, coefficients


def test_kamp_is_the_closed_form_of_its_six_values() -> None:
    exponents, coefficients = kamp_rates()
    found = course("kamp2020", dose("iv", 35, 40), horizon="3 d")
    t, span = found.hours[:, None], 40.0 / 60.0
    rising = (1.0 - np.exp(-exponents * np.minimum(t, span))) * np.exp(-exponents * np.maximum(t - span, 0.0))
    expected = 1000.0 * 35.0 / span * (coefficients / exponents * rising).sum(axis=1)
    got = found.plasma_s_ketamine_arterial[:, 0]
    assert np.abs(got - expected).max() <= 1e-6 * expected.max()
    assert half_life(found, KAMP) == pytest.approx(np.log(2.0) / exponents[0], rel=1e-3)
    assert auc(found, KAMP) == pytest.approx(35000.0 / figure("pk.kamp2020.cl", "L/h"), rel=CLOSE / 10)
    volumes = sum(figure(f"pk.kamp2020.v{n}", "L") for n in (1, 2, 3))
    assert steady_volume(found, KAMP, 35.0, 40.0) == pytest.approx(volumes, rel=CLOSE / 5)


def test_kamp_lies_inside_the_pooled_literature() -> None:
    """Clearance and volume of 18 studies: not the same data, so inside their interval is all one can ask."""
    found = course("kamp2020", dose("iv", 35, 40), horizon="3 d")
    for record, got in (
        ("pk.meta.racemic_or_s.cl", 35000.0 / auc(found, KAMP)),
        ("pk.meta.racemic_or_s.vd", steady_volume(found, KAMP, 35.0, 40.0)),
    ):
        spread = load_evidence()[record].spread
        assert spread is not None
        low, high = spread.value  # type: ignore[misc]
        assert low <= got <= high, (record, got)


def test_a_long_infusion_reaches_the_level_that_clearance_gives() -> None:
    for name, record in (("kamp2020", "pk.kamp2020.cl"), ("otto2021", "pk.fanta2015.s.cl")):
        found = course(name, dose("iv", 2000, 6000), horizon="100 h")
        assert found.plasma_s_ketamine_venous[-1, 0] == pytest.approx(20000.0 / figure(record, "L/h"), rel=1e-3)
    found = course("simons2022", dose("iv", 2000, 6000), horizon="100 h")
    assert found.plasma_s_ketamine_arterial[-1, 0] == pytest.approx(
        20000.0 / figure("pk.simons2022.s.clk1", "L/h"), rel=1e-3
    )


# --- Otto 2021 ------------------------------------------------------------------------------------------------------


def test_otto_has_the_clearances_volumes_and_half_lives_of_the_paper() -> None:
    found = course("otto2021", dose("iv", 10, 30), horizon="6 d")
    s, snk = "plasma_s_ketamine_venous", "plasma_norketamine_venous"
    assert 10000.0 / auc(found, s) == pytest.approx(figure("pk.fanta2015.s.cl", "L/h"), rel=CLOSE / 10)
    # all of the drug becomes norketamine, whose clearance is for the mass of its parent
    assert 10000.0 / auc(found, snk) == pytest.approx(figure("pk.otto2021.snk.cl", "L/h"), rel=CLOSE / 10)
    volumes = sum(figure(f"pk.fanta2015.s.{n}", "L") for n in ("v1", "vp1", "vp2"))
    assert steady_volume(found, s, 10.0, 30.0) == pytest.approx(volumes, rel=CLOSE / 5)
    typical = "pk.otto2021.typical"
    assert half_life(found, s) == pytest.approx(figure(f"{typical}.s_half_life", "h"), rel=CLOSE)
    assert half_life(found, snk) == pytest.approx(figure(f"{typical}.snk_half_life", "h"), rel=CLOSE)
    assert peak(found, s)[0] == pytest.approx(figure(f"{typical}.s_cmax", "ng/mL"), rel=CLOSE / 5)
    top, when = peak(found, snk)
    assert top == pytest.approx(figure(f"{typical}.snk_cmax", "ng/mL"), rel=CLOSE / 5)
    assert when == pytest.approx(figure(f"{typical}.snk_tmax", "h"), rel=CLOSE)


def test_otto_misses_the_observed_medians_as_the_paper_says() -> None:
    """Mean error of S-ketamine inside the paper's interval; single medians, read off a figure, up to a fifth off."""
    found = course("otto2021", dose("iv", 10, 30), weight=68.0, horizon="1 d")
    ratios = {}
    for analyte, variable in (("k", "plasma_s_ketamine_venous"), ("nk", "plasma_norketamine_venous")):
        points = OBSERVED[f"otto2021.s.{analyte}"].points
        hours = [float(p.time_h or 0.0) for p in points]
        seen = np.array([float(p.value or 0.0) for p in points])
        got = np.interp(hours, found.hours, getattr(found, variable)[:, 0])
        ratios[analyte] = got / seen
        if analyte == "k":
            error = float(np.mean(got - seen))
    spread = load_evidence()["pk.otto2021.fanta_me_chdr1311"].spread
    assert spread is not None
    low, high = spread.value  # type: ignore[misc]
    assert low <= error <= high
    for analyte, allowed in (("k", 0.17), ("nk", 0.19)):
        assert np.abs(ratios[analyte] - 1.0).max() < allowed
    # typical against median: low on the whole, by about a tenth
    assert 0.85 < np.median(ratios["k"]) < 0.95
    assert 0.90 < np.median(ratios["nk"]) < 1.0


# --- Perez-Ruixo 2021 -----------------------------------------------------------------------------------------------

PEREZ = "plasma_s_ketamine_venous"


def test_perez_ruixo_has_its_clearance_volume_and_bioavailabilities() -> None:
    vein = course("perezruixo2021", dose("iv", 28, 40), horizon="8 d")
    area = auc(vein, PEREZ)
    assert 28000.0 / area == pytest.approx(figure("pk.perezruixo2021.cl", "L/h"), rel=CLOSE)
    assert steady_volume(vein, PEREZ, 28.0, 40.0) == pytest.approx(figure("pk.perezruixo2021.vss", "L"), rel=CLOSE)
    for milligrams in (56, 84):
        nose = course("perezruixo2021", dose("intranasal", milligrams), horizon="8 d")
        share = auc(nose, PEREZ) / milligrams / (area / 28.0)
        assert share == pytest.approx(figure(f"pk.perezruixo2021.f_nasal_{milligrams}", "1"), rel=CLOSE)
    mouth = course("perezruixo2021", dose("oral", 84), horizon="8 d")
    assert auc(mouth, PEREZ) / 84.0 / (area / 28.0) == pytest.approx(
        figure("pk.perezruixo2021.f_swallowed", "1"), rel=CLOSE
    )


@pytest.mark.parametrize("milligrams", [28, 56, 84])
def test_perez_ruixo_meets_its_exposures_of_esketamine_and_over_predicts_noresketamine(milligrams: int) -> None:
    found = course("perezruixo2021", dose("intranasal", milligrams))
    record = f"perezruixo2021.cauc.{milligrams}mg"
    assert peak(found, PEREZ)[0] == pytest.approx(observed(f"{record}.k_cmax"), rel=CLOSE / 5)
    assert auc(found, PEREZ, 24.0) == pytest.approx(observed(f"{record}.k_auc24"), rel=CLOSE / 5)
    snk = "plasma_norketamine_venous"
    assert peak(found, snk)[0] == pytest.approx(observed(f"{record}.nk_cmax"), rel=CLOSE)
    # two independent re-implementations found 1.38 to 1.56: the printed parameters do not give the printed area
    assert 1.38 < auc(found, snk, 24.0) / observed(f"{record}.nk_auc24") < 1.50


def test_the_slow_release_and_the_wait_between_devices_lower_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swallowed at once, 84 mg peak 7 % above the paper, as in the re-implementation's table; the wait is worth 1 %."""
    evidence = load_evidence()

    def peak_without(*records: str) -> float:
        none = {record: evidence[record].model_copy(update={"value": 0.0}) for record in records}
        with monkeypatch.context() as patch:
            patch.setattr("kapsim.kinetic_sets._records", lambda: {**evidence, **none})
            return peak(course("perezruixo2021", dose("intranasal", 84)), PEREZ)[0]

    paper = observed("perezruixo2021.cauc.84mg.k_cmax")
    assert 1.005 < peak_without("pk.esketamine_spray.interval") / paper < 1.02
    assert 1.06 < peak_without("pk.esketamine_spray.interval", "pk.perezruixo2021.d_swallowed") / paper < 1.09


# --- Simons 2022 ----------------------------------------------------------------------------------------------------

SIMONS = {
    "k": "plasma_s_ketamine_arterial",
    "nk": "plasma_norketamine_arterial",
    "hnk": "hydroxynorketamine",
}


def test_simons_is_the_re_implementation_of_its_table() -> None:
    found = course("simons2022", dose("sublingual", 50) + dose("iv", 20, 20, at=6.0))
    typical = "pk.simons2022.typical"
    assert peak(found, SIMONS["k"])[0] == pytest.approx(figure(f"{typical}.k_iv_peak", "ng/mL"), rel=CLOSE / 5)
    film = course("simons2022", dose("sublingual", 50))
    assert peak(film, SIMONS["k"])[0] == pytest.approx(figure(f"{typical}.k_cmax", "ng/mL"), rel=CLOSE / 5)
    for analyte in ("nk", "hnk"):
        area = figure(f"{typical}.{analyte}_auc6", "ng.h/mL")
        assert auc(film, SIMONS[analyte], 6.0) == pytest.approx(area, rel=CLOSE / 25)
        assert peak(film, SIMONS[analyte])[1] == pytest.approx(figure(f"{typical}.{analyte}_tmax", "h"), rel=CLOSE / 2)
    vein = course("simons2022", dose("iv", 35, 40))
    assert peak(vein, SIMONS["k"])[0] == pytest.approx(figure(f"{typical}.k_iv35_peak", "ng/mL"), rel=CLOSE / 5)
    assert peak(vein, SIMONS["hnk"])[0] == pytest.approx(figure(f"{typical}.hnk_iv35_peak", "ng/mL"), rel=CLOSE)


def simons_ratios(measure: str) -> dict[str, tuple[float, float]]:
    """Predicted over observed of Table 2, by analyte, for 50 and 100 mg."""
    found = {}
    for analyte, variable in SIMONS.items():
        pair = []
        for milligrams in (50, 100):
            film = course("simons2022", dose("sublingual", milligrams), weight=73.0)
            got = peak(film, variable)[0] if measure == "cmax" else auc(film, variable, 6.0)
            pair.append(got / observed(f"simons2022.otf{milligrams}.{analyte}_{measure}"))
        found[analyte] = (pair[0], pair[1])
    return found


@pytest.mark.parametrize("measure", ["auc6", "cmax"])
def test_simons_meets_its_table_over_both_doses_but_neither_alone(measure: str) -> None:
    """The model is linear and the data were not: it lies low at 50 mg and high at 100 mg, and right between them."""
    for analyte, (low, high) in simons_ratios(measure).items():
        assert low < high, analyte
        assert 0.80 < low < 1.0, (analyte, low)
        assert 0.95 < high < 1.20, (analyte, high)
        # the typical person peaks lower than people do on average, who peak at different times: 6 % for the flattest
        allowed = 0.065 if (analyte, measure) == ("hnk", "cmax") else CLOSE
        # the harmonic mean of the ratios: prediction per mg over the mean of the observed per mg
        assert 2.0 / (1.0 / low + 1.0 / high) == pytest.approx(1.0, abs=allowed), (analyte, low, high)


def test_simons_meets_the_peak_after_a_vein() -> None:
    for milligrams, allowed in ((50, CLOSE), (100, CLOSE)):
        both = course("simons2022", dose("sublingual", milligrams) + dose("iv", 20, 20, at=6.0), weight=73.0)
        got = peak(both, SIMONS["k"], after=6.0)[0]
        assert got == pytest.approx(observed(f"simons2022.iv20_after{milligrams}.k_peak"), rel=allowed)


def test_simons_absorbs_through_the_mucosa_what_the_paper_says() -> None:
    film, vein = course("simons2022", dose("sublingual", 50)), course("simons2022", dose("iv", 20, 20))
    share = auc(film, SIMONS["k"]) / 50.0 / (auc(vein, SIMONS["k"]) / 20.0)
    assert share == pytest.approx(figure("pk.simons2022.s.f1_abstract", "1"), rel=CLOSE)
    assert 20000.0 / auc(vein, SIMONS["k"]) == pytest.approx(figure("pk.simons2022.s.clk1", "L/h"), rel=CLOSE / 10)


def test_the_scale_of_simons_metabolites_is_no_mass_balance() -> None:
    """More norketamine arises from a film than its whole dose could form: 1.16 is a scale, not a fraction."""
    formed = {}
    for name, doses, milligrams in (("film", dose("sublingual", 50), 50.0), ("vein", dose("iv", 20, 20), 20.0)):
        found = course("simons2022", doses, horizon="4 d")
        per_dose = auc(found, SIMONS["nk"]) / milligrams / 1000.0
        mass_ratio = figure_ratio()
        formed[name] = per_dose * figure("pk.simons2022.s.cln1", "L/h") / mass_ratio
    assert formed["vein"] == pytest.approx(figure("pk.simons2022.s.fm_nk", "1"), rel=0.01)
    assert formed["film"] > 1.1


def figure_ratio() -> float:
    from kapsim.evidence import load_parameters

    values = load_parameters()
    return values["pk.molar_mass.norketamine"].value / values["pk.molar_mass.ketamine"].value
