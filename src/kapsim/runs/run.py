"""A run in shards on disk: what it is, which shards are stored, and going on where it stopped.

A shard is written aside, flushed to the disk and renamed, and its folder flushed; then a line of the manifest says that
it is there, and is flushed too. Only then does it count as done. Whatever stops the run between two of these steps
leaves either a shard that counts, a shard that is found again by its name, or nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from kapsim.errors import InputError, RunError, StoppedError
from kapsim.files import os_error, sync_folder, write_together
from kapsim.runs.columns import Columns, Compute, EncodedShard, check_extra, decode, encode, recognised
from kapsim.runs.identity import difference
from kapsim.runs.locking import LOCK, lock_folder, unlock
from kapsim.runs.manifest import MANIFEST, Entry, Header, Manifest, entry_line, manifest_bytes
from kapsim.runs.progress import Progress, Quiet
from kapsim.runs.reading import SHARDS, read_manifest, stored
from kapsim.runs.schedulers import LOCAL, check_scheduler, map_shards
from kapsim.runs.stopping import Stop, stoppable
from kapsim.runs.work import Encoding

_FILE = re.compile(r"\d{6,}-([0-9a-f]{32})\.parquet")


@final
class Run:
    """A run that this process writes to; made by `Run.open`.

    Parameters
    ----------
    folder : Path
    header : Header
    entries : mapping of int to Entry
        Shards that are stored.
    notes : tuple of str
        What was found to be damaged, one line each.
    lock : int
        Handle of the lock.
    """

    def __init__(
        self, folder: Path, header: Header, entries: Mapping[int, Entry], notes: tuple[str, ...], lock: int
    ) -> None:
        self.folder, self.header, self.notes = folder, header, notes
        self._entries, self._lock = dict(entries), lock
        self._failed = False

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], identity: Mapping[str, Any], shards: int, *, resume: bool = False
    ) -> Self:
        """Begin a run, or go on with one that was begun.

        Parameters
        ----------
        folder : path-like
            Is made where it does not exist.
        identity : mapping
            All that decides what is computed, as JSON has it: design, seed, versions. A run goes on only under the same
            identity.
        shards : int
            Into how many the work is cut.
        resume : bool, optional
            Go on with what is stored; where nothing is, begin.

        Returns
        -------
        Run
            To be closed; best used in a `with` statement.

        Raises
        ------
        InputError
            If the folder holds a run and `resume` is not set, or one of another identity; if another process writes to
            it; if the system refuses.
        TypeError, ValueError
            If JSON has no form for the identity, or there is no shard.
        """
        check_extra()
        place, header = Path(folder), Header.of(identity, shards)
        made = [parent for parent in (place, *place.parents) if not parent.exists()]
        fresh = not (place / LOCK).exists()
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _remove(made)
            raise os_error(place, "used for results", error) from None
        lock = -1
        try:
            lock = lock_folder(place)
            entries, notes = _taken_up(place, header, resume)
        except BaseException:
            if lock >= 0 and fresh:
                # While it is still held: whoever has opened it meanwhile sees that it is gone, and makes a new one.
                with contextlib.suppress(OSError):
                    (place / LOCK).unlink()
                _remove([place / SHARDS])
            if lock >= 0:
                unlock(lock)
            _remove(made)
            raise
        return cls(place, header, entries, notes, lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes write to the run."""
        if self._lock >= 0:
            unlock(self._lock)
            self._lock = -1

    @property
    def finished(self) -> tuple[int, ...]:
        """Numbers of the shards that are stored, in order."""
        return tuple(sorted(self._entries))

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of the shards that are not, in order."""
        return tuple(number for number in range(self.header.shards) if number not in self._entries)

    def store(self, number: int, columns: Columns) -> None:
        """Store a shard; it is on the disk once this comes back.

        Parameters
        ----------
        number : int
            From 0.
        columns : mapping of str to ndarray, shape (row,), or pyarrow.Table

        Raises
        ------
        InputError
            If the system refuses. What was stored before is as it was.
        RunError
            If other shards have other columns, or storing has failed before.
        """
        self.accept(encode(number, columns, self.header.digest))

    def accept(self, shard: EncodedShard) -> None:
        """Store a shard that is encoded; as `store` in all else."""
        self._check(shard)
        try:
            write_together({self.folder / SHARDS / shard.entry.file: shard.content}, lasting=True)
            self._append(entry_line(shard.entry))
        except BaseException:
            self._failed = True
            raise
        self._entries[shard.entry.shard] = shard.entry

    def complete(
        self,
        compute: Compute,
        *,
        scheduler: str = LOCAL,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Compute and store the shards that are missing.

        Parameters
        ----------
        compute : callable
            A pure function from the number of a shard to its columns; see `map_shards` for what may be sent where.
        scheduler : str, optional
        workers : int, optional
        progress : Progress, optional

        Raises
        ------
        StoppedError
            If Ctrl-C or SIGTERM stopped it; what is stored stays.
        InputError
            If the scheduler cannot be used, or the disk.
        RunError
            If the work of a shard fails.
        """
        check_scheduler(scheduler, workers)
        told = progress or Quiet()
        for note in self.notes:
            told.note(note)
        work = Encoding.here(compute, self.header.digest)
        try:
            with stoppable() as holding:
                computed = map_shards(work, self.missing, scheduler, workers, told, before=len(self._entries))
                with contextlib.closing(computed):
                    for _, shard in computed:
                        with holding.held():
                            self.accept(shard)
        except Stop as stop:
            name = signal.Signals(stop.number).name
            raise StoppedError(f"{self.folder}: stopped by {name}; {self._kept}", stop.number) from None
        except InputError as error:
            raise InputError(f"{error}; {self._kept}") from None
        except RunError as error:
            raise RunError(f"{error}; {self._kept}", error.exit_status) from error.__cause__
        self._seal()

    @property
    def _kept(self) -> str:
        return f"{len(self._entries)} of {self.header.shards} shards are stored, and --resume goes on with them"

    def _check(self, shard: EncodedShard) -> None:
        number = shard.entry.shard
        if not 0 <= number < self.header.shards:
            raise RunError(f"shard {number}: is none of this run, which has 0 to {self.header.shards - 1}")
        if self._failed or self._lock < 0:
            raise RunError(f"{self.folder}: nothing can be stored any more; open the run again")
        other = next(iter(self._entries.values()), None)
        if other is None or other.schema == shard.entry.schema:
            return
        path = self.folder / SHARDS / other.file
        there = {entry.name: str(entry.type) for entry in decode(path.read_bytes()).schema}
        here = {entry.name: str(entry.type) for entry in decode(shard.content).schema}
        raise RunError(
            f"shard {number}: has other columns than shard {other.shard} ({difference(there, here)}); "
            "every shard has the same columns, of the same types"
        )

    def _append(self, line: bytes) -> None:
        path = self.folder / MANIFEST
        try:
            handle = os.open(path, os.O_WRONLY | os.O_APPEND)
            try:
                size = os.fstat(handle).st_size
                try:
                    _write(handle, line)
                    os.fsync(handle)
                except BaseException:
                    # Half a line would be known as such when the run goes on; it need not come to that.
                    with contextlib.suppress(OSError):
                        os.ftruncate(handle, size)
                    raise
            finally:
                os.close(handle)
        except OSError as error:
            raise os_error(path, "written", error) from None

    def _seal(self) -> None:
        """Put the manifest into the order of the shards: a run's folder then holds no trace of how it came about."""
        path, content = self.folder / MANIFEST, manifest_bytes(self.header, self._entries)
        if path.read_bytes() != content:
            write_together({path: content}, lasting=True)


