"""The explorer in a real browser: it loads, it moves, it can be read by all, and it asks nothing of another host."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from kapsim.protocol import load_protocol, parse_protocol

PAGES = {
    # comes with the figure, which stands empty until then
    "/": "#endpoints table",
    "/story": "#S9-figure .main-svg",
    "/brain": "#brain-shown .main-svg",
    "/trial": "#trial-go",
    "/evidence": "#evidence-table td",
}
#: A loaded machine may take long to compile the first course; nothing here measures time.
PATIENCE_MS = 120_000
NARROW, WIDE = 390, 1280
DRAWN = "() => document.querySelector('#course .js-plotly-plot')?._fullData?.length > 0"
MEDIAN = (
    "() => Array.from(document.querySelector('#course .js-plotly-plot')._fullData[26].y).map(v => v.toFixed(3)).join()"
)
# Keeps the first path that the curve is drawn by from now on; Plotly draws it again when the control has come to rest.
WATCH_CURVE = """() => {
  const box = document.querySelector('#course .js-plotly-plot');
  const curve = box.querySelector('.trace' + box._fullData[26].uid + ' .js-line');
  new MutationObserver(() => { window.first = window.first || curve.getAttribute('d'); })
    .observe(curve, {attributes: true, attributeFilter: ['d']});
}"""
FIRST_DRAWN = "() => [...window.first.matchAll(/,(-?[0-9.]+)/g)].map(found => Number(found[1]))"
# The heights at which its numbers stand on their axis.
EXPECTED = """() => {
  const box = document.querySelector('#course .js-plotly-plot');
  return Array.from(box._fullData[26].y).map(value => box._fullLayout.yaxis10.l2p(value));
}"""


def chromium() -> str:
    """The system's browser; without one the tests are left out, unless the environment says that it has to be there."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    if not found:
        reason = "no Chromium on the PATH; scripts/browser.sh finds or installs one"
        if os.environ.get("KAPSIM_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@dataclass
class Watched:
    """A page with what went wrong on it, and every host that it asked."""

    page: Page
    address: str
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def go(self, path: str) -> Page:
        self.page.goto(self.address + path)
        shown = PAGES.get(urlsplit(path).path)
        if shown:
            self.page.wait_for_selector(shown, state="attached")
        if shown == PAGES["/"]:
            self.page.wait_for_function(DRAWN)
        return self.page


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    chromium()
    process = subprocess.Popen(
        [sys.executable, "-m", "kapsim", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().split()[2].rstrip("/")
    process.terminate()
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    arguments = ["--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if root else [])]
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium(), args=arguments)
        expect.set_options(timeout=PATIENCE_MS)
        yield opened
        opened.close()


def watch(browser: Browser, address: str, width: int = WIDE, scheme: str = "light") -> Watched:
    """Open a page and keep what goes wrong on it."""
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.set_default_timeout(PATIENCE_MS)
    found = Watched(page, address)
    page.on("console", lambda line: found.problems.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: found.problems.append(str(error)))
    page.on("request", lambda request: found.hosts.add(urlsplit(request.url).netloc))
    return found


@pytest.fixture
def wide(browser: Browser, address: str) -> Iterator[Watched]:
    watched = watch(browser, address)
    yield watched
    watched.page.close()
    assert watched.problems == []
    assert watched.hosts <= {urlsplit(address).netloc, ""}


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_pages_load_fit_and_can_be_read_by_all(
    browser: Browser, address: str, width: int, scheme: str, tmp_path: Path
) -> None:
    watched = watch(browser, address, width, scheme)
    for path in PAGES:
        page = watched.go(path)
        page.wait_for_timeout(300)
        page.screenshot(path=tmp_path / f"page-{width}-{path.strip('/') or 'course'}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate("document.documentElement.dataset.mantineColorScheme") == scheme
        assert overlaps(page) == [], path
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    watched.page.close()
    assert watched.problems == []
    assert watched.hosts <= {urlsplit(address).netloc, ""}


def overlaps(page: Page) -> list[str]:
    """Pairs of neighbours in the frame and in forms that lie over one another."""
    return list(
        page.evaluate(
            """() => {
              const found = [];
              for (const box of document.querySelectorAll("body, header, main, .columns, .form, details > div, .bar")) {
                const parts = Array.from(box.children).filter(part => {
                  const style = getComputedStyle(part), area = part.getBoundingClientRect();
                  return style.position !== "absolute" && style.position !== "sticky" && style.position !== "fixed"
                    && area.width > 1 && area.height > 1;
                });
                for (let k = 1; k < parts.length; k += 1) {
                  const a = parts[k - 1].getBoundingClientRect(), b = parts[k].getBoundingClientRect();
                  if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
                    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1) {
                    found.push(parts[k - 1].outerHTML.slice(0, 80) + " | " + parts[k].outerHTML.slice(0, 80));
                  }
                }
              }
              return found;
            }"""
        )
    )


def press(page: Page, name: str, keys: str, nth: int = 0) -> None:
    """Move a slider by the keyboard and wait until the address holds what it says now."""
    slider = page.get_by_role("slider", name=name).nth(nth)
    slider.focus()
    before, curve = page.url, page.evaluate(MEDIAN)
    slider.press(keys)
    page.wait_for_function("before => location.href !== before", arg=before)
    # drawn at once, and told to Plotly when the slider has come to rest
    page.wait_for_function(f"before => ({MEDIAN})() !== before", arg=curve)


def test_a_slider_moved_by_the_keyboard_changes_the_plots_and_the_address(wide: Watched) -> None:
    page = wide.go("/?preset=single_infusion")
    before = page.evaluate(MEDIAN)
    page.evaluate(WATCH_CURVE)
    press(page, "Dose (mg/kg)", "ArrowRight")
    assert page.evaluate(MEDIAN) != before
    assert page.evaluate(FIRST_DRAWN) == pytest.approx(page.evaluate(EXPECTED), abs=0.02)
    assert "per_kg=0.55" in page.url
    expect(page.locator("#a-standing")).to_contain_text("A course of its own")
    moved, link = page.evaluate(MEDIAN), page.url
    # the same link in another page is the same view
    other = watch(page.context.browser, wide.address)  # type: ignore[arg-type]
    other.go(link.removeprefix(wide.address))
    assert other.page.evaluate(MEDIAN) == moved
    expect(other.page.get_by_role("slider", name="Dose (mg/kg)").first).to_have_attribute("aria-valuenow", "0.55")
    other.page.close()


def test_a_dose_is_dragged_along_the_time_axis(wide: Watched) -> None:
    page = wide.go("/?preset=single_infusion&weeks=4.0")
    place = """() => {
      const box = document.querySelector('#course .js-plotly-plot'), area = box.getBoundingClientRect();
      const {xaxis, yaxis5} = box._fullLayout, x = box.layout.shapes[0].x0;
      return [area.left + xaxis._offset + xaxis.l2p(x), area.top + yaxis5._offset + 20, xaxis.l2p(1) - xaxis.l2p(0)];
    }"""
    x, y, day = page.evaluate(place)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 3 * day, y, steps=8)
    page.mouse.up()
    page.wait_for_url("**first=3.0*")
    expect(page.get_by_role("slider", name="Day of the first dose").first).to_have_attribute("aria-valuenow", "3")
    page.wait_for_function("() => document.querySelector('#course .js-plotly-plot').layout.shapes[0].x0 === 3")


def test_a_second_course_stands_beside_the_first(wide: Watched) -> None:
    page = wide.go("/?preset=single_infusion")
    expect(page.locator("#b-title")).to_be_hidden()
    page.get_by_role("switch", name="Compare with a second course").press("Space")
    expect(page.locator("#b-title")).to_be_visible()
    page.get_by_text("MADRS, second course minus first").wait_for()
    page.get_by_role("columnheader", name="second course").first.wait_for(state="attached")
    assert "b.preset=single_infusion" in page.url
    count = "() => document.querySelector('#course .js-plotly-plot').data.length"
    traces = page.evaluate(count)
    page.get_by_role("switch", name="Compare with a second course").press("Space")
    page.wait_for_function("count => document.querySelector('#course .js-plotly-plot').data.length < count", arg=traces)


def test_a_preset_sets_the_controls(wide: Watched) -> None:
    page = wide.go("/?preset=kap_six_sessions")
    page.locator("#a-preset").press("Enter")
    page.get_by_role("option", name="One ketamine infusion, 0.5 mg/kg over 40 min").click()
    page.wait_for_url("**/?preset=single_infusion")
    expect(page.get_by_role("slider", name="Number of doses").first).to_have_attribute("aria-valuenow", "1")
    expect(page.locator("#a-standing")).to_contain_text("single_infusion itself")


def test_what_does_not_go_together_is_told_and_nothing_else_changes(wide: Watched) -> None:
    page = wide.go("/?preset=single_infusion&weeks=1.0")
    before = page.evaluate(MEDIAN)
    slider = page.get_by_role("slider", name="Number of doses").first
    slider.focus()
    slider.press("End")
    expect(page.locator("#course-problem")).to_contain_text("beyond the horizon")
    assert page.evaluate(MEDIAN) == before


def test_the_figure_has_its_table_and_its_files(wide: Watched) -> None:
    page = wide.go("/?preset=single_infusion&weight=80.0")
    page.get_by_text("The figure as a table").press("Enter")
    expect(page.locator("#course-table table")).to_be_visible()
    expect(page.locator("#course-table")).to_contain_text("MADRS, expected score (points)")
    files = {}
    for name in ("protocol", "results", "report"):
        answer = page.request.get(
            wide.address + str(page.locator(f"#export-{name}").get_attribute("href")), timeout=PATIENCE_MS
        )
        assert answer.status == 200, answer.text()[:300]
        files[name] = answer.text()
    assert parse_protocol(files["protocol"]) == load_protocol("single_infusion")
    rows = list(csv.DictReader(io.StringIO(files["results"].partition("\n")[2])))
    assert {row["unit"] for row in rows if row["variable"] == "plasma_ketamine_venous"} == {"ng/mL"}
    assert all(float(row["p5"]) <= float(row["p50"]) <= float(row["p95"]) for row in rows)
    assert "kapsim run single_infusion" in files["report"]
    for kind in ("PNG", "SVG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Picture ({kind})").press("Enter")
        content = Path(download.value.path()).read_bytes()
        assert content.startswith(b"\x89PNG" if kind == "PNG" else b"<svg")


def test_a_link_knocked_out_changes_mood(wide: Watched) -> None:
    page = wide.go("/story")
    knock = page.get_by_role("button", name="Knock out: therapy").first
    knock.press("Enter")
    expect(page.locator("#S8-knocked table")).to_be_visible()
    expect(knock).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#S8-knocked")).to_contain_text("sessions and practice teach nothing")
    lost = page.locator("#S8-knocked tbody tr").first.locator("td").nth(2).inner_text()
    assert not lost.startswith("0 ")
    knock.press("Enter")
    expect(page.locator("#S8-knocked table")).to_have_count(0)
    # the drug touches no cytokine in the standard model: that is said, not drawn
    page.get_by_role("button", name="Knock out: inflammation").press("Enter")
    expect(page.locator("#S6-knocked")).to_contain_text("does nothing in the standard model")


def test_evidence_is_found_and_opened(wide: Watched) -> None:
    page = wide.go("/evidence")
    page.get_by_label("Search").fill("receptor ic50 s_ketamine")
    expect(page.locator("#evidence-count")).to_contain_text("page 1 of 1")
    page.get_by_role("link", name="receptor.ic50.s_ketamine", exact=True).click()
    expect(page.locator("#record-h")).to_have_text("receptor.ic50.s_ketamine")
    expect(page.locator(".record")).to_contain_text("Where it comes from")


def test_the_cortex_is_shown_on_a_brain_and_as_a_matrix_at_both_moments(wide: Watched) -> None:
    page = wide.go("/brain")
    change = "() => document.querySelectorAll('#brain-shown .js-plotly-plot')[1].data[2].z[0].join()"
    during = page.evaluate(change)
    page.get_by_role("radio", name="After: 24 h on").press("Space")
    page.wait_for_function(f"during => ({change})() !== during", arg=during)
    names = page.locator("#brain-shown tbody th").all_inner_texts()
    assert "Within the default mode network" in names


def test_a_trial_is_designed_and_conducted(wide: Watched) -> None:
    page = wide.go("/trial")
    # an endpoint at no visit is refused by the design's own checks
    page.locator("#trial-visit").press("Enter")
    page.get_by_role("option", name="12 wk").click()
    page.get_by_role("button", name="Conduct").press("Enter")
    expect(page.locator("#trial-problem")).to_contain_text("is no visit")
    page.locator("#trial-visit").press("Enter")
    page.get_by_role("option", name="24 h").click()
    for label, value in (("People in a trial", "20"), ("Trials", "20")):
        page.get_by_role("textbox", name=label, exact=True).fill(value)
        page.get_by_role("textbox", name=label, exact=True).press("Tab")
    page.get_by_role("button", name="Conduct").press("Enter")
    expect(page.locator("#trial-shown .main-svg").first).to_be_visible()
    expect(page.locator("#trial-shown dl")).to_contain_text("20 in each of 20 trials")
    assert page.locator("#trial-shown .js-plotly-plot").count() == 2
    assert Axe().run(page).violations_count == 0


def test_a_prediction_opens_its_record(wide: Watched) -> None:
    page = wide.go("/evidence")
    plot = page.locator("#predicted-points .main-svg").first
    expect(plot).to_be_visible()
    plot.scroll_into_view_if_needed()
    # a point of the plot itself is clicked, where no other lies
    place = page.evaluate(
        """() => {
          const box = document.querySelector('#predicted-points .js-plotly-plot'), area = box.getBoundingClientRect();
          const full = box._fullData[1], {xaxis, yaxis} = box._fullLayout;
          const k = full.x.indexOf(Math.max(...full.x));
          return [area.left + xaxis._offset + xaxis.l2p(full.x[k]), area.top + yaxis._offset + yaxis.l2p(full.y[k]),
            full.text[k]];
        }"""
    )
    page.mouse.move(place[0] - 3, place[1])
    page.mouse.move(place[0], place[1])
    page.mouse.click(place[0], place[1])
    expect(page.locator("#record-h")).to_have_text(place[2])
    expect(page.locator(".record")).to_contain_text("Predicted against observed")


def test_dark_is_a_switch(wide: Watched) -> None:
    page = wide.go("/?preset=single_infusion")
    ink = "() => document.querySelector('#course .js-plotly-plot').layout.template.layout.font.color"
    light = page.evaluate(ink)
    page.get_by_role("switch", name="Dark").press("Space")
    page.wait_for_function(f"light => ({ink})() !== light", arg=light)
    assert page.evaluate("document.documentElement.dataset.mantineColorScheme") == "dark"
