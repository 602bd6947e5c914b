"""Figures, HTML reports, comparisons and terminal summaries of simulated results.

Nothing heavy is imported until a name is used: plotly, jinja2, rich and xarray stay out of ``import kapsim.report``.
The function `compare` is not here because the submodule has its name: take it from `kapsim` or `kapsim.report.compare`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapsim.report.compare import Comparison, Difference, write_comparison
    from kapsim.report.figures import FIGURES, figure_spec, plot
    from kapsim.report.html import report_html, write_report
    from kapsim.report.spread import EndpointSummary, VarianceComponents, summarise_endpoint, variance_components
    from kapsim.report.summary import print_summary, summary_table

__all__ = [
    "FIGURES",
    "Comparison",
    "Difference",
    "EndpointSummary",
    "VarianceComponents",
    "figure_spec",
    "plot",
    "print_summary",
    "report_html",
    "summarise_endpoint",
    "summary_table",
    "variance_components",
    "write_comparison",
    "write_report",
]

_HOMES = {
    "compare": ("Comparison", "Difference", "write_comparison"),
    "figures": ("FIGURES", "figure_spec", "plot"),
    "html": ("report_html", "write_report"),
    "spread": ("EndpointSummary", "VarianceComponents", "summarise_endpoint", "variance_components"),
    "summary": ("print_summary", "summary_table"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
