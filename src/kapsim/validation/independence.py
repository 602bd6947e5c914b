"""How independent of the model a record is: fitted, source of a parameter, or neither."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from kapsim.evidence import Parameter, load_evidence, load_observed
from kapsim.evidence.schema import ObservedRecord

INDEPENDENCE = ("independent", "parameter_source", "fitted")
"""Classes of independence; the last two are reproduction, not validation."""

_NOT_AN_AUTHOR = ("not shown", "not seen", "recalled", "unnamed")


class StudyName(NamedTuple):
    """What tells studies apart: first author (letters only; '' where no source shows one), year, DOI."""

    author: str
    year: int | None
    doi: str | None

    def same(self, other: StudyName) -> bool:
        """Whether two mentions are of one study; two DOIs decide, else author and year."""
        if self.doi and other.doi:
            return self.doi == other.doi
        return bool(self.author) and (self.author, self.year) == (other.author, other.year)


def study_name(author: str, year: int | None, doi: str | None) -> StudyName:
    """Return the name of a study as a record gives it."""
    known = not author.lower().startswith(_NOT_AN_AUTHOR)
    letters = re.sub(r"[^a-z]", "", author.lower().split("(")[0]) if known else ""
    return StudyName(letters, year, doi.lower() if doi else None)


def record_study(record: ObservedRecord) -> StudyName:
    """Return the study of an observed record."""
    return study_name(record.study.author, record.study.year, record.study.doi)


def source_studies(
    parameters: Mapping[str, Parameter], *, values_only: bool = False
) -> dict[str, frozenset[StudyName]]:
    """Return the studies behind each parameter that rests on evidence.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        The parameters in use.
    values_only : bool
        Whether to leave out studies that say only how people differ.
    """
    evidence = load_evidence()
    found = {}
    for identifier, parameter in parameters.items():
        named = parameter.value_sources if values_only else parameter.all_sources
        origins = [evidence[source].source for source in named if source in evidence]
        if origins:
            found[identifier] = frozenset(study_name(item.author, item.year, item.doi) for item in origins)
    return found


def parameters_from(study: StudyName, sources: Mapping[str, frozenset[StudyName]]) -> list[str]:
    """Return the parameters to which a study gave a figure.

    Parameters
    ----------
    study : StudyName
    sources : mapping
        From `source_studies`.
    """
    return [identifier for identifier, studies in sources.items() if any(study.same(item) for item in studies)]


def fitted_studies(parameters: Mapping[str, Parameter]) -> frozenset[tuple[StudyName, bool]]:
    """Return the studies of the shipped records that any parameter was fitted to, each with `of_concentration`.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        The parameters in use.
    """
    fitted = fitted_records(parameters)
    return frozenset((record_study(r), of_concentration(r)) for r in load_observed() if r.id in fitted)


def fitted_records(parameters: Mapping[str, Parameter]) -> frozenset[str]:
    """Return the ids of the records that any parameter was fitted to.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        The parameters in use.
    """
    return frozenset(record for parameter in parameters.values() for record in parameter.fitted_to)


def of_concentration(record: ObservedRecord) -> bool:
    """Whether a record is of concentrations, which are fitted apart from all that follows them."""
    return record.outcome.observable.startswith("plasma.")


def independence_of(
    record: ObservedRecord,
    fitted: Iterable[tuple[StudyName, bool]],
    sources: Mapping[str, frozenset[StudyName]],
    records: Collection[str] = (),
) -> str:
    """Return 'fitted', 'parameter_source' or 'independent'.

    A record is fitted where any of its study is: what a study shares, such as its assay, was fitted too. Concentrations
    and what follows them count apart.

    Parameters
    ----------
    record : ObservedRecord
    fitted : iterable of StudyName
        From `fitted_studies`.
    sources : mapping
        From `source_studies`.
    records : collection of str, optional
        From `fitted_records`: a study without an author's name is known by these alone.
    """
    study = record_study(record)
    if record.id in records or any(study.same(item) and kind == of_concentration(record) for item, kind in fitted):
        return "fitted"
    return "parameter_source" if parameters_from(study, sources) else "independent"
