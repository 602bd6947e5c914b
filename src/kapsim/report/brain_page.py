"""The page of a study of the cortex: one self-contained file, a table beside each figure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from kapsim.brain_study import LIMITS, measure_rows, sign_sentence, warnings_of
from kapsim.report.brain_figures import Table, carpet_spec, glass_brain, matrix_spec, region_spec, trace_spec
from kapsim.report.page import figure_item, provenance, render
from kapsim.report.theme import number_text, percent_text

if TYPE_CHECKING:
    import xarray as xr

_CONTENTS = (
    ("measures", "Measures"),
    ("figures", "Figures"),
    ("limits", "Limits of use"),
    ("safety", "Safety"),
    ("provenance", "Provenance"),
)
_FIGURES = (
    (
        "connectivity",
        "Functional connectivity",
        matrix_spec,
        "Correlation of BOLD, regions ordered by network, mean over people. The two states share a colour scale.",
        "three matrices, placebo, drug and difference",
    ),
    (
        "regions",
        "Change of firing by region",
        region_spec,
        "Drug over placebo, mean over people, at the centroid of each region.",
        "a mark for each region, from above and from the side",
    ),
    (
        "carpet",
        "BOLD of all regions",
        carpet_spec,
        "The first person, filtered, in standard deviations; regions by network. Both scans have the same noise.",
        "a row for each region over time, placebo above drug",
    ),
    (
        "traces",
        "BOLD of networks",
        trace_spec,
        "The first person, filtered, mean over regions. Both scans have the same noise.",
        "lines over time",
    ),
)


def brain_html(study: xr.Dataset) -> str:
    """Return a study of the cortex as one self-contained HTML page.

    Parameters
    ----------
    study : xarray.Dataset
        Of `kapsim.brain_study.run_study`.
    """
    hours = []
    for k, hour in enumerate(study["hour"].values):
        rows = [
            {
                **{key: str(row[key]) for key in ("name", "unit")},
                **{key: number_text(row[key]) for key in ("placebo", "drug", "difference", "effect_size")},
                "power": percent_text(row["power"]),
            }
            for row in measure_rows(study, k)
        ]
        picture = glass_brain(study, k)
        hours.append(
            {
                "title": f"{number_text(float(hour))} h from the start",
                "id": f"hour-{k + 1}",
                "rows": rows,
                "figures": list(_items(study, k)),
                "glass": None if picture is None else base64.b64encode(picture).decode("ascii"),
            }
        )
    facts = [
        ("connectome", f"{study.attrs['connectome']}: {study.attrs['connectome_source']}"),
        ("people", str(study.sizes["subject"])),
        ("scan", f"{number_text(study.attrs['minutes'])} min, TR {number_text(study.attrs['repetition_s'])} s"),
        ("global signal", str(study.attrs["global_signal"])),
        ("engine", str(study.attrs["engine"])),
        ("fingerprint of the connectome", str(study.attrs["connectome_fingerprint"])),
    ]
    return render(
        "brain.html.j2",
        {
            "title": f"The cortex under {study.attrs.get('protocol_name', 'a protocol')}",
            "contents": _CONTENTS,
            "hours": hours,
            "signs": sign_sentence(study),
            "warnings": warnings_of(study),
            "limit": LIMITS,
            "facts": facts,
            "provenance": provenance(study),
        },
    )


def _items(study: xr.Dataset, hour: int) -> list[dict[str, Any]]:
    items = []
    for name, title, make, caption, shows in _FIGURES:
        made: tuple[dict[str, Any], Table] | None = make(study, hour)
        if made is None:
            continue
        spec, (first, columns, cells) = made
        item = figure_item(spec, id=f"{name}-{hour + 1}", title=title, caption=caption, shows=shows)
        item["time"], item["columns"], item["cells"] = first, columns, cells
        item["table_caption"] = title
        items.append(item)
    return items
