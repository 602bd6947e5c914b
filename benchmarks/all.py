"""Runs every benchmark, peers included, and prints one table; what was found is kept in benchmarks/results/.

python benchmarks/all.py                        everything in full (an hour or so on two cores)
python benchmarks/all.py --quick                fewer repeats and patients
python benchmarks/all.py --only run brain       some of them; `--list` names them

Each script makes the environments of its peers itself, once, and can be run alone. A figure of a busy machine is no
figure of kapsim: the load (processes that want a core, over the last minute) stands beside each, from before and after.
The file holds machine, versions and all that the scripts reported, nothing of those that failed, and is named after
the day. The last line is JSON.
Exit status 1 where a benchmark fails or misses its limit.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
#: What decides how fast kapsim is, besides itself.
PACKAGES = ("kapsim", "numpy", "scipy", "jax", "llvmlite", "numba", "xarray")
#: Seconds after which a script counts as failed.
LIMIT_S = {True: 1800, False: 3 * 3600}
Result = dict[str, Any]


class Line(NamedTuple):
    """One line of the table."""

    what: str
    ours: str
    peer: str = ""
    ratio: float | None = None  # the peer's over kapsim's


class Benchmark(NamedTuple):
    """A script that ends with a line of JSON, and what of it the table shows."""

    name: str
    script: str
    lines: Callable[[Result], list[Line]]
    passed: Callable[[Result], bool | None]
    quick: tuple[str, ...] = ("--quick",)
    full: tuple[str, ...] = ()


def _run(found: Result) -> list[Line]:
    return [
        Line("first run of a machine, 200 people", f"{found['first_s']:.2f} s"),
        Line("warm run, 200 people", f"{found['second_s']:.2f} s"),
        Line(
            "solver alone, 200 people",
            f"{found['solver_s']:.2f} s",
            f"SciPy LSODA {found['lsoda_s']:.0f} s",
            found["ratio"],
        ),
    ]


def _population(found: Result) -> list[Line]:
    times = dict(found["milliseconds"])
    ours = times.pop("kapsim")
    return [
        Line("population, a patient", f"{ours:.3g} ms", f"{name} {each:.3g} ms", each / ours)
        for name, each in times.items()
    ]


def _brain(found: Result) -> list[Line]:
    lines = []
    for kind in ("single", "batch"):
        ours = found["times"][f"kapsim, {kind}"]["wall"]
        for name in found["versions"]:
            at = found["times"].get(f"{name}, {kind}")
            if at is not None:
                peer = f"{name} {found['versions'][name]} {at['wall']:.3g} s"
                lines.append(Line(f"cortex, {kind}, a simulated second", f"{ours:.3g} s", peer, at["wall"] / ours))
    return lines


def _agreement(found: Result) -> list[Line]:
    return [
        Line(f"agreement, {found['pairs']} pairs, largest difference", f"{value:.1e}", engine)
        for engine, value in found["largest_difference"].items()
    ]


def _scaling(found: Result) -> list[Line]:
    return [
        Line(
            f"{row['patients']:,} people over 26 weeks",
            f"{row['wall_s']:.1f} s, {row['memory_gib']:.2f} GiB, {1e3 * row['cpu_s'] / row['patients']:.2f} ms CPU",
        )
        for row in found["runs"]
    ]


def _validate(found: Result) -> list[Line]:
    what = "all records" if found["all_records"] else "one domain"
    return [
        Line(f"validation of {what}", f"{found['validate_s']:.0f} s"),
        Line(
            f"kinetics of {found['people']} people",
            f"{found['kinetics_s']:.2f} s",
            f"SciPy LSODA {found['lsoda_s']:.0f} s",
            found["ratio"],
        ),
    ]


def _start_up(found: Result) -> list[Line]:
    return [Line(what, f"{seconds:.2f} s") for what, seconds in found["seconds"].items()]


def _explorer(found: Result) -> list[Line]:
    return [
        Line("explorer, ready", f"{found['ready_s']:.1f} s"),
        Line("explorer, first paint", f"{found['first_paint_ms']:.0f} ms"),
        Line("explorer, slider to plot", f"{found['one_median_ms']:.0f} ms, p95 {found['one_p95_ms']:.0f} ms"),
        Line("explorer, twenty people", f"{found['twenty_median_ms']:.0f} ms, p95 {found['twenty_p95_ms']:.0f} ms"),
        Line("explorer, memory of the server", f"{found['memory_mib']:.0f} MiB"),
    ]


def _limits(found: Result) -> list[Line]:
    chain, cortex, peak = found["chain"], found["cortex"], found["peak_gflops"]
    least = max(chain["turns_ms"], chain["divisions_ms"])
    return [
        Line(
            "chain, a patient on one core",
            f"{chain['cpu_ms']:.2f} ms, {chain['gflops']:.1f} GFLOP/s",
            f"arithmetic alone {least:.2f} ms",
            least / chain["cpu_ms"],
        ),
        Line(
            "cortex, a simulated second on one core",
            f"{cortex['cpu_s']:.3f} s, {cortex['gflops']:.1f} GFLOP/s",
            f"peak {peak:.0f} GFLOP/s",
            peak / cortex["gflops"],
        ),
        *(
            Line(f"loading of modules, {name}", f"{100 * use['loading']:.0f} % of the profile")
            for name, use in found["uses"].items()
        ),
    ]


BENCHMARKS = (
    Benchmark("start-up", "start_up.py", _start_up, lambda found: found["within_limits"]),
    Benchmark("run", "run.py", _run, lambda found: found["within_limits"]),
    Benchmark("population", "population.py", _population, lambda found: found["passed"]),
    Benchmark("brain", "brain.py", _brain, lambda found: found["within_limits"]),
    Benchmark("agreement", "agreement.py", _agreement, lambda found: found["passed"]),
    Benchmark(
        "scaling",
        "scaling.py",
        _scaling,
        lambda found: found["within_limits"],
        ("--sizes", "1000"),
        ("--sizes", "1000", "10000", "100000"),
    ),
    Benchmark("validate", "validate.py", _validate, lambda found: found["within_limit"]),
    Benchmark("explorer", "explorer.py", _explorer, lambda found: found["within_limits"]),
    Benchmark("limits", "limits.py", _limits, lambda found: None),
)


def machine() -> Result:
    """Return what kind of machine this is, without its name."""
    model = platform.processor() or platform.machine()
    memory = None
    about = Path("/proc/cpuinfo")
    if about.exists():
        named = [line for line in about.read_text().splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3, 1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": platform.system(), "processor": model, "cores": cores, "memory_gib": memory}


def versions() -> Result:
    """Return the versions of what decides how fast kapsim is."""
    found: Result = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def measure(benchmark: Benchmark, quick: bool, limit_s: float | None = None, folder: Path = HERE) -> Result:
    """Run one script; return what it reported, or why it did not."""
    script = folder / benchmark.script
    if not script.exists():
        return {"status": "absent"}
    before, start = os.getloadavg()[0], time.perf_counter()
    command = [sys.executable, str(script), *(benchmark.quick if quick else benchmark.full)]
    found: Result = {"arguments": command[2:], "load_before": round(before, 2)}
    limit_s = LIMIT_S[quick] if limit_s is None else limit_s
    # a session of its own, so that peers' processes end with the script
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        told, wrong = process.communicate(timeout=limit_s)
        result = json.loads((told.strip().splitlines() or [""])[-1])
        found |= {"status": "done", "passed": benchmark.passed(result), "result": result}
    except subprocess.TimeoutExpired:
        found["status"] = f"failed: not done after {limit_s:g} s"
    except (ValueError, KeyError, TypeError):
        said = " ".join(wrong.split())[-200:]
        found["status"] = f"failed: ended with {process.returncode} and no result ({said})"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return {**found, "seconds": round(time.perf_counter() - start, 1), "load_after": round(os.getloadavg()[0], 2)}


def table(found: dict[str, Result]) -> list[str]:
    """Return the lines of the table."""
    rows = [("benchmark", "what", "kapsim", "peer", "ratio", "load", "limit")]
    for benchmark in BENCHMARKS:
        item = found.get(benchmark.name)
        if item is None:
            continue
        if item["status"] != "done":
            rows.append((benchmark.name, item["status"], "", "", "", "", ""))
            continue
        load = f"{item['load_before']:.1f} to {item['load_after']:.1f}"
        limit = {True: "met", False: "missed", None: ""}[item["passed"]]
        for line in benchmark.lines(item["result"]):
            ratio = "" if line.ratio is None else f"{line.ratio:.1f}"
            rows.append((benchmark.name, line.what, line.ours, line.peer, ratio, load, limit))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def main(arguments: list[str] | None = None, results: Path = RESULTS) -> int:
    """Run what is asked for, print the table and keep the results."""
    names = [item.name for item in BENCHMARKS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats and patients")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="some of them")
    parser.add_argument("--seconds", type=float, help="that a script may take [half an hour quick, three hours full]")
    parser.add_argument("--list", action="store_true", help="name them and end")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(names))
        return 0
    found: dict[str, Result] = {}
    for benchmark in BENCHMARKS:
        if options.only is None or benchmark.name in options.only:
            print(f"{benchmark.name} ...", file=sys.stderr, flush=True)
            found[benchmark.name] = measure(benchmark, options.quick, options.seconds)
    now = datetime.now(UTC)
    whole = {
        "date": now.strftime("%Y-%m-%dT%H:%MZ"),
        "quick": options.quick,
        "machine": machine(),
        "versions": versions(),
        "benchmarks": {name: item for name, item in found.items() if item["status"] == "done"},
    }
    results.mkdir(parents=True, exist_ok=True)
    kept = results / f"{now.strftime('%Y-%m-%d')}-{'quick' if options.quick else 'full'}.json"
    if options.only is not None and kept.exists():
        # some of them again: the others stay as they were measured
        whole["benchmarks"] = {**json.loads(kept.read_text())["benchmarks"], **whole["benchmarks"]}
    kept.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(found)))
    wrong = [name for name, item in found.items() if item["status"].startswith("failed") or item.get("passed") is False]
    print(
        json.dumps({"benchmark": "all", "quick": options.quick, "ran": list(found), "wrong": wrong, "file": kept.name})
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
