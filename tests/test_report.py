"""Reports: what a reader is shown, and that it is shown right."""

from __future__ import annotations

import json
import re
import time
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import synthetic
from kapsim import statements, story
from kapsim.errors import InputError
from kapsim.report.bands import decimate, patient_quantiles
from kapsim.report.compare import compare
from kapsim.report.figures import FIGURES, figure_spec, plot, table_of
from kapsim.report.html import report_html, write_report
from kapsim.report.intervals import cluster_interval
from kapsim.report.spread import summarise_endpoint, variance_components
from kapsim.report.summary import print_summary
from kapsim.report.theme import number_text

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Reads a page: is it nested rightly, what does it refer to, and what text does a reader see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles = ""
        self.text = ""
        self.lang: str | None = None
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given_attributes = dict(attrs)
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "action", "data", "poster", "srcset")]
        self.ids += [v or "" for k, v in attrs if k == "id"]
        if tag == "html":
            self.lang = given_attributes.get("lang")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "script":
            self.scripts.append((given_attributes, ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)
        elif self.open and self.open[-1] == "style":
            self.styles += data
        else:
            self.text += data


def page_checks(text: str) -> Page:
    """Check what holds for every page and return it as read."""
    page = Page(text)
    assert page.lang == "en"
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert len(page.ids) == len(set(page.ids))
    # One copy of the library, and nothing asked of any host.
    assert sum("plotly.js v" in body for _, body in page.scripts) == 1
    assert text.count("plotly.js v") == 1
    assert all(reference.startswith("#") and reference[1:] in page.ids for reference in page.references)
    assert "url(" not in page.styles
    assert "@import" not in page.styles
    assert "default-src 'none'" in text
    words = " ".join(page.text.split())
    assert statements.DISCLAIMER in words
    for item in (*statements.SAFE_MESSAGING, *statements.LIMITS_OF_USE):
        assert item.heading in words
        assert item.text in words
    for attributes, body in page.scripts:
        if attributes.get("type") == "application/json":
            json.loads(body)
    return page


@pytest.mark.parametrize("kind", FIGURES)
def test_figures_have_units_on_every_axis_and_show_the_doses(kind: str) -> None:
    import plotly.graph_objects as go

    spec = figure_spec(synthetic.results(), kind)
    axes = {name: axis for name, axis in spec["layout"].items() if re.match(r"[xy]axis", name)}
    visible = {name: axis for name, axis in axes.items() if axis.get("visible", True)}
    assert len(visible) >= 2
    for axis in visible.values():
        assert re.search(r"\([^()]+\)$", axis["title"]["text"])
    doses = [trace for trace in spec["data"] if trace["name"] == "dose"]
    assert len(doses) == 1
    assert "ketamine 0.5 mg/kg iv" in doses[0]["text"]
    assert any(shape["name"] == "dose" for shape in spec["layout"]["shapes"])
    # The fast path skips Plotly's validation, so it is done here.
    figure = go.Figure(json.loads(plot(synthetic.results(), kind).to_json()))
    assert len(figure.data) == len(spec["data"])


def test_course_figure_shows_therapy_and_stressors_and_every_row() -> None:
    spec = figure_spec(synthetic.results())
    names = {trace["name"] for trace in spec["data"]}
    assert {"dose", "therapy", "stressor", "madrs", "plasma ketamine venous"} <= names
    assert spec["layout"]["xaxis"]["title"]["text"] == "time from start (d)"
    used = {trace["yaxis"] for trace in spec["data"]}
    assert used == {"y" + name[5:] for name in spec["layout"] if name.startswith("yaxis")}


def test_acute_figure_is_a_view_of_hours_around_the_first_dose() -> None:
    spec = figure_spec(synthetic.results(doses=(168.0, 336.0)), "acute")
    low, high = spec["layout"]["xaxis"]["range"]
    assert spec["layout"]["xaxis"]["title"]["text"] == "time from first dose (h)"
    assert -2 < low < 0 < high < 8
    assert len(next(trace for trace in spec["data"] if trace["name"] == "dose")["x"]) == 1


def test_a_row_of_two_units_is_drawn_on_two_axes() -> None:
    dataset = synthetic.results()
    dataset["il6"].attrs["units"] = "pg/mL"
    spec = figure_spec(dataset, "inflammation")
    titles = [
        axis["title"]["text"] for name, axis in spec["layout"].items() if name.startswith("yaxis") and "title" in axis
    ]
    assert sum("pg/mL" in title for title in titles) == 1
    assert len(titles) == 4


def test_median_line_is_the_median_and_bands_hold_their_share() -> None:
    dataset = synthetic.results(patients=200, draws=20)
    data = figure_spec(dataset, "mood")["data"]
    wide, narrow, line = data[:3]
    np.testing.assert_allclose(line["y"], np.median(dataset["madrs"].values, axis=0), rtol=1e-5)
    for trace, probabilities in ((wide, (0.95, 0.05)), (narrow, (0.75, 0.25))):
        upper, lower = np.quantile(dataset["madrs"].values, probabilities, axis=0)
        np.testing.assert_allclose(trace["y"], np.concatenate((upper, lower[::-1])), rtol=1e-5)


def test_unknown_figure_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'plasticity'"):
        plot(synthetic.results(), "plastcity")


def test_results_without_the_variables_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="hold none of") as caught:
        plot(synthetic.results()[["madrs"]], "acute")
    assert "\n" not in str(caught.value)


