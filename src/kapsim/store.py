"""Results on disk: one netCDF file that any tool of the field opens, and that reads back as it was written."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapsim.errors import InputError
from kapsim.files import os_error, write_together

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["RESULTS_NAME", "load_results", "results_bytes", "save_results"]

#: Name of the file of results in a folder of results.
RESULTS_NAME = "results.nc"

_DIMENSIONS = ("patient", "time")
_LISTS = ("parameters_used", "doses", "sessions", "stressors", "ratings")
_ATTRIBUTES = ("kapsim_version", "protocol_name", "variant", "seed", "draws", *_LISTS)
_COORDINATES = ("time", "parameter_draw", "weight", "baseline_madrs", "ketamine_given")
# Classic netCDF, with 32-bit and with 64-bit offsets.
_MAGIC = (b"CDF\x01", b"CDF\x02")


def results_bytes(dataset: xr.Dataset) -> bytes:
    """Return results as the bytes of a netCDF file (classic format, 64-bit offsets).

    Parameters
    ----------
    dataset : xarray.Dataset
        Results of `kapsim.simulate`.

    Raises
    ------
    InputError
        If a variable holds whole numbers beyond 32 bits, which the format has no room for.
    """
    import xarray as xr

    narrow = dataset.copy()
    for name, variable in dataset.variables.items():
        if variable.dtype.kind in "bui":
            narrow[name] = xr.Variable(variable.dims, _int32(str(name), variable.values), variable.attrs)
    # Without a fill value nothing is masked: not-a-number stays what it is.
    encoding = {name: {"_FillValue": None} for name in narrow.variables}
    written = narrow.to_netcdf(engine="scipy", format="NETCDF3_64BIT", encoding=encoding)
    return bytes(written)


def _int32(name: str, values: Any) -> Any:
    limits = np.iinfo(np.int32)
    if values.size and (values.min() < limits.min or values.max() > limits.max):
        raise InputError(f"results: {name}: whole numbers beyond 32 bits cannot be stored; store them as text")
    return values.astype(np.int32)


def save_results(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write results to a netCDF file, whole or not at all.

    Parameters
    ----------
    dataset : xarray.Dataset
        Results of `kapsim.simulate`.
    path : path-like
        The file; its folder must exist. An older file is replaced once the new one is complete.

    Returns
    -------
    pathlib.Path
        The file that was written.

    Raises
    ------
    InputError
        If it cannot be written (no folder, no space, no permission); nothing is left behind.
    """
    target = Path(path)
    write_together({target: results_bytes(dataset)})
    return target


def load_results(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read results that `save_results` wrote.

    Parameters
    ----------
    path : path-like
        The file, or the folder that holds it as ``results.nc``.

    Returns
    -------
    xarray.Dataset
        In memory; the file is closed.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, or it holds something other than results of kapsim.
    """
    target = Path(path)
    if target.is_dir():
        target = target / RESULTS_NAME
    try:
        if target.exists() and not target.is_file():
            # A pipe or a device could block or never end.
            raise InputError(f"{target}: is not a file; give {RESULTS_NAME} or the folder that holds it")
        raw = target.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{target}: no such file; give {RESULTS_NAME} or the folder that holds it") from None
    except OSError as error:
        raise os_error(target, "read", error) from None
    except ValueError:
        raise InputError(f"{str(target)!r}: is not the name of a file; check the path") from None
    if not raw.startswith(_MAGIC):
        raise InputError(f"{target}: is not a netCDF file of results; give the {RESULTS_NAME} of a run")
    dataset = _parse(raw, target)
    _check(dataset, target)
    return dataset


def _parse(raw: bytes, target: Path) -> xr.Dataset:
    import xarray as xr

    try:
        with xr.open_dataset(
            io.BytesIO(raw), engine="scipy", mask_and_scale=False, decode_times=False, decode_timedelta=False
        ) as opened:
            dataset = opened.load()
    except Exception as error:
        # What a damaged header leads to has no end of kinds; to the reader it is one thing.
        raise InputError(
            f"{target}: is damaged or cut short ({type(error).__name__} while reading); run the simulation again"
        ) from None
    for name, variable in dataset.variables.items():
        # netCDF is big-endian; arithmetic wants what the machine has.
        native = variable.values.astype(variable.dtype.newbyteorder("="))
        dataset[name] = xr.Variable(variable.dims, native, variable.attrs)
    return dataset


def _check(dataset: xr.Dataset, target: Path) -> None:
    missing = [f"dimension {name}" for name in _DIMENSIONS if not dataset.sizes.get(name)]
    missing += [f"attribute {name}" for name in _ATTRIBUTES if name not in dataset.attrs]
    missing += [f"coordinate {name}" for name in _COORDINATES if name not in dataset.coords]
    if missing:
        raise InputError(f"{target}: is not a result of kapsim ({missing[0]} is missing); give the file of a run")
    for name in _LISTS:
        if not _is_list(dataset.attrs, name):
            raise InputError(f"{target}: attribute {name}: is not a list in JSON; run the simulation again")


def _is_list(attributes: Mapping[str, Any], name: str) -> bool:
    try:
        return isinstance(json.loads(attributes[name]), list)
    except (ValueError, TypeError, RecursionError):
        return False
