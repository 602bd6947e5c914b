"""The integrator of `kernel_code.py`, compiled for this processor, kept on disk, and run on all cores.

Only the equations and the structure of the kinetics are compiled in: another protocol or number of patients finds the
same program, in the process and on disk.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kapsim.engine.exponential import LANES, phi
from kapsim.engine.linear import SERIES_NORM
from kapsim.engine.runtime import cores
from kapsim.errors import InputError
from kapsim.files import write_together

Array = NDArray[np.float64]

#: Groups of eight patients that a thread takes at a time: their tables stay in its cache, and the threads end together.
GROUPS_AT_A_TIME = 4
#: Machine code of another number is not used: to be raised when the arguments of a program change their meaning.
_FORMAT = 1


class Work(NamedTuple):
    """A course for a batch, in plain arrays; the kinetics are not yet propagated.

    Shapes: S steps, E events, C settings, O outputs, M independent linear systems, n compartments, B patients.
    """

    rows: NDArray[np.int32]  # (S, 4): exponent of the step's size, event (0: none), setting, output (-1: none)
    smallest: float  # h, the smallest step
    sizes: int  # step sizes, each twice the one before
    settings: Array  # (C, fields), what is done besides
    matrices: Array  # (M, B, n, n), rate matrices, 1/h
    jumps: Array  # (E, M, n, B), what an event adds to the compartments; the first is none
    decay: Array  # (states, B), 1/h
    start: Array  # (states, B)
    given: Array  # (numbers, B), what the equations know of a patient
    outputs: int


@dataclass(frozen=True)
class Program:
    """A compiled integrator; the engine owns the machine code."""

    run: Any
    engine: Any
    shape: Any
    memory: Callable[[int], int]  # bytes that a thread needs for so many step sizes


def available() -> bool:
    """Return whether programs can be compiled here."""
    return importlib.util.find_spec("llvmlite") is not None


def entries_of(matrices: Array) -> tuple[tuple[int, int], ...]:
    """Return row and column of every entry that a propagator of `matrices`, shape (..., n, n), can have."""
    n = matrices.shape[-1]
    reached = (matrices != 0.0).reshape(-1, n, n).any(axis=0) | np.eye(n, dtype=bool)
    for _ in range(n.bit_length()):
        reached = reached @ reached
    return tuple((int(row), int(column)) for row, column in np.argwhere(reached))


def integrate(program: Program, work: Work, threads: int | None = None) -> tuple[Array, Array]:
    """Take every patient of a batch through all steps.

    Parameters
    ----------
    program : Program
        For the shape of `work`.
    work : Work
    threads : int, optional
        How many cores take part, by default all; the numbers do not depend on it.

    Returns
    -------
    tuple of ndarray
        States (O, states, B) and compartments (O, M, n, B) at the outputs, zero at outputs that no step ends at. They
        may hold values that are not finite: check.
    """
    shape, patients = program.shape, work.start.shape[-1]
    groups = -(-patients // LANES)
    # the last patient fills the last group
    everybody = np.minimum(np.arange(groups * LANES), patients - 1)
    given = _grouped(_given(work, shape.entries)[:, everybody])
    jumps = _grouped(work.jumps.reshape(len(work.jumps) * shape.systems * shape.compartments, -1)[:, everybody])
    width = groups * LANES
    states = np.zeros((work.outputs, shape.states, width))
    contents = np.zeros((work.outputs, shape.systems, shape.compartments, width))
    rows = np.ascontiguousarray(work.rows, dtype=np.int32)
    half_hours = 0.5 * work.smallest * 2.0 ** np.arange(work.sizes)
    settings = np.ascontiguousarray(work.settings)

    def some(first: int) -> None:
        memory = np.empty(program.memory(work.sizes) // 8)
        program.run(
            first,
            min(first + GROUPS_AT_A_TIME, groups),
            len(rows),
            work.sizes,
            len(work.jumps),
            width,
            *(table.ctypes.data for table in (rows, half_hours, settings, given, jumps, states, contents, memory)),
        )

    with ThreadPoolExecutor(max_workers=threads or cores()) as pool:
        list(pool.map(some, range(0, groups, GROUPS_AT_A_TIME)))
    return states[..., :patients], contents[..., :patients]


def _given(work: Work, entries: Sequence[tuple[int, int]]) -> Array:
    """Return what a patient brings, row by row as `kernel_code` has it, shape (rows, B)."""
    halved = work.matrices * (0.5 * work.smallest)
    norm = np.abs(halved).sum(axis=-2).max(axis=-1, initial=0.0)
    large = np.where(np.isfinite(norm), np.maximum(norm, SERIES_NORM), SERIES_NORM)
    squarings = np.ceil(np.log2(large / SERIES_NORM))
    scaled = halved / np.exp2(squarings)[..., None, None]
    rows, columns = np.asarray(entries).T
    matrices = np.moveaxis(scaled[:, :, rows, columns], 1, -1)
    z = -0.5 * work.smallest * work.decay
    return np.concatenate(
        [
            matrices.reshape(-1, matrices.shape[-1]),
            squarings,
            np.expm1(z),
            *phi(z),
            work.start,
            work.given,
        ]
    )


def _grouped(rows: Array) -> Array:
    """Return rows of patients as vectors, group by group, shape (groups, rows, lanes)."""
    count, patients = rows.shape
    return np.ascontiguousarray(rows.reshape(count, patients // LANES, LANES).transpose(1, 0, 2))


# --- compiling ----------------------------------------------------------------------------------------------------


def build(shape: Any, staged: Any) -> Program:
    """Return the program for a shape and equations in stages; it is compiled where it is on no disk yet."""
    from kapsim.engine.kernel_code import ENTRY, code
    from kapsim.engine.kernel_layout import Rooms

    engine = _engine(code(shape, staged))
    kinds = [ctypes.c_int64] * 6 + [ctypes.c_void_p] * 8
    run = ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address(ENTRY))
    return Program(run, engine, shape, Rooms(shape, staged).bytes)


def _engine(text: str) -> Any:
    """Return an engine that holds the machine code of a module."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )
    place = _kept_at(text, features, llvm)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    object_code = _read(place)
    if object_code is None:
        module = llvm.parse_assembly(text)
        module.verify()
        passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
        passes.getModulePassManager().run(module, passes)
        object_code = machine.emit_object(module)
        _keep(place, object_code)
    engine.add_object_file(llvm.ObjectFileRef.from_data(object_code))
    engine.finalize_object()
    return engine


