"""Scans of the cortex as a folder in the shape of the Brain Imaging Data Structure, marked as simulated.

Series of regions are derivatives:
``sub-01/ses-drug/func/sub-01_ses-drug_task-rest_run-1_seg-dk68_timeseries.tsv``
with a JSON sidecar. Runs count the hours of the scans. It is no raw data set, and no person was in a scanner: every
sidecar says so (`SimulatedData`).
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapsim.errors import InputError
from kapsim.files import os_error

if TYPE_CHECKING:
    import xarray as xr

BIDS_VERSION = "1.10.0"
DESCRIPTION = "dataset_description.json"
_NOTICE = "Simulated by kapsim: no person was scanned. Research and education only, no advice for any person."


def bids_files(study: xr.Dataset) -> dict[str, str]:
    """Return the files of a study by their path in the folder.

    Parameters
    ----------
    study : xarray.Dataset
        Of `kapsim.brain_study.run_study`.

    Returns
    -------
    dict of str to str
        POSIX path → text.
    """
    attributes = study.attrs
    segmentation = re.sub(r"[^0-9A-Za-z]", "", str(attributes["connectome"])) or "custom"
    regions = [str(name) for name in study["region"].values]
    repetition = float(attributes["repetition_s"])
    generated = [{"Name": "kapsim", "Version": str(attributes["kapsim_version"]), "Description": "simulation"}]
    files = {
        DESCRIPTION: _json(
            {
                "Name": str(attributes["title"]),
                "BIDSVersion": BIDS_VERSION,
                "DatasetType": "derivative",
                "SimulatedData": True,
                "GeneratedBy": generated,
                "License": "see DATA-LICENCES of kapsim for the connectomes behind it",
            }
        ),
        "README": f"{_NOTICE}\n\n{attributes['disclaimer']}\n",
        "participants.tsv": _table(
            ["participant_id", "simulated"], [[f"sub-{n:02d}", "true"] for n in study["subject"].values]
        ),
        "participants.json": _json({"simulated": {"Description": "true: a virtual person"}}),
        f"seg-{segmentation}_dseg.tsv": _table(
            ["index", "name", "hemisphere", "network"],
            [
                [str(row + 1), name, str(side) or "n/a", str(network) or "n/a"]
                for row, (name, side, network) in enumerate(
                    zip(regions, study["hemisphere"].values, study["network"].values, strict=True)
                )
            ],
        ),
    }
    for subject, arm, hour in np.ndindex(study.sizes["subject"], study.sizes["arm"], study.sizes["hour"]):
        who, session = f"sub-{int(study['subject'].values[subject]):02d}", str(study["arm"].values[arm])
        stem = f"{who}_ses-{session}_task-rest_run-{hour + 1}_seg-{segmentation}_timeseries"
        folder = f"{who}/ses-{session}/func"
        series = study["bold"].values[subject, arm, hour]
        files[f"{folder}/{stem}.tsv"] = _table(regions, [[repr(float(value)) for value in row] for row in series])
        files[f"{folder}/{stem}.json"] = _json(
            {
                "TaskName": "rest",
                "RepetitionTime": repetition,
                "SamplingFrequency": 1.0 / repetition,
                "StartTime": 0.0,
                "Atlas": str(attributes["connectome"]),
                "AtlasDescription": str(attributes["connectome_source"]),
                "Units": "relative change of the BOLD signal (1)",
                "Condition": session,
                "HoursFromProtocolStart": float(study["hour"].values[hour]),
                "SimulatedData": True,
                "GeneratedBy": generated,
                "EvidenceHash": str(attributes["evidence_hash"]),
                "NoiseSeed": int(attributes["noise_seed"]),
                "Description": _NOTICE,
            }
        )
    return files


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _table(header: list[str], rows: list[list[str]]) -> str:
    return "".join("\t".join(line) + "\n" for line in [header, *rows])


def write_bids(study: xr.Dataset, folder: Path) -> Path:
    """Write a study as such a folder, whole or not at all.

    Parameters
    ----------
    study : xarray.Dataset
    folder : Path
        Its parent must exist. An older folder that kapsim wrote is replaced once the new one is complete.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder holds something else, or cannot be written; nothing is left behind.
    """
    if folder.exists() and not _ours(folder):
        raise InputError(f"{folder}: holds something that kapsim did not write; give a new folder, or remove it")
    staging: Path | None = None
    try:
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
        new = staging / "new"
        for name, text in bids_files(study).items():
            target = new / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
        if folder.exists():
            folder.rename(staging / "old")
        try:
            new.rename(folder)
        except OSError:
            if (staging / "old").exists():
                (staging / "old").rename(folder)
            raise
    except OSError as error:
        raise os_error(folder, "written", error) from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return folder


def _ours(folder: Path) -> bool:
    """Whether a folder is empty or was written here."""
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        said = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        return bool(said["SimulatedData"]) and said["GeneratedBy"][0]["Name"] == "kapsim"
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return False
