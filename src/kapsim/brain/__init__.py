"""The cortex at full size: a mean field on a structural connectome, solved fast, and what a scanner would see of it.

The names are loaded when they are first used, so that reading a connectome loads no solver. Research software: what it
computes is never advice for a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapsim.late_names import late_names

if TYPE_CHECKING:
    from kapsim.brain.atlases import ATLASES, empirical_connectivity, load_atlas
    from kapsim.brain.connectome import Connectome
    from kapsim.brain.connectome_files import load_connectome, save_connectome
    from kapsim.brain.mean_field import Gating, MeanField, RegionalInputs
    from kapsim.brain.regions import Regions
    from kapsim.brain.simulation import BrainRun, simulate
    from kapsim.brain.surface import response_surface

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

__getattr__, __dir__ = late_names(
    __name__,
    {
        "atlases": ("ATLASES", "empirical_connectivity", "load_atlas"),
        "connectome": ("Connectome",),
        "connectome_files": ("load_connectome", "save_connectome"),
        "mean_field": ("Gating", "MeanField", "RegionalInputs"),
        "regions": ("Regions",),
        "simulation": ("BrainRun", "simulate"),
        "surface": ("response_surface",),
    },
)
