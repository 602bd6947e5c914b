"""Simulation: connectome, mean field and what acts on the regions → BOLD, gating and rates, volume by volume.

One function before two engines. A result is named by its seed and the number of each simulation: within an engine the
same names give the same bits whatever the chunk, the batch or the threads, and both engines have the same noise. Memory
grows with the volumes that are kept, not with the steps.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapsim._version import __version__
from kapsim.brain.constants import number
from kapsim.brain.engines.plan import Plan, Solved
from kapsim.brain.haemodynamics import Balloon
from kapsim.brain.mean_field import Gating, MeanField, RegionalInputs
from kapsim.brain.noise import MOST_STEPS, simulation_keys
from kapsim.errors import InputError, SolverError
from kapsim.evidence import evidence_hash
from kapsim.units import nearest

if TYPE_CHECKING:
    from kapsim.brain.connectome import Connectome

Array = NDArray[np.float64]

ENGINES = ("auto", "jax", "numba")
DTYPES = ("float64", "float32")
#: Longest step of the vessels, and volumes that an engine runs at a time.
VESSEL_STEP_MS = 1.0
CHUNK = 64
#: How far a ratio of two times may be from a whole number.
WHOLE = 1e-9
MOST_DELAY_STEPS = 100_000


@dataclass(frozen=True, eq=False)
class BrainRun:
    """What a simulation of the cortex gives.

    Attributes
    ----------
    bold : ndarray, shape (simulation, volume, region)
        BOLD signal at the end of each volume, relative change from vessels without drive.
    gating : ndarray, shape (simulation, volume, region)
        Mean NMDA gating S_E over each volume, 0 to 1.
    rate : ndarray, shape (simulation, volume, region)
        Mean excitatory rate over each volume, Hz.
    time_s : ndarray, shape (volume,)
        End of each volume, seconds from the start of what is kept.
    regions : tuple of str
    simulations : ndarray of int, shape (simulation,)
        Number of each simulation, which names its noise.
    final : Gating
        State of both pools at the end, shape (simulation, region) each.
    trace : ndarray or None, shape (simulation, sample, 2, region)
        Gating of both pools after each step of the vessels, where asked for.
    provenance : dict
        Version, evidence, engine and settings that reproduce the run.
    """

    bold: Array
    gating: Array
    rate: Array
    time_s: Array
    regions: tuple[str, ...]
    simulations: NDArray[np.int64]
    final: Gating
    trace: Array | None
    provenance: Mapping[str, Any]


def simulate(
    connectome: Connectome | ArrayLike,
    inputs: RegionalInputs | None = None,
    *,
    coupling: ArrayLike,
    duration_s: float,
    repetition_s: float,
    seed: int = 0,
    simulations: int | ArrayLike | None = None,
    normalisation: str = "maximum",
    field: MeanField | None = None,
    balloon: Balloon | None = None,
    initial: Gating | None = None,
    discard_s: float | None = None,
    step_ms: float | None = None,
    vessel_step_ms: float = VESSEL_STEP_MS,
    speed_m_s: float | None = None,
    lengths_mm: ArrayLike | None = None,
    noise: ArrayLike | None = None,
    trace: bool = False,
    engine: str = "auto",
    dtype: str = "float64",
    threads: int | None = None,
    chunk: int = CHUNK,
) -> BrainRun:
    """Simulate a cortex.

    Parameters
    ----------
    connectome : Connectome or array_like, shape (region, region)
        An array is taken as it is, row = receiving region.
    inputs : RegionalInputs, optional
        Numbers, or arrays of shape (region,) or (simulation, region). If left out, inhibition is balanced and all else
        is as in a healthy person.
    coupling : array_like
        Global coupling G, a number or one for each simulation; means nothing without the normalisation.
    duration_s, repetition_s : float
        Length of what is kept, and of a volume (TR), s; whole multiples of a volume and of a step of the vessels.
    seed : int
    simulations : int or array_like of int, optional
        How many, or their numbers: a simulation's noise is a function of seed and number.
    normalisation : str, optional
        Of a `Connectome`; one of its `NORMALISATIONS`.
    field : MeanField, optional
    balloon : Balloon, optional
    initial : Gating, optional
        State at the start, shape (region,) or (simulation, region); the state that feedback inhibition aims at if left
        out. The vessels start where it would bring them.
    discard_s : float, optional
        Time before what is kept, a whole number of volumes; rounded up from the 20 s of the source if left out.
    step_ms, vessel_step_ms : float, optional
        Euler-Maruyama step (the source's 0.1 ms if left out) and the step of the vessels.
    speed_m_s : float, optional
        Conduction speed; no delays if left out. Delays are rounded to whole steps.
    lengths_mm : array_like, shape (region, region), optional
        Tract lengths, for delays where `connectome` is an array.
    noise : array_like, shape (step, 2, region) or (simulation, step, 2, region), optional
        Standard normals for both pools in place of those of the seed; zeros for a run without noise.
    trace : bool, optional
        Keep the state after every step of the vessels. For short runs.
    engine : str, optional
        ``"numba"`` is compiled for processors, ``"jax"`` runs anywhere and has gradients; ``"auto"`` takes the first on
        a machine without an accelerator.
    dtype : str, optional
        ``"float64"`` or ``"float32"``; in the compiled engine the latter halves storage, and still adds in float64
        within a region.
    threads : int, optional
        Simulations at once; one for each processor if left out.
    chunk : int, optional
        Volumes at a time. It bounds memory and changes no result.

    Returns
    -------
    BrainRun

    Raises
    ------
    InputError
        If something given does not fit; the message says what would.
    SolverError
        If a simulation is no longer finite.
    """
    field, balloon = field or MeanField.build(), balloon or Balloon.build()
    weights, lengths, names = _matrices(connectome, normalisation, lengths_mm)
    step = number("brain.dmf.dt", "ms") if step_ms is None else step_ms
    discard = number("brain.bold.burn_in", "s") if discard_s is None else discard_s
    for what, value in (("step_ms", step), ("vessel_step_ms", vessel_step_ms), ("repetition_s", repetition_s)):
        _positive(what, value)
    _positive("duration_s", duration_s)
    steps = _times(vessel_step_ms, step, f"vessel_step_ms {vessel_step_ms:g}", f"steps of {step:g} ms")
    samples = _times(
        1000.0 * repetition_s,
        vessel_step_ms,
        f"repetition_s {repetition_s:g}",
        f"vessel steps of {vessel_step_ms:g} ms",
    )
    kept = _times(duration_s, repetition_s, f"duration_s {duration_s:g}", f"volumes of {repetition_s:g} s")
    discarded = math.ceil(discard / repetition_s - WHOLE)
    if discard_s is not None and discard_s != 0.0:
        discarded = _times(discard_s, repetition_s, f"discard_s {discard_s:g}", f"volumes of {repetition_s:g} s")
    if (discarded + kept) * samples * steps >= MOST_STEPS:
        raise InputError(f"{duration_s:g} s are too many steps of {step:g} ms; {MOST_STEPS} are the most")
    numbers = _numbers(simulations, coupling, inputs)
    count, regions = len(numbers), len(weights)
    gains = _broadcast("coupling", coupling, (count,), low=0.0)
    if inputs is None:
        plain = RegionalInputs(inhibition=0.0)
        inhibition = np.stack([field.balanced_inhibition(gain * weights, plain) for gain in gains])
        inputs = RegionalInputs(inhibition=inhibition)
    acting = RegionalInputs(
        *(
            _broadcast(f"inputs.{name}", value, (count, regions), low=-math.inf if name == "current" else 0.0)
            for name, value in zip(inputs._fields, inputs, strict=True)
        )
    )
    if (acting.glutamate_uptake == 0.0).any():
        raise InputError("inputs.glutamate_uptake: 0 clears nothing; give values above 0, 1 in the healthy")
    start = field.balanced_gating(acting) if initial is None else initial
    first = Gating(
        *(
            _broadcast(f"initial.{name}", value, (count, regions), low=0.0, high=1.0)
            for name, value in zip(start._fields, start, strict=True)
        )
    )
    first_key, second_key = simulation_keys(seed, numbers)
    if dtype not in DTYPES:
        raise InputError(f"no dtype {dtype!r}; it is one of {', '.join(DTYPES)}")
    plan = Plan(
        field=field,
        balloon=balloon,
        weights=weights,
        coupling=gains,
        inputs=acting,
        initial=first,
        keys=np.stack([first_key, second_key], axis=1),
        step_ms=step,
        steps=steps,
        samples=samples,
        discarded=discarded,
        volumes=kept,
        delays=_delays(lengths, speed_m_s, step),
        noise=_noise(noise, count, (discarded + kept) * samples * steps, regions),
        traced=trace,
        dtype=np.dtype(dtype),
    )
    if threads is not None and threads < 1:
        raise InputError(f"threads {threads} is out of range; give 1 or more")
    if chunk < 1:
        raise InputError(f"chunk {chunk} is out of range; give 1 or more volumes")
    chosen, why = _engine(engine)
    solved = _run(chosen, plan, threads or _processors(), chunk)
    bold = balloon.bold(solved.vessels)
    _check(bold, solved, plan, numbers)
    provenance = {
        "version": __version__,
        "evidence_hash": evidence_hash(),
        "engine": chosen,
        "engine_reason": why,
        "seed": seed,
        "dtype": dtype,
        "step_ms": step,
        "vessel_step_ms": vessel_step_ms,
        "repetition_s": repetition_s,
        "discarded_s": discarded * repetition_s,
        "normalisation": "as given" if isinstance(connectome, np.ndarray | list | tuple) else normalisation,
        "speed_m_s": speed_m_s,
        "noise": "seed" if noise is None else "given",
    }
    return BrainRun(
        bold=np.asarray(bold),
        gating=solved.gating,
        rate=solved.firing,
        time_s=repetition_s * np.arange(1.0, kept + 1.0),
        regions=names,
        simulations=numbers,
        final=solved.final,
        trace=solved.trace,
        provenance=provenance,
    )


def _run(engine: str, plan: Plan, threads: int, chunk: int) -> Solved:
    if engine == "numba":
        from kapsim.brain.engines import numba_engine

        return numba_engine.run(plan, threads=threads, chunk=chunk)
    from kapsim.brain.engines import jax_engine

    return jax_engine.run(plan, threads=threads, chunk=chunk)


def _engine(name: str) -> tuple[str, str]:
    """Return the engine that runs, and why."""
    if name not in ENGINES:
        close = nearest(name, ENGINES)
        advice = f"did you mean {close!r}? " if close else ""
        raise InputError(f"no engine {name!r}; {advice}known: {', '.join(ENGINES)}")
    compiled = find_spec("numba") is not None
    if name == "numba" and not compiled:
        raise InputError(
            "engine 'numba' needs numba, which is not installed; pip install 'kapsim[brain]', or take 'jax'"
        )
    if name != "auto":
        return name, "asked for"
    if not compiled:
        return "jax", "numba is not installed"
    from kapsim.engine.runtime import jax_numpy

    if jax_numpy().default_backend() != "cpu":
        return "jax", "there is an accelerator"
    return "numba", "a machine without an accelerator"


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _matrices(
    connectome: Connectome | ArrayLike, normalisation: str, lengths_mm: ArrayLike | None
) -> tuple[Array, Array | None, tuple[str, ...]]:
    """Return weights, lengths and names."""
    from kapsim.brain.connectome import Connectome

    if isinstance(connectome, Connectome):
        if lengths_mm is not None:
            raise InputError("lengths_mm: a connectome has its own; leave them out")
        return connectome.normalised(normalisation), connectome.lengths, connectome.regions.names
    weights = np.asarray(connectome, dtype=float)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or len(weights) < 2:
        raise InputError(f"weights of shape {weights.shape} are no connectome; give a square matrix of two or more")
    lengths = None if lengths_mm is None else np.asarray(lengths_mm, dtype=float)
    for what, matrix in (("weights", weights), ("lengths_mm", lengths)):
        if matrix is None:
            continue
        if matrix.shape != weights.shape:
            raise InputError(f"{what} have shape {matrix.shape}; {weights.shape} is that of the weights")
        if not np.isfinite(matrix).all() or (matrix < 0.0).any():
            row, column = np.argwhere(~np.isfinite(matrix) | (matrix < 0.0))[0]
            raise InputError(f"{what}: row {row + 1}, column {column + 1} is {matrix[row, column]:g}; give 0 or more")
    return weights, lengths, tuple(f"region {index + 1}" for index in range(len(weights)))


def _positive(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise InputError(f"{what} {value:g} is out of range; give a number above 0")


def _times(whole: float, part: float, what: str, parts: str) -> int:
    """Return how often `part` fits into `whole`, which must be a whole number of times."""
    ratio = whole / part
    found = round(ratio)
    if found < 1 or not math.isclose(ratio, found, rel_tol=WHOLE):
        raise InputError(f"{what} is {ratio:.6g} {parts}; give a whole number of them")
    return found


def _numbers(
    simulations: int | ArrayLike | None, coupling: ArrayLike, inputs: RegionalInputs | None
) -> NDArray[np.int64]:
    """Return the numbers of the simulations; as many as the inputs have rows where they are not given."""
    if simulations is not None:
        asked = np.asarray(simulations)
        numbers = np.arange(int(asked)) if asked.ndim == 0 else asked
        if not numbers.size or not np.issubdtype(numbers.dtype, np.integer):
            raise InputError("simulations: give how many there are, 1 or more, or their numbers")
        return numbers.astype(np.int64)
    rows = [np.shape(coupling)[0]] if np.ndim(coupling) == 1 else []
    rows += [np.shape(value)[0] for value in (inputs or ()) if np.ndim(value) == 2]
    return np.arange(max(rows, default=1))


def _broadcast(what: str, value: ArrayLike, shape: tuple[int, ...], *, low: float, high: float = math.inf) -> Array:
    given = np.asarray(value, dtype=float)
    try:
        full = np.array(np.broadcast_to(given, shape))
    except ValueError:
        raise InputError(f"{what} has shape {given.shape}; give a number, or a shape that fits {shape}") from None
    wrong = ~(np.isfinite(full) & (full >= low) & (full <= high))
    if wrong.any():
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of {low:g} or more"
        wanted = bounds if math.isfinite(low) else "that are finite"
        raise InputError(f"{what}: {full[wrong][0]:g} is out of range; give numbers {wanted}")
    return full


def _delays(lengths: Array | None, speed: float | None, step_ms: float) -> NDArray[np.int32] | None:
    if speed is None:
        return None
    _positive("speed_m_s", speed)
    if lengths is None:
        raise InputError("speed_m_s: delays need tract lengths, and the connectome has none; give lengths_mm")
    steps = np.rint(lengths / speed / step_ms)  # mm over m/s is ms
    if steps.max() > MOST_DELAY_STEPS:
        raise InputError(
            f"speed_m_s {speed:g} makes a delay of {steps.max() * step_ms:g} ms; the most is "
            f"{MOST_DELAY_STEPS * step_ms:g} ms"
        )
    return steps.astype(np.int32)


def _noise(noise: ArrayLike | None, count: int, steps: int, regions: int) -> Array | None:
    if noise is None:
        return None
    given = np.asarray(noise, dtype=float)
    rows = given[None] if given.ndim == 3 else given
    if rows.ndim != 4 or rows.shape[0] not in (1, count) or rows.shape[1:] != (steps, 2, regions):
        raise InputError(f"noise has shape {given.shape}; give ({steps}, 2, {regions}), alone or for each simulation")
    if not np.isfinite(rows).all():
        raise InputError("noise: some of it is not a number")
    return rows


def _check(bold: Array, solved: Solved, plan: Plan, numbers: NDArray[np.int64]) -> None:
    """Raise SolverError where a simulation is no longer finite."""
    for state, values in (("bold", bold), ("rate", solved.firing)):
        if not np.isfinite(values).all():
            row, volume, _ = np.argwhere(~np.isfinite(values))[0]
            hours = (plan.discarded + volume) * plan.samples * plan.seconds / 3600.0
            raise SolverError(int(numbers[row]), hours, state)
