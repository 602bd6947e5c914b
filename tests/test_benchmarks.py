"""``benchmarks/all.py``: every script is known to it, and what a script says or fails to say is told as it is."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"

if not BENCHMARKS.is_dir():
    pytest.skip("the source distribution has no benchmarks", allow_module_level=True)


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("benchmarks_all", BENCHMARKS / "all.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


every: Any = _load()


def test_what_was_measured_again_stands_beside_what_was_measured_before(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    from benchmark_docs import newest

    for date, names in (("2026-01-01", ("one", "two")), ("2026-01-02", ("two",))):
        whole = {"date": date, "benchmarks": {name: {"result": date} for name in names}}
        (tmp_path / f"{date}-full.json").write_text(json.dumps(whole))
    found = newest(tmp_path)
    assert found["date"] == "2026-01-02"
    assert {name: item["date"] for name, item in found["benchmarks"].items()} == {
        "one": "2026-01-01", "two": "2026-01-02",
    }  # fmt: skip
    with pytest.raises(SystemExit, match="no results"):
        newest(tmp_path / "nothing")


def test_the_page_shows_the_newest_results_and_which_limits_are_missed() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    from benchmark_docs import figures, limits, newest

    found = newest(BENCHMARKS / "results")
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for name, text in (("figures", figures(found, every)), ("limits", limits(found))):
        assert f"<!-- {name}: begin -->\n{text}\n<!-- {name}: end -->" in page, "run scripts/benchmark_docs.py"
    for item in found["benchmarks"].values():
        item["passed"] = True
    assert figures(found, every).endswith("All limits are met.")
    found["benchmarks"]["run"]["passed"] = False
    assert figures(found, every).endswith("missed by: run.")


def made_up(name: str, script: str) -> Any:
    """Return a benchmark whose result has a number and a verdict."""
    return every.Benchmark(
        name,
        script,
        lambda found: [every.Line("it", f"{found['s']:.1f} s", "peer 6.0 s", 6.0 / found["s"])],
        lambda found: found["passed"],
    )


def test_every_script_that_measures_is_run() -> None:
    known = {item.script for item in every.BENCHMARKS}
    helpers = {"all.py", "arithmetic.py", "brain_peers.py", "population_peers.py", "population_model.py"}
    there = {path.name for path in BENCHMARKS.glob("*.py")} - helpers
    assert there == known


def test_kept_results_can_be_shown_again() -> None:
    kept = sorted((BENCHMARKS / "results").glob("*.json"))
    assert kept
    for path in kept:
        found = json.loads(path.read_text())
        assert found["machine"]["cores"] >= 1
        assert found["versions"]["kapsim"]
        done = [name for name, item in found["benchmarks"].items() if item["status"] == "done"]
        lines = every.table(found["benchmarks"])
        assert done
        assert all(any(line.startswith(name) for line in lines[1:]) for name in done)


def test_table_tells_figures_absent_scripts_and_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripts = {
        "good.py": "import json, sys\nprint('a table')\nprint(json.dumps({'s': 2.0, 'passed': '--quick' in sys.argv}))",
        "silent.py": "raise SystemExit('no peer to be had')",
        "slow.py": "import time\nprint('{}', flush=True)\ntime.sleep(60)",
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(every, "HERE", tmp_path)
    monkeypatch.setattr(every, "BENCHMARKS", tuple(made_up(name[:-3], name) for name in (*scripts, "missing.py")))
    real = every.measure
    monkeypatch.setattr(every, "measure", lambda item, quick, limit: real(item, quick, limit, tmp_path))
    assert every.main(["--quick", "--seconds", "2"], tmp_path / "results") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["good", "it", "2.0", "s", "peer", "6.0", "s", "3.0", *lines[1].split()[8:11], "met"]
    assert "failed: ended with 1 and no result (no peer to be had)" in lines[2]
    assert "failed: not done after 2 s" in lines[3]
    assert lines[4].split() == ["missing", "absent"]
    assert json.loads(lines[-1])["wrong"] == ["silent", "slow"]
    # what failed is not kept, some can be measured again, and without --quick the limit of this one is missed
    [kept] = (tmp_path / "results").iterdir()
    assert every.main(["--quick", "--only", "good"], tmp_path / "results") == 0
    assert list(json.loads(kept.read_text())["benchmarks"]) == ["good"]
    assert every.main(["--only", "good"], tmp_path / "results") == 1
