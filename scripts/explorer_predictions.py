"""Compute what the evidence page of the explorer shows beside published figures.

python scripts/explorer_predictions.py          simulate every shipped record (some minutes) and write the table
python scripts/explorer_predictions.py --check  say whether it is of the present evidence; status 1 where not
"""

from __future__ import annotations

import argparse
import csv
import io
import sys

from pictures import ROOT

from kapsim.app.predictions import COLUMNS, FILE, load_predictions
from kapsim.evidence import evidence_hash
from kapsim.files import write_together
from kapsim.validation import validate

TABLE = ROOT / "src" / "kapsim" / "app" / FILE


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the table is of the present evidence")
    if parser.parse_args().check:
        fresh = load_predictions().evidence_hash == evidence_hash()
        if not fresh:
            print(f"{FILE}: computed with other evidence; run scripts/explorer_predictions.py", file=sys.stderr)
        return 0 if fresh else 1
    validation = validate(hold_out=False, progress=lambda text: print(text, file=sys.stderr))
    lines = []
    for record in validation.records:
        for point in record.points:
            when = "" if point.time_h is None else f"{point.time_h:g}"
            numbers = [f"{value:.5g}" for value in (point.observed, point.predicted, point.low, point.high)]
            lines.append([record.id, record.domain, record.independence, point.scale, when, *numbers])
    out = io.StringIO()
    out.write(f"# evidence {evidence_hash()}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([COLUMNS, *lines])
    TABLE.parent.mkdir(exist_ok=True)
    write_together({TABLE: out.getvalue().encode()})
    print(f"{TABLE.relative_to(ROOT)}: {len(lines)} figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