def test_broken_event_records_are_refused() -> None:
    for text in ("{", '[{"label": "x"}]', "3", '[{"start_h": null}]'):
        dataset = synthetic.results()
        dataset.attrs["doses"] = text
        with pytest.raises(InputError, match="attribute doses"):
            figure_spec(dataset)


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.lists(
            st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=n, max_size=n),
            min_size=1,
            max_size=8,
        )
    )
)
@settings(max_examples=60, deadline=None)
def test_quantiles_agree_with_numpy(rows: list[list[float]]) -> None:
    values = np.array(rows)
    kept = ~np.isnan(values).all(axis=0)
    found = patient_quantiles(values, (0.05, 0.5, 0.95))
    assert np.isnan(found[:, ~kept]).all()
    if not kept.any():
        return
    expected = np.nanquantile(values[:, kept], (0.05, 0.5, 0.95), axis=0)
    np.testing.assert_allclose(found[:, kept], expected, rtol=1e-9, atol=1e-6)


@given(st.integers(1, 3000), st.integers(4, 400), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_decimation_keeps_ends_peak_and_trough(size: int, limit: int, seed: int) -> None:
    curve = np.random.default_rng(seed).standard_normal(size)
    kept = decimate(curve, limit)
    assert kept.size <= limit or size <= limit
    assert (np.diff(kept) > 0).all()
    assert {0, size - 1, int(curve.argmax()), int(curve.argmin())} <= set(kept.tolist())


def test_report_is_whole_self_contained_and_says_what_it_must(tmp_path: Path) -> None:
    dataset = synthetic.results()
    path = write_report(
        dataset, tmp_path / "report.html", endpoints=synthetic.endpoints(dataset), parameters=synthetic.parameters()
    )
    text = path.read_text(encoding="utf-8")
    page = page_checks(text)
    words = " ".join(page.text.split())
    assert "name: two_infusions" in words
    for clause in story.CLAUSES:
        assert clause.claim in words
        assert clause.standing in words
    assert [clause.id for clause in story.CLAUSES] == [f"S{n}" for n in range(1, 10)]
    # Only parameters that the run used, and only assumed ones, are in the table.
    assert "Assumed parameters (1)" in words
    assert "receptor.rho" in words
    assert "mind.kappa" not in words
    assert "1 measured, 1 calibrated, 1 assumed" in words
    assert "1.22 to 3.28 (90 %, lognormal)" in words
    assert "of ketamine over 4 weeks" in words
    for key in ("command", "evidence_hash", "seed"):
        assert str(dataset.attrs[key]) in words
    assert text.count("data-figure=") == len(FIGURES)
    assert text.count("<details>") == len(FIGURES) + 2
    assert list(tmp_path.iterdir()) == [path]


def test_tables_hold_the_numbers_of_the_figures() -> None:
    dataset = synthetic.results()
    unit, columns, cells = table_of(dataset, "mood", samples=5)
    assert unit == "time from start (d)"
    assert columns == [("madrs", "points"), ("hama", "points")]
    assert 5 <= len(cells) <= 7
    # A table of weeks must not step over the peak of a dose.
    _, columns, cells = table_of(dataset, "course")
    peak = dataset["plasma_ketamine_venous"].values[:, dataset["plasma_ketamine_venous"].values.mean(axis=0).argmax()]
    assert any(line[1].startswith(number_text(float(np.median(peak)))) for line in cells)
    _, columns, cells = table_of(dataset, "mood", samples=5)
    assert cells[0][1].startswith(number_text(float(np.median(dataset["madrs"].values[:, 0]))))


def test_text_of_users_cannot_become_markup() -> None:
    bad = "</script><img src=x onerror=alert(1)>"
    dataset = synthetic.results(label=bad)
    dataset.attrs |= {"title": bad, "protocol": f"name: {bad}", "command": bad, "variant": bad}
    dataset["madrs"].attrs["long_name"] = bad
    dataset["madrs"].attrs["units"] = "<i>points</i>"
    text = report_html(dataset, endpoints=synthetic.endpoints(dataset), parameters=synthetic.parameters())
    page_checks(text)
    assert "<img" not in text.split("</script>")[-1]
    assert bad not in text
    # Plotly reads tags in labels, so they are escaped for it once more.
    assert "<img" not in json.dumps(figure_spec(dataset)["layout"])
    assert not any("<img" in str(trace.get("name")) + str(trace.get("text")) for trace in figure_spec(dataset)["data"])


def test_widths_of_real_laws_are_shown() -> None:
    from kapsim.evidence.parameter import Parameter

    shared = {"id": "a.b", "link": "mind", "name": "x", "value": 0.0, "unit": "1", "status": "assumed"}
    item = Parameter(**shared, uncertainty={"law": "half_normal", "sd": 1.0})
    dataset = synthetic.results(patients=3, times=20)
    dataset.attrs["parameters_used"] = '["a.b", "gone.in.this.version"]'
    text = report_html(dataset, endpoints=synthetic.endpoints(dataset), parameters={"a.b": item})
    assert "0 to 1.64 (90 %, half-normal)" in text


def test_report_of_a_run_without_doses_and_with_one_person() -> None:
    dataset = synthetic.results(patients=1, draws=1, doses=())
    text = report_html(dataset, endpoints=synthetic.endpoints(dataset), parameters=synthetic.parameters())
    page_checks(text)
    dataset.attrs |= {"doses": "[]", "sessions": "[]", "stressors": "[]"}
    assert figure_spec(dataset)["layout"]["shapes"] == []


def test_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    dataset = synthetic.results(patients=3, times=20)
    with pytest.raises(InputError, match="cannot be written"):
        write_report(
            dataset,
            tmp_path / "none" / "r.html",
            endpoints=synthetic.endpoints(dataset),
            parameters=synthetic.parameters(),
        )


def test_report_is_fast(tmp_path: Path) -> None:
    small = synthetic.results(patients=3, times=20)
    write_report(small, tmp_path / "a.html", endpoints=synthetic.endpoints(small), parameters=synthetic.parameters())
    dataset = synthetic.results(patients=200, times=700, draws=40)
    ends = synthetic.endpoints(dataset)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        write_report(dataset, tmp_path / "a.html", endpoints=ends, parameters=synthetic.parameters())
        seconds.append(time.process_time() - start)
    # The aim is 0.8 s; a loaded machine is given twice that.
    assert min(seconds) < 1.6


def test_variance_components_are_recovered() -> None:
    rng = np.random.default_rng(3)
    draw = np.repeat(np.arange(400), 10)
    values = 2.0 * rng.standard_normal(400)[draw] + 3.0 * rng.standard_normal(4000)
    found = variance_components(values, draw)
    assert found.separable
    assert found.parameter_sd == pytest.approx(2.0, rel=0.1)
    assert found.patient_sd == pytest.approx(3.0, rel=0.05)
    assert found.parameter_share == pytest.approx(4 / 13, abs=0.05)


def test_variance_components_that_cannot_be_told_apart_are_not_made_up() -> None:
    values = np.arange(10.0)
    for draw in (np.zeros(10, int), np.arange(10)):
        found = variance_components(values, draw)
        assert not found.separable
        assert np.isnan(found.parameter_sd)
        assert found.patient_sd == pytest.approx(values.std(ddof=1))


def test_endpoint_summary_of_shares_and_of_missing_values() -> None:
    draw = np.zeros(10, int)
    share = summarise_endpoint(
        synthetic.StandInEndpoint("response_24h", "1", "", np.array([1.0] * 3 + [0.0] * 7)), draw
    )
    assert share.is_share
    assert share.centre == pytest.approx(0.3)
    # Wilson's interval of 3 in 10.
    assert (share.low, share.high) == pytest.approx((0.1078, 0.6032), abs=1e-4)
    nothing = summarise_endpoint(synthetic.StandInEndpoint("time_to_relapse", "h", "", np.full(10, np.nan)), draw)
    assert nothing.count == 0
    assert np.isnan(nothing.centre)
    values = np.append(np.arange(9.0), np.nan)
    some = summarise_endpoint(synthetic.StandInEndpoint("x", "h", "", values), draw)
    assert (some.low, some.centre, some.high) == pytest.approx(tuple(np.quantile(values[:9], (0.05, 0.5, 0.95))))


def shifted(dataset, shift):  # type: ignore[no-untyped-def]
    """Return the results with every patient's MADRS moved by their own amount after the start."""
    moved = dataset.copy(deep=True)
    moved["madrs"].values[:, 1:] += shift[:, None]
    return moved


def test_difference_is_paired_by_patient_and_its_interval_is_right() -> None:
    from scipy import stats

    reference = synthetic.results(patients=12, draws=12)
    shift = np.array([-1.0, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12])
    arm = shifted(reference, shift)
    # The order of patients must not matter: pairs are found by the patient coordinate.
    arm = arm.isel(patient=np.random.default_rng(0).permutation(12))
    ends = {"a": synthetic.endpoints(reference), "b": synthetic.endpoints(arm)}
    result = compare({"a": reference, "b": arm}, endpoints=ends)
    found = result.difference("madrs_change_end")
    assert found.paired
    assert found.count == 12
    assert found.mean == pytest.approx(-6.5)
    expected = stats.ttest_1samp(shift, 0).confidence_interval(0.95)
    assert (found.mean_low, found.mean_high) == pytest.approx((expected.low, expected.high))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(shift, (0.05, 0.95))))
    curve = result.course_differences["b"]
    assert curve.mean[-1] == pytest.approx(-6.5)
    assert curve.mean_low[-1] == pytest.approx(expected.low)
    assert curve.mean[0] == pytest.approx(0, abs=1e-9)


