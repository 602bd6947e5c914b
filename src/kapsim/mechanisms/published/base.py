"""What the published sets share: fields read from evidence records, and the effect site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, NamedTuple, Self

from kapsim.mechanisms.base import parameter
from kapsim.mechanisms.kinetics import Flow, Kinetics
from kapsim.mechanisms.operators import Value
from kapsim.mechanisms.pharmacokinetics import LOG_2


class Shared(NamedTuple):
    """A deviate that a parameter has in common with another: the other's field, its variance, and the covariance."""

    field: str
    variance: str  # record
    covariance: str  # record


class Spread(NamedTuple):
    """How people differ in a value: `record` holds it as `kind`.

    `variance` is that of the logarithm, `cv` a coefficient of variation of a lognormal value, `logit` the standard
    deviation on the logit scale.
    """

    record: str
    kind: str
    shared: Shared | None = None


def published(record: str, unit: str, spread: Spread | None = None) -> Any:
    """Declare a field whose value is that of the evidence record, converted to `unit`."""
    return field(metadata={"record": record, "unit": unit, "spread": spread})


@dataclass(frozen=True)
class Published(Kinetics):
    """A published model; what it does not tell is taken from the registry, as the default does."""

    molar_mass: Value = parameter("pk.molar_mass.ketamine", "g/mol")
    reference_weight: Value = parameter("pk.reference_weight", "kg")
    effect_half_time: Value = parameter("pk.effect.half_time", "h")
    midazolam_half_life: Value = parameter("pk.midazolam.half_life", "h")
    midazolam_reference: Value = parameter("pk.midazolam.reference", "mg/kg")

    @classmethod
    def read(cls) -> tuple[Field[Any], ...]:
        """Return the fields that are evidence records, in order."""
        return tuple(item for item in fields(cls) if "record" in item.metadata)

    @classmethod
    def records(cls) -> tuple[str, ...]:
        """Return the ids of every evidence record behind the set, each once."""
        found = []
        for item in cls.read():
            found.append(item.metadata["record"])
            spread = item.metadata["spread"]
            if spread is not None:
                found += [spread.record, *(() if spread.shared is None else spread.shared[1:])]
        return tuple(dict.fromkeys(found))

    @classmethod
    def build(cls, values: Mapping[str, Value]) -> Self:
        """Make the set from `values`: registry ids to registry values, field names to what the records give."""
        return cls(**{item.name: values[item.metadata.get("id", item.name)] for item in fields(cls)})

    def effect_flows(self, volume: Value) -> Iterator[Flow]:
        """Yield the flows of the effect site, which follows a central compartment of `volume` (L)."""
        rate = LOG_2 / self.effect_half_time
        yield Flow("central", "effect", rate / volume, copies=True)
        yield Flow("effect", None, rate)

    def one_site(
        self, blood: Value, effect: Value, norketamine: Value = 0.0, hydroxynorketamine: Value = 0.0
    ) -> dict[str, Value]:
        """Return total concentrations (umol/L) of a set with one sampling site, which stands at both."""
        none = 0.0 * blood
        return {
            "arterial": blood,
            "venous": blood,
            "effect": effect,
            "norketamine": norketamine + none,
            "hydroxynorketamine": hydroxynorketamine + none,
        }
