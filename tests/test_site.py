"""The documentation site builds without a warning; the gallery is left out, which is run by `make docs`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import kapsim
from kapsim.evidence import LINKS, load_parameters

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
sys.path[:0] = [str(ROOT / "scripts"), str(DOCS / "_ext")]

from comparison import newest  # noqa: E402
from contested import _observed, records  # noqa: E402
from credibility import block, rows  # noqa: E402
from from_package import MAKERS, MARK, filled  # noqa: E402
from page_blocks import blocks  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-E", "-q", "-D", "plot_gallery=0"]
    done = subprocess.run(
        [*command, "-d", str(out / "trees"), str(DOCS), str(out / "html")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return out / "html"


def test_site_builds_without_a_warning_and_asks_nobody(site: Path) -> None:
    """Every page is there and in a table of contents (else Sphinx warns), and loads nothing from another host."""
    pages = {page.relative_to(DOCS).with_suffix(".html") for page in [*DOCS.glob("*.md"), *DOCS.glob("tutorials/*.md")]}
    assert all((site / page).exists() for page in pages)
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(?:script|img|iframe)[^>]*\ssrc=\"(?:https?:)?//", text), page
        assert not re.search(r"<link[^>]*rel=\"stylesheet\"[^>]*href=\"(?:https?:)?//", text), page
    assert "no advice for any person" in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "_static" / "mathjax" / "tex-chtml.js").exists()


def test_every_link_has_a_page_with_all_its_parameters(site: Path) -> None:
    for link in LINKS:
        text = (site / "links" / f"{link}.html").read_text(encoding="utf-8")
        missing = [item.id for item in load_parameters().values() if item.link == link and item.id not in text]
        assert missing == []
    assert "math notranslate" in (site / "links" / "network.html").read_text(encoding="utf-8")


def test_command_line_page_has_every_command(site: Path) -> None:
    text = (site / "cli.html").read_text(encoding="utf-8")
    for command in ("run", "compare", "trial", "power", "export sbml", "parameters show", "doctor"):
        assert f'id="kapsim-{command.replace(" ", "-")}"' in text, command


# --- without a build ------------------------------------------------------------------------------------------------


def test_marks_of_pages_name_what_there_is() -> None:
    marks = [(page.name, found) for page in DOCS.glob("*.md") for found in MARK.finditer(page.read_text("utf-8"))]
    assert len(marks) > 20
    assert [(page, found[1]) for page, found in marks if found[1] not in MAKERS] == []
    assert "<!-- from the package" not in filled((DOCS / "credibility.md").read_text("utf-8"))


def test_records_are_told_as_they_stand() -> None:
    line = records("infl.ketamine.surgery.il6_md").splitlines()[-1]
    assert "| -71 pg/mL (-101 to -41) | 331 human | Dale 2012 |" in line
    assert "sign" in records(next(name for name, item in _observed().items() if item.outcome.statistic == "sign"))
    with pytest.raises(KeyError):
        records("no.such.record")


def test_blocks_of_other_pages_are_read() -> None:
    assert all(len(row) >= 6 for row in rows("validation.md", "limits"))
    with pytest.raises(ValueError, match="no block 'nonsense'"):
        block("validation.md", "nonsense")


def test_newest_result_of_each_benchmark_is_shown() -> None:
    kept = newest()
    assert "population" in kept
    dates = [whole["date"] for whole in kept.values()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", date) for date in dates)


def test_python_page_lists_public_names_and_all_that_pages_import() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    listed = {f"kapsim.{name}" for name in re.findall(r"^   ([\w.]+)$", text, re.MULTILINE)}
    public = {f"kapsim.{name}" for name in kapsim.__all__ if name not in ("__version__", "errors")}
    code = "".join(item.text for page in DOCS.glob("*.md") for item in blocks(page) if item.kind == "python")
    for module, names in re.findall(r"^from (kapsim\.[\w.]+) import ([\w, ]+)", code, re.MULTILINE):
        public |= {f"{module}.{name.strip()}" for name in names.split(",")}
    short = {"kapsim.patient.load_patient", "kapsim.population.load_population", "kapsim.protocol.load_protocol"}
    assert public - listed <= short
