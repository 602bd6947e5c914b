"""Write the tables of docs/benchmarks.md from kept results: `python scripts/benchmark_docs.py [FILE]`.

Without a file: the newest full results of `benchmarks/all.py` for each benchmark, quick ones where there are none.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from pages import markdown, replace

ROOT = Path(__file__).resolve().parent.parent
PAGE, BENCHMARKS = ROOT / "docs" / "benchmarks.md", ROOT / "benchmarks"
#: Parts of a use that are told.
TOLD = 5


def newest(folder: Path) -> dict[str, Any]:
    """Return the newest results in a folder, full ones before quick ones, with what only older ones have."""
    for kind in ("full", "quick"):
        if files := sorted(folder.glob(f"*-{kind}.json")):
            kept = [json.loads(path.read_text(encoding="utf-8")) for path in files]
            dated = ({name: {**item, "date": one["date"]} for name, item in one["benchmarks"].items()} for one in kept)
            return {**kept[-1], "benchmarks": {name: item for one in dated for name, item in one.items()}}
    raise SystemExit(f"{folder.name} has no results; run benchmarks/all.py")


def figures(found: dict[str, Any], every: Any) -> str:
    """Return machine, versions and the table of all figures."""
    about, versions = found["machine"], found["versions"]
    memory = "" if about["memory_gib"] is None else f", {about['memory_gib']:g} GiB"
    kind = "Quick" if found["quick"] else "Full"
    packages = ", ".join(f"{name} {value}" for name, value in versions.items() if value)
    where = f"{about['processor']}, {about['cores']} cores{memory}"
    first = f"{kind} results, the last of {found['date']}: {where}; {packages}."
    rows = []
    for benchmark in every.BENCHMARKS:
        item = found["benchmarks"].get(benchmark.name)
        if item is None:
            rows.append((benchmark.name, "not in this run", "", "", "", ""))
            continue
        load = f"{item['load_before']:.1f} to {item['load_after']:.1f}"
        for line in benchmark.lines(item["result"]):
            ratio = "" if line.ratio is None else f"{line.ratio:.1f}"
            rows.append((benchmark.name, line.what, line.ours, line.peer, ratio, load))
    missed = [name for name, item in found["benchmarks"].items() if item["passed"] is False]
    last = f"Limits of their own are missed by: {', '.join(missed)}." if missed else "All limits are met."
    table = markdown(("benchmark", "what", "kapsim", "beside it", "ratio", "load"), rows)
    days: dict[str, list[str]] = {}
    for name, item in found["benchmarks"].items():
        days.setdefault(item.get("date", found["date"])[:10], []).append(name)
    told = [f"Measured on {day}: {', '.join(names)}." for day, names in sorted(days.items())]
    return f"{first}\n\n{table}\n\n{' '.join([*told, last])}"


def limits(found: dict[str, Any]) -> str:
    """Return the kernels beside the processor, and where the time of each use goes."""
    if "limits" not in found["benchmarks"]:
        return "These results are without the profiles."
    result = found["benchmarks"]["limits"]["result"]
    chain, cortex, peak = result["chain"], result["cortex"], result["peak_gflops"]
    least = max(chain["turns_ms"], chain["divisions_ms"])
    flops = sum(cortex["flops"].values())
    kernels = [
        (
            "chain, a patient",
            f"{chain['flops'] / 1e6:.1f} million",
            f"{chain['cpu_ms']:.2f} ms",
            f"{least:.2f} ms",
            f"{chain['gflops']:.1f} ({100 * chain['gflops'] / peak:.0f} % of the peak)",
        ),
        (
            f"cortex of {cortex['regions']} regions, a simulated second",
            f"{flops / 1e6:.0f} million",
            f"{1e3 * cortex['cpu_s']:.0f} ms",
            f"{1e3 * flops / peak / 1e9:.0f} ms",
            f"{cortex['gflops']:.1f} ({100 * cortex['gflops'] / peak:.0f} % of the peak)",
        ),
        (
            "of that the coupling, run alone",
            f"{cortex['flops']['coupling'] / 1e6:.0f} million",
            f"{1e3 * cortex['coupling_s']:.0f} ms",
            f"{1e3 * cortex['flops']['coupling'] / peak / 1e9:.0f} ms",
            f"{cortex['coupling_gflops']:.1f} ({100 * cortex['coupling_gflops'] / peak:.0f} % of the peak)",
        ),
    ]
    uses = [
        (
            name,
            f"{100 * use['loading']:.0f} %",
            ", ".join(f"{part} {100 * share:.0f} %" for part, share in list(use["shares"].items())[:TOLD]),
        )
        for name, use in result["uses"].items()
    ]
    return "\n\n".join(
        [
            f"One core does at most {peak:.1f} GFLOP/s (multiply-adds on eight doubles at a time, measured).",
            markdown(("kernel", "operations", "takes", "least by arithmetic", "GFLOP/s"), kernels),
            markdown(("use", "loading modules", "own time by who works"), uses),
        ]
    )


def main() -> None:
    """Fill in the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", help="results to show")
    chosen = parser.parse_args().file
    spec = importlib.util.spec_from_file_location("benchmarks_all", BENCHMARKS / "all.py")
    assert spec is not None
    assert spec.loader is not None
    every = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = every
    spec.loader.exec_module(every)
    found = newest(BENCHMARKS / "results") if chosen is None else json.loads(chosen.read_text(encoding="utf-8"))
    replace(PAGE, {"figures": figures(found, every), "limits": limits(found)})


if __name__ == "__main__":
    main()
