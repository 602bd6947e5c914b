"""Cost of large populations: 26 weeks with eight doses, streamed block by block, each size in a process of its own.

Prints wall and CPU seconds, the most memory, and what a patient costs; then the slope of CPU seconds over patients on
logarithmic scales, which is 1 where cost is linear. The first block of each size, with compiling, is in its time.
Usage: python benchmarks/scaling.py [--sizes 1000 10000 100000] [--block N]. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

COURSE = """\
schema_version: 1
name: eight_doses_26_weeks
title: Eight infusions in four weeks and follow-up to half a year
horizon: 26 wk
masking: open
doses:
- {drug: ketamine, route: iv, amount: 0.5 mg/kg, duration: 40 min, weekdays: [mon, thu], weeks: 4}
"""
#: What a population of 100,000 may take.
SECONDS_LIMIT, MEMORY_LIMIT, LARGE = 180.0, 2.0, 100_000


def measure(count: int, block: int) -> None:
    """Stream one population and print what it took, as JSON."""
    from kapsim.protocol import parse_protocol
    from kapsim.sentinels import SolutionError
    from kapsim.streaming import stream_population

    wall, changes = time.perf_counter(), []
    error = ""
    for item in stream_population(parse_protocol(COURSE), count, block=block):
        changes.append(item.endpoints["madrs_change_day28"].values)
        error = error or str(item.dataset.attrs["solution_error"])
    use = resource.getrusage(resource.RUSAGE_SELF)
    result = {
        "patients": count,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": use.ru_utime + use.ru_stime,
        "memory_gib": use.ru_maxrss / 1024**2,
        "madrs_change_day28": float(np.concatenate(changes).mean()),
        "largest_error": SolutionError.from_json(error).largest,
        "load": os.getloadavg()[0],
    }
    print(json.dumps(result))


def main() -> None:
    """Measure every size and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--block", type=int, default=500)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.one, arguments.block)
        return
    found = []
    print("patients      wall s     CPU s   CPU ms a patient   most memory GiB   error    load")
    for size in arguments.sizes:
        command = [sys.executable, __file__, "--one", str(size), "--block", str(arguments.block)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        found.append(row)
        print(
            f"{size:8d} {row['wall_s']:11.1f} {row['cpu_s']:9.1f} {1e3 * row['cpu_s'] / size:18.3f} "
            f"{row['memory_gib']:17.2f} {row['largest_error']:7.0e} {row['load']:7.1f}",
            flush=True,
        )
    slope = None
    if len(found) > 1:
        sizes, seconds = ([row[name] for row in found] for name in ("patients", "cpu_s"))
        slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        print(f"slope of CPU seconds over patients: {slope:.2f}")
    large = [row for row in found if row["patients"] == LARGE]
    within = all(row["wall_s"] <= SECONDS_LIMIT and row["memory_gib"] <= MEMORY_LIMIT for row in large)
    print(
        json.dumps({"benchmark": "scaling", "runs": found, "slope": slope, "within_limits": within if large else None})
    )


if __name__ == "__main__":
    main()
