"""How fast kapsim and its peers were, from the kept results of `benchmarks/all.py`."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from markup import as_markdown, markdown

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def _module() -> Any:
    """Return `benchmarks/all.py`, which knows how to tell each result."""
    name = "kapsim_benchmarks_all"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / "all.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def newest(folder: Path = BENCHMARKS / "results") -> dict[str, dict[str, Any]]:
    """Return the newest kept result of each benchmark, one in full before a quick one, each with its whole file."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    found: dict[str, dict[str, Any]] = {}
    for kept in sorted(files, key=lambda kept: (not kept["quick"], kept["date"])):
        for name in kept["benchmarks"]:
            found[name] = kept
    return found


def speed() -> str:
    """Return a table of the kept benchmarks that have a peer."""
    kept, rows = newest(), []
    for benchmark in _module().BENCHMARKS:
        if benchmark.name not in kept:
            continue
        item = kept[benchmark.name]["benchmarks"][benchmark.name]
        load = f"{item['load_before']:.1f} to {item['load_after']:.1f}"
        for line in benchmark.lines(item["result"]):
            if not line.peer:
                continue
            ratio = "" if line.ratio is None else f"{line.ratio:.1f}"
            rows.append([benchmark.name, *map(as_markdown, (line.what, line.ours, line.peer)), ratio, load])
    return markdown(("benchmark", "what", "kapsim", "peer", "peer over kapsim", "load"), rows)


def machines() -> str:
    """Return where and when the results were measured."""
    told = {}
    for name, whole in newest().items():
        machine, kind = whole["machine"], "quick" if whole["quick"] else "in full"
        told.setdefault((whole["date"], kind), (machine, whole["versions"], []))[2].append(name)
    lines = []
    for (date, kind), (machine, versions, names) in sorted(told.items()):
        packages = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        lines.append(
            f"- {date[:10]}, {kind}: {', '.join(names)}. {machine['cores']} cores ({machine['processor']}), "
            f"{machine['memory_gib']} GiB, {machine['system']}; {packages}."
        )
    absent = [item.name for item in _module().BENCHMARKS if item.name not in newest()]
    if absent:
        lines.append(f"- No result is kept yet of: {', '.join(absent)}.")
    return "\n".join(lines)


MAKERS = {"speed": speed, "machines": machines}