def _taken_up(folder: Path, header: Header, resume: bool) -> tuple[dict[int, Entry], tuple[str, ...]]:
    """Return the shards that are stored, and what was found damaged; the manifest is then sound and of this run."""
    found = read_manifest(folder)
    files = _files(folder)
    if (found.header is not None or files) and not resume:
        told = f"{len(found.entries)} of {found.header.shards}" if found.header is not None else "some"
        raise InputError(
            f"{folder}: holds a run already ({told} shards are stored); add --resume to go on with it, "
            "or name another folder"
        )
    if found.header is not None and found.header.digest != header.digest:
        raise InputError(
            f"{folder}: holds another run ({difference(found.header.content, header.content)}); "
            "name another folder, or give what it was begun with"
        )
    entries, notes = _sound(folder, found, files, header)
    content = manifest_bytes(header, entries)
    try:
        (folder / SHARDS).mkdir(exist_ok=True)
        _tidy(folder, {entry.file for entry in entries.values()})
        # Names that were there before may not have reached the disk.
        sync_folder(folder / SHARDS)
        sync_folder(folder)
    except OSError as error:
        raise os_error(folder, "used for results", error) from None
    if not found.sound or found.header is None or found.entries != entries:
        write_together({folder / MANIFEST: content}, lasting=True)
    return entries, notes


def _files(folder: Path) -> list[Path]:
    """Return the files of shards, whole or not, in order of their names."""
    place = folder / SHARDS
    try:
        return sorted(path for path in place.iterdir() if _FILE.fullmatch(path.name)) if place.is_dir() else []
    except OSError as error:
        raise os_error(place, "read", error) from None


def _sound(
    folder: Path, found: Manifest, files: list[Path], header: Header
) -> tuple[dict[int, Entry], tuple[str, ...]]:
    """Return the shards whose content is what was written, listed or not, and what is to be told of the others."""
    entries: dict[int, Entry] = {}
    notes = []
    if not found.sound:
        notes.append(f"{folder / MANIFEST}: was cut short or damaged, and is mended from the shards")
    for number, entry in sorted(found.entries.items()):
        if stored(folder / SHARDS / entry.file, entry) is not None:
            entries[number] = entry
        else:
            notes.append(f"shard {number}: its file is damaged or gone, and it is computed again")
    listed = {entry.file for entry in found.entries.values()}
    for path in files:
        unlisted = None if path.name in listed else _unlisted(folder, path, header)
        if unlisted is not None:
            entries.setdefault(unlisted.shard, unlisted)
    return entries, tuple(notes)


def _unlisted(folder: Path, path: Path, header: Header) -> Entry | None:
    """Return what a file is that no line of the manifest names: a shard that could not be listed any more, or waste."""
    try:
        found = recognised(path.read_bytes())
        if found is None or found[1].entry.file != path.name:
            return None
        if found[0] != header.digest:
            raise InputError(
                f"{folder}: its manifest is damaged and its shards are of another run; "
                "name another folder, or give what it was begun with"
            )
        # It may not have reached the disk before the stop.
        handle = os.open(path, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise os_error(path, "read", error) from None
    return found[1].entry


def _tidy(folder: Path, kept: set[str]) -> None:
    """Remove what a stop has left half written, and files of shards that do not count."""
    left = [*folder.glob(f".{MANIFEST}.*.part"), *(folder / SHARDS).glob(".*.part")]
    left += [path for path in (folder / SHARDS).iterdir() if _FILE.fullmatch(path.name) and path.name not in kept]
    for path in left:
        path.unlink(missing_ok=True)


def _remove(folders: list[Path]) -> None:
    with contextlib.suppress(OSError):
        for folder in folders:
            if folder.exists():
                folder.rmdir()


def _write(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]