def programs_folder() -> Path:
    """Return the folder that machine code is kept in."""
    from platformdirs import user_cache_path

    return user_cache_path("kapsim") / "programs"


def is_whole(place: Path) -> bool:
    """Whether a file holds machine code as it was written."""
    return _read(place) is not None


def _kept_at(text: str, features: str, llvm: Any) -> Path:
    """Return the file that the machine code of a module is kept in, for this processor and compiler."""
    about = (_FORMAT, llvm.llvm_version_info, llvm.get_default_triple(), llvm.get_host_cpu_name(), features, text)
    name = hashlib.sha256("\n".join(map(str, about)).encode()).hexdigest()[:32]
    return programs_folder() / f"{name}.o"


def _read(place: Path) -> bytes | None:
    """Return machine code that was kept; None where there is none, or where it is not what was written."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    digest, object_code = content[:32], content[32:]
    return object_code if hashlib.sha256(object_code).digest() == digest else None


def _keep(place: Path, object_code: bytes) -> None:
    """Keep machine code for the next process; where there is no place to, that one compiles anew."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_together({place: hashlib.sha256(object_code).digest() + object_code})
    except (OSError, InputError):
        return


__all__ = ["Program", "Work", "available", "build", "entries_of", "integrate", "is_whole", "programs_folder"]
