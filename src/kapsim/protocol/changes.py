"""A protocol changed in one thing: without its drug, without its therapy, or followed for longer."""

from __future__ import annotations

from typing import Any

from kapsim.protocol.schema import METABOLIC, TARGETABLE, Protocol

#: Controls that look like the drug, by route; elsewhere a placebo.
_CONTROL = {"iv": "saline", "im": "saline", "sc": "saline", "intranasal": "placebo_nasal"}


def control_of(route: str) -> str:
    """Return the control without drug that is given in place of ketamine by a route."""
    return _CONTROL.get(route, "placebo")


def without_drug(protocol: Protocol) -> Protocol:
    """Return the same visits, therapy and masking with a control in place of every dose of ketamine."""
    document = _document(protocol)
    for dose in document.get("doses", ()):
        if dose["drug"] in TARGETABLE:
            dose.update(drug=control_of(dose["route"]), amount="0 mg")
            dose.pop("form", None)
    return Protocol.model_validate(document)


def without_therapy(protocol: Protocol) -> Protocol:
    """Return the same doses and ratings without sessions and without practice between them."""
    document = _document(protocol)
    document.pop("therapy", None)
    document.pop("practice", None)
    return Protocol.model_validate(document)


def followed(protocol: Protocol, end_h: float) -> Protocol:
    """Return the protocol with its people followed to `end_h` (h), nothing more being done to them.

    Visits with a rating stay those of the protocol. Practice and other medicines end where they did; a medicine that
    changes kinetics has to span the whole horizon and goes on.
    """
    if end_h <= protocol.horizon_h:
        return protocol
    document = _document(protocol)
    document["horizon"] = f"{end_h!r} h"
    ended = f"{protocol.horizon_h!r} h"
    if "practice" in document:
        document["practice"].setdefault("until", ended)
    for item in document.get("co_medication", ()):
        if item["drug"] not in METABOLIC:
            item.setdefault("until", ended)
    return Protocol.model_validate(document)


def _document(protocol: Protocol) -> dict[str, Any]:
    """Return a protocol as the data of a file, with the ratings that it has by default written down."""
    document = protocol.model_dump(by_alias=True, exclude_none=True)
    document["ratings"] = [f"{hours!r} h" for hours in protocol.rating_times()]
    return document