def test_a_constant_difference_within_people_has_no_width() -> None:
    reference = synthetic.results(patients=20, draws=20)
    arm = shifted(reference, np.full(20, -4.0))
    ends = {"a": synthetic.endpoints(reference), "b": synthetic.endpoints(arm)}
    found = compare({"a": reference, "b": arm}, endpoints=ends).difference("madrs_change_end")
    assert (found.mean, found.mean_low, found.mean_high, found.low, found.high) == pytest.approx((-4,) * 5)


def test_people_who_share_a_parameter_draw_count_as_one_cluster() -> None:
    values = np.repeat([1.0, 2.0, 3.0, 6.0], 50)
    cluster = np.repeat(np.arange(4), 50)
    assert cluster_interval(values, cluster) == pytest.approx(cluster_interval(np.array([1.0, 2, 3, 6]), np.arange(4)))


def test_runs_of_other_people_are_compared_between_groups() -> None:
    from scipy import stats

    reference, arm = synthetic.results(seed=0, draws=24), synthetic.results(seed=1, draws=24, effect=1.5)
    ends = {"a": synthetic.endpoints(reference), "b": synthetic.endpoints(arm)}
    found = compare({"a": reference, "b": arm}, endpoints=ends).difference("madrs_change_end")
    assert not found.paired
    assert np.isnan(found.low)
    test = stats.ttest_ind(ends["b"]["madrs_change_end"].values, ends["a"]["madrs_change_end"].values, equal_var=False)
    expected = test.confidence_interval(0.95)
    assert (found.mean_low, found.mean_high) == pytest.approx((expected.low, expected.high))


