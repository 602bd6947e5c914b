"""What limits kapsim: both kernels beside what the processor can do, and where the time of each use goes.

The arithmetic of the kernels is counted and the processor's measured (`arithmetic.py`), both in CPU time of one core,
which other processes disturb less than wall time. Uses are run under cProfile, which charges every call of Python's
with some of its own work, so that shares of code with many small calls come out too large; their seconds are wall
seconds under the profile, of which the shares mean something and the sum does not. Usage:
python benchmarks/limits.py [--quick]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from arithmetic import FLOPS, LANES, chain_operations, cortex_operations, rate

PROTOCOL, PEOPLE, SECONDS, STEP_MS = "twice_weekly_infusions", 256, 10, 0.1
#: Steps of the cortex over which its coupling alone is measured.
TURNS = 20_000
UNIT = 1e-9
#: Parts that are told; the rest is one line.
TOLD = 6
Result = dict[str, Any]


# --- the kernels ----------------------------------------------------------------------------------------------------


def least(work: Callable[[], Any], repeats: int) -> float:
    """Return the least CPU seconds of some calls; the first, which may compile, does not count."""
    work()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def chain(rates: dict[str, float], repeats: int) -> Result:
    """Return what the chain's kernel does in a second of one core, and the least that its arithmetic takes."""
    from kapsim.course import build_course
    from kapsim.model import variant_switches
    from kapsim.patient.sampling import sample_people
    from kapsim.protocol import load_protocol
    from kapsim.solving import integrate, prepare

    people, switches = sample_people(None, PEOPLE, 0), variant_switches("standard")
    course = build_course(load_protocol(PROTOCOL), people)
    operations = chain_operations(course, switches)
    prepared = prepare(people, switches)
    seconds = least(lambda: integrate(course, people, switches, prepared=prepared, threads=1), repeats)
    slow = sum(operations.get(kind, 0.0) / rates[kind] for kind in ("fdiv", "sqrt"))
    turns = sum(count for kind, count in operations.items() if kind not in ("fdiv", "sqrt"))
    flops = LANES * sum(FLOPS.get(kind, 0) * count for kind, count in operations.items())
    groups = PEOPLE / LANES
    return {
        "people": PEOPLE,
        "steps": len(course.grid.size_index),
        "operations": operations,
        "cpu_ms": 1e3 * seconds / PEOPLE,
        "flops": flops / LANES,
        "gflops": UNIT * flops * groups / seconds,
        # a turn is an instruction on numbers or bits; divisions and roots have a unit of their own
        "turns_ms": 1e3 * UNIT * turns / rates["fma"] / LANES,
        "divisions_ms": 1e3 * UNIT * slow / LANES,
    }


