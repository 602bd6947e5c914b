"""Time `kapsim run` on a named protocol: first run (nothing compiled), second run, and SciPy's LSODA beside it.

The peer is the same model as a plain ODE for SciPy's LSODA at rtol 1e-6, one patient after another on one core; its
time for all patients is scaled up from the few that are run. Usage: python benchmarks/run.py [--quick]. The last line
is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

PROTOCOL = "twice_weekly_infusions"
FIRST_LIMIT, SECOND_LIMIT, MEMORY_LIMIT = 15.0, 4.0, 1.5


def run_once(draws: int, cache: Path, out: Path) -> float:
    """Run the command line once; return wall seconds."""
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)}
    command = [sys.executable, "-m", "kapsim", "run", PROTOCOL, "--draws", str(draws), "--out", str(out)]
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def peer(patients: int) -> float:
    """Return LSODA's seconds a patient."""
    from kapsim.course import build_course
    from kapsim.model import variant_switches
    from kapsim.patient.sampling import sample_people
    from kapsim.protocol import load_protocol
    from reference import solve_reference

    protocol, people = load_protocol(PROTOCOL), sample_people(None, patients, 0)
    course = build_course(protocol, people)
    start = time.perf_counter()
    for patient in range(patients):
        solve_reference(protocol, course, people, variant_switches("standard"), patient=patient, rtol=1e-6)
    return (time.perf_counter() - start) / patients


def solver_seconds(draws: int) -> float:
    """Return kapsim's seconds to integrate all draws, compiled."""
    from kapsim.course import build_course
    from kapsim.model import variant_switches
    from kapsim.patient.sampling import sample_people
    from kapsim.protocol import load_protocol
    from kapsim.solving import integrate

    people = sample_people(None, draws, 0)
    course = build_course(load_protocol(PROTOCOL), people)
    integrate(course, people, variant_switches("standard"))
    start = time.perf_counter()
    integrate(course, people, variant_switches("standard"))
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats and peers' patients")
    quick = parser.parse_args().quick
    draws = 200
    with tempfile.TemporaryDirectory() as folder:
        cache, out = Path(folder) / "cache", Path(folder) / "out"
        first = run_once(draws, cache, out)
        second = sorted(run_once(draws, cache, out) for _ in range(2 if quick else 5))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    ours, each = solver_seconds(draws), peer(2 if quick else 10)
    median = second[len(second) // 2]
    print(f"{PROTOCOL}, {draws} draws")
    print(f"  first run                {first:6.2f} s   (limit {FIRST_LIMIT:g})")
    print(f"  second run, median       {median:6.2f} s   (limit {SECOND_LIMIT:g}; {second[0]:.2f} to {second[-1]:.2f})")
    print(f"  most memory              {memory:6.2f} GiB (limit {MEMORY_LIMIT:g})")
    print(f"  solver alone             {ours:6.2f} s   ({1000 * ours / draws:.2f} ms a patient)")
    print(f"  SciPy LSODA              {each * draws:6.2f} s   ({1000 * each:.0f} ms a patient, one core)")
    print(f"  ratio LSODA over kapsim  {each * draws / ours:6.1f}")
    result = {
        "protocol": PROTOCOL,
        "draws": draws,
        "first_s": first,
        "second_s": median,
        "memory_gib": memory,
        "solver_s": ours,
        "lsoda_s": each * draws,
        "ratio": each * draws / ours,
        "within_limits": first <= FIRST_LIMIT and median <= SECOND_LIMIT and memory <= MEMORY_LIMIT,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