def test_same_seed_with_other_people_is_not_paired() -> None:
    reference = synthetic.results()
    arm = reference.assign_coords(weight=reference["weight"] + 5)
    ends = {"a": synthetic.endpoints(reference), "b": synthetic.endpoints(arm)}
    result = compare({"a": reference, "b": arm}, endpoints=ends)
    assert result.paired == {"b": False}


def test_comparison_of_runs_with_other_times_and_lengths_is_written(tmp_path: Path) -> None:
    runs = {
        "one <b>": synthetic.results(doses=(0.0,), weeks=4),
        "two": synthetic.results(doses=(0.0, 168.0, 336.0), weeks=6, times=900),
        "none": synthetic.results(doses=(), weeks=2, effect=0.0),
    }
    ends = {name: synthetic.endpoints(dataset) for name, dataset in runs.items()}
    result = compare(runs, endpoints=ends)
    assert result.paired == {"two": True, "none": True}
    assert result.course_differences["two"].time[-1] == pytest.approx(4 * 168)
    page = page_checks(result.write(tmp_path / "c.html").read_text(encoding="utf-8"))
    words = " ".join(page.text.split())
    assert "one <b>" in words
    assert "percentage points" in words
    figure = result.figure()
    for name in ("xaxis", "yaxis2", "yaxis3"):
        assert re.search(r"\([^()]+\)$", figure.layout[name].title.text)


