"""Time `kapsim validate` on all shipped records, and the kinetics alone beside SciPy's LSODA on the same matrices.

The peer integrates each person's linear system as an ODE at rtol 1e-8, one after another on one core; its time for all
people is scaled up from the few that are run. Usage: python benchmarks/validate.py [--quick]: quick validates one
domain instead of all. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

LIMIT = 15 * 60.0
PEOPLE, HOURS = 1280, 24.0
PROTOCOL = """schema_version: 1
name: one_infusion
title: one infusion
horizon: 24 h
doses: [{drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, at: 0 h}]
"""


def validate_seconds(quick: bool) -> float:
    """Run the command line once; return wall seconds."""
    command = [sys.executable, "-m", "kapsim", "validate", *(["--only", "plasma_iv"] if quick else [])]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def kinetics_seconds(people: Any) -> float:
    """Return kapsim's seconds for the concentrations of everybody, best of three."""
    from kapsim.concentrations import concentration_course
    from kapsim.protocol import parse_protocol

    protocol, found = parse_protocol(PROTOCOL), []
    for _ in range(3):
        start = time.perf_counter()
        concentration_course(protocol, people)
        found.append(time.perf_counter() - start)
    return min(found)


def peer_seconds(people: Any, count: int) -> float:
    """Return LSODA's seconds a person for both enantiomers at the same accuracy of output times."""
    import numpy as np
    from scipy.integrate import solve_ivp

    from kapsim.course import build_course
    from kapsim.engine.grid import TICKS_PER_HOUR
    from kapsim.protocol import parse_protocol

    course = build_course(parse_protocol(PROTOCOL), people)
    pump, hours = course.compartments.index("pump"), course.grid.hours
    edges = sorted({0, *course.jumps})
    start = time.perf_counter()
    for person in range(count):
        for system in range(2):
            matrix, content = course.matrices[system, person], np.zeros(len(course.compartments))
            for k, tick in enumerate(edges):
                content = content + course.jumps.get(tick, np.zeros((2, len(content), people.size)))[system, :, person]
                begin = tick / TICKS_PER_HOUR
                end = edges[k + 1] / TICKS_PER_HOUR if k + 1 < len(edges) else HOURS
                at = hours[(hours >= begin) & (hours <= end)]
                solved = solve_ivp(
                    lambda _, x, m=matrix: m @ x, (begin, end), content, "LSODA", t_eval=at, rtol=1e-8, atol=1e-10
                )
                content = solved.y[:, -1]
                content[pump] = round(content[pump], 12)
    return (time.perf_counter() - start) / count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one domain, fewer of the peer's people")
    quick = parser.parse_args().quick
    from kapsim.patient.sampling import sample_people

    people = sample_people(None, PEOPLE, 0)
    ours, each = kinetics_seconds(people), peer_seconds(people, 3 if quick else 20)
    whole = validate_seconds(quick)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    what = "one domain" if quick else f"all records (limit {LIMIT:g} s on two cores)"
    print(f"kapsim validate, {what:42} {whole:8.1f} s on {cores} cores")
    print(f"kinetics of {PEOPLE} people over {HOURS:g} h{'':25} {ours:8.2f} s")
    print(f"SciPy LSODA, one core, scaled from a few{'':18} {each * PEOPLE:8.1f} s")
    print(f"ratio LSODA over kapsim{'':35} {each * PEOPLE / ours:8.1f}")
    result = {
        "validate_s": whole,
        "all_records": not quick,
        "within_limit": quick or whole <= LIMIT,
        "people": PEOPLE,
        "kinetics_s": ours,
        "lsoda_s": each * PEOPLE,
        "ratio": each * PEOPLE / ours,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
