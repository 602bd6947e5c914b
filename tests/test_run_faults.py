"""A run that is killed, cut short, damaged or out of space loses nothing that was done, and ends as if nothing had been."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import made_up_work
from kapsim.errors import InputError, RunError
from kapsim.runs import Run, inspect_run, read
from made_up_work import IDENTITY, columns, fingerprint

WORK = Path(made_up_work.__file__)
SHARDS = 3
KILLS = 20


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder on a disk in memory where there is one: what is asked here does not hang on how slow the disk is."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def straight(memory: Path) -> Path:
    """A run that nothing happened to."""
    with Run.open(memory / "straight", IDENTITY, SHARDS) as run:
        run.complete(columns, scheduler="serial")
    return memory / "straight"


class Done:
    """Remember what was said to be done."""

    def __init__(self, after: Callable[[int], None] | None = None) -> None:
        self.most, self.notes, self._after = 0, list[str](), after

    def update(self, done: int, total: int) -> None:
        self.most = done
        if self._after is not None:
            self._after(done)

    def note(self, text: str) -> None:
        self.notes.append(text)


def never(shard: int) -> Any:
    """Work that must not be asked for."""
    raise AssertionError(f"shard {shard} was computed again")


def resumed(folder: Path, work: Any = columns, shards: int = SHARDS) -> list[str]:
    """Go on with a run to its end; returns what it told."""
    done = Done()
    with Run.open(folder, IDENTITY, shards, resume=True) as run:
        run.complete(work, scheduler="serial", progress=done)
    return done.notes


@pytest.fixture(scope="module", autouse=True)
def quick_start(memory: Path) -> Iterator[None]:
    """Let processes start without pandas, which pyarrow loads where it is there and which takes longer than the work."""
    (memory / "pandas.py").write_text("raise ImportError\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(memory), *filter(None, [os.environ.get("PYTHONPATH")])]))
        yield


def process(folder: Path, shards: int, *options: str) -> subprocess.Popen[str]:
    """Start a process that goes on with a run."""
    return subprocess.Popen(
        [sys.executable, str(WORK), str(folder), str(shards), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def alive(group: int) -> list[str]:
    """Processes of a group that run."""
    listing = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if line.split()[0] == str(group) and line.split()[1][0] != "Z"]


def test_workers_killed_at_random(memory: Path) -> None:
    shards = KILLS + 14
    options = ["--scheduler", "local", "--workers", "2", "--seconds", "0.02", "--kills", str(KILLS)]
    told, complaint = process(memory / "killed", shards, *options).communicate(timeout=120)
    assert complaint == ""
    assert told.splitlines() == [*(str(done) for done in range(shards + 1)), f"killed {KILLS}"]
    with Run.open(memory / "calm", IDENTITY, shards) as run:
        run.complete(columns, scheduler="serial")
    assert fingerprint(memory / "killed") == fingerprint(memory / "calm")


@pytest.mark.parametrize(("scheduler", "kills"), [("serial", KILLS), ("local", 4)])
def test_process_killed_at_random(tmp_path: Path, scheduler: str, kills: int) -> None:
    chance, shards, killed, said = random.Random(5), 3 * kills, 0, 0
    folder = tmp_path / "killed"
    options = ["--scheduler", scheduler, *(["--workers", "2"] if scheduler == "local" else [])]
    while killed < kills:
        going = process(folder, shards, *options)
        assert going.stdout is not None
        first = going.stdout.readline()
        # Somewhere within the next few shards; the disk is what takes most of the time.
        time.sleep(chance.uniform(0.0, 0.1))
        going.kill()
        rest, complaint = going.communicate(timeout=60)
        if going.returncode != -signal.SIGKILL:
            pytest.fail(f"{killed} kills, then it ended with {going.returncode}: {complaint}")
        killed += 1
        # The last line may be torn, too; those before it were said.
        lines = re.findall(r"(\d+)\n", first + rest)
        said = max([said, *(int(line) for line in lines)])
        # Where the kill came before the first line of the manifest, nothing had been said.
        stored = len(inspect_run(folder).entries) if (folder / "manifest.jsonl").exists() else 0
        assert stored >= said
        if stored == shards:
            # It was faster than the kill; the next ones begin anew.
            shutil.rmtree(folder)
            said = 0
        deadline = time.monotonic() + 20
        while alive(going.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert alive(going.pid) == []
    going = process(folder, shards, *options)
    assert going.communicate(timeout=60)[1] == ""
    assert going.returncode == 0
    with Run.open(tmp_path / "calm", IDENTITY, shards) as run:
        run.complete(columns, scheduler="serial")
    assert fingerprint(folder) == fingerprint(tmp_path / "calm")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("scheduler", ["serial", "local"])
def test_stopped_on_purpose(memory: Path, straight: Path, name: str, scheduler: str) -> None:
    folder = memory / f"{name}-{scheduler}"
    going = process(folder, SHARDS, "--scheduler", scheduler, "--seconds", "0.25")
    assert going.stdout is not None
    assert [going.stdout.readline() for _ in range(2)] == ["0\n", "1\n"]
    # As Ctrl-C in a terminal does, to all processes.
    os.killpg(going.pid, getattr(signal, name))
    rest, told = going.communicate(timeout=60)
    assert going.returncode == 128 + getattr(signal, name)
    stored = len(inspect_run(folder).entries)
    assert 1 <= stored < SHARDS
    assert stored >= max([1, *(int(line) for line in rest.split())])
    assert (
        told == f"error: {folder}: stopped by {name}; {stored} of 3 shards are stored, and --resume goes on with them\n"
    )
    assert alive(going.pid) == []
    resumed(folder)
    assert fingerprint(folder) == fingerprint(straight)


def test_manifest_cut_at_every_length(memory: Path, straight: Path) -> None:
    wanted, raw = fingerprint(straight), (straight / "manifest.jsonl").read_bytes()
    folder = Path(shutil.copytree(straight, memory / "cut"))
    for length in range(len(raw)):
        (folder / "manifest.jsonl").write_bytes(raw[:length])
        notes = resumed(folder, never)
        assert fingerprint(folder) == wanted
        assert bool(notes) == (raw[:length] != b"" and raw[length - 1 : length] != b"\n")


@settings(max_examples=40, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=3))
def test_manifest_with_flipped_bytes(memory: Path, straight: Path, flips: list[tuple[int, int]]) -> None:
    raw = bytearray((straight / "manifest.jsonl").read_bytes())
    for place, flip in flips:
        raw[place % len(raw)] ^= flip
    with tempfile.TemporaryDirectory(dir=memory) as new:
        folder = Path(shutil.copytree(straight, Path(new) / "run"))
        (folder / "manifest.jsonl").write_bytes(raw)
        resumed(folder, never)
        assert fingerprint(folder) == fingerprint(straight)


@settings(max_examples=60, deadline=None)
@given(number=st.integers(0, SHARDS - 1), place=st.integers(0, 100_000), flip=st.integers(1, 255), cut=st.booleans())
def test_shard_damaged_anywhere(memory: Path, straight: Path, number: int, place: int, flip: int, cut: bool) -> None:
    with tempfile.TemporaryDirectory(dir=memory) as new:
        folder = Path(shutil.copytree(straight, Path(new) / "run"))
        path = sorted((folder / "shards").iterdir())[number]
        content = bytearray(path.read_bytes())
        place %= len(content)
        if cut:
            del content[place:]
        else:
            content[place] ^= flip
        path.write_bytes(content)
        asked = list[int]()

        def noted(shard: int) -> Any:
            asked.append(shard)
            return columns(shard)

        assert resumed(folder, noted) == [f"shard {number}: its file is damaged or gone, and it is computed again"]
        assert asked == [number]
        assert fingerprint(folder) == fingerprint(straight)


def test_damaged_shard_and_lost_manifest(memory: Path, straight: Path) -> None:
    folder = Path(shutil.copytree(straight, memory / "both"))
    path = sorted((folder / "shards").iterdir())[1]
    path.write_bytes(path.read_bytes()[:-3])
    (folder / "manifest.jsonl").unlink()
    resumed(folder)
    assert fingerprint(folder) == fingerprint(straight)


def test_what_a_kill_left_half_written_goes_away(memory: Path, straight: Path) -> None:
    folder = Path(shutil.copytree(straight, memory / "left"))
    (folder / "shards" / ".000002-ab.parquet.x1.part").write_bytes(b"half")
    (folder / ".manifest.jsonl.x1.part").write_bytes(b"half")
    resumed(folder, never)
    assert fingerprint(folder) == fingerprint(straight)


#: What reaches the disk goes through one of these.
CALLS = ("open", "write", "fsync", "replace", "mkdir")


class Disk:
    """Counts the calls that change a disk, and refuses from one of them on."""

    def __init__(self, patch: pytest.MonkeyPatch, refused: int | None, *, once: bool) -> None:
        self.count, self._refused, self._once = 0, refused, once
        for name in CALLS:
            patch.setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if name == "open" and not (len(arguments) > 1 and arguments[1] & (os.O_CREAT | os.O_WRONLY)):
                return real(*arguments, **options)
            number, self.count = self.count, self.count + 1
            if self._refused is not None and (number == self._refused or (number > self._refused and not self._once)):
                if name == "write":
                    # A disk that fills up takes what it still has room for.
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **options)

        return call


@pytest.mark.parametrize("once", [False, True], ids=["stays full", "full once"])
def test_disk_full_at_every_call(memory: Path, straight: Path, once: bool) -> None:
    wanted, folder = fingerprint(straight), memory / f"full {once}" / "run"
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, None, once=once)
        with Run.open(folder, IDENTITY, SHARDS) as run:
            run.complete(columns, scheduler="serial")
        calls = disk.count
    assert calls >= 8 * SHARDS
    refused = 0
    for number in range(calls):
        shutil.rmtree(folder.parent, ignore_errors=True)
        done, error = Done(), None
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, number, once=once)
            try:
                with Run.open(folder, IDENTITY, SHARDS) as run:
                    run.complete(columns, scheduler="serial", progress=done)
            except InputError as caught:
                error = str(caught)
        if error is not None:
            refused += 1
            assert "no space left on device); free some space, or write elsewhere" in error
            assert "\n" not in error
            assert done.most == 0 or "shards are stored, and --resume goes on with them" in error
        assert list(folder.glob("**/*.part")) == []
        if (folder / "manifest.jsonl").exists():
            entries = inspect_run(folder).entries
            assert len(entries) >= done.most
            assert [shard.number for shard in read(folder, unfinished=True)] == list(entries)
        resumed(folder)
        assert fingerprint(folder) == wanted
    # Who holds the lock is written where there is room, and that alone may fail without a word.
    assert refused >= calls - 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KB, where this system lets one be made."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("scheduler", ["serial", "local"])
def test_disk_that_fills_up(memory: Path, small_disk: Path, scheduler: str) -> None:
    folder, shards, done = small_disk / "run", 30, Done()
    with (
        Run.open(folder, IDENTITY, shards) as run,
        pytest.raises(InputError, match=r"no space left on device.* of 30 shards are stored, and --resume goes on"),
    ):
        run.complete(columns, scheduler=scheduler, progress=done)
    assert 3 < done.most == len(inspect_run(folder).entries) < shards
    assert len(list(read(folder, unfinished=True))) == done.most
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    resumed(folder, shards=shards)
    with Run.open(memory / f"roomy-{scheduler}", IDENTITY, shards) as run:
        run.complete(columns, scheduler="serial")
    assert fingerprint(folder) == fingerprint(memory / f"roomy-{scheduler}")


def test_disk_that_may_not_be_written_to(straight: Path, small_disk: Path) -> None:
    folder = Path(shutil.copytree(straight, small_disk / "run"))
    before = fingerprint(folder)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for place in (folder, small_disk / "new"):
        with pytest.raises(InputError, match=r"read-only file system\); choose a folder that may be written to"):
            Run.open(place, IDENTITY, SHARDS, resume=True)
    assert len(list(read(folder))) == SHARDS
    assert fingerprint(folder) == before
    assert not (small_disk / "new").exists()


def test_disk_that_becomes_read_only(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever may not mount, and root, to whom no folder is read-only."""
    real = tempfile.mkstemp

    def refusing(*arguments: Any, **options: Any) -> Any:
        if (memory / "refused" / "manifest.jsonl").exists():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(*arguments, **options)

    with monkeypatch.context() as patch, Run.open(memory / "refused", IDENTITY, SHARDS) as run:
        patch.setattr(tempfile, "mkstemp", refusing)
        with pytest.raises(InputError, match=r"read-only file system\); choose a folder .*; 0 of 3 shards are stored"):
            run.complete(columns, scheduler="serial")
    resumed(memory / "refused")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"permission denied\); choose a folder that may be written to"):
        Run.open(tmp_path / "run", IDENTITY, SHARDS)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("name", ["taken", "taken/run"])
