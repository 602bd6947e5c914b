"""Populations: the people of a study, as joint distributions of their traits or as rows of real covariates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapsim.late_names import late_names

if TYPE_CHECKING:
    from kapsim.population.checking import Check, check
    from kapsim.population.loading import load_population, named_populations, parse_population
    from kapsim.population.population import Population
    from kapsim.population.reweighting import reweighted
    from kapsim.population.schema import PopulationFile
    from kapsim.population.table import Table, read_table, write_table
    from kapsim.population.traits import TRAITS, Trait

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

__getattr__, __dir__ = late_names(
    __name__,
    {
        "checking": ("Check", "check"),
        "loading": ("load_population", "named_populations", "parse_population"),
        "population": ("Population",),
        "reweighting": ("reweighted",),
        "schema": ("PopulationFile",),
        "table": ("Table", "read_table", "write_table"),
        "traits": ("TRAITS", "Trait"),
    },
)
