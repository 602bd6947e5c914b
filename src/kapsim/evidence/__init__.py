"""What the numbers rest on: the registry of parameters, the evidence behind them, and their citations.

The names are loaded when they are first used, so that reading the parameters does not read the evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapsim.late_names import late_names

if TYPE_CHECKING:
    from kapsim.evidence._files import DATA
    from kapsim.evidence.check import check_all, check_files
    from kapsim.evidence.citations import Reference, references, to_bibtex, to_text
    from kapsim.evidence.parameter import LAWS, LINKS, STATUSES, BetweenSubject, Law, Parameter
    from kapsim.evidence.registry import (
        derivation,
        evidence_hash,
        evidence_version,
        get_parameter,
        load_evidence,
        load_observed,
        load_parameters,
    )
    from kapsim.evidence.schema import EvidenceParameter, ObservedRecord
    from kapsim.evidence.vocabulary import OBSERVABLES

__all__ = [
    "DATA",
    "LAWS",
    "LINKS",
    "OBSERVABLES",
    "STATUSES",
    "BetweenSubject",
    "EvidenceParameter",
    "Law",
    "ObservedRecord",
    "Parameter",
    "Reference",
    "check_all",
    "check_files",
    "derivation",
    "evidence_hash",
    "evidence_version",
    "get_parameter",
    "load_evidence",
    "load_observed",
    "load_parameters",
    "references",
    "to_bibtex",
    "to_text",
]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "_files": ("DATA",),
        "check": ("check_all", "check_files"),
        "citations": ("Reference", "references", "to_bibtex", "to_text"),
        "parameter": ("LAWS", "LINKS", "STATUSES", "BetweenSubject", "Law", "Parameter"),
        "registry": (
            "derivation",
            "evidence_hash",
            "evidence_version",
            "get_parameter",
            "load_evidence",
            "load_observed",
            "load_parameters",
        ),
        "schema": ("EvidenceParameter", "ObservedRecord"),
        "vocabulary": ("OBSERVABLES",),
    },
)
