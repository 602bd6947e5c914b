"""One peer of `population.py` in a process of its own, in an environment that need not hold kapsim.

It reads the model and what differs between patients from a file, says its version, then takes orders, a line each:
`TOLERANCE FIRST LAST FILE` solves those patients, writes their outputs to FILE (if it is not `-`) and answers with the
wall seconds. Usage: python benchmarks/population_peers.py PEER GIVEN.npz
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

#: Absolute tolerance beside the relative one: states are of a size near 1, and the class asks for 0.001 of their peak.
ABSOLUTE = 1e-3


class LibRoadRunner:
    """CVODE, with the course in segments between which what is done is set by hand: events cost it the same."""

    def __init__(self, given: Any) -> None:
        import roadrunner

        roadrunner.Logger.setLevel(roadrunner.Logger.LOG_ERROR)
        self.version = f"libRoadRunner {roadrunner.__version__}"
        self.given, self.engine = given, roadrunner.RoadRunner(str(given["segments_sbml"]))
        model = self.engine.model
        ids = list(model.getGlobalParameterIds())
        self.parameters = [ids.index(name) for name in given["ids"]]
        self.switched = [ids.index(name) for name in given["switched"]]
        self.engine.timeCourseSelections = list(given["outputs"])
        self.engine.integrator.maximum_num_steps = 1_000_000

    def solve(self, tolerance: float, patient: int) -> Any:
        """Return the outputs of a patient, shape (time, output)."""
        engine, given, model = self.engine, self.given, self.engine.model
        engine.integrator.relative_tolerance = tolerance
        engine.integrator.setValue("absolute_tolerance", [tolerance * ABSOLUTE] * int(given["states"]))
        engine.reset()
        model.setGlobalParameterValues(self.parameters, given["values"][patient])
        found = []
        bounds, hours = given["bounds"], given["hours"]
        for segment in range(len(bounds) - 1):
            model.setGlobalParameterValues(self.switched, given["levels"][segment, patient])
            start, end = bounds[segment], bounds[segment + 1]
            within = hours[(hours > start) & (hours < end)]
            rows = np.asarray(engine.simulate(times=[start, *within, end]))
            found.append(rows[1:-1])
        return np.concatenate(found)


class Copasi:
    """COPASI's LSODA, on the model with its events."""

    def __init__(self, given: Any) -> None:
        import basico

        self.basico, self.given = basico, given
        self.model = basico.load_model_from_string(str(given["events_sbml"]))
        self.version = f"COPASI {basico.COPASI.__version__}"
        model = self.model.getModel()
        places = {model.getModelValue(k).getSBMLId(): model.getModelValue(k) for k in range(model.getNumModelValues())}
        self.parameters = [places[name] for name in (*given["ids"], *given["switched"])]

    def solve(self, tolerance: float, patient: int) -> Any:
        """Return the outputs of a patient, shape (time, output)."""
        given, model = self.given, self.model.getModel()
        for place, value in zip(
            self.parameters, (*given["values"][patient], *given["levels"][0, patient]), strict=True
        ):
            place.setInitialValue(float(value))
        model.updateInitialValues(self.basico.COPASI.CCore.Framework_ParticleNumbers)
        model.applyInitialValues()
        found = self.basico.run_time_course(
            values=[0.0, *map(float, given["hours"])],
            r_tol=tolerance,
            a_tol=tolerance * ABSOLUTE,
            max_steps=1_000_000,
            use_sbml_id=True,
            model=self.model,
        )
        # an engine may add a row at an event
        times = found.index.to_numpy()
        rows = [int(np.argmin(np.abs(times - hour))) for hour in given["hours"]]
        return np.stack(
            [found[name if name in found.columns else f"Values[{name}]"].to_numpy()[rows] for name in given["outputs"]],
            axis=1,
        )


class Amici:
    """CVODES on compiled equations, with the course in segments as libRoadRunner has it."""

    def __init__(self, given: Any) -> None:
        import amici
        import amici.sim.sundials as sundials

        self.version, self.given, self.sundials = f"AMICI {amici.__version__}", given, sundials
        self.model = self._compiled(amici, given).get_model()
        self.solver = self.model.create_solver()
        self.solver.set_sensitivity_order(sundials.SensitivityOrder.none)
        self.solver.set_max_steps(1_000_000)
        self.parameters, self.states = list(self.model.get_free_parameter_ids()), list(self.model.get_state_ids())

    @staticmethod
    def _compiled(amici: Any, given: Any) -> Any:
        """Return the model's module, compiled by whichever process comes first and kept beside the environment."""
        text = str(given["segments_sbml"])
        name = "population_" + hashlib.sha256(text.encode()).hexdigest()[:12]
        folder = Path(sys.prefix) / name
        # its own SWIG must be found: another version makes modules that it cannot read
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        with (Path(sys.prefix) / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "ready").exists():
                amici.SbmlImporter(text, from_file=False).sbml2amici(
                    name,
                    str(folder),
                    observation_model=[
                        amici.MeasurementChannel(id_=f"output_{output}", formula=str(output))
                        for output in given["outputs"]
                    ],
                    compute_conservation_laws=False,
                    generate_sensitivity_code=False,
                    simplify=None,
                )
                (folder / "ready").touch()
        return amici.import_model_module(name, str(folder))

    def solve(self, tolerance: float, patient: int) -> Any:
        """Return the outputs of a patient, shape (time, output)."""
        given, model = self.given, self.model
        self.solver.set_relative_tolerance(tolerance)
        self.solver.set_absolute_tolerance(tolerance * ABSOLUTE)
        values = dict(zip(given["ids"], given["values"][patient], strict=True))
        state = np.asarray([values.get(name, 0.0) for name in self.states])
        found = []
        bounds, hours = given["bounds"], given["hours"]
        for segment in range(len(bounds) - 1):
            values.update(zip(given["switched"], given["levels"][segment, patient], strict=True))
            start, end = bounds[segment], bounds[segment + 1]
            within = hours[(hours > start) & (hours < end)]
            model.set_free_parameters([values[name] for name in self.parameters])
            model.set_t0(start)
            model.set_initial_state(state)
            model.set_timepoints([*within, end])
            solved = self.sundials.run_simulation(model, self.solver)
            if solved.status != 0:
                raise SystemExit(f"AMICI: status {solved.status} for patient {patient}")
            found.append(np.asarray(solved.y)[:-1])
            state = np.asarray(solved.x)[-1]
        return np.concatenate(found)


PEERS = {"libroadrunner": LibRoadRunner, "copasi": Copasi, "amici": Amici}


def main() -> None:
    """Take orders until there are none."""
    name, source = sys.argv[1:]
    # compilers and libraries write where they like: answers alone go to standard output
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with np.load(source) as file:
        given = {key: file[key] for key in file.files}
    peer = PEERS[name](given)
    print(peer.version, flush=True, file=answers)
    for line in sys.stdin:
        tolerance, first, last, target = line.split()
        start = time.perf_counter()
        solved = [peer.solve(float(tolerance), patient) for patient in range(int(first), int(last))]
        seconds = time.perf_counter() - start
        if target != "-":
            np.save(target, np.asarray(solved))
        print(seconds, flush=True, file=answers)


if __name__ == "__main__":
    main()
