"""Small pieces of Markdown that pages made from the package are put together of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pages import markdown

from kapsim.evidence import Reference, references

__all__ = ["as_markdown", "cite", "literature", "markdown", "math"]

_DOI = re.compile(r"doi:(10\.\S+?)(?=$|[\s\]])")


def as_markdown(text: str) -> str:
    """Return plain text so that Markdown takes none of it for markup; literals in back-ticks stay what they are."""
    parts = re.split(r"(`+[^`]+`+)", text)
    parts[::2] = [re.sub(r"([\\*_\[\]<>#|~^{}])", r"\\\1", part) for part in parts[::2]]
    return "".join(re.sub(r"^``([^`]+)``$", r"`\1`", part) for part in parts)


def math(latex: str) -> str:
    """Return mathematics within a line, fit for a cell of a table."""
    return "{math}`" + latex.replace("|", r"\vert ") + "`"


def cite(identities: Iterable[str]) -> str:
    """Return the publications behind evidence records as `Author 2020; ...`, '' where there are none."""
    return as_markdown("; ".join(dict.fromkeys(map(_short, references(identities)))))


def _short(reference: Reference) -> str:
    if reference.own:
        return "computed here"
    return f"{reference.author or 'author not shown'} {reference.year or ''}".strip()


def literature(identities: Iterable[str]) -> str:
    """Return a list of the publications behind parameters or evidence records, as `kapsim cite` tells them."""
    from kapsim.evidence import to_text

    found = to_text(references(identities)).splitlines()
    return "\n".join("- " + _linked(line) for line in found)


def _linked(line: str) -> str:
    head, mark, rest = line.partition("doi:")
    if not mark:
        return as_markdown(line)
    doi, _, tail = rest.partition(" ")
    return f"{as_markdown(head)}[doi:{as_markdown(doi)}](https://doi.org/{doi}) {as_markdown(tail)}".rstrip()


def items(lines: Sequence[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {line}" for line in lines)
