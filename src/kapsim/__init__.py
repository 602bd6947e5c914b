"""kapsim: ketamine-assisted psychotherapy, computed from dose to mood.

Public names load when they are first used, so that ``import kapsim`` stays quick. Research software: what it computes
is never advice for a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapsim import errors
from kapsim._version import __version__
from kapsim.errors import InputError, KapsimError, SolverError
from kapsim.late_names import late_names

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

__getattr__, __dir__ = late_names(
    __name__,
    {
        "attribution.explanation": ("explain",),
        "outcomes": ("endpoints",),
        "patient": ("load_patient",),
        "population": ("load_population",),
        "protocol": ("load_protocol",),
        "report.compare": ("compare",),
        "report.figures": ("plot",),
        "simulation": ("simulate",),
        "store": ("load_results", "save_results"),
    },
)
