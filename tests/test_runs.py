"""Runs in shards: what is stored is what was computed, whoever asks gets it whole, and each refusal is one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapsim.errors import InputError, RunError
from kapsim.runs import Run, inspect_run, read
from kapsim.runs.columns import decode, encode
from kapsim.runs.manifest import Entry, Header, Manifest, manifest_bytes, parse_manifest
from made_up_work import IDENTITY, columns, fingerprint

SHARDS = 5


def finish(folder: Path, shards: int = SHARDS, *, resume: bool = False) -> Path:
    """Compute a run to its end in this process."""
    with Run.open(folder, IDENTITY, shards, resume=resume) as run:
        run.complete(columns, scheduler="serial")
    return folder


def begin(folder: Path, numbers: Iterator[int] | range, shards: int = SHARDS) -> Path:
    """Store some shards of a run and leave it."""
    with Run.open(folder, IDENTITY, shards) as run:
        for number in numbers:
            run.store(number, columns(number))
    return folder


def test_what_is_read_is_what_was_computed(tmp_path: Path) -> None:
    found = list(read(finish(tmp_path / "run")))
    assert [shard.number for shard in found] == list(range(SHARDS))
    for shard in found:
        for name, values in columns(shard.number).items():
            read_back = shard.columns[name]
            assert read_back.dtype == (object if values.dtype.kind == "U" else values.dtype)
            np.testing.assert_array_equal(read_back, values)
    np.testing.assert_array_equal(np.signbit(found[0].columns["dv"])[1], True)


def test_order_of_storing_leaves_no_trace(tmp_path: Path) -> None:
    straight = finish(tmp_path / "straight")
    begin(tmp_path / "other", iter([3, 0, 4]))
    assert fingerprint(finish(tmp_path / "other", resume=True)) == fingerprint(straight)


def test_finished_run_is_not_touched_by_resuming(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    manifest = (folder / "manifest.jsonl").stat().st_mtime_ns
    with Run.open(folder, IDENTITY, SHARDS, resume=True) as run:
        assert run.missing == ()
        run.complete(None, scheduler="serial")  # type: ignore[arg-type] # nothing is left to compute
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == before
    assert (folder / "manifest.jsonl").stat().st_mtime_ns == manifest


def test_resuming_begins_where_nothing_was_begun(tmp_path: Path) -> None:
    finish(tmp_path / "deep" / "run", resume=True)
    assert inspect_run(tmp_path / "deep" / "run").complete


def test_run_says_what_it_is(tmp_path: Path) -> None:
    record = inspect_run(begin(tmp_path / "run", range(2)))
    assert record.identity == IDENTITY
    assert (record.shards, record.complete, list(record.entries), record.rows) == (SHARDS, False, [0, 1], 11)


def test_tables_are_stored_as_well_as_arrays(tmp_path: Path) -> None:
    table = pa.table(
        {"code": pa.array(["a", None, "b"]).dictionary_encode(), "day": pa.array([1, 2, None], pa.int16())}
    )
    with Run.open(tmp_path / "run", IDENTITY, 1) as run:
        run.store(0, table)
    assert next(read(tmp_path / "run")).table.equals(table)


def test_any_tool_reads_the_shards(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run")
    whole = pq.read_table(folder / "shards")
    assert whole.num_rows == inspect_run(folder).rows
    assert whole.column_names == list(columns(0))


def test_wanted_columns_alone_are_read(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run")
    assert [shard.table.column_names for shard in read(folder, columns=["dv", "visit"])] == [["dv", "visit"]] * SHARDS
    with pytest.raises(InputError, match=r"has no column 'mood'; it has subject, visit, dv, seen$"):
        list(read(folder, columns=["mood"]))


def test_one_shard_is_in_memory_at_a_time(tmp_path: Path) -> None:
    big = {"dv": np.random.default_rng(0).normal(size=500_000)}
    with Run.open(tmp_path / "run", IDENTITY, 12) as run:
        for number in range(12):
            run.store(number, big)
    pa.default_memory_pool().release_unused()
    held = pa.total_allocated_bytes()
    most = 0
    for shard in read(tmp_path / "run"):
        most = max(most, pa.total_allocated_bytes() - held)
        del shard
    assert most < 3 * big["dv"].nbytes


def test_unfinished_run_is_read_only_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run", iter([3, 1]))
    with pytest.raises(InputError, match=r"is unfinished \(2 of 5 shards\); start the same run again with --resume"):
        read(folder)
    assert [shard.number for shard in read(folder, unfinished=True)] == [1, 3]


def test_damaged_shard_is_not_read(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run")
    path = sorted((folder / "shards").iterdir())[2]
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"000002-.*parquet: is damaged or gone"):
        list(read(folder))


@pytest.mark.parametrize("name", ["nothing", "empty", "file"])
def test_where_there_is_no_run_one_line_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="holds no run; give the folder that a run was written to"):
        read(tmp_path / name)


def test_begun_run_wants_to_be_resumed(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run", range(2))
    before = fingerprint(folder)
    with pytest.raises(InputError, match=r"holds a run already \(2 of 5 shards are stored\); add --resume"):
        Run.open(folder, IDENTITY, SHARDS)
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("identity", "shards", "told"),
    [
        (IDENTITY, 6, "shards: 5 there, 6 here"),
        (IDENTITY | {"seed": 4}, 5, "identity.seed: 3 there, 4 here"),
        (IDENTITY | {"draws": 9}, 5, "identity.draws: nothing there, 9 here"),
        ({"seed": 3}, 5, r"identity.design.arms: \['ketamine', 'midazolam'\] there, nothing here"),
        ({"a": 1, "b": 2, "c": 3}, 5, "; and 2 more"),
    ],
)
def test_another_identity_is_refused_with_what_differs(
    tmp_path: Path, identity: dict[str, Any], shards: int, told: str
) -> None:
    folder = begin(tmp_path / "run", range(2))
    before = fingerprint(folder)
    with pytest.raises(InputError, match=told) as caught:
        Run.open(folder, identity, shards, resume=True)
    assert "\n" not in str(caught.value)
    assert fingerprint(folder) == before


def test_another_identity_is_refused_where_the_manifest_is_lost(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run", range(2))
    (folder / "manifest.jsonl").unlink()
    before = fingerprint(folder)
    with pytest.raises(InputError, match="its shards are of another run"):
        Run.open(folder, IDENTITY | {"seed": 4}, SHARDS, resume=True)
    with pytest.raises(InputError, match="holds a run already"):
        Run.open(folder, IDENTITY, SHARDS)
    assert fingerprint(folder) == before


def test_another_layout_is_refused(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run", range(1))
    (folder / "manifest.jsonl").write_bytes(manifest_bytes(Header(SHARDS, IDENTITY, layout=2), {}))
    with pytest.raises(InputError, match="layout: 2 there, 1 here"):
        Run.open(folder, IDENTITY, SHARDS, resume=True)
    with pytest.raises(InputError, match="written by another version of kapsim"):
        read(folder)


def test_identity_is_what_json_holds(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Run.open(tmp_path / "a", {"seed": object()}, 1)
    with pytest.raises(ValueError, match="Out of range float"):
        Run.open(tmp_path / "a", {"seed": float("nan")}, 1)
    with pytest.raises(ValueError, match="at least one shard"):
        Run.open(tmp_path / "a", {}, 0)
    assert not (tmp_path / "a").exists()


def test_two_writers_cannot_share_a_run(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", IDENTITY, SHARDS) as first:
        with pytest.raises(InputError, match=rf"another process \({os.getpid()} on .*\) is writing to this run"):
            Run.open(tmp_path / "run", IDENTITY, SHARDS, resume=True)
        first.store(0, columns(0))
        assert [shard.number for shard in read(tmp_path / "run", unfinished=True)] == [0]
    with Run.open(tmp_path / "run", IDENTITY, SHARDS, resume=True) as second:
        assert second.finished == (0,)


def test_nothing_is_stored_by_a_run_that_is_closed(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", IDENTITY, SHARDS) as run:
        pass
    with pytest.raises(RunError, match="nothing can be stored any more"):
        run.store(0, columns(0))


def test_every_shard_has_the_same_columns(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", IDENTITY, 3) as run:
        run.store(0, {"dv": np.array([1.0]), "visit": np.array([1])})
        with pytest.raises(RunError, match=r"shard 1: .*than shard 0 \(dv: 'double' there, 'int64' here\)"):
            run.store(1, {"dv": np.array([1]), "visit": np.array([1])})
        with pytest.raises(RunError, match="visit: 'int64' there, nothing here"):
            run.store(1, {"dv": np.array([1.0])})
        with pytest.raises(RunError, match="shard 3: is none of this run, which has 0 to 2"):
            run.store(3, {"dv": np.array([1.0]), "visit": np.array([1])})
        run.store(2, {"dv": np.array([2.0]), "visit": np.array([3])})
        assert run.finished == (0, 2)


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        ({}, TypeError, "there is none"),
        (None, TypeError, "there is none"),
        ({"dv": np.zeros((2, 2))}, TypeError, "column 'dv': has 2 dimensions"),
        ({"dv": np.array([object()])}, TypeError, "column 'dv': has no type in Parquet"),
        ({"dv": np.zeros(2), "visit": np.zeros(3)}, ValueError, "columns differ in length: dv 2, visit 3"),
    ],
)
def test_what_is_no_set_of_columns_is_named(tmp_path: Path, given: Any, kind: type[Exception], told: str) -> None:
    with Run.open(tmp_path / "run", IDENTITY, 1) as run:
        with pytest.raises(kind, match=told):
            run.store(0, given)
        run.store(0, columns(0))


NUMBERS = st.lists(st.floats(width=64), max_size=40)
WORDS = st.lists(st.text(max_size=6), max_size=40)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, WORDS)
def test_columns_survive_to_the_bit(numbers: list[float], words: list[str]) -> None:
    rows = min(len(numbers), len(words))
    wanted = {"x": np.array(numbers[:rows], dtype=float), "name": np.array(words[:rows], dtype=object).astype(str)}
    shard = encode(0, wanted, "0" * 64)
    assert shard.content == encode(0, wanted, "0" * 64).content
    table = decode(shard.content)
    found = table["x"].to_numpy()
    assert found.tobytes() == wanted["x"].tobytes()
    assert table["name"].to_pylist() == list(wanted["name"])
    # Pieces of another table are the same columns.
    padded = pa.table({name: pa.array(np.concatenate([part[:1], part])) for name, part in wanted.items()})
    assert encode(0, padded.slice(min(1, rows)), "0" * 64).content == shard.content


HEADER = Header.of(IDENTITY, 9)
ENTRIES = {
    number: Entry(number, 10 + number, 1000 + number, f"{number:064x}", "0123456789abcdef") for number in (0, 3, 4, 8)
}
RAW = manifest_bytes(HEADER, ENTRIES)


def of_the_run(found: Manifest) -> bool:
    """Whether nothing is in a manifest that was never written."""
    if found.header is None:
        return not found.entries
    return found.header == HEADER and all(ENTRIES.get(number) == entry for number, entry in found.entries.items())


def test_manifest_reads_back() -> None:
    assert parse_manifest(RAW) == Manifest(HEADER, ENTRIES)
    assert parse_manifest(b"") == Manifest()
    assert json.loads(RAW.splitlines()[0].partition(b" ")[2])["identity"] == IDENTITY


def test_manifest_cut_anywhere_keeps_every_whole_line() -> None:
    ends = [place + 1 for place, byte in enumerate(RAW) if byte == ord("\n")]
    for length in range(len(RAW)):
        found = parse_manifest(RAW[:length])
        assert of_the_run(found)
        whole = sum(end <= length for end in ends)
        assert len(found.entries) == max(whole - 1, 0)
        assert (found.header is not None) == (whole > 0)
        assert found.sound == (length in (0, *ends))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(RAW) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_manifest_with_flipped_bytes_tells_nothing_that_was_not_written(flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(RAW)
    for place, flip in flips:
        damaged[place] ^= flip
    found = parse_manifest(bytes(damaged))
    assert of_the_run(found)
    if damaged != RAW:
        assert not found.sound
        # A flip spoils the line that it is in; one that makes or takes a line end spoils a second one.
        assert len(found.entries) >= len(ENTRIES) - 2 * len(flips) or found.header is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, len(RAW)))
def test_manifest_with_waste_in_it_tells_nothing_that_was_not_written(waste: bytes, place: int) -> None:
    assert of_the_run(parse_manifest(waste))
    assert of_the_run(parse_manifest(RAW[:place] + waste + RAW[place:]))


def test_without_pyarrow_one_line_names_the_extra(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from importlib import util; real = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name == 'pyarrow' else real(name, package)\n"
        "from kapsim.errors import InputError; from kapsim.runs import Run, read\n"
        f"for use in (lambda: Run.open({str(tmp_path / 'run')!r}, {{}}, 1), lambda: read('.')):\n"
        "    try: use()\n"
        "    except InputError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "results in shards need pyarrow: pip install 'kapsim[trial]'\n" * 2


def test_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, kapsim.runs; print([name for name in ('numpy', 'pyarrow', 'rich', 'dask') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
