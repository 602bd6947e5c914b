"""What the numbers rest on: the registry of parameters, the evidence behind them, and their citations.

The names are loaded when they are first used, so that reading the parameters does not read the evidence.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOMES = {
    "DATA": "_files",
    **dict.fromkeys(("check_all", "check_files"), "check"),
    **dict.fromkeys(("Reference", "references", "to_bibtex", "to_text"), "citations"),
    **dict.fromkeys(("LAWS", "LINKS", "STATUSES", "BetweenSubject", "Law", "Parameter"), "parameter"),
    **dict.fromkeys(
        (
            "derivation",
            "evidence_hash",
            "evidence_version",
            "get_parameter",
            "load_evidence",
            "load_observed",
            "load_parameters",
        ),
        "registry",
    ),
    **dict.fromkeys(("EvidenceParameter", "ObservedRecord"), "schema"),
    "OBSERVABLES": "vocabulary",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
