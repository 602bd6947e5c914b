"""Constants of published brain models: each is the value of an evidence record, converted to the model's unit."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from kapsim.evidence import DATA, load_evidence
from kapsim.mechanisms.operators import Value
from kapsim.units import convert

if TYPE_CHECKING:
    from kapsim.evidence import EvidenceParameter


@dataclass(frozen=True)
class Constants:
    """A frozen set of constants, each a field declared with `published`."""

    @classmethod
    def read(cls) -> tuple[Field[Any], ...]:
        """Return the fields that are evidence records, in order."""
        return tuple(item for item in fields(cls) if "record" in item.metadata)

    @classmethod
    def records(cls) -> tuple[str, ...]:
        """Return the ids of the evidence records behind the set, each once."""
        return tuple(dict.fromkeys(item.metadata["record"] for item in cls.read()))

    @classmethod
    def build(cls, **changed: Value) -> Self:
        """Make the set from the evidence; `changed` gives fields another value, in the field's unit."""
        values = {item.name: number(item.metadata["record"], item.metadata["unit"]) for item in cls.read()}
        return cls(**{**values, **changed})


@functools.cache
def _records() -> Mapping[str, EvidenceParameter]:
    """The evidence on the brain, which is a part of all evidence and quicker to read."""
    return load_evidence([DATA / "parameters-brain.yaml"])


def number(record: str, unit: str) -> float:
    """Return the value of an evidence record on the brain in `unit`."""
    found = _records()[record]
    assert found.value is not None, record
    return float(convert(found.value, found.unit, unit))
