"""Which links of the chain carry a prediction: every subset of links simulated, and the effect shared among them.

The names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapsim.late_names import late_names

if TYPE_CHECKING:
    from kapsim.attribution.accounts import account
    from kapsim.attribution.explanation import Effect, Explanation, Moment, explain
    from kapsim.attribution.game import Estimate, shapley
    from kapsim.attribution.links import LINKS, Link
    from kapsim.attribution.supports import Support, support
    from kapsim.attribution.synergies import Synergy

__all__ = [
    "LINKS",
    "Effect",
    "Estimate",
    "Explanation",
    "Link",
    "Moment",
    "Support",
    "Synergy",
    "account",
    "explain",
    "shapley",
    "support",
]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "accounts": ("account",),
        "explanation": ("Effect", "Explanation", "Moment", "explain"),
        "game": ("Estimate", "shapley"),
        "links": ("LINKS", "Link"),
        "supports": ("Support", "support"),
        "synergies": ("Synergy",),
    },
)
