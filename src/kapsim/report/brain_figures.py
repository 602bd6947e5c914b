"""Figures of a study of the cortex: connectivity by network, regions on a brain, BOLD of all regions and of a few.

Each function returns a Plotly figure as plain data, and what it shows as a table.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kapsim.report.theme import DASHES, PALETTE, number_text

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]
Table = tuple[str, list[tuple[str, str]], list[list[str]]]

#: Blue to white to red, for what has a sign; readable by the colour-blind.
DIVERGING: Final = [[0.0, "#0072B2"], [0.5, "#F5F5F5"], [1.0, "#D55E00"]]
_SIDE, _MARGIN = 330, {"l": 8, "r": 8, "t": 40, "b": 24}
#: Share of pairs or regions whose size sets the ends of a colour scale.
_MOST = 0.98
_DIGITS = 4


def arm_names(study: xr.Dataset) -> tuple[str, str]:
    """Return what is compared: placebo and drug, or two moments."""
    first, second = (str(name) for name in study["arm"].values)
    return first, second


def network_order(study: xr.Dataset) -> NDArray[np.intp]:
    """Return the rows of the regions by network, then hemisphere, then as given."""
    networks, sides = (study[name].values.astype(str) for name in ("network", "hemisphere"))
    return np.array(sorted(range(len(networks)), key=lambda row: (networks[row], sides[row], row)), dtype=np.intp)


def mean_matrices(study: xr.Dataset, hour: int) -> tuple[Array, Array]:
    """Return the connectivity under placebo and drug, Fisher's z averaged over people and turned back."""
    z = np.arctanh(np.clip(study["connectivity"].values[:, :, hour], -1.0 + 1e-9, 1.0 - 1e-9)).mean(axis=0)
    return np.tanh(z[0]), np.tanh(z[1])


def _scale(values: Array) -> float:
    return float(np.quantile(np.abs(values), _MOST)) or 1.0


def matrix_spec(study: xr.Dataset, hour: int) -> tuple[dict[str, Any], Table]:
    """Return connectivity under placebo and drug and their difference, regions ordered by network, and its table."""
    order = network_order(study)
    placebo, drug = (matrix[np.ix_(order, order)] for matrix in mean_matrices(study, hour))
    off = ~np.eye(len(order), dtype=bool)
    limit, gap = max(_scale(placebo[off]), _scale(drug[off])), _scale((drug - placebo)[off])
    labels = [str(name) for name in study["region"].values[order]]
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"height": _SIDE + 106, "margin": {**_MARGIN, "b": 76}, "annotations": []}
    one, other = arm_names(study)
    panels = ((one, placebo, limit), (other, drug, limit), (f"{other} − {one}", drug - placebo, gap))
    for number, (title, matrix, most) in enumerate(panels, start=1):
        tail, left = "" if number == 1 else str(number), (number - 1) * 0.345
        shown = np.where(off, np.round(matrix, _DIGITS), np.nan)
        data.append(
            {
                "type": "heatmap",
                "z": [[None if np.isnan(value) else float(value) for value in row] for row in shown],
                "x": labels,
                "y": labels,
                "zmin": -most,
                "zmax": most,
                "colorscale": DIVERGING,
                "showscale": number > 1,
                "colorbar": {
                    "orientation": "h", "y": -0.02, "yanchor": "top", "x": left + 0.155, "len": 0.28, "thickness": 10,
                    "title": {"text": "correlation", "side": "bottom", "font": {"size": 11}}, "nticks": 5,
                },
                "hovertemplate": "%{y}<br>%{x}<br>%{z:.3f}<extra></extra>",
                "xaxis": f"x{tail}",
                "yaxis": f"y{tail}",
            }
        )  # fmt: skip
        layout[f"xaxis{tail}"] = {"domain": [left, left + 0.31], "visible": False, "anchor": f"y{tail}"}
        layout[f"yaxis{tail}"] = {"visible": False, "autorange": "reversed", "anchor": f"x{tail}"}
        layout["annotations"].append(
            {"text": title, "x": left + 0.155, "y": 1.0, "xref": "paper", "yref": "paper", "showarrow": False,
             "yanchor": "bottom"}
        )  # fmt: skip
    return {"data": data, "layout": layout}, _network_table(study, order, placebo, drug)


