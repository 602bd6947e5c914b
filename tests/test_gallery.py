"""Every example of the gallery runs as a plain script; it has a title, and figures that say what their axes are."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "examples"
EXAMPLES = sorted(FOLDER.glob("plot_*.py"))
#: Cost little, and stand for the others by default.
QUICK = ("plot_default_mode", "plot_interactions")
LONGEST_S = 25.0
#: Runs an example, looks at the figures that it leaves, and says how long it computed, s.
RUNNER = """
import runpy, sys, time
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
begun = time.process_time()
runpy.run_path(sys.argv[1], run_name="__main__")
taken = time.process_time() - begun
figures = [plt.figure(number) for number in plt.get_fignums()]
assert figures, "no figure"
for figure in figures:
    figure.canvas.draw()
    words = [text.get_text() for text in figure.texts] + [figure.get_supxlabel()]
    assert any("Research and education only" in text for text in words), "a figure without the statement"
    # a colour bar has no label of its own
    shown = [axis for axis in figure.axes if axis.has_data() and axis.get_label() != "<colorbar>"]
    assert shown, "an empty figure"
    assert any(axis.get_ylabel() or axis.get_yticklabels()[0].get_text() for axis in shown), "no vertical axis"
    assert any(axis.get_xlabel() or axis.get_xticklabels()[0].get_text() for axis in shown), "no horizontal axis"
print("took", taken)
"""


def run(path: Path) -> float:
    """Run an example and return the seconds that it computed."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(path)],
        cwd=FOLDER,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.rpartition("took ")[2])


def test_there_are_enough_of_them_and_the_account_is_one() -> None:
    assert len(EXAMPLES) >= 12
    account = (FOLDER / "plot_account.py").read_text(encoding="utf-8")
    from kapsim.story import CLAUSES

    for clause in CLAUSES:
        assert f'told("{clause.id}")' in account, clause.id
        assert f"# {clause.id}: " in account, clause.id


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_a_title_and_prose(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = (ast.get_docstring(ast.parse(text)) or "").splitlines()
    assert len(lines) > 3
    assert lines[1] == "=" * len(lines[0])
    assert text.count("# %%") >= 2
    assert "DISCLAIMER" in text


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.stem in QUICK], ids=lambda path: path.stem)
def test_a_quick_example_runs(path: Path) -> None:
    run(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_runs_in_time(path: Path) -> None:
    # seconds of all cores together, of which the solver uses what there is
    assert run(path) < 2 * LONGEST_S
