"""One writer for a run: a lock of the operating system, which goes with its process however that ends."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from pathlib import Path

from kapsim.errors import InputError
from kapsim.files import os_error

#: Name of the file that is locked.
LOCK = "lock"
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def lock_folder(folder: Path) -> int:
    """Take the lock of a folder.

    Parameters
    ----------
    folder : Path
        Exists.

    Returns
    -------
    int
        Handle of the file; the lock lasts until it is closed or the process ends.

    Raises
    ------
    InputError
        If another process holds it, or there can be no lock.
    """
    path = folder / LOCK
    while True:
        handle = -1
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
            _take(handle)
            # Whoever held it last may have taken the file away, and a lock on a file that nobody finds locks nothing.
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                _sign(handle)
                return handle
        except OSError as error:
            owner = _owner(handle) if error.errno in _TAKEN and handle >= 0 else None
            _close(handle)
            if owner is not None:
                raise InputError(
                    f"{folder}: another process{owner} is writing to this run; wait for it, or name another folder"
                ) from None
            if error.errno in _NO_LOCKS:
                raise InputError(
                    f"{folder}: files cannot be locked on this disk; name a folder on another one"
                ) from None
            raise os_error(folder, "used for results", error) from None
        _close(handle)


def unlock(handle: int) -> None:
    """Give a lock back; the file stays, empty."""
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
    _close(handle)


def _sign(handle: int) -> None:
    # Who holds the lock is told to a second writer; that the disk has no room for it is no reason not to go on.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, f"{os.getpid()} on {socket.gethostname()}\n".encode())


def _owner(handle: int) -> str:
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        told = os.read(handle, 200).decode(errors="replace").strip()
    except OSError:
        told = ""
    return f" ({told})" if told else ""


def _close(handle: int) -> None:
    if handle >= 0:
        with contextlib.suppress(OSError):
            os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        # Beyond the end, so that what the file says can still be read by others.
        os.lseek(handle, 1 << 20, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
