"""What every HTML page of kapsim shares: one self-contained file that asks nothing of the network."""

from __future__ import annotations

import base64
import functools
import json
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapsim.files import write_together
from kapsim.report.theme import template
from kapsim.statements import DISCLAIMER, LIMITS_OF_USE, SAFE_MESSAGING

if TYPE_CHECKING:
    import jinja2
    import xarray as xr
    from markupsafe import Markup

_PROVENANCE = (
    ("kapsim_version", "kapsim version"),
    ("evidence_version", "evidence version"),
    ("evidence_hash", "evidence hash (SHA-256)"),
    ("protocol_name", "protocol"),
    ("variant", "variant"),
    ("kinetics", "kinetics"),
    ("extensions", "extensions (SHA-256)"),
    ("seed", "seed"),
    ("draws", "draws"),
    ("command", "command"),
)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        # Plotly reads arrays as base64: a tenth of the time and a third of the size of decimal text.
        single = np.ascontiguousarray(value, dtype="<f4")
        return {"dtype": "f4", "bdata": base64.b64encode(single.tobytes()).decode("ascii")}
    raise TypeError(f"{type(value).__name__} cannot stand in a figure")


def script_json(value: Any) -> Markup:
    """Return data as JSON that may stand inside a script element whatever text it holds.

    Parameters
    ----------
    value : object
        Plain data; NumPy arrays of one dimension become Plotly's base64 arrays of single precision.
    """
    from markupsafe import Markup

    text = json.dumps(value, default=_plain, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@functools.cache
def environment() -> jinja2.Environment:
    """Return the jinja2 environment of the pages: everything is escaped, nothing may be missing."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("kapsim.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template_name: str, context: Mapping[str, Any]) -> str:
    """Return a page.

    Parameters
    ----------
    template_name : str
        A template that extends ``base.html.j2``.
    context : mapping
        What it shows, `title` and `contents` (pairs of anchor and text) among it.
    """
    from markupsafe import Markup

    from kapsim._version import __version__

    library = files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    common = {
        "version": __version__,
        "disclaimer": DISCLAIMER,
        "limits": LIMITS_OF_USE,
        "safety": SAFE_MESSAGING,
        "plotly_js": Markup(library),
        "templates": script_json({"light": template("light"), "dark": template("dark")}),
    }
    return environment().get_template(template_name).render({**common, **context})


def write_page(text: str, path: str | os.PathLike[str]) -> Path:
    """Write a page whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    write_together({target: text.encode("utf-8")})
    return target


def provenance(dataset: xr.Dataset) -> list[tuple[str, str]]:
    """Return what reproduces the results, as pairs of label and text."""
    found = [(label, str(dataset.attrs[key])) for key, label in _PROVENANCE if key in dataset.attrs]
    if "population" in dataset.attrs:
        about = json.loads(dataset.attrs["population"])
        rows = f", {about['rows']} people behind it" if "rows" in about else ""
        worth = f", worth {about['effective_size']:g} after reweighting" if "effective_size" in about else ""
        text = f"{about['name']}: {about['title']} ({about['source']}{rows}{worth}; SHA-256 {about['sha256']})"
        found.append(("population", text))
    return found


def figure_item(
    spec: Mapping[str, Any], *, id: str, title: str, caption: str, shows: str = "lines and bands over time"
) -> dict[str, Any]:
    """Return what the figure macro of the templates needs, with no table; `shows` is for those who cannot see it."""
    return {
        "id": id,
        "title": title,
        "caption": caption,
        "shows": shows,
        "height": spec["layout"]["height"],
        "json": script_json(spec),
        "columns": [],
        "cells": [],
        "time": "",
        "table_caption": "",
    }
