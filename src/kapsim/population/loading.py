"""Reading populations: by name from the library, from a file of laws (YAML), or from rows of covariates (CSV)."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from kapsim import file_model, strict_yaml
from kapsim.errors import InputError
from kapsim.population.schema import PopulationFile
from kapsim.population.table import read_table

if TYPE_CHECKING:
    from kapsim.population.population import Population
    from kapsim.strict_yaml import Document

__all__ = ["DEFAULT", "load_population", "named_populations", "parse_population"]

#: What rows of covariates are based on where nothing else is named.
DEFAULT = "trd_trial"
_LIBRARY = files("kapsim.population").joinpath("library")
#: Longest chain of populations that are based on each other.
_DEEPEST = 4


def parse_population(text: str | bytes, *, source: str = "<population>") -> PopulationFile:
    """Read what a population file says; InputError with source, line and key of the first problem."""
    return file_model.validate(PopulationFile, strict_yaml.parse(text, source=source))


def named_populations() -> dict[str, str]:
    """Return the names of the library with their titles, by name."""
    return {name: parse_population(text, source=f"{name}.yaml").title for name, text in _library().items()}


def load_population(
    name_or_path: str | Path, *, based_on: str | Path | None = None, one_to_one: bool = False
) -> Population:
    """Load a population by its name in the library, or from a file.

    Parameters
    ----------
    name_or_path : str or Path
        A key of `named_populations`, a YAML file of laws, or a CSV file of covariates. A name wins over a file of the
        same name; write ``./name`` for the file.
    based_on : str or Path, optional
        For a CSV: the population from which what it lacks is drawn, by default 'trd_trial'.
    one_to_one : bool
        For a CSV: person k is row k, instead of a row drawn with replacement.

    Raises
    ------
    InputError
        If there is no such population (the nearest name is given), or with file, line and key of the first problem.
    """
    found = _load(name_or_path, based_on, _DEEPEST)
    if one_to_one:
        if found.table is None or found.weights is not None:
            raise InputError(f"population {found.name}: has no rows to take one to one; give a CSV file of covariates")
        found = replace(found, one_to_one=True)
    return found


@functools.cache
def _library() -> dict[str, bytes]:
    found = sorted((file for file in _LIBRARY.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return {file.name.removesuffix(".yaml"): file.read_bytes() for file in found}


def _load(name_or_path: str | Path, based_on: str | Path | None, deepest: int) -> Population:
    if deepest == 0:
        raise InputError(f"population {name_or_path}: stands on a chain of over {_DEEPEST} populations; shorten it")
    if isinstance(name_or_path, str) and name_or_path in _library():
        if based_on is not None:
            raise InputError(f"population {name_or_path}: stands on its own; --based-on goes with a CSV file")
        return _named(name_or_path)
    path = Path(name_or_path)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _of_table(path, DEFAULT if based_on is None else based_on, deepest)
    looks_like_file = isinstance(name_or_path, Path) or suffix in (".yaml", ".yml") or len(path.parts) > 1
    if not looks_like_file and not _exists(path):
        shown = strict_yaml.one_line(name_or_path)
        advice = file_model.nearest_of(shown, list(_library()), "name")
        raise InputError(f"unknown population '{shown}'; {advice}; or give the path of a YAML or CSV file")
    if based_on is not None:
        raise InputError(f"population {path}: says itself what it is based on; --based-on goes with a CSV file")
    document = strict_yaml.read(path)
    return _of_document(document, path.read_bytes(), path.parent, deepest)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@functools.cache
def _named(name: str) -> Population:
    text = _library()[name]
    return _of_document(strict_yaml.parse(text, source=f"{name}.yaml"), text, Path(), _DEEPEST)


def _of_document(document: Document, raw: bytes, folder: Path, deepest: int) -> Population:
    from kapsim.population.population import Population

    file = file_model.validate(PopulationFile, document)
    source = Path(document.source).name
    digest = hashlib.sha256(raw)
    if file.based_on is None:
        found = Population(file, source, digest.hexdigest())
        _check_laws(found, document)
        return found
    beside = folder / file.based_on
    # a word that is no file is meant as a name
    a_name = file.based_on in _library() or (Path(file.based_on).name == file.based_on and not beside.suffix)
    inner: str | Path = file.based_on if a_name else beside
    try:
        base = _load(inner, None, deepest - 1)
    except InputError as error:
        raise document.error(("based_on",), str(error)) from None
    digest.update(base.digest.encode())
    whole = _inherited(file, base.file)
    try:
        whole.check_together()
    except PydanticCustomError as error:
        about = error.context or {}
        raise document.error(tuple(about["at"]), str(about["problem"])) from None
    found = replace(base, file=whole, source=source, digest=digest.hexdigest())
    _check_laws(found, document)
    if not file.targets:
        return found
    from kapsim.population.reweighting import reweighted

    try:
        return reweighted(found, file.targets)
    except InputError as error:
        raise document.error(("targets",), str(error)) from None


def _inherited(file: PopulationFile, base: PopulationFile) -> PopulationFile:
    """Return a file with all that it does not say taken from another."""
    own = {frozenset(item.between) for item in file.correlations}
    return file.model_copy(
        update={
            "diagnosis": file.diagnosis or base.diagnosis,
            "enrolled_by_rating": (
                base.enrolled_by_rating if file.enrolled_by_rating is None else file.enrolled_by_rating
            ),
            "marginals": {**base.marginals, **file.marginals},
            "correlations": (
                *(item for item in base.correlations if frozenset(item.between) not in own),
                *file.correlations,
            ),
        }
    )


def _check_laws(found: Population, document: Document) -> None:
    """Raise with file, line and key where laws or correlations cannot be."""
    from kapsim.population.schema import law_of

    for trait, marginal in found.file.marginals.items():
        try:
            law_of(trait, marginal)
        except InputError as error:
            raise document.error(("marginals", trait), str(error)) from None
    try:
        _ = found.latent
    except InputError as error:
        # the message names the pair; the file that it stands in is this one or one below
        text = str(error).removeprefix(f"{found.source}: ").removeprefix("correlations: ")
        raise document.error(("correlations",), text) from None


def _of_table(path: Path, based_on: str | Path, deepest: int) -> Population:
    table = read_table(path)
    base = _load(based_on, None, deepest - 1)
    if base.table is not None:
        raise InputError(f"population {based_on}: holds rows itself; base a CSV file on a population of laws")
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in path.stem.lower())[:60] or "table"
    file = base.file.model_copy(
        update={
            "name": name if name[0].isalpha() else f"t_{name}",
            "title": f"{table.rows} people of {strict_yaml.one_line(path.name, 60)}",
            "description": None,
            "enrolled_by_rating": False,
            "based_on": base.name,
        }
    )
    digest = hashlib.sha256(f"{table.digest}{base.digest}".encode()).hexdigest()
    return replace(base, file=file, source=path.name, digest=digest, table=table)