def cortex(rates: dict[str, float], repeats: int) -> Result:
    """Return the same of the cortex on 100 regions, a simulated second, and what the coupling alone takes."""
    from numba import njit

    from kapsim.brain import load_atlas, simulate
    from kapsim.brain.engines import kernel
    from kapsim.brain.simulation import VESSEL_STEP_MS
    from kapsim.brain.working_point import working_point

    weights = working_point().scaled(load_atlas("schaefer100"))
    steps, samples = round(1e3 * SECONDS / STEP_MS), round(1e3 * SECONDS / VESSEL_STEP_MS)
    operations = cortex_operations(len(weights), steps, samples)

    def whole() -> None:
        simulate(
            weights, coupling=1.0, duration_s=SECONDS, step_ms=STEP_MS, repetition_s=1.0, discard_s=0.0, engine="numba"
        )

    arrive = kernel.arrive

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def coupled(count: int, matrix: Any, gating: Any, arriving: Any) -> None:
        for _ in range(count):
            arrive(matrix, gating, arriving)
            gating[0] = arriving[0]

    padded = -(-len(weights) // kernel.LANES) * kernel.LANES
    matrix, gating, arriving = np.full((padded, padded), 1e-3), np.full(padded, 0.1), np.zeros(padded)
    seconds = least(whole, repeats)
    alone = least(lambda: coupled(TURNS, matrix, gating, arriving), repeats) * steps / TURNS
    flops = sum(operations.values())
    return {
        "regions": len(weights),
        "cpu_s": seconds / SECONDS,
        "flops": {part: count / SECONDS for part, count in operations.items()},
        "gflops": UNIT * flops / seconds,
        "coupling_s": alone / SECONDS,
        "coupling_gflops": UNIT * operations["coupling"] / alone,
    }


# --- where the time goes --------------------------------------------------------------------------------------------

#: Name of a use → what is done before it, and the use.
USES: dict[str, tuple[str, str]] = {
    "kapsim --help": ("", "kapsim(['--help'])"),
    "kapsim check": ("", "kapsim(['check', protocol])"),
    "kapsim run, 200 people": ("", "kapsim(['run', 'twice_weekly_infusions', '--draws', '200', '--out', 'out'])"),
    "kapsim validate, one domain": ("", "kapsim(['validate', '--only', 'plasma_iv'])"),
    "block of 500 people, 26 weeks": (
        "from scaling import COURSE\n"
        "from kapsim.protocol import parse_protocol\n"
        "from kapsim.outcomes import endpoints\n"
        "from kapsim.simulation import simulate_people\n"
        "from kapsim.streaming import POPULATION_GRID, people_from, population_hours\n"
        "plan = parse_protocol(COURSE)\n"
        "def block(first, size):\n"
        "    people = people_from(None, first, size, 0)\n"
        "    found = simulate_people(plan, people, at=population_hours(plan).tolist(), threads=1,\n"
        "                            resolution=POPULATION_GRID, check_solution=False)\n"
        "    endpoints(found)\n"
        "block(500, 50)\n",
        "block(0, 500)",
    ),
    "explorer, a moved slider": (
        "from kapsim.app import figures, solving\n"
        "from kapsim.app.controls import preset_controls\n"
        "given = preset_controls('single_infusion')\n"
        "def answer(dose):\n"
        "    found = solving._simulate(given.model_copy(update={'per_kg': dose}))\n"
        "    axis = figures.time_axis((found,), 'weeks')\n"
        "    figures.numbers((found,), axis)\n"
        "answer(0.4)\n",
        "answer(0.6)",
    ),
}
_CODE = """
import cProfile, sys
sys.path.insert(0, {here!r})
protocol = {protocol!r}
def kapsim(words):
    from kapsim.cli import main
    assert main(words) == 0
{before}
profile = cProfile.Profile()
profile.enable()
{use}
profile.disable()
profile.dump_stats({target!r})
"""


def profiled(before: str, use: str, folder: Path) -> Result:
    """Run a use in a process of its own; return its seconds and the shares of its parts."""
    target = folder / "profile"
    plan = Path(__file__).resolve().parent.parent / "src/kapsim/protocol/library/kap_six_sessions.yaml"
    code = _CODE.format(here=str(Path(__file__).parent), protocol=str(plan), before=before, use=use, target=str(target))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, capture_output=True)
    parts = Counter[str]()
    loading = 0.0
    stats: Any = pstats.Stats(str(target), stream=io.StringIO())
    for (file, _, name), (_, _, own, whole, callers) in stats.stats.items():
        if name == "_find_and_load":
            loading = whole
        if not _is_built_in(file) or not callers:
            parts[part_of(file, name)] += own
            continue
        # what is built into Python is charged to who calls it
        charged = sum(caller[2] for caller in callers.values()) or 1.0
        for (caller_file, _, caller_name), (_, _, share, _) in callers.items():
            waits = "acquire" in name and "lock" in name
            called = "the kernels" if waits else part_of(caller_file, caller_name)
            parts[called] += own * share / charged
    seconds = sum(parts.values())
    # what modules do as they are loaded is in both: in the share of loading, and in those of who does it
    return {
        "profiled_s": seconds,
        "loading": loading / seconds,
        "shares": {part: value / seconds for part, value in parts.most_common(2 * TOLD)},
    }


def _is_built_in(file: str) -> bool:
    return file in ("~", "")


def part_of(file: str, name: str) -> str:
    """Return which part of the whole a function belongs to."""
    parts = Path(file).parts
    if name == "<module>" or "importlib" in file:
        return "import machinery"
    if "llvmlite" in parts:
        return "llvmlite: finding or compiling the kernels"
    if "kapsim" in parts:
        below = parts[len(parts) - 1 - parts[::-1].index("kapsim") + 1 :]
        return "kapsim." + below[0].removesuffix(".py")
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    return "Python's own library"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, and uses as they come, compiling included")
    quick = parser.parse_args().quick
    repeats = 3 if quick else 9
    rates = {kind: rate(kind, repeats=repeats) for kind in ("fma", "fadd", "fmul", "fdiv", "sqrt")}
    peak = 2 * LANES * rates["fma"]
    result: Result = {"benchmark": "limits", "operations_per_ns": rates, "peak_gflops": peak}
    result["chain"] = own = chain(rates, repeats)
    print(f"one core: {peak:.1f} GFLOP/s at most (multiply-adds of doubles)")
    print(
        f"chain: {own['cpu_ms']:.2f} ms a patient, {own['flops'] / 1e6:.1f} million operations, {own['gflops']:.1f} "
        f"GFLOP/s; by the turns of the arithmetic units {own['turns_ms']:.2f} ms, of the divider beside them "
        f"{own['divisions_ms']:.2f} ms"
    )
    result["cortex"] = own = cortex(rates, repeats)
    print(
        f"cortex, {own['regions']} regions: {own['cpu_s']:.3f} s a simulated second, {own['gflops']:.1f} GFLOP/s; the "
        f"coupling alone {own['coupling_s']:.3f} s, {own['coupling_gflops']:.1f} GFLOP/s"
    )
    result["uses"] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (before, use) in USES.items():
            # the first run may compile, and fills the caches of files
            for number in range(1 if quick else 2):
                place = Path(folder) / f"{len(result['uses'])}-{number}"
                place.mkdir()
                found = profiled(before, use, place)
            result["uses"][name] = found
            most = list(found["shares"].items())[:TOLD]
            said = ", ".join(f"{part} {100 * share:.0f} %" for part, share in most)
            print(f"{name}: loading of modules {100 * found['loading']:.0f} %; by who works: {said}", flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
