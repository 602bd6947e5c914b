"""Compute the response surface of the cortex that the chain reads: `python scripts/brain_surface.py` (some 2
minutes).

It runs the whole-brain model of the default connectome at the working point over a space-filling design, fits the
polynomials of `kapsim.brain.surface` and writes them as package data (src/kapsim/evidence/data/surface-brain.yaml),
with their errors at points held out, and the table of docs/brain.md. `--check` says at once whether connectome,
working point, constants, box or method have changed since; `--quick` computes a few held-out states and says how far
the shipped surface is from them, and writes nothing.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # matrices this small lose more by sharing than they gain
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys

import numpy as np
import yaml
from pages import markdown, replace
from pictures import ROOT

from kapsim.brain import load_atlas
from kapsim.brain.cerebrum import Cerebrum, cortex_at
from kapsim.brain.surface import (
    HELD_OUT,
    MEASURES,
    RATES,
    compute,
    design,
    digest,
    log_readouts,
    strength_on_rates,
)
from kapsim.errors import FixedPointError
from kapsim.mechanisms.response_surface import RECORDS, Cortex, ResponseSurface, shipped_surface, to_records

CONNECTOME = "dk68"
OTHER = "schaefer200"  # the second one with a subgenual node: what of this is the parcellation's
QUICK = 16
PAGE = ROOT / "docs" / "brain.md"
NAMES = {
    "pyramidal": "pyramidal rate",
    "interneuron": "interneuron rate",
    "dmn": "DMN activity over that of the cortex",
    "dmn_connectivity": "DMN connectivity (z)",
    "sgacc_dmn": "subgenual–DMN connectivity (z)",
}
#: States shown in the table: cuts within pyramidal cells and onto interneurons, strength, subgenual efficacy.
SHOWN = {
    "3 % onto interneurons": Cortex(0.0, 0.03, 0.0, 1.0, 1.0),
    "2 % among pyramidal cells": Cortex(0.02, 0.0, 0.0, 1.0, 1.0),
    "both": Cortex(0.02, 0.03, 0.0, 1.0, 1.0),
    "strength 0.9": Cortex(0.0, 0.0, 0.0, 0.9, 1.0),
    "subgenual efficacy 1.05": Cortex(0.0, 0.0, 0.0, 1.0, 1.05),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether the surface is due")
    parser.add_argument("--quick", action="store_true", help="only hold the shipped surface against a few states")
    options = parser.parse_args()
    connectome = load_atlas(CONNECTOME)
    if options.check:
        due = not RECORDS.is_file() or shipped_surface().digest != digest(connectome)
        print("the response surface is due: run scripts/brain_surface.py" if due else "the response surface holds")
        return int(due)
    if options.quick:
        return quick()
    surface = compute(connectome, progress=show)
    print(file=sys.stderr)
    head = (
        "# Written by scripts/brain_surface.py: derived numbers; change what they are derived from and run it again.\n"
    )
    content = yaml.dump(to_records(surface), Dumper=Flat, sort_keys=False, allow_unicode=True, width=140)
    RECORDS.write_text(head + content, encoding="utf-8")
    blocks = {
        "surface errors": error_table(surface),
        "surface": state_table(surface),
        "surface box": box_table(surface),
    }
    replace(PAGE, blocks)
    print("\n\n".join(blocks.values()))
    return 0


class Flat(yaml.SafeDumper):
    """Writes a short list that holds no mapping on one line."""

    def flat_list(self, data: list[object]) -> yaml.Node:
        flat = not any(isinstance(item, dict | list) for item in data) or isinstance(data[0], list)
        short = flat and len(data) <= len(Cortex._fields)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=short)


Flat.add_representer(list, Flat.flat_list)


def show(done: int, count: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {count} states", end="", file=sys.stderr, flush=True)


def quick() -> int:
    surface, cerebrum = shipped_surface(), Cerebrum.at_working_point(load_atlas(CONNECTOME))
    equivalents = surface.pyramidal_equivalent, surface.inhibition_equivalent
    places = design(HELD_OUT, 1)[:QUICK]
    found = [log_readouts(cerebrum, place, equivalents) for place in places]
    for name in (*RATES, *MEASURES):
        off = [surface.logarithm(name, place) - row[name] for place, row in zip(places, found, strict=True)]
        rms = float(np.sqrt(np.square(off).mean()))
        print(f"{NAMES[name]}: largest error {np.abs(off).max():.2g}, root mean square {rms:.2g} ({QUICK} states)")
    return 0


def error_table(surface: ResponseSurface) -> str:
    cerebrum = Cerebrum.at_working_point(load_atlas(CONNECTOME))
    equivalents = surface.pyramidal_equivalent, surface.inhibition_equivalent
    places = design(HELD_OUT, 1)
    values = [log_readouts(cerebrum, place, equivalents) for place in places]
    rows: list[list[object]] = []
    for name in (*RATES, *MEASURES):
        most, typical = surface.errors[name]
        column = [row[name] for row in values]
        span = f"{min(column):+.3f} to {max(column):+.3f}"
        rows.append([NAMES[name], len(surface.terms[name]), span, f"{most:.2g}", f"{typical:.2g}"])
    departs = [strength_on_rates(cerebrum, place, equivalents) for place in places]
    rms = float(np.sqrt(np.square(departs).mean()))
    most = float(np.abs(departs).max())
    rows.append(["pyramidal rate, strength left out", "–", "–", f"{most:.2g}", f"{rms:.2g}"])
    return markdown(("logarithm of", "terms", "range over held-out states", "largest error", "root mean square"), rows)


def state_table(surface: ResponseSurface) -> str:
    rows: list[list[object]] = []
    for what, cortex in SHOWN.items():
        variables = surface.variables(cortex)
        read = surface.readouts(surface.bounded(variables))
        rows.append([what, "polynomial", *(change(read[name]) for name in (*RATES, *MEASURES))])
        for name in (CONNECTOME, OTHER):
            cerebrum = Cerebrum.at_working_point(load_atlas(name))
            equivalents = surface.pyramidal_equivalent, surface.inhibition_equivalent
            assert np.allclose(cortex_at(variables, equivalents), cortex)
            try:
                exact = log_readouts(cerebrum, variables, equivalents)
                rows.append([what, name, *(change(float(np.exp(exact[key]))) for key in (*RATES, *MEASURES))])
            except FixedPointError:
                rows.append([what, name, *("–" for _ in (*RATES, *MEASURES))])
    return markdown(("state", "from", *(NAMES[name] for name in (*RATES, *MEASURES))), rows)


def box_table(surface: ResponseSurface) -> str:
    rows: list[list[object]] = [
        [name, f"{axis.low:g}", f"{axis.high:g}", f"{axis.width:g}"] for name, axis in surface.axes._asdict().items()
    ]
    return markdown(("variable", "from", "to", "bend"), rows)


def change(factor: float) -> str:
    return f"{100.0 * (factor - 1.0):+.2f} %"


if __name__ == "__main__":
    raise SystemExit(main())
