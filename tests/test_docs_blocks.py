"""Every block of code of README and the pages of docs/ runs, and prints what the page shows.

What a page says of its blocks in comments is described in scripts/page_blocks.py. The tutorials have tests of their own
(tests/test_tutorials.py).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from page_blocks import Page, blocks, shown  # noqa: E402

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_CODE = [page for page in PAGES if any(block.runs for block in blocks(page))]
#: How many blocks of a page nothing runs, each with its reason on the page; a new one is added here on purpose.
NOT_RUN = {"benchmarks.md": 1, "calibration.md": 1, "cluster.md": 5, "validation.md": 1}


def run(page: Path, folder: Path, *, full: bool) -> None:
    running = Page(page, folder, full=full)
    for block, printed in running.printed():
        output = running.output(block)
        if printed is not None and output is not None and running.compared(block):
            assert shown(printed, output.marks["output"]) == output.text, f"{block.where}: run scripts/page_blocks.py"


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_blocks_run_in_a_small_form(page: Path, tmp_path: Path) -> None:
    run(page, tmp_path, full=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_blocks_run_in_full(page: Path, tmp_path: Path) -> None:
    run(page, tmp_path, full=True)


def test_what_is_not_run_says_why() -> None:
    left = [block for page in WITH_CODE for block in blocks(page) if "not run" in block.marks]
    assert all(len(block.marks["not run"]) > 10 for block in left)
    counts = {page.name: sum(block.page == page for block in left) for page in WITH_CODE}
    assert {name: count for name, count in counts.items() if count} == NOT_RUN


def test_pages_with_code_are_found() -> None:
    assert {"README.md", "first_course.md", "populations.md", "trials.md"} <= {page.name for page in WITH_CODE}


def test_every_file_that_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert target.startswith("http") or (ROOT / target).exists(), target


# --- the collector itself -------------------------------------------------------------------------------------------


def made_up(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text.replace("~~~", "```"), encoding="utf-8")
    return page


def test_output_that_differs_is_found(tmp_path: Path) -> None:
    page = made_up(tmp_path, "~~~python\nprint(1 + 1)\n~~~\n\n<!-- output -->\n~~~\n3\n~~~\n")
    with pytest.raises(AssertionError, match=r"page\.md:1: run"):
        run(page, tmp_path, full=False)


def test_block_that_fails_is_found(tmp_path: Path) -> None:
    page = made_up(tmp_path, "~~~\nkapsim protocols\nkapsim check nowhere.yaml\n~~~\n")
    with pytest.raises(AssertionError, match=r"page\.md:1: kapsim check nowhere\.yaml: exit status 2"):
        run(page, tmp_path, full=False)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("pip install 'kapsim[nonsense]'", "no extra nonsense"),
        ("make nonsense", "has no nonsense"),
        ("dask x", "'dask'"),
    ],
)
def test_line_that_is_not_run_is_checked(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        run(made_up(tmp_path, f"~~~\n{line}\n~~~\n"), tmp_path, full=False)


def test_files_and_names_carry_over(tmp_path: Path) -> None:
    text = "~~~python\nfrom pathlib import Path\nprint(Path('a.txt').read_text(), end='')\nx = 1\n~~~\n"
    text += "\n<!-- output -->\n~~~\nhello\n~~~\n"
    text += "\n<!-- file: a.txt -->\n~~~text\nhello\n~~~\n\n<!-- small: 10 = 1 -->\n~~~python\nassert x == 10\n~~~\n"
    run(made_up(tmp_path, text), tmp_path, full=False)
    assert (tmp_path / "a.txt").read_text() == "hello\n"


def test_some_lines_are_shown_with_dots_between() -> None:
    assert shown("a\nb\nc\nd\n", "1, /d/") == "a\n...\nd\n"
    assert shown("a\nb \n", "") == "a\nb\n"
    with pytest.raises(AssertionError, match="nothing printed"):
        shown("a\n", "/z/")
