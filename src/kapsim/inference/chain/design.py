"""The chain at many settings of its parameters, computed in shards that survive an interruption.

Every parameter of the slow chain is drawn from its prior in every row, those that turn out to be free and those that
do not: what the rest adds is then noise that the emulator sees. The same few people stand in every row.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, qmc

from kapsim.brain.matrix_files import array_of, open_archive, read_bytes
from kapsim.engine.grid import Resolution
from kapsim.errors import InputError
from kapsim.evidence import Parameter
from kapsim.files import write_together
from kapsim.inference.chain.targets import Targets, fitted, items, targets, values
from kapsim.inference.predicting import Predictor
from kapsim.strict_yaml import one_line
from kapsim.validation.arms import Settings
from kapsim.validation.cases import Case

Array = NDArray[np.float64]
Kept = TypeVar("Kept")

#: Links whose parameters are slow; those before them are fitted apart.
LINKS = frozenset({"plasticity", "inflammation", "mind", "mood", "patient"})
#: Widths at or below this are those of definitions.
_NOMINAL = 1e-4
#: Who a group is follows from its record or from the population, not from outcomes of treatment.
_PEOPLE = ("patient.weight", "patient.age", "patient.female", "patient.healthy", "patient.madrs", "patient.hama")
#: What is known of scales and cuts is no finding of a trial.
_SCALES = ("mood.scale.", "mood.definition.", "mood.recall.", "mood.madrs.", "mood.hama.")
#: People of each group in a row, and rows of a shard.
PEOPLE, SHARD = 16, 64
#: Coarser than a validation: what a person's score is off by stays below a fifth of a point, and the mean of a group's
#: below a twentieth (tested).
RESOLUTION = Resolution(sharp=8, growth=2, largest=16384, block=128)
TARGETS = "targets.npz"


@dataclass(frozen=True)
class Design:
    """Settings of the parameters, and the figures there.

    Parameters
    ----------
    names : tuple of str
    z : ndarray, shape (row, parameter)
        Standard deviates of the priors.
    figures : ndarray, shape (row, figure)
        On the scales of the targets; not a number where an arm failed, or anybody in the row.
    targets : Targets
    failures : tuple of str
        What the solver could not do.
    """

    names: tuple[str, ...]
    z: Array
    figures: Array
    targets: Targets
    failures: tuple[str, ...] = ()


def with_figures(design: Design, wanted: Targets) -> Array:
    """Return the figures of a design that are wanted, in their order, shape (row, figure)."""
    place = {key: k for k, key in enumerate(design.targets.keys)}
    return design.figures[:, [place[key] for key in wanted.keys]]


def candidates(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """Return the parameters of the slow chain that records of outcomes may move, in the order of the registry.

    Parameters
    ----------
    parameters : mapping of str to Parameter
    """
    return tuple(
        name
        for name, parameter in parameters.items()
        if parameter.link in LINKS
        and parameter.uncertainty is not None
        and parameter.uncertainty.sd > _NOMINAL
        and not name.startswith((*_PEOPLE, *_SCALES))
        and parameter.inert is None
    )


def spread(names: Sequence[str], rows: int, seed: int) -> Array:
    """Return settings that fill the priors evenly: scrambled Sobol points as standard normal deviates.

    Parameters
    ----------
    names : sequence of str
    rows : int
        A power of 2 fills best.
    seed : int

    Returns
    -------
    ndarray, shape (rows, parameter)
    """
    points = qmc.Sobol(len(names), rng=np.random.default_rng([seed, 1])).random(rows)
    return np.asarray(norm.ppf(np.clip(points, 1e-6, 1.0 - 1e-6)))


def evaluate(
    cases: Sequence[Case],
    parameters: Mapping[str, Parameter],
    names: Sequence[str],
    z: Array,
    *,
    variant: str = "standard",
    seed: int = 0,
    people: int = PEOPLE,
    shard: int = SHARD,
    folder: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Design:
    """Compute the figures at every row.

    Parameters
    ----------
    cases : sequence of Case
        From `kapsim.inference.chain.targets.fitted`.
    parameters : mapping of str to Parameter
        Registry with the priors.
    names : sequence of str
    z : ndarray, shape (row, parameter)
    variant : str
    seed : int
        For the sampling errors that sources do not print.
    people, shard : int
        People of a group in each row, and rows that are computed and stored together.
    folder : Path, optional
        Where finished shards are kept, and taken from where the same was computed before.
    progress : callable, optional

    Raises
    ------
    InputError
        If the folder holds shards of another design.
    """
    predictor, asked = Predictor(tuple(cases)), items(cases)
    # a spread is read off the figure that it belongs to
    place_of = {key: k for k, key in enumerate(predictor.keys)}
    own = [place_of[item.key.removesuffix(":spread")] for item in asked]
    key = _key(cases, parameters, names, variant, people, shard)
    blocks: list[Array] = []
    failures: list[str] = []
    told = None if folder is None else _load_targets(folder / TARGETS, key)
    for number, start in enumerate(range(0, len(z), shard)):
        rows = z[start : start + shard]
        stored = None if folder is None else folder / f"shard-{number:03d}.npz"
        digest = _hash(key, rows)
        block = None if stored is None or told is None else _load(stored, digest)
        if block is None:
            known = {name: rows[:, k] for k, name in enumerate(names)}
            note = (
                None
                if progress is None
                else _prefixed(progress, f"rows {start + 1} to {start + len(rows)} of {len(z)}")
            )
            every = predictor.figures(
                Settings(parameters, variant, resolution=RESOLUTION, keep_failures=True), known, len(rows), people, note
            )
            found = [every[place] for place in own]
            block = np.stack(
                [
                    np.full(len(rows), np.nan) if figure is None else values(item, figure)
                    for item, figure in zip(asked, found, strict=True)
                ],
                axis=1,
            )
            if told is None:
                told = targets(asked, found, seed)
                if folder is not None:
                    _write(folder / TARGETS, {**told.arrays(), "digest": _hash(key, np.zeros((0, 0)))})
            if stored is not None:
                _write(stored, {"figures": block, "digest": digest})
        failures += [
            f"{item.case.record.id}: rows {start + 1} to {start + len(rows)}"
            for k, item in enumerate(asked)
            if np.isnan(block[:, k]).all()
        ]
        lost = int(np.isnan(block).all(axis=1).sum())
        if lost:
            failures.append(f"rows {start + 1} to {start + len(rows)}: {lost} in which somebody's solution broke down")
        blocks.append(block)
    assert told is not None
    place = {item.key: k for k, item in enumerate(asked)}
    kept = [place[name] for name in told.keys]
    return Design(tuple(names), z, np.concatenate(blocks)[:, kept], told, tuple(dict.fromkeys(failures)))


def _prefixed(progress: Callable[[str], None], head: str) -> Callable[[str], None]:
    return lambda text: progress(f"{head}: {text}")


def _key(
    cases: Sequence[Case],
    parameters: Mapping[str, Parameter],
    names: Sequence[str],
    variant: str,
    people: int,
    shard: int,
) -> str:
    """Return what a stored shard must agree with besides its rows.

    A posterior that ships has no part in it: what it was made from can be taken up again.
    """
    from kapsim import __version__
    from kapsim.mechanisms.response_surface import shipped_surface

    records = [case.record.model_dump(mode="json", warnings=False, by_alias=True) for case in cases]
    told = [__version__, shipped_surface().digest, repr(RESOLUTION), variant, people, shard, list(names), records]
    priors = [
        [name, item.value, *(None if law is None else law.sd for law in (item.uncertainty, item.between_subject))]
        for name, item in parameters.items()
    ]
    return json.dumps([told, priors], default=str)


def _hash(key: str, rows: Array) -> str:
    return hashlib.sha256(key.encode() + np.ascontiguousarray(rows, dtype="<f8").tobytes()).hexdigest()


def _load(path: Path, digest: str) -> Array | None:
    return _read(path, digest, lambda data: np.asarray(data["figures"], dtype=float))


def _load_targets(path: Path, key: str) -> Targets | None:
    return _read(path, _hash(key, np.zeros((0, 0))), Targets.of)


def _read(path: Path, digest: str, of: Callable[[Mapping[str, NDArray[Any]]], Kept]) -> Kept | None:
    """Return what the arrays of a file hold, None where it does not exist yet."""
    if not path.is_file():
        return None
    try:
        content = open_archive(read_bytes(path), str(path))
        data = {name.removesuffix(".npy"): array_of(part, f"{path}: {name}") for name, part in content.items()}
    except InputError as error:
        raise InputError(f"{path}: cannot be read ({str(error).removeprefix(f'{path}: ')}); remove it") from None
    if str(data.get("digest", "")) != digest:
        raise InputError(f"{path}: is of another calibration; name another folder, or remove it")
    try:
        return of(data)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: lacks what a calibration keeps ({one_line(error)}); remove it") from None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in content.items()}
    np.savez(buffer, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_together({path: buffer.getvalue()})


__all__ = ["Design", "candidates", "evaluate", "fitted", "spread"]
