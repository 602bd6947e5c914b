"""Writing files whole or not at all, so that nobody ever finds half a result."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from kapsim.errors import InputError

_ADVICE = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "free some space, or write elsewhere",
    errno.EFBIG: "files may not grow this large here; write smaller ones, or elsewhere",
    errno.ENOENT: "make its folder first, or give a file in an existing one",
    errno.ENOTDIR: "part of the path is a file; give a folder",
    errno.EEXIST: "there is a file of that name; give a folder",
    errno.EISDIR: "there is a folder of that name; give a file",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose a folder that may be written to"),
}


def os_error(path: object, doing: str, error: OSError) -> InputError:
    """Return what the system refused as one line: which path, what was tried, why, and what would be right."""
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    advice = _ADVICE.get(error.errno or 0, "check the path")
    return InputError(f"{path}: cannot be {doing} ({reason}); {advice}")


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, so that a file in it is found again after a power cut."""
    if os.name == "nt":
        return  # there is no way to open a folder there, and the file system looks after its names
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_together(contents: Mapping[Path, bytes], *, lasting: bool = False) -> None:
    """Write files so that all of them appear complete, or none.

    Each is written under a temporary name in its own folder and flushed to the disk; only when all are there do they
    take their names. Older files of these names stay as they were until then.

    Parameters
    ----------
    contents : mapping of Path to bytes
        What to write where; the folders must exist.
    lasting : bool, optional
        Come back only when the names, too, are on the disk. Where that alone fails, the files stand under their names
        all the same.

    Raises
    ------
    InputError
        If a file cannot be written: no folder, no space, no permission. Nothing is left behind.
    """
    complete: dict[Path, Path] = {}
    target = Path()
    try:
        for target, content in contents.items():
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
            complete[target] = Path(name)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            # A temporary file is private to its owner; results are not.
            complete[target].chmod(0o644)
        for target, temporary in complete.items():
            temporary.replace(target)
        for folder in {path.parent for path in complete} if lasting else ():
            sync_folder(folder)
    except OSError as error:
        raise os_error(target, "written", error) from None
    finally:
        for temporary in complete.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """Make a folder for results and try it out, before the work that fills it.

    Where the work fails, folders that were made for it go away again, as long as they are empty.

    Parameters
    ----------
    path : Path
        The folder; those above it are made too.

    Yields
    ------
    Path
        The same folder, which exists and can be written to.

    Raises
    ------
    InputError
        If it cannot be made or written to.
    """
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    done = False
    try:
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise os_error(path, "used for results", error) from None
        yield path
        done = True
    finally:
        if not done:
            with contextlib.suppress(OSError):
                for folder in made:
                    folder.rmdir()