def test_file_where_a_folder_is_wanted(tmp_path: Path, name: str) -> None:
    (tmp_path / "taken").write_bytes(b"mine")
    with pytest.raises(InputError, match=rf"{name}: cannot be used for results .*; .* give a folder"):
        Run.open(tmp_path / name, IDENTITY, SHARDS, resume=True)
    assert (tmp_path / "taken").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["manifest.jsonl", "shards", "lock"])
def test_folder_or_file_in_the_way(tmp_path: Path, name: str) -> None:
    if name == "shards":
        (tmp_path / name).write_bytes(b"mine")
    else:
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=str(tmp_path)) as caught:
        Run.open(tmp_path, IDENTITY, SHARDS, resume=True)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """A limit of the system's own: the write that crosses it comes back short, and the next one fails."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"sys.path.insert(0, {str(WORK.parent)!r}); sys.argv = ['', {str(tmp_path / 'run')!r}, '30']\n"
        "import made_up_work; sys.exit(made_up_work.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(
        r"error: .*file too large\).* of 30 shards are stored, and --resume goes on with them\n", done.stderr
    )
    said = int(done.stdout.split()[-1])
    assert said >= 3
    assert len(inspect_run(tmp_path / "run").entries) == said
    assert resumed(tmp_path / "run", shards=30) == []


def test_run_that_failed_takes_nothing_more(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Run.open(memory / "failed", IDENTITY, SHARDS) as run:
        run.store(0, columns(0))
        with monkeypatch.context() as patch:
            Disk(patch, 0, once=False)
            with pytest.raises(InputError, match="no space left on device"):
                run.store(1, columns(1))
        with pytest.raises(RunError, match="nothing can be stored any more; open the run again"):
            run.store(2, columns(2))
        assert run.finished == (0,)
