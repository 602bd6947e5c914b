"""Writes the figures that `kapsim doctor` holds a machine against, or checks that they are those of this version.

python scripts/doctor_reference.py            solve with both engines, and write where they agree
python scripts/doctor_reference.py --check    exit status 1 where the file is of other evidence, or other numbers come
"""

from __future__ import annotations

import argparse
import sys

from kapsim.doctor.reference import GOLDEN, Agreement, compare, golden, solve
from kapsim.solving import ENGINES


def told(agreements: tuple[Agreement, ...]) -> str:
    return "; ".join(f"{item.part} {item.largest:.1e} ({item.where or 'all equal'})" for item in agreements)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write or check the figures of `kapsim doctor`.")
    parser.add_argument("--check", action="store_true", help="say whether the file is due; nothing is written")
    arguments = parser.parse_args()
    first, second = (solve(engine) for engine in ENGINES)
    agreements = compare(first, second)
    print(f"{ENGINES[0]} against {ENGINES[1]}: {told(agreements)}")
    if not all(item.holds for item in agreements):
        print("the engines do not agree: there is no reference to write", file=sys.stderr)
        return 1
    if not arguments.check:
        GOLDEN.write_text(first.to_json(), encoding="utf-8")
        return 0
    wanted = golden()
    agreements = compare(first, wanted)
    print(f"against the file: {told(agreements)}")
    fresh = all(item.holds for item in agreements) and first.evidence_hash == wanted.evidence_hash
    if not fresh:
        print(f"{GOLDEN.name}: made from other equations or evidence; run scripts/doctor_reference.py", file=sys.stderr)
    return 0 if fresh else 1


if __name__ == "__main__":
    sys.exit(main())