def test_comparison_needs_two_runs() -> None:
    with pytest.raises(InputError, match="two or more"):
        compare({"a": synthetic.results()}, endpoints={})


def test_summary_renders_endpoints_and_disclaimer() -> None:
    from rich.console import Console

    dataset = synthetic.results()
    out = StringIO()
    print_summary(dataset, synthetic.endpoints(dataset), console=Console(file=out, width=140))
    text = out.getvalue()
    for endpoint in synthetic.endpoints(dataset).values():
        assert endpoint.long_name in text
    assert statements.DISCLAIMER in " ".join(text.split())
    assert "two_infusions" in text


def test_safe_messages_cover_what_they_must() -> None:
    text = " ".join(item.heading + " " + item.text for item in statements.SAFE_MESSAGING).lower()
    for word in ("suicide", "emergency", "crisis line", "at-home", "bladder", "addiction"):
        assert word in text
    assert "never a recommended dose" in statements.DISCLAIMER


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-12.34, "−12.3"),
        (1234.5, "1\u202f234"),
        (0.05, "0.05"),
        (float("nan"), "–"),
        (2e-7, "2.00×10⁻⁷"),
        (-3.21e6, "−3.21×10⁶"),
        (4e-16, "0"),
        (99.96, "100"),
    ],
)
def test_numbers_are_written_plainly(value: float, text: str) -> None:
    assert number_text(value) == text
