"""Populations: the people of a study, as joint distributions of their traits or as rows of real covariates."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapsim.population.checking import Check, check
    from kapsim.population.loading import load_population, named_populations, parse_population
    from kapsim.population.population import Population
    from kapsim.population.reweighting import reweighted
    from kapsim.population.schema import PopulationFile
    from kapsim.population.table import Table, read_table, write_table
    from kapsim.population.traits import TRAITS, Trait

_HOMES = {
    **dict.fromkeys(("Check", "check"), "checking"),
    **dict.fromkeys(("load_population", "named_populations", "parse_population"), "loading"),
    "Population": "population",
    "PopulationFile": "schema",
    "reweighted": "reweighting",
    **dict.fromkeys(("Table", "read_table", "write_table"), "table"),
    **dict.fromkeys(("TRAITS", "Trait"), "traits"),
}

__all__ = [
    "TRAITS",
    "Check",
    "Population",
    "PopulationFile",
    "Table",
    "Trait",
    "check",
    "load_population",
    "named_populations",
    "parse_population",
    "read_table",
    "reweighted",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
