"""Scores of a validation by domain: each class of independence apart, contested observables apart, rivals beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kapsim.validation.domains import DOMAINS
from kapsim.validation.independence import INDEPENDENCE
from kapsim.validation.rivals import rival_scores
from kapsim.validation.run import Validation
from kapsim.validation.scoring import RecordScore, Scores, entries, score


@dataclass(frozen=True)
class DomainSummary:
    """Scores of one domain; contested observables are left out of all of them but `contested`.

    Parameters
    ----------
    scores : Scores
        Of every scored record.
    by_independence : mapping of str to Scores
        Of each class that has records.
    held_out : Scores or None
        Of records predicted without what their own study taught the model.
    contested : Scores or None
        Of records of contested observables.
    rivals : mapping of str to Scores
        Fitted on the very figures.
    rivals_held_out : mapping of str to Scores
        Fitted without the study that they predict.
    n_cannot, n_not_testable : int
        Records that cannot be simulated, and those that cannot be predicted without their own study.
    """

    scores: Scores
    by_independence: Mapping[str, Scores]
    held_out: Scores | None
    contested: Scores | None
    rivals: Mapping[str, Scores]
    rivals_held_out: Mapping[str, Scores]
    n_cannot: int
    n_not_testable: int


def summaries(validation: Validation) -> dict[str, DomainSummary]:
    """Return the summary of every domain that has records, in the order of the chain.

    Parameters
    ----------
    validation : Validation
    """
    return {
        domain: _summary(records)
        for domain in DOMAINS
        if (records := [record for record in validation.records if record.domain == domain])
    }


def _summary(records: list[RecordScore]) -> DomainSummary:
    scored = [record for record in records if record.status == "scored"]
    settled = [record for record in scored if not record.contested]
    contested = [record for record in scored if record.contested]
    classes = {name: [record for record in settled if record.independence == name] for name in INDEPENDENCE}
    held_out = [record for record in settled if record.held_out]
    return DomainSummary(
        scores=score(entries(settled)),
        by_independence={name: score(entries(own)) for name, own in classes.items() if own},
        held_out=score(entries(held_out, held_out=True)) if held_out else None,
        contested=score(entries(contested)) if contested else None,
        rivals=rival_scores(settled),
        rivals_held_out=rival_scores(settled, held_out=True),
        n_cannot=sum(record.status == "cannot" for record in records),
        n_not_testable=sum(record.not_testable is not None for record in records),
    )


def immune_signs(validation: Validation) -> dict[str, float | None]:
    """Return the share of immune signs that each setting of ketamine on cytokines gets right.

    Parameters
    ----------
    validation : Validation
    """
    return {name: score(entries(records)).signs_right for name, records in validation.variants.items()}


def misfits(records: Iterable[RecordScore]) -> list[RecordScore]:
    """Return scored records, the worst fitting first."""
    return sorted((record for record in records if record.status == "scored"), key=lambda record: -record.worst)
