"""The cortex at full size: a mean field on a structural connectome, solved fast, and what a scanner would see of it.

The names are loaded when they are first used, so that reading a connectome loads no solver. Research software: what it
computes is never advice for a person.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapsim.brain.atlases import ATLASES, empirical_connectivity, load_atlas
    from kapsim.brain.connectome import Connectome
    from kapsim.brain.connectome_files import load_connectome, save_connectome
    from kapsim.brain.mean_field import Gating, MeanField, RegionalInputs
    from kapsim.brain.regions import Regions
    from kapsim.brain.simulation import BrainRun, simulate
    from kapsim.brain.surface import response_surface

_HOMES = {
    **dict.fromkeys(("ATLASES", "empirical_connectivity", "load_atlas"), "atlases"),
    "Connectome": "connectome",
    "Regions": "regions",
    **dict.fromkeys(("load_connectome", "save_connectome"), "connectome_files"),
    **dict.fromkeys(("Gating", "MeanField", "RegionalInputs"), "mean_field"),
    **dict.fromkeys(("BrainRun", "simulate"), "simulation"),
    "response_surface": "surface",
}

__all__ = [
    "ATLASES",
    "BrainRun",
    "Connectome",
    "Gating",
    "MeanField",
    "RegionalInputs",
    "Regions",
    "empirical_connectivity",
    "load_atlas",
    "load_connectome",
    "response_surface",
    "save_connectome",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
