"""A COMBINE archive: the model as SBML, and SED-ML that runs it and draws the report's main figure for this person."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapsim.exchange.sbml.document import sbml_text
from kapsim.exchange.sbml.libraries import exchange_library
from kapsim.exchange.sbml.system import TIME, System
from kapsim.report.panels import PANELS

if TYPE_CHECKING:
    from kapsim.report.panels import Row

MODEL, EXPERIMENT = "model.xml", "course.sedml"
#: Ontology terms of simulation algorithms (KiSAO): CVODE, relative and absolute tolerance.
_CVODE, _RELATIVE, _ABSOLUTE = "KISAO:0000019", "KISAO:0000209", "KISAO:0000211"
#: Points over the whole course.
POINTS = 2000


def archive_bytes(system: System) -> bytes:
    """Return the archive of a system."""
    combine = exchange_library("libcombine")
    with tempfile.TemporaryDirectory(prefix="kapsim-") as name:
        folder = Path(name)
        (folder / MODEL).write_text(sbml_text(system), encoding="utf-8")
        (folder / EXPERIMENT).write_text(sedml_text(system), encoding="utf-8")
        archive = combine.CombineArchive()
        archive.addFile(str(folder / MODEL), MODEL, combine.KnownFormats.lookupFormat("sbml"), False)
        archive.addFile(str(folder / EXPERIMENT), EXPERIMENT, combine.KnownFormats.lookupFormat("sedml"), True)
        archive.writeToFile(str(folder / "archive.omex"))
        archive.cleanUp()
        return (folder / "archive.omex").read_bytes()


def shown(system: System) -> list[tuple[Row, tuple[str, ...]]]:
    """Return the rows of the report's main figure with what the system has of them."""
    rows = [(row, tuple(name for name in row.variables if name in system.units)) for row in PANELS["course"].rows]
    return [(row, names) for row, names in rows if names]


def sedml_text(system: System) -> str:
    """Return the experiment: one time course over the whole protocol, a plot a row of the main figure, and a table."""
    sedml = exchange_library("libsedml")
    document = sedml.SedDocument(1, 4)
    # the prefix of the paths below
    document.getNamespaces().add("http://www.sbml.org/sbml/level3/version2/core", "sbml")
    model = document.createModel()
    model.setId("course_model")
    model.setName(system.name)
    model.setLanguage("urn:sedml:language:sbml.level-3.version-2")
    model.setSource(MODEL)
    course = document.createUniformTimeCourse()
    course.setId("course")
    course.setInitialTime(0.0)
    course.setOutputStartTime(0.0)
    course.setOutputEndTime(float(system.horizon_h))
    course.setNumberOfSteps(POINTS)
    algorithm = course.createAlgorithm()
    algorithm.setKisaoID(_CVODE)
    for term, value in ((_RELATIVE, "1e-8"), (_ABSOLUTE, "1e-10")):
        parameter = algorithm.createAlgorithmParameter()
        parameter.setKisaoID(term)
        parameter.setValue(value)
    task = document.createTask()
    task.setId("run")
    task.setModelReference("course_model")
    task.setSimulationReference("course")
    rows = shown(system)
    _generator(document, sedml, TIME, "time, h", None)
    for name in dict.fromkeys(name for _, names in rows for name in names):
        _generator(document, sedml, name, f"{name.replace('_', ' ')}, {system.units[name]}", name)
    for number, (row, names) in enumerate(rows, start=1):
        plot = document.createPlot2D()
        plot.setId(f"plot_{number}")
        plot.setName(row.label)
        for name in names:
            curve = plot.createCurve()
            curve.setId(f"curve_{number}_{name}")
            curve.setLogX(False)
            curve.setLogY(False)
            curve.setXDataReference(f"of_{TIME}")
            curve.setYDataReference(f"of_{name}")
    report = document.createReport()
    report.setId("table")
    report.setName("the main figure as numbers")
    for name in (TIME, *dict.fromkeys(name for _, names in rows for name in names)):
        column = report.createDataSet()
        column.setId(f"column_{name}")
        column.setLabel(name)
        column.setDataReference(f"of_{name}")
    return str(sedml.writeSedMLToString(document))


def _generator(document: Any, sedml: Any, name: str, text: str, parameter: str | None) -> None:
    """Add what reads one variable of the model; time where there is no parameter."""
    generator = document.createDataGenerator()
    generator.setId(f"of_{name}")
    generator.setName(text)
    variable = generator.createVariable()
    variable.setId(f"var_{name}")
    variable.setTaskReference("run")
    if parameter is None:
        variable.setSymbol("urn:sedml:symbol:time")
    else:
        variable.setTarget(f"/sbml:sbml/sbml:model/sbml:listOfParameters/sbml:parameter[@id='{parameter}']")
    generator.setMath(sedml.parseFormula(f"var_{name}"))
