"""Figures, HTML reports, comparisons and terminal summaries of simulated results.

Nothing heavy is imported until a name is used: plotly, jinja2, rich and xarray stay out of ``import kapsim.report``.
The function `compare` is not here because the submodule has its name: take it from `kapsim` or `kapsim.report.compare`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapsim.late_names import late_names

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

__getattr__, __dir__ = late_names(
    __name__,
    {
        "compare": ("Comparison", "Difference", "write_comparison"),
        "figures": ("FIGURES", "figure_spec", "plot"),
        "html": ("report_html", "write_report"),
        "spread": ("EndpointSummary", "VarianceComponents", "summarise_endpoint", "variance_components"),
        "summary": ("print_summary", "summary_table"),
    },
)