def _network_table(study: xr.Dataset, order: NDArray[np.intp], placebo: Array, drug: Array) -> Table:
    networks = study["network"].values.astype(str)[order]
    names = list(dict.fromkeys(networks))
    lines = []
    for a, one in enumerate(names):
        for other in names[a:]:
            pairs = np.outer(networks == one, networks == other) & ~np.eye(len(order), dtype=bool)
            if pairs.any():
                before, after = (float(np.arctanh(matrix[pairs]).mean()) for matrix in (placebo, drug))
                label = f"{one or 'no network'} – {other or 'no network'}"
                lines.append([label, *(number_text(value) for value in (before, after, after - before))])
    return "networks", [*((name, "z") for name in arm_names(study)), ("difference", "z")], lines


def region_spec(study: xr.Dataset, hour: int) -> tuple[dict[str, Any], Table] | None:
    """Return the change of each region's rate at its centroid, from above and from the side; None without centroids."""
    rate = study["rate"].values[:, :, hour].mean(axis=0)
    change = 100.0 * (rate[1] / rate[0] - 1.0)
    names = [str(name) for name in study["region"].values]
    table: Table = (
        "region",
        [*((name, "Hz") for name in arm_names(study)), ("change", "%")],
        [
            [name, *(number_text(float(value)) for value in cells)]
            for name, *cells in zip(names, rate[0], rate[1], change, strict=True)
        ],
    )
    if not {"x", "y", "z"} <= set(study.coords):
        return None
    place = {axis: [round(float(value), 1) for value in study[axis].values] for axis in "xyz"}
    most = _scale(change)
    data = []
    views = ((("x", "y"), "x", "y", "from above"), (("y", "z"), "x2", "y2", "from the side"))
    for number, ((across, up), horizontal, vertical, view) in enumerate(views):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": place[across],
                "y": place[up],
                "text": names,
                "customdata": [round(float(value), 3) for value in change],
                "marker": {
                    "size": 12,
                    "color": [round(float(value), 4) for value in change],
                    "cmin": -most,
                    "cmax": most,
                    "colorscale": DIVERGING,
                    "line": {"width": 0.5, "color": "#6B6B6B"},
                    "showscale": number == 1,
                    "colorbar": {"title": {"text": "%"}, "thickness": 12, "nticks": 5},
                },
                "hovertemplate": "%{text}<br>%{customdata:.3~g} %<extra></extra>",
                "name": view,
                "showlegend": False,
                "xaxis": horizontal,
                "yaxis": vertical,
            }
        )
    layout = {
        "height": 420,
        "margin": {"l": 60, "r": 16, "t": 32, "b": 56},
        "xaxis": {"domain": [0.0, 0.44], "title": {"text": "left – right, x (mm)"}, "zeroline": False},
        "yaxis": {"title": {"text": "y (mm)"}, "scaleanchor": "x", "zeroline": False},
        "xaxis2": {"domain": [0.54, 1.0], "title": {"text": "back – front, y (mm)"}, "anchor": "y2", "zeroline": False},
        "yaxis2": {"title": {"text": "z (mm)"}, "scaleanchor": "x2", "anchor": "x2", "zeroline": False},
    }
    return {"data": data, "layout": layout}, table


