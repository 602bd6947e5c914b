"""kapsim: ketamine-assisted psychotherapy, computed from dose to mood.

Public names load when they are first used, so that ``import kapsim`` stays quick. Research software: what it computes
is never advice for a person.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kapsim import errors
from kapsim._version import __version__
from kapsim.errors import InputError, KapsimError, SolverError

if TYPE_CHECKING:
    from kapsim.attribution.explanation import explain
    from kapsim.outcomes import endpoints
    from kapsim.patient import load_patient
    from kapsim.population import load_population
    from kapsim.protocol import load_protocol
    from kapsim.report.compare import compare
    from kapsim.report.figures import plot
    from kapsim.simulation import simulate
    from kapsim.store import load_results, save_results

# Where each late name lives. No module may bear one of these names, or importing it would hide the function.
_LATE = {
    "compare": "kapsim.report.compare",
    "endpoints": "kapsim.outcomes",
    "explain": "kapsim.attribution.explanation",
    "load_patient": "kapsim.patient",
    "load_population": "kapsim.population",
    "load_protocol": "kapsim.protocol",
    "load_results": "kapsim.store",
    "plot": "kapsim.report.figures",
    "save_results": "kapsim.store",
    "simulate": "kapsim.simulation",
}

__all__ = [
    "InputError",
    "KapsimError",
    "SolverError",
    "__version__",
    "compare",
    "endpoints",
    "errors",
    "explain",
    "load_patient",
    "load_population",
    "load_protocol",
    "load_results",
    "plot",
    "save_results",
    "simulate",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name not in _LATE:
        raise AttributeError(f"module 'kapsim' has no attribute {name!r}")
    value = getattr(import_module(_LATE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
