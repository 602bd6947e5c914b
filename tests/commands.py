"""What several tests of files and commands need: an event table and a disk that fills up."""

from __future__ import annotations

import errno
import os

import pytest

EVENT_HEADER = "ID,TIME,EVID,MDV,AMT,RATE,CMT,DRUG,II,ADDL,DV,WT,AGE,FEMALE"
EVENT_TABLE = f"""{EVENT_HEADER}
1,0,1,1,35,52.5,1,1,0,0,.,70,40,1
1,0.5,0,0,0,0,9,0,0,0,150,70,40,1
1,2,0,0,0,0,9,0,0,0,55.5,70,40,1
2,0,1,1,50,0,im,ketamine,24,1,.,90,60,0
2,1,0,0,0,0,.,.,0,0,120,90,60,0
2,25,0,1,0,0,plasma_norketamine_venous,.,0,0,.,90,60,0
"""


def fill_disk_at_second_file(patch: pytest.MonkeyPatch) -> None:
    """Let the first file be written whole, and no space be left for those after it."""
    real, written = os.fsync, []

    def full_at_second(handle: int) -> None:
        written.append(handle)
        if len(written) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    patch.setattr(os, "fsync", full_at_second)
