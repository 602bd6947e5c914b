"""Which links of the chain carry a prediction: every subset of links simulated, and the effect shared among them.

The names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapsim.attribution.accounts import account
    from kapsim.attribution.explanation import Effect, Explanation, Moment, explain
    from kapsim.attribution.game import Estimate, shapley
    from kapsim.attribution.links import LINKS, Link
    from kapsim.attribution.supports import Support, support
    from kapsim.attribution.synergies import Synergy

_HOMES = {
    "accounts": ("account",),
    "explanation": ("Effect", "Explanation", "Moment", "explain"),
    "game": ("Estimate", "shapley"),
    "links": ("LINKS", "Link"),
    "supports": ("Support", "support"),
    "synergies": ("Synergy",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