def carpet_spec(study: xr.Dataset, hour: int) -> tuple[dict[str, Any], Table]:
    """Return BOLD of all regions over time in the first person, placebo above drug, and its table."""
    order = network_order(study)
    clean = study["bold_clean"].values[0, :, hour]
    series = clean[:, :, order] / clean.std()
    labels = [str(name) for name in study["region"].values[order]]
    time = [round(float(second) / 60.0, 4) for second in study["volume"].values]
    data = []
    for number, arm in enumerate(("placebo", "drug")):
        tail = "" if number == 0 else "2"
        data.append(
            {
                "type": "heatmap",
                "z": np.round(series[number].T, 2).tolist(),
                "x": time,
                "y": labels,
                "zmin": -2.5,
                "zmax": 2.5,
                "colorscale": DIVERGING,
                "showscale": number == 0,
                "colorbar": {"title": {"text": "SD"}, "thickness": 12},
                "hovertemplate": f"{arm}<br>%{{y}}<br>%{{x:.3~g}} min, %{{z:.2f}} SD<extra></extra>",
                "yaxis": f"y{tail}",
            }
        )
    layout = {
        "height": 520,
        "margin": {"l": 60, "r": 16, "t": 24, "b": 56},
        "xaxis": {"title": {"text": "time (min)"}, "anchor": "y2"},
        "yaxis": {
            "domain": [0.53, 1.0],
            "title": {"text": "placebo"},
            "showticklabels": False,
            "autorange": "reversed",
        },
        "yaxis2": {"domain": [0.0, 0.47], "title": {"text": "drug"}, "showticklabels": False, "autorange": "reversed"},
    }
    return {"data": data, "layout": layout}, _spread_table(study, clean)


def _spread_table(study: xr.Dataset, clean: Array) -> Table:
    networks = study["network"].values.astype(str)
    lines = []
    for name in dict.fromkeys(networks):
        spread = [100.0 * float(clean[arm][:, networks == name].std()) for arm in (0, 1)]
        lines.append([name or "no network", *(number_text(value) for value in spread)])
    return "network", [("placebo, SD of BOLD", "%"), ("drug, SD of BOLD", "%")], lines


def trace_spec(study: xr.Dataset, hour: int) -> tuple[dict[str, Any], Table]:
    """Return the mean BOLD of each network over time in the first person, under placebo and drug, and its table."""
    networks = study["network"].values.astype(str)
    clean = 100.0 * study["bold_clean"].values[0, :, hour]
    names = list(dict.fromkeys(networks))
    wanted = [name for name in ("Default", "DorsAttn", "SomMot") if name in names] or names[:3]
    time = [round(float(second) / 60.0, 4) for second in study["volume"].values]
    courses = {
        (name, arm): clean[number][:, networks == name].mean(axis=1)
        for name in wanted
        for number, arm in enumerate(("placebo", "drug"))
    }
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": time,
            "y": [round(float(value), 5) for value in values],
            "name": f"{name or 'all'}, {arm}",
            "line": {"color": PALETTE[wanted.index(name)], "width": 1.5, "dash": DASHES[arm == "drug"]},
            "hovertemplate": "%{x:.3~g} min, %{y:.3~g} %<extra></extra>",
        }
        for (name, arm), values in courses.items()
    ]
    layout = {
        "height": 360,
        "margin": {"l": 72, "r": 16, "t": 24, "b": 56},
        "xaxis": {"title": {"text": "time (min)"}},
        "yaxis": {"title": {"text": "BOLD (%)"}},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }
    every = max(1, len(time) // 20)
    lines = [
        [f"{time[row]:.2f}", *(number_text(float(values[row])) for values in courses.values())]
        for row in range(0, len(time), every)
    ]
    return {"data": data, "layout": layout}, ("min", [(f"{name}, {arm}", "%") for name, arm in courses], lines)


def glass_brain(study: xr.Dataset, hour: int) -> bytes | None:
    """Return the change of rates on a glass brain as PNG; None without nilearn (extra `brain`) or centroids."""
    if find_spec("nilearn") is None or find_spec("matplotlib") is None or not {"x", "y", "z"} <= set(study.coords):
        return None
    import io

    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib import pyplot
    from nilearn.plotting import plot_markers

    rate = study["rate"].values[:, :, hour].mean(axis=0)
    change = 100.0 * (rate[1] / rate[0] - 1.0)
    places = np.stack([study[axis].values for axis in "xyz"], axis=1)
    most = _scale(change)
    figure = pyplot.figure(figsize=(8.0, 3.0))
    try:
        plot_markers(
            change, places, node_cmap="RdBu_r", node_vmin=-most, node_vmax=most, node_size=30, figure=figure,
            display_mode="lzr",
        )  # fmt: skip
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=120)
    finally:
        pyplot.close(figure)
    return stream.getvalue()
