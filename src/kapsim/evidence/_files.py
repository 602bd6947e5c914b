"""Where the evidence lies and how its YAML is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from kapsim.errors import InputError
from kapsim.strict_yaml import one_line

DATA = Path(__file__).resolve().parent / "data"
"""Folder of the evidence files, part of the installed package."""

MODEL = DATA / "model.yaml"
"""The model's own parameters."""

CALIBRATION = DATA / "calibration-kinetics.yaml"
"""What the published concentrations made of the kinetic parameters; written by scripts/calibrate_kinetics.py."""

CORTEX_CALIBRATION = DATA / "calibration-cortex.yaml"
"""What records of mechanism made of the cortex' parameters; written by scripts/calibrate_cortex.py."""

CHAIN_CALIBRATION = DATA / "calibration-chain.yaml"
"""What the trials made of the chain from glutamate to mood; written by `kapsim calibrate`."""

CHAIN_LEFT_OUT = DATA / "left-out-chain.yaml"
"""The same without each study; a file of its own, because only a validation needs it."""

CHAIN_VARIANTS = DATA / "variants-chain.yaml"
"""The same for every other variant of the contested links, each by its own fit."""

CHAIN_ENSEMBLE = DATA / "ensemble-chain.csv"
"""Draws of that posterior, which say what its parameters have in common; written by `kapsim calibrate`."""

CALIBRATIONS = (CALIBRATION, CORTEX_CALIBRATION, CHAIN_CALIBRATION)
"""Every calibration that ships; no two move the same parameter."""

_LARGEST_BYTES = 2_000_000
#: Records are nested some six deep; the parser takes itself to its end, and the process with it, some thousand deeper.
_DEEPEST = 40


class _Loader(yaml.CSafeLoader):
    """Safe loader that reads 1e-6 as a number, as YAML 1.2 does; YAML 1.1 would ask for 1.0e-6."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


class _UniqueKeys(_Loader):
    """Loader that refuses a key written twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def evidence_files() -> list[Path]:
    """Return the shipped parameters-*.yaml and observed-*.yaml files, sorted by name."""
    return sorted([*DATA.glob("parameters-*.yaml"), *DATA.glob("observed-*.yaml")])


def read_records(path: Path, *, unique_keys: bool = False) -> list[Any]:
    """Read a YAML file that holds a list of records.

    Parameters
    ----------
    path : Path
        File to read.
    unique_keys : bool
        Whether a key written twice in one mapping is an error (slower; the checks ask for it).

    Returns
    -------
    list
        The records as plain data, not yet checked.

    Raises
    ------
    InputError
        If the file cannot be read, is not YAML, or is not a list.
    """
    items = read_yaml(path, _UniqueKeys if unique_keys else _Loader)
    if not isinstance(items, list):
        raise InputError(f"{path.name}: is not a list of records; begin each record with '- id: '")
    return items


def read_yaml(path: Path, loader: type[yaml.CSafeLoader] = _Loader) -> Any:
    """Read a YAML file of evidence, which holds no aliases and is not nested deep.

    Parameters
    ----------
    path : Path
        File to read. Those that ship are taken as they are.
    loader : type, optional

    Raises
    ------
    InputError
        If the file cannot be read or is not such YAML.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError(f"{path.name}: larger than {_LARGEST_BYTES // 10**6} MB; split it by subject")
        text = path.read_bytes().decode("utf-8-sig")
        if path.parent != DATA:
            _check_shape(text, path.name)
        return yaml.load(text, loader)
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"{path.name}: cannot be read: {_one_line(str(error))}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path.name}:{mark.line + 1}" if mark is not None else path.name
        raise InputError(f"{where}: not YAML: {_one_line(getattr(error, 'problem', None) or str(error))}") from error


def _check_shape(text: str, name: str) -> None:
    """Raise where aliases stand for more than is written, or where it is nested deeper than any record."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{name}:{_line(event)}: aliases (*) are not allowed; write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise InputError(f"{name}:{_line(event)}: is nested over {_DEEPEST} deep; records are not")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _one_line(text: str) -> str:
    return one_line(" ".join(text.split()), 300)
