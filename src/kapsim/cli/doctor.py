"""``kapsim doctor``: what kapsim finds here, and whether it computes the numbers that it should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kapsim.cli.options import print_json
from kapsim.cli.progress import stages

if TYPE_CHECKING:
    from kapsim.doctor import Examination

_STAGES = 3
_MB = 1e6


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Say what kapsim runs on here, and whether results are reproducible.

    Solves a small course and holds it against the figures that this version shipped with. Exit status 1 where something
    would spoil results.
    """
    from kapsim.doctor import examine

    with stages(_STAGES) as begin:
        found = examine(begin)
    if json:
        print_json(found.to_dict())
    else:
        for line in _lines(found):
            typer.echo(line)
    if not found.fine:
        raise typer.Exit(1)


def _lines(found: Examination) -> list[str]:
    from kapsim._version import __version__

    rows = [
        ("kapsim", f"{__version__}, evidence {found.evidence_version} ({found.evidence_hash[:12]})"),
        ("python", found.python),
        ("packages", ", ".join(f"{item.name} {item.version or 'missing'}" for item in found.needed)),
        ("extras", "; ".join(_extra(found, name) for name in found.extras)),
        ("devices", f"{found.devices.cores} cores for kapsim, {found.devices.processor}"),
        ("jax", ", ".join(found.devices.jax) or "no device"),
        ("engine", found.engine),
        *(
            (
                f"cache {item.name}",
                f"{item.folder}: {item.files} files, {item.size_bytes / _MB:.1f} MB, "
                f"{'writable' if item.writable else 'not writable'}",
            )
            for item in found.caches
        ),
        *(
            (
                f"reference {item.part}",
                f"{item.figures} figures, largest difference {item.largest:.0e} (at most {item.tolerance:.0e})",
            )
            for item in found.agreements
        ),
    ]
    if found.same_on_one_core is not None:
        same = "the same numbers as all" if found.same_on_one_core else "other numbers than all"
        rows.append(("reference cores", f"one core gives {same}; solved in {found.seconds:.1f} s"))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {text}" for name, text in rows if text]
    lines += [f"note: {text}" for text in found.notes] + [f"problem: {text}" for text in found.problems]
    return [*lines, "results are reproducible here" if found.fine else "results here are not those of this version"]


def _extra(found: Examination, name: str) -> str:
    missing = [item.name for item in found.extras[name] if item.version is None]
    return f"{name} lacks {', '.join(missing)}" if missing else name
