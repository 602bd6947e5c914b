"""Pages of docs/ that scripts fill in between pairs of markers; the rest of a page is written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def replace(page: Path, blocks: Mapping[str, str]) -> None:
    """Put each block between its markers, `<!-- name: begin -->` and `<!-- name: end -->`."""
    text = page.read_text(encoding="utf-8")
    for name, block in blocks.items():
        head, mark, rest = text.partition(f"<!-- {name}: begin -->\n")
        _, end, after = rest.partition(f"<!-- {name}: end -->")
        if not mark or not end:
            raise SystemExit(f"{page.name} has no markers for {name!r}")
        text = f"{head}{mark}{block}\n{end}{after}"
    page.write_text(text, encoding="utf-8")


def markdown(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table in Markdown."""

    def line(cells: Iterable[Any]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(headings), line("---" for _ in headings), *(line(row) for row in rows)])
