"""One look for every figure and page: colours that colour-blind readers can tell apart, numbers and units as text."""

from __future__ import annotations

import math
from typing import Any, Final

# Okabe and Ito's palette without its yellow (too pale on white) and its black (lost on a dark page).
PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
DOSE_COLOUR: Final = "#D55E00"
THERAPY_COLOUR: Final = "#0072B2"
STRESSOR_COLOUR: Final = "#8A8A8A"

# Smaller than anything that is measured in the units in use.
_ROUNDING: Final = 1e-9

_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_INK = {
    "light": {"ink": "#1B1B1B", "paper": "#FFFFFF", "grid": "#E3E3E3", "axis": "#6B6B6B"},
    "dark": {"ink": "#ECECEC", "paper": "#16181C", "grid": "#343840", "axis": "#A0A4AB"},
}


def template(scheme: str = "light") -> dict[str, Any]:
    """Return the Plotly template of every figure.

    Parameters
    ----------
    scheme : {"light", "dark"}
        Which background the figure stands on.

    Returns
    -------
    dict
        A Plotly template as plain data.
    """
    ink = _INK[scheme]
    axis = {
        "gridcolor": ink["grid"],
        "linecolor": ink["axis"],
        "tickcolor": ink["axis"],
        "zerolinecolor": ink["axis"],
        "zerolinewidth": 1,
        "showline": True,
        "ticks": "outside",
        "automargin": True,
        "title": {"standoff": 8},
    }
    return {
        "layout": {
            "font": {
                "family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif",
                "size": 13,
                "color": ink["ink"],
            },
            "paper_bgcolor": ink["paper"],
            "plot_bgcolor": ink["paper"],
            "colorway": list(PALETTE),
            "hovermode": "closest",
            "hoverlabel": {"bgcolor": ink["paper"], "font": {"color": ink["ink"]}},
            "xaxis": axis,
            "yaxis": axis,
        }
    }


def translucent(colour: str, opacity: float) -> str:
    """Return a ``#RRGGBB`` colour as an ``rgba()`` string."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def unit_text(unit: str) -> str:
    """Return a unit as a reader expects it: ``mm[Hg]`` is ``mmHg``; the rest is unchanged."""
    return {"mm[Hg]": "mmHg", "": "1", "umol": "µmol", "umol/L": "µmol/L", "a": "years"}.get(unit, unit)


def number_text(value: float) -> str:
    """Return a number with three significant digits and a true minus sign; a missing value is an en dash."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    size = abs(value)
    # What is left of a difference of equal numbers is rounding.
    if size < _ROUNDING:
        return "0"
    if size >= 1e6 or size < 1e-3:
        factor, power = f"{value:.2e}".split("e")
        text = f"{factor}×10{str(int(power)).translate(_RAISED)}"
    else:
        digits = max(0, 2 - math.floor(math.log10(size)))
        text = f"{value:,.{digits}f}".replace(",", "\u202f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−")


def percent_text(share: float) -> str:
    """Return a share (0 to 1) as a whole percentage; a missing value is an en dash."""
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"
