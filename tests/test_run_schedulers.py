"""Where shards are computed does not show in what they give, and each way of failing there is one line."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import made_up_work
from dask_processes import scheduler, worker
from kapsim.errors import InputError, KapsimError, RunError
from kapsim.runs import Run, map_shards
from kapsim.runs.progress import Lines, Pace, Quiet, shown
from kapsim.runs.schedulers import check_scheduler
from kapsim.runs.work import Encoding
from made_up_work import IDENTITY, Marked, Slowly, columns, disk_in_memory, fingerprint, without_pandas

ROOT = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def memory() -> Iterator[Path]:
    """A quick disk, and processes that start quickly."""
    with disk_in_memory() as folder, pytest.MonkeyPatch.context() as patch:
        (Path(folder) / "path").mkdir()
        without_pandas(Path(folder) / "path", patch)
        yield Path(folder)


@pytest.fixture
def place(memory: Path) -> Iterator[Path]:
    """A folder on the quick disk."""
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def straight(memory: Path) -> Path:
    """A run of ten shards in this process."""
    with Run.open(memory / "straight", IDENTITY, 10) as run:
        run.complete(columns, scheduler="serial")
    return memory / "straight"


class Told:
    """What was told, in order."""

    def __init__(self) -> None:
        self.updates, self.notes = list[tuple[int, int]](), list[str]()

    def update(self, done: int, total: int) -> None:
        self.updates.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize(("scheduler", "workers"), [("serial", None), ("local", 1), ("local", 3)])
def test_schedulers_agree(scheduler: str, workers: int | None) -> None:
    told = Told()
    found = dict(map_shards(made_up_work.squared, range(3, 9), scheduler, workers, told, before=2))
    assert found == {number: number**2 for number in range(3, 9)}
    assert told.updates == [(done, 8) for done in range(2, 9)]


def test_nothing_to_do_starts_nothing() -> None:
    assert list(map_shards(made_up_work.squared, (), "local")) == []
    assert list(map_shards(made_up_work.squared, (), "serial")) == []


def test_worker_count_leaves_no_trace(place: Path, straight: Path) -> None:
    with Run.open(place / "local", IDENTITY, 10) as run:
        run.complete(columns, scheduler="local", workers=2)
    assert fingerprint(place / "local") == fingerprint(straight)


@pytest.mark.parametrize(
    ("scheduler", "workers", "told"),
    [
        ("locl", None, "--scheduler: 'locl' is unknown; give local, serial, or an address like tcp://host:8786"),
        ("http://host", None, "--scheduler: 'http://host' is unknown"),
        ("local", 0, "--workers: 0 is too few; give 1 or more"),
        ("serial", 2, "--workers: is for the local scheduler; serial has its own"),
        ("tcp://host:8786", 2, "--workers: is for the local scheduler; tcp://host:8786 has its own"),
    ],
)
def test_unknown_schedulers_are_refused(place: Path, scheduler: str, workers: int | None, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        check_scheduler(scheduler, workers)
    with pytest.raises(InputError, match=re.escape(told)):
        next(map_shards(made_up_work.squared, range(2), scheduler, workers))
    with Run.open(place / "run", IDENTITY, 2) as run, pytest.raises(InputError, match=re.escape(told)):
        run.complete(columns, scheduler=scheduler, workers=workers)


@pytest.mark.parametrize("scheduler", ["serial", "local"])
@pytest.mark.parametrize(
    ("work", "told", "status"),
    [
        (made_up_work.wrong_at_two, r"shard 2: ZeroDivisionError: .* \(line \d+ of wrong_at_two\)", 1),
        (made_up_work.refused_at_two, r"shard 2: design.yaml: arms: there is one; a trial has two", 2),
        (made_up_work.broken_at_two, r"shard 2: the solution of patient 5 broke down after 1.5 h", 1),
    ],
)
def test_work_that_fails_is_one_line(
    place: Path, scheduler: str, work: Callable[[int], Any], told: str, status: int
) -> None:
    with Run.open(place / "run", IDENTITY, 4) as run:
        with pytest.raises(
            RunError, match=told + r".*; \d of 4 shards are stored, and --resume goes on with them"
        ) as caught:
            run.complete(work, scheduler=scheduler, workers=1 if scheduler == "local" else None)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_status == status
        # Who wrote the work is shown where it failed, in whichever process that was.
        assert work.__name__ in str(caught.value.__cause__)
        assert run.finished == (0, 1)
    with Run.open(place / "run", IDENTITY, 4, resume=True) as run:
        run.complete(columns, scheduler="serial")


def test_result_that_cannot_be_sent_is_one_line() -> None:
    with pytest.raises(RunError, match=r"shard 2: .*[Pp]ickle"):
        list(map_shards(made_up_work.unsendable_at_two, range(4), "local", 1))


def test_work_that_cannot_be_sent_is_one_line() -> None:
    with pytest.raises(
        RunError, match=r"the work cannot be sent .*; give a function of a module, or the serial scheduler"
    ):
        list(map_shards(lambda shard: shard, range(4), "local"))


def test_work_that_cannot_be_read_is_one_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "passing_work.py").write_text("def work(shard):\n    return shard\n", encoding="utf-8")
    monkeypatch.syspath_prepend(place)
    from passing_work import work  # type: ignore[import-not-found]

    (place / "passing_work.py").unlink()
    with pytest.raises(RunError, match=r"cannot be read in another process \(ModuleNotFoundError: .*passing_work"):
        list(map_shards(work, range(4), "local", 1))


def test_shard_that_kills_its_worker_is_given_up(place: Path) -> None:
    with (
        Run.open(place / "run", IDENTITY, 4) as run,
        pytest.raises(RunError, match=r"^shard 2: its worker died 3 times \(ended by SIGKILL\); where memory ran out"),
    ):
        run.complete(made_up_work.fatal_at_two, scheduler="local", workers=2)
    assert {0, 1} <= set(run.finished)


def test_script_without_a_guard_is_one_line(place: Path) -> None:
    script = place / "script.py"
    script.write_text(
        "from kapsim.errors import RunError\nfrom kapsim.runs import map_shards\n"
        "try: list(map_shards(abs, range(3), 'local', 1))\n"
        "except RunError as error: print(error)\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert "no worker process could start (ended with status 1, 6 times in a row)" in done.stdout
    assert "`if __name__ == '__main__':`" in done.stdout


def test_caller_who_leaves_early_leaves_no_worker() -> None:
    from multiprocessing import active_children

    before = set(active_children())
    computed = map_shards(Slowly(0.01), range(50), "local", 2)
    next(computed)
    assert set(active_children()) - before
    computed.close()
    assert set(active_children()) - before == set()


def test_workers_keep_to_one_thread_each() -> None:
    assert list(map_shards(made_up_work.threads, range(1), "local", 1)) == [(0, os.environ.get("OMP_NUM_THREADS", "1"))]


def test_another_version_of_the_writer_is_refused() -> None:
    with pytest.raises(RunError, match=r"a worker has pyarrow .* and this process 1.0.0; install the same on both"):
        Encoding(columns, "0" * 64, "1.0.0")(0)


def test_without_dask_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import util

    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, package=None: None if name == "distributed" else real(name))
    with pytest.raises(InputError, match=r"^a cluster needs dask and distributed: pip install 'kapsim\[dask\]'$"):
        check_scheduler("tcp://127.0.0.1:8786", None)


def test_pace_counts_what_this_run_did() -> None:
    now = iter([100.0, 100.0, 110.0, 160.0, 170.0])
    pace = Pace("replicates", 20, lambda: next(now))
    assert pace.text(30, 100) == "600 of 2,000 replicates"
    assert pace.text(30, 100) == "600 of 2,000 replicates"
    assert pace.text(35, 100) == "700 of 2,000 replicates, 10 a second, 130 s left".replace("130 s", "2 min")
    assert pace.text(36, 100) == "720 of 2,000 replicates, 2 a second, 11 min left"
    assert pace.text(100, 100) == "2,000 of 2,000 replicates, 20 a second"


def test_pace_begins_anew_with_other_work() -> None:
    now = iter([0.0, 10.0, 100.0, 110.0, 120.0])
    pace = Pace("shards", 1, lambda: next(now))
    pace.text(0, 20)
    assert pace.text(20, 20) == "20 of 20 shards, 2 a second"
    assert pace.text(0, 20) == "0 of 20 shards"
    assert pace.text(10, 20) == "10 of 20 shards, 1 a second, 10 s left"
    assert pace.text(5, 10) == "5 of 10 shards"


@pytest.mark.parametrize(
    ("seconds", "done", "told"),
    [
        (0.001, 90, "90,000 a second, 0 s left"),
        (36000, 1, "0.1 an hour, 41.2 days left"),
        (600, 1, "6 an hour, 16.5 h left"),
    ],
)
def test_pace_of_any_size_is_readable(seconds: float, done: int, told: str) -> None:
    now = iter([0.0, seconds])
    pace = Pace("shards", 1, lambda: next(now))
    pace.text(0, 100)
    assert pace.text(done, 100).endswith(told)


def test_lines_come_now_and_then() -> None:
    stream, seconds = io.StringIO(), iter(sorted([*range(0, 100, 5)] * 2))
    lines = Lines(stream, "shards", 1, lambda: float(next(seconds)))
    for done in range(20):
        lines.update(done, 19)
    lines.note("shard 3: its file is damaged")
    told = stream.getvalue().splitlines()
    assert told[0] == "6 of 19 shards, 0.2 a second, 65 s left".replace("0.2 a second", "12 a minute")
    assert len(told) == 5
    assert told[-2:] == ["19 of 19 shards, 12 a minute", "shard 3: its file is damaged"]


def test_bar_is_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("patients", 100) as progress:
        progress.update(0, 3)
        progress.update(1, 3)
        progress.note("[bold]one line[/bold]")
        progress.update(3, 3)
    out, told = capsys.readouterr()
    assert out == ""
    assert [re.sub(r",.*", "", line) for line in told.splitlines()] == ["[bold]one line[/bold]", "300 of 300 patients"]


def test_bar_moves_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with shown("patients", 100) as progress:
        progress.update(0, 3)
        time.sleep(0.05)
        progress.update(2, 3)
        progress.note("[bold]one line[/bold]")
        time.sleep(0.2)
    told = capsys.readouterr().err
    assert "━" in told
    assert re.search(r"200 of 300 patients, [\d,.]+ a (second|minute), \d+ s left", told)
    assert "[bold]one line[/bold]" in told


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Quiet().update(1, 2)
    Quiet().note("one line")
    assert capsys.readouterr() == ("", "")


def test_cluster_that_loses_and_gains_workers(place: Path, straight: Path) -> None:
    marks = place / "marks"
    marks.mkdir()
    told = Told()
    with scheduler() as (_, address), worker(address, place) as (first, _), contextlib.ExitStack() as others:
        others.enter_context(worker(address, place))

        class Losing(Told):
            """Kill a worker after two shards, and let another one join after four."""

            def update(self, done: int, total: int) -> None:
                super().update(done, total)
                if done == 2:
                    os.killpg(first.pid, signal.SIGKILL)
                if done == 4:
                    others.enter_context(worker(address, place))

        told = Losing()
        with Run.open(place / "cluster", IDENTITY, 10) as run:
            run.complete(Marked(str(marks), 0.15), scheduler=address, progress=told)
        with Client(address, set_as_default=False) as client:
            assert len(client.nthreads()) == 2
    assert told.updates == [(done, 10) for done in range(11)]
    assert told.notes == []
    assert fingerprint(place / "cluster") == fingerprint(straight)
    # Three processes took part, and the shard of the one that died was begun again.
    begun = [path.name.split("-")[:2] for path in marks.iterdir()]
    assert {int(shard) for shard, _ in begun} == set(range(10))
    assert len({process for _, process in begun}) == 3
    assert len(begun) > 10


def test_cluster_errors_are_one_line(place: Path) -> None:
    with scheduler() as (going, address):
        told = Told()
        with worker(address, place), Run.open(place / "run", IDENTITY, 4) as run:
            with pytest.raises(RunError, match=r"shard 2: design\.yaml: arms: there is one") as caught:
                run.complete(made_up_work.refused_at_two, scheduler=address, progress=told)
            assert caught.value.exit_status == 2

        class Gone(Told):
            """Take the scheduler away once nothing but waiting is left."""

            def note(self, text: str) -> None:
                super().note(text)
                os.killpg(going.pid, signal.SIGKILL)

        gone = Gone()
        with (
            Run.open(place / "other", IDENTITY, 4) as run,
            pytest.raises(RunError, match=rf"{address}: the scheduler is gone; start it again; 0 of 4 shards"),
        ):
            run.complete(columns, scheduler=address, progress=gone)
        assert gone.notes == [f"{address}: has no workers; waiting for some"]


def test_cluster_that_is_not_there_is_one_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kapsim.runs import cluster

    monkeypatch.setattr(cluster, "_PATIENCE_S", 1.0)
    with Run.open(place / "run", IDENTITY, 2) as run:
        for address in ("tcp://127.0.0.1:1", "tcp://", "tls://127.0.0.1:1", "tcp://127.0.0.1:nothing"):
            with pytest.raises(KapsimError, match=rf"--scheduler: {address}: no scheduler answers") as caught:
                run.complete(columns, scheduler=address)
            assert caught.value.exit_status == 2
            assert "\n" not in str(caught.value)


def test_a_client_that_failed_is_closed_before_another_starts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left to the collector, it may close while the next one starts, and wait for itself for ever."""
    from distributed import Client

    from kapsim.runs import cluster

    monkeypatch.setattr(cluster, "_PATIENCE_S", 1.0)
    gc.collect()
    before = sum(issubclass(type(item), Client) for item in gc.get_objects())
    gc.disable()
    try:
        with Run.open(place / "run", IDENTITY, 2) as run, pytest.raises(InputError, match="no scheduler answers"):
            run.complete(columns, scheduler="tcp://127.0.0.1:1")
        assert sum(issubclass(type(item), Client) for item in gc.get_objects()) <= before
    finally:
        gc.enable()
