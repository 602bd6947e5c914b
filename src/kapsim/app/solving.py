"""Courses solved for the explorer: a small cohort on a coarse grid, kept, so many at a time, each by a deadline."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as DeadlineError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kapsim.app.controls import FIRST, Controls, is_named, patient_of, preset_controls, protocol_of
from kapsim.engine.grid import Resolution
from kapsim.errors import KapsimError
from kapsim.model import variant_switches
from kapsim.solving import Prepared, prepare

if TYPE_CHECKING:
    import xarray as xr

    from kapsim.patient.sampling import People

Found = TypeVar("Found")

#: People of a course on the page: the first of those whom `kapsim run --draws` simulates.
PEOPLE = 64
#: Coarser than a run, which takes nearly three times as many steps. What that costs in MADRS is tested.
RESOLUTION = Resolution(sharp=4, soft=64, growth=12, largest=4096, block=256)
#: Seconds that a request waits for its course, and for a report.
DEADLINE_S, LONG_DEADLINE_S = 30.0, 120.0
#: Variables that the page shows or counts endpoints from.
SHOWN = (
    "plasma_ketamine_venous", "plasma_norketamine_venous", "nmda_block", "glutamate", "plasticity_window",
    "spine_density", "dmn_activity", "rumination", "schema", "tnf", "il6", "crp", "bdnf", "neurogenesis",
    "negative_belief", "madrs", "hama", "cadss", "sedation", "loss_of_consciousness", "systolic_pressure", "heart_rate",
    "glx_mrs", "blood_bdnf", "surface_excess",
)  # fmt: skip


class BusyError(KapsimError):
    """The server has as much to do as it takes on, or an answer did not come in time; asking again is right."""


@dataclass(frozen=True)
class Question:
    """What a solution depends on.

    Parameters
    ----------
    treatment : tuple
        The name of a protocol, or what the controls say where they were moved.
    patient : str
        The patient as JSON, empty where all is drawn.
    variant : str
    """

    treatment: tuple[Any, ...]
    patient: str
    variant: str


class Desk:
    """Takes questions, has each answered once, and keeps the answers that were used last.

    Parameters
    ----------
    workers : int
        Questions that are worked on at a time; each solve uses all cores.
    waiting : int
        Most questions that wait.
    kept : int
        Most answers that are kept.
    """

    def __init__(self, workers: int = 1, waiting: int = 40, kept: int = 64) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="kapsim-explorer")
        self._waiting, self._kept = waiting, kept
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, Future[Any]] = OrderedDict()

    def ask(self, key: Hashable, work: Callable[[], Found], deadline_s: float) -> Found:
        """Return the answer to `key`, worked out by `work` where it is not there yet.

        Raises
        ------
        BusyError
            Where too much waits already, or the answer does not come by the deadline (s). Work goes on: who asks again
            later finds the answer.
        """
        future = self._future(key, work)
        try:
            found: Found = future.result(deadline_s)
        except DeadlineError:
            if future.done():
                raise
            raise BusyError(
                f"no answer within {deadline_s:g} s; the server is still at work, try again in a moment"
            ) from None
        return found

    def begin(self, key: Hashable, work: Callable[[], Any]) -> Future[Any]:
        """Have `key` answered without waiting for it."""
        return self._future(key, work)

    def _future(self, key: Hashable, work: Callable[[], Any]) -> Future[Any]:
        with self._lock:
            known = self._answers.get(key)
            if known is not None:
                self._answers.move_to_end(key)
                return known
            if sum(not future.done() for future in self._answers.values()) >= self._waiting:
                raise BusyError("the server has too much to do; try again in a moment")
            future = self._pool.submit(work)
            self._answers[key] = future
            surplus = len(self._answers) - self._kept
            done = [name for name, other in self._answers.items() if other.done()]
            for old in done[: max(surplus, 0)]:
                del self._answers[old]
        # outside the lock: where the work is done already, the callback runs at once
        future.add_done_callback(lambda done: self._forget(key, done))
        return future

    def _forget(self, key: Hashable, done: Future[Any]) -> None:
        """Drop an answer that is an error: it may be one of the moment."""
        if done.cancelled() or done.exception() is not None:
            with self._lock:
                if self._answers.get(key) is done:
                    del self._answers[key]

    def close(self) -> None:
        """Take no more questions."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def question(controls: Controls) -> Question:
    """Return what the solution of a course depends on.

    Raises
    ------
    InputError
        Where the controls do not go together.
    """
    treatment = (controls.preset,) if is_named(controls) else tuple(controls.treatment.values())
    return Question(treatment, _described(controls), controls.variant)


def solved(desk: Desk, controls: Controls, deadline_s: float = DEADLINE_S) -> xr.Dataset:
    """Return the results of a course, dimensions patient and time, in single precision, `SHOWN` alone.

    Raises
    ------
    InputError
        Where the controls do not go together.
    SolverError, BusyError
        Where there is no solution, or none in time.
    """
    return desk.ask(question(controls), lambda: _simulate(controls), deadline_s)


def _simulate(controls: Controls) -> xr.Dataset:
    from kapsim.simulation import simulate_people

    results = simulate_people(
        protocol_of(controls),
        cohort(controls),
        patient_of(controls),
        variant=controls.variant,
        resolution=RESOLUTION,
        prepared=_prepared(_described(controls), controls.variant),
        variables=SHOWN,
    )
    return results.copy(data={name: values.values.astype(np.float32) for name, values in results.items()})


def _described(controls: Controls) -> str:
    patient = patient_of(controls)
    return "" if patient is None else patient.model_dump_json(exclude_none=True)


def cohort(controls: Controls) -> People:
    """Return the people of a course: the same under every treatment."""
    return _cohort(_described(controls), controls.variant)


@functools.lru_cache(maxsize=16)
def _prepared(patient: str, variant: str) -> Prepared:
    """Return what the solver takes from people: a control of the treatment leaves it as it is."""
    return prepare(_cohort(patient, variant), variant_switches(variant))


@functools.lru_cache(maxsize=16)
def _cohort(patient: str, variant: str) -> People:
    from kapsim.averaging import drawn_under
    from kapsim.patient import Patient
    from kapsim.patient.sampling import sample_people

    who = Patient.model_validate_json(patient, strict=False) if patient else None
    return drawn_under(variant, lambda own: sample_people(who, PEOPLE, 0, parameters=own))


def warm_up(desk: Desk) -> None:
    """Have the course that the page opens with solved, so that its first visitor need not wait for a compiler."""
    first = preset_controls(FIRST)
    desk.begin(question(first), lambda: _simulate(first))
