"""Other engines that run exported SBML: the states of a system at given times, by id."""

from __future__ import annotations

import locale
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from kapsim.exchange.sbml.system import System

Array = NDArray[np.float64]

#: Tolerances of the peers, and the limit of agreement.
RELATIVE, ABSOLUTE = 1e-10, 1e-12
#: A state that never leaves zero by more than this is at rest, but for rounding: the scale of all states is about 1.
STILL = 1e-3


def libroadrunner(text: str, system: System, hours: Sequence[float]) -> dict[str, Array]:
    """Run with libRoadRunner (CVODE)."""
    import roadrunner

    roadrunner.Logger.setLevel(roadrunner.Logger.LOG_ERROR)
    # compiling takes longer than all that the tests solve: without optimisation half as long
    roadrunner.Config.setValue(roadrunner.Config.LLVM_BACKEND, roadrunner.Config.LLJIT)
    roadrunner.Config.setValue(roadrunner.Config.LLJIT_OPTIMIZATION_LEVEL, roadrunner.Config.NONE)
    engine = roadrunner.RoadRunner(text)
    engine.integrator.relative_tolerance = RELATIVE
    # one number for all would be shrunk to the smallest of the states, of which some have all but vanished
    engine.integrator.setValue("absolute_tolerance", [ABSOLUTE] * len(system.states))
    engine.integrator.maximum_num_steps = 100_000
    engine.timeCourseSelections = ["time", *system.states]
    found = np.asarray(engine.simulate(times=[0.0, *map(float, hours)]))[1:]
    return {name: found[:, 1 + place] for place, name in enumerate(system.states)}


def copasi(text: str, system: System, hours: Sequence[float]) -> dict[str, Array]:
    """Run with COPASI (LSODA)."""
    # COPASI sets the locale of the whole process
    before = locale.setlocale(locale.LC_ALL)
    import basico

    locale.setlocale(locale.LC_ALL, before)
    model = basico.load_model_from_string(text)
    try:
        found = basico.run_time_course(
            values=[0.0, *map(float, hours)],
            r_tol=RELATIVE,
            a_tol=ABSOLUTE,
            max_steps=100_000,
            use_sbml_id=True,
            use_concentrations=False,
            model=model,
        )
        # species come as numbers of particles
        factor = model.getModel().getNumber2QuantityFactor()
        amounts = {item.id for item in system.amounts}
        # an engine may add a row at an event
        times = found.index.to_numpy()
        rows = [int(np.argmin(np.abs(times - hour))) for hour in hours]
        assert np.allclose(times[rows], hours, rtol=0.0, atol=1e-9)

        def column(name: str) -> Array:
            values = found[name if name in found.columns else f"Values[{name}]"].to_numpy()[rows]
            return np.asarray(values * (factor if name in amounts else 1.0))

        return {name: column(name) for name in system.states}
    finally:
        basico.remove_datamodel(model)


ENGINES = {"libroadrunner": libroadrunner, "copasi": copasi}


def worst(ours: dict[str, Array], theirs: dict[str, Array]) -> tuple[str, float]:
    """Return the state that differs most, and by how much: |a − b| over |b| + 0.001 · peak."""
    found = {}
    for name, peer in theirs.items():
        peak = max(float(np.abs(peer).max()), STILL)
        found[name] = float((np.abs(ours[name] - peer) / (np.abs(peer) + 0.001 * peak)).max())
    name = max(found, key=found.__getitem__)
    return name, found[name]
