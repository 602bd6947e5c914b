"""Citations: which publications the model's parameters rest on, as text and as BibTeX.

The evidence records the first author's name, year, journal, DOI and the place read; titles and further authors are not
recorded and are never made up. A name that the source did not show, or that was only recalled, is marked and must be
checked before it is cited.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kapsim.errors import InputError
from kapsim.evidence.registry import load_evidence, load_observed, load_parameters
from kapsim.units import nearest

if TYPE_CHECKING:
    from kapsim.evidence.schema import EvidenceParameter, ObservedRecord

__all__ = ["Reference", "references", "to_bibtex", "to_text"]

_NOT_SHOWN = re.compile(r"^(not shown|not seen|unnamed)\b|\bauthors? not shown\b", re.IGNORECASE)
_Identity = tuple[str, int | None, str | None, str | None, str | None]
_OWN_WORK = frozenset({"this project", "derived here"})
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: "\\" + character for character in "&%$#_"},
}


@dataclass(frozen=True)
class Reference:
    """A publication that evidence records rest on.

    Attributes
    ----------
    key : str
        Short ASCII key, unique within one list of references.
    author : str or None
        First author's name as recorded; None where it was not shown.
    year : int or None
    journal, doi : str or None
        None where not recorded.
    where : tuple of str
        Places in the source that were read.
    ids : tuple of str
        Evidence records that rest on it.
    secondary : bool
        Whether any of the figures was quoted by another paper instead of read in the source.
    remark : str or None
        What must be checked before this is cited, None where nothing.
    own : bool
        Whether it is a computation of the authors of this package and no publication.
    """

    key: str
    author: str | None
    year: int | None
    journal: str | None
    doi: str | None
    where: tuple[str, ...]
    ids: tuple[str, ...]
    secondary: bool
    remark: str | None
    own: bool = False


def references(parameter_ids: Iterable[str]) -> list[Reference]:
    """Return the publications behind parameters: their sources and the figures they were fitted to.

    Parameters
    ----------
    parameter_ids : iterable of str
        Ids of the model's parameters; ids of evidence and observed records are understood too.

    Returns
    -------
    list of Reference
        One a publication (same author, year, journal and DOI), sorted by author and year, unnamed ones last.

    Raises
    ------
    InputError
        If an id is unknown, or a parameter names a source that does not exist.
    """
    grouped: dict[_Identity, list[EvidenceParameter | ObservedRecord]] = {}
    for record in _records(parameter_ids):
        grouped.setdefault(_identity(record), []).append(record)
    found = []
    keys: set[str] = set()
    for identity in sorted(grouped, key=_order):
        author, year, journal, doi, _ = identity
        records = grouped[identity]
        name, remark, own = _author(author)
        key = _key(name, year, keys)
        keys.add(key)
        found.append(
            Reference(
                key=key,
                author=name,
                year=year,
                journal=journal,
                doi=doi,
                where=tuple(dict.fromkeys(place for record in records if (place := _where(record)))),
                ids=tuple(dict.fromkeys(record.id for record in records)),
                secondary=any(record.confidence == "secondary" for record in records),
                remark=remark,
                own=own,
            )
        )
    return found


def _records(parameter_ids: Iterable[str]) -> list[EvidenceParameter | ObservedRecord]:
    evidence = load_evidence()
    observed: dict[str, ObservedRecord] | None = None
    parameters = load_parameters()
    wanted: dict[str, EvidenceParameter | ObservedRecord] = {}
    for identity in parameter_ids:
        parameter = parameters.get(identity)
        for source in (identity,) if parameter is None else (*parameter.all_sources, *parameter.fitted_to):
            if source in evidence:
                wanted[source] = evidence[source]
                continue
            if observed is None:
                observed = {record.id: record for record in load_observed()}
            if source not in observed:
                close = nearest(source, [*parameters, *evidence, *observed])
                owner = "" if parameter is None else f" (a source of {identity!r})"
                raise InputError(
                    f"no parameter or evidence record {source!r}{owner}" + (f"; nearest {close!r}" if close else "")
                )
            wanted[source] = observed[source]
    return list(wanted.values())


def _identity(record: EvidenceParameter | ObservedRecord) -> _Identity:
    source = record.study if hasattr(record, "study") else record.source
    # Without an author or a DOI only the place read tells one publication from another.
    unnamed = source.doi is None and _NOT_SHOWN.search(source.author) is not None
    return source.author, source.year, source.journal, source.doi, _where(record) if unnamed else None


def _order(identity: _Identity) -> tuple[bool, str, int, str, str, str]:
    author, year, journal, doi, where = identity
    return _author(author)[0] is None, author.lower(), year or 0, journal or "", doi or "", where or ""


def _where(record: EvidenceParameter | ObservedRecord) -> str | None:
    return None if hasattr(record, "study") else record.source.where


def _author(recorded: str) -> tuple[str | None, str | None, bool]:
    """Split a recorded author into a name, what must be checked, and whether it is own work."""
    if recorded in _OWN_WORK:
        return None, None, True
    if _NOT_SHOWN.search(recorded):
        return None, f"author to be found before citing (recorded as: {recorded})", False
    if "recalled" in recorded.lower():
        name = recorded.partition("(")[0].strip() or None
        return name, f"author to be checked before citing (recorded as: {recorded})", False
    return recorded, None, False


def _key(author: str | None, year: int | None, taken: set[str]) -> str:
    plain = unicodedata.normalize("NFKD", author or "unknown").encode("ascii", "ignore").decode()
    base = re.sub(r"[^A-Za-z0-9]+", "", plain)[:30] or "unknown"
    stem = f"{base}{year if year is not None else 'nd'}"
    key, count = stem, 0
    while key in taken:
        count += 1
        key = f"{stem}-{count + 1}"
    return key


def to_text(found: Sequence[Reference]) -> str:
    """Write references as plain text, one a line.

    Parameters
    ----------
    found : sequence of Reference
        As `references` returns them.

    Returns
    -------
    str
        For example ``"Kamp (2020). Br J Clin Pharmacol. doi:10.1111/bcp.14329"``; what is not recorded is left out.
    """
    return "\n".join(map(_text, found))


def _text(reference: Reference) -> str:
    who = "Computed for this package" if reference.own else reference.author or "[author not shown]"
    parts = [f"{who} ({reference.year if reference.year is not None else 'year not recorded'})"]
    if reference.journal:
        parts.append(reference.journal)
    if reference.doi:
        parts.append(f"doi:{reference.doi}")
    elif reference.where:
        parts.append("; ".join(reference.where))
    marks = [mark for mark in (reference.remark, "quoted by another paper" if reference.secondary else None) if mark]
    return ". ".join(parts) + (f" [{'; '.join(marks)}]" if marks else "")


def to_bibtex(found: Sequence[Reference]) -> str:
    """Write references as BibTeX.

    Parameters
    ----------
    found : sequence of Reference
        As `references` returns them.

    Returns
    -------
    str
        One entry a publication. Fields that are not recorded are left out; what must be checked stands in ``note``.
    """
    head = "% Authors are the first author's name as recorded; titles and further authors are not recorded.\n"
    return head + "\n".join(map(_bibtex, found))


def _bibtex(reference: Reference) -> str:
    notes = []
    if reference.remark:
        notes.append(reference.remark)
    if reference.own:
        notes.append("computed for this package, not a publication")
    if reference.secondary:
        notes.append("at least one figure quoted by another paper")
    if reference.where:
        notes.append("read: " + "; ".join(reference.where))
    notes.append("evidence: " + ", ".join(reference.ids))
    fields = {
        # The inner braces keep BibTeX from splitting a recorded name.
        "author": f"{{{_escape(reference.author)}}}" if reference.author else None,
        "year": str(reference.year) if reference.year is not None else None,
        "journal": _escape(reference.journal) if reference.journal else None,
        "doi": reference.doi,
        "note": _escape("; ".join(notes)),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    kind = "article" if reference.journal and not reference.own else "misc"
    return "\n".join([f"@{kind}{{{reference.key},", *lines, "}", ""])


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)
