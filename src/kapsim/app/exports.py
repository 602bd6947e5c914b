"""What a reader takes along from the course page: protocol, numbers and report, made from the query of the view."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from kapsim.app import address, figures
from kapsim.app.address import View
from kapsim.app.controls import Controls, patient_of, protocol_of
from kapsim.app.solving import LONG_DEADLINE_S, PEOPLE, SHOWN, BusyError, Desk, question, solved
from kapsim.errors import KapsimError
from kapsim.report.bands import QUANTILES, course, patient_quantiles, times
from kapsim.report.figures import long_name
from kapsim.statements import DISCLAIMER

if TYPE_CHECKING:
    import xarray as xr
    from flask import Flask, Response


def protocol_text(controls: Controls) -> str:
    """Return the protocol of a course as a file, with what is said of the people as a comment below it."""
    lines = [f"# {DISCLAIMER}", protocol_of(controls).to_yaml().rstrip()]
    patient = patient_of(controls)
    if patient is not None:
        lines += ["", "# The people of the view, as a patient file (kapsim run --patient FILE):"]
        lines += [f"# {line}" for line in patient.to_yaml().rstrip().splitlines()]
    if controls.variant != "standard":
        lines += ["", f"# With the contested links of: kapsim run --variant {controls.variant}"]
    return "\n".join(lines) + "\n"


def results_text(desk: Desk, view: View) -> str:
    """Return what the figure shows as CSV: a line a course, variable and time, quantiles over people."""
    out = io.StringIO()
    out.write(f"# {DISCLAIMER}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["course", "variable", "name", "unit", "time_h", *(f"p{100 * share:g}" for share in QUANTILES)])
    courses = [view.course] if view.other is None else [view.course, view.other]
    for title, controls in zip(figures.COURSES, courses, strict=False):
        dataset = solved(desk, controls)
        hours = times(dataset)
        for name in SHOWN:
            quantiles = patient_quantiles(course(dataset, name))
            words, unit = long_name(dataset, name), figures.unit_of(dataset, name)
            for hour, column in zip(hours.tolist(), quantiles.T.tolist(), strict=True):
                writer.writerow([title, name, words, unit, f"{hour:.6g}", *(f"{value:.6g}" for value in column)])
    return out.getvalue()


def report_text(desk: Desk, view: View) -> str:
    """Return the full report of the course, or of both compared, solved on the grid of a run."""
    from kapsim.outcomes import endpoints
    from kapsim.report.compare import compare
    from kapsim.report.comparison_page import comparison_html
    from kapsim.report.html import report_html

    def made() -> str:
        first = _run(view.course)
        if view.other is None:
            return report_html(first, endpoints=endpoints(first))
        second = _run(view.other)
        return comparison_html(compare({figures.COURSES[0]: first, figures.COURSES[1]: second}))

    asked = [question(controls) for controls in (view.course, view.other) if controls is not None]
    return desk.ask(("report", *asked), made, LONG_DEADLINE_S)


def _run(controls: Controls) -> xr.Dataset:
    from kapsim.simulation import simulate

    dataset = simulate(protocol_of(controls), patient_of(controls), variant=controls.variant, draws=PEOPLE, seed=0)
    name = str(dataset.attrs["protocol_name"])
    file = name if name != "explorer_course" else f"{name}.yaml"
    patient = "" if patient_of(controls) is None else " --patient patient.yaml"
    command = f"kapsim run {file}{patient} --variant {controls.variant} --draws {PEOPLE} --seed 0"
    return dataset.assign_attrs(command=command)


def connect(server: Flask, desk: Desk, slow: Desk) -> None:
    """Put the addresses of the files into a server."""
    from flask import abort, request

    @server.get("/export/<name>")
    def export(name: str) -> Response:
        # another site may not have this one work for it
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            abort(403, "request of another site")
        makers: dict[str, tuple[str, Callable[[View], str]]] = {
            "protocol.yaml": ("application/yaml", lambda view: protocol_text(view.course)),
            "results.csv": ("text/csv", lambda view: results_text(desk, view)),
            "report.html": ("text/html", lambda view: report_text(slow, view)),
        }
        if name not in makers:
            abort(404)
        kind, make = makers[name]
        try:
            text = make(address.read(request.query_string.decode("ascii", "replace")))
        except KapsimError as error:
            abort(503 if isinstance(error, BusyError) else 400, str(error))
        response = server.response_class(text, mimetype=kind)
        response.headers["Content-Disposition"] = f'attachment; filename="kapsim-{name}"'
        return response
