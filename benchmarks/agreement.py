"""Run every named protocol under every variant in other engines, and compare state by state.

Engines: libRoadRunner (CVODE) and COPASI (LSODA) on the exported SBML, all at tight tolerance, against kapsim on a time
grid sixteen times as fine as usual. A state differs by |a − b| over |b| + 0.001 · its peak, the largest over 200 times;
the limit is 1e-5. AMICI joins in where it is installed. Usage: python benchmarks/agreement.py [--quick]; quick runs two
protocols under two variants. Every line is one pair; the last is JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from engines import ENGINES, Array, worst  # noqa: E402

LIMIT, TIMES, FINER = 1e-5, 200, 16
QUICK = (("single_infusion", "kap_six_sessions"), ("standard", "il6_up"))


def main() -> int:
    """Compare, print and return the exit status."""
    parser = argparse.ArgumentParser(description="Compare kapsim with other engines on the exported SBML.")
    parser.add_argument("--quick", action="store_true", help="two protocols under two variants")
    arguments = parser.parse_args()

    from kapsim.engine.grid import Resolution
    from kapsim.exchange.sbml.document import sbml_text
    from kapsim.exchange.sbml.exporting import export_system, one_person
    from kapsim.exchange.sbml.solution import quiet_times, solved_states
    from kapsim.mechanisms.switches import VARIANTS
    from kapsim.protocol import load_protocol, named_protocols

    protocols, variants = QUICK if arguments.quick else (tuple(named_protocols()), tuple(VARIANTS))
    if importlib.util.find_spec("amici") is None:
        print("AMICI is not installed: left out")
    people = one_person(None, None, 0)
    largest: dict[str, tuple[float, str]] = dict.fromkeys(ENGINES, (0.0, ""))
    seconds = dict.fromkeys(("kapsim", *ENGINES), 0.0)
    pairs = 0
    for name in protocols:
        plan = load_protocol(name)
        hours = quiet_times(plan, people, TIMES)
        standard = export_system(plan)
        for variant in variants:
            pairs += 1
            # variants differ in the values of their switches alone, which a test holds
            wanted = {f"switch_{key}": value for key, value in VARIANTS[variant]._asdict().items()}
            system = replace(
                standard,
                constants=tuple(replace(item, value=wanted.get(item.id, item.value)) for item in standard.constants),
            )
            text = sbml_text(system)
            start = time.perf_counter()
            own = solved_states(plan, people, hours, variant=variant, resolution=Resolution().finer(FINER))
            seconds["kapsim"] += time.perf_counter() - start
            said = []
            for engine, run in ENGINES.items():
                start = time.perf_counter()
                theirs: dict[str, Array] = run(text, system, hours)
                seconds[engine] += time.perf_counter() - start
                state, difference = worst(own, theirs)
                largest[engine] = max(largest[engine], (difference, f"{name}, {variant}, {state}"))
                said.append(f"{engine} {difference:.1e} ({state})")
            print(f"{name}, {variant}: {'; '.join(said)}", flush=True)
    for engine, (difference, where) in largest.items():
        print(f"{engine}: at most {difference:.2e}, in {where}; limit {LIMIT:g}")
    passed = all(difference < LIMIT for difference, _ in largest.values())
    summary = {
        "benchmark": "agreement",
        "quick": arguments.quick,
        "pairs": pairs,
        "largest_difference": {engine: difference for engine, (difference, _) in largest.items()},
        "seconds": {engine: round(value, 2) for engine, value in seconds.items()},
        "limit": LIMIT,
        "passed": passed,
    }
    print(json.dumps(summary))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
