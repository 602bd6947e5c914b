"""Whatever a file holds, kapsim takes it or refuses it in one clear line: some damaged inputs, and what was once found.

`scripts/fuzz.py` runs the same over tens of thousands of inputs, in processes that may die.
"""

from __future__ import annotations

import io
import json
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzz_loaders import LOADERS, Files, Loader, emptied, run
from kapsim.brain import load_connectome
from kapsim.errors import InputError
from kapsim.evidence import check_files, load_parameters
from kapsim.evidence.calibration import load_left_out
from kapsim.runs.manifest import Entry, Header, header_line, parse_manifest

#: Damaged inputs of each loader; of those that take longer a few.
INPUTS, SLOW_INPUTS = 24, 5
SECONDS = 10


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """Let a test that goes on for much longer than any input may take fail instead of waiting."""

    def over(*_: Any) -> None:
        raise TimeoutError(f"still at it after {6 * SECONDS} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(6 * SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def loader(name: str) -> Loader:
    """Return a loader by its name."""
    return next(item for item in LOADERS if item.name == name)


@pytest.mark.parametrize("item", LOADERS, ids=lambda item: item.name)
def test_right_inputs_are_taken(item: Loader, tmp_path: Path) -> None:
    for number, files in enumerate(item.seeds()):
        assert run(item, files, emptied(tmp_path / str(number)))


@pytest.mark.parametrize("item", LOADERS, ids=lambda item: item.name)
def test_damaged_inputs_are_taken_or_refused_in_one_line(item: Loader, tmp_path: Path) -> None:
    first = len(item.seeds())
    taken = [
        run(item, item.input(number), emptied(tmp_path / "input"))
        for number in range(first, first + (SLOW_INPUTS if item.slow else INPUTS))
    ]
    # damage that no loader minds would test nothing; a stored surface is made anew instead of refused
    assert not all(taken) or item.name == "stored surface"


def test_inputs_are_made_again_from_their_number() -> None:
    for item in LOADERS:
        number = len(item.seeds()) + 1
        assert item.input(number) == item.input(number)


# --- what damaged inputs found --------------------------------------------------------------------------------------


def refused(call: Callable[[], object]) -> str:
    """Return the one line that something is refused in."""
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "is nested over 40 deep"),
        ("- " * 30_000, "is nested over 40 deep"),
        ("- id: &a x\n- id: *a\n", "aliases (*) are not allowed"),
        ("- &a [1]\n- &b [*a, *a]\n- &c [*b, *b]\n", "aliases (*) are not allowed"),
    ],
    ids=["brackets", "dashes", "alias", "aliases of aliases"],
)
def test_evidence_nested_deep_or_by_alias(text: str, words: str, tmp_path: Path) -> None:
    # nested so deep, PyYAML's parser in C overran the stack and took the process with it
    path = tmp_path / "parameters-x.yaml"
    path.write_text(text)
    [line] = check_files([path])
    assert words in line
    assert words in refused(lambda: load_parameters(path))
    assert words in refused(lambda: load_left_out.__wrapped__(path))


def test_whole_number_beyond_any_float(tmp_path: Path) -> None:
    path = tmp_path / "observed-x.yaml"
    path.write_text(f"- id: x\n  n: {'9' * 400}\n")
    assert all(line.startswith("observed-x.yaml: x: ") for line in check_files([path]))
    item = loader("stored surface")
    [files] = item.seeds()
    data = json.loads(files["surface.json"])
    next(iter(data["log_readouts"].values()))[0][1] = 10**400
    assert run(item, {"surface.json": json.dumps(data).encode()}, emptied(tmp_path / "surface"))


def test_long_values_are_cut_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "parameters-x.yaml"
    path.write_text(f"- id: x\n  unit: {'a' * 100_000}\n  value: [{', '.join(['1'] * 10_000)}]\n")
    lines = check_files([path])
    assert lines
    assert max(map(len, lines)) < 1000


def _npy(header: str) -> bytes:
    content = header.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content


def _zip(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_array_whose_header_does_not_end(tmp_path: Path) -> None:
    (tmp_path / "c.npz").write_bytes(_zip(**{"weights.npy": _npy("{'descr': '<f8', 'shape': (((")}))
    assert "is no NumPy array" in refused(lambda: load_connectome(tmp_path / "c.npz"))


def test_archive_whose_directory_points_before_it(tmp_path: Path) -> None:
    raw = bytearray(_zip(**{"weights.txt": b"0 1\n1 0\n", "centres.txt": b"a 0 0 0\n"}))
    # the start of the first file is told to lie further back than the archive is long
    del raw[4:30]
    (tmp_path / "c.zip").write_bytes(raw)
    assert "is no whole zip archive" in refused(lambda: load_connectome(tmp_path / "c.zip"))


def test_archive_with_a_file_of_no_name(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"1")
    (tmp_path / "c.zip").write_bytes(stream.getvalue())
    assert "has no weights.txt" in refused(lambda: load_connectome(tmp_path / "c.zip"))


@pytest.mark.parametrize("content", [b"0 " * 10_000_000, b"\n" * 10_000_000, b"\x0c" * 10_000_000])
def test_small_archive_of_a_large_text_is_refused_before_it_is_taken_apart(content: bytes, tmp_path: Path) -> None:
    # sixty million characters of numbers became four hundred million bytes of objects, and took eight seconds
    (tmp_path / "c.zip").write_bytes(_zip(**{"weights.txt": content, "centres.txt": b"a 0 0 0\n"}))
    assert "of 2000 regions that are handled" in refused(lambda: load_connectome(tmp_path / "c.zip"))


def test_title_of_a_column_with_a_control_character(tmp_path: Path) -> None:
    item = loader("connectome, folder of tables")
    [files] = item.seeds()
    head, rows = files["folder/regions.csv"].split(b"\n", 1)
    place = emptied(tmp_path / "input")
    for name, content in {**files, "folder/regions.csv": head.replace(b"network", b"net\twork") + b"\n" + rows}.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content)
    assert "'net work' holds a control character" in refused(lambda: load_connectome(place / "folder"))


def test_parts_that_do_not_go_together_name_their_file(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, weights=np.ones((2, 2)) - np.eye(2), names=np.array(["a", "b"]), hemispheres=np.array(["L"]))
    (tmp_path / "c.npz").write_bytes(stream.getvalue())
    line = refused(lambda: load_connectome(tmp_path / "c.npz"))
    assert line == f"{tmp_path / 'c.npz'}: regions: 1 hemispheres for 2 names; give one a region"


@pytest.mark.parametrize(
    "wrong", [{"sha256": None}, {"sha256": "../../x"}, {"shard": []}, {"rows": 1.5}, {"size": -1}, {"schema": 3}]
)
def test_manifest_line_of_wrong_kinds_counts_as_not_written(wrong: dict[str, Any]) -> None:
    from kapsim.runs.manifest import _line, entry_line

    head = header_line(Header(3, {"a": 1}))
    right = Entry(0, 1, 10, "a" * 64, "b")
    assert parse_manifest(head + entry_line(right)).entries == {0: right}
    found = parse_manifest(head + _line({**right.__dict__, **wrong}))
    assert found.entries == {}
    assert not found.sound


@pytest.mark.parametrize("wrong", [{"shards": "3"}, {"shards": 0}, {"identity": []}, {"layout": None}])
def test_first_line_of_wrong_kinds_is_no_run(wrong: dict[str, Any]) -> None:
    from kapsim.runs.manifest import _line

    assert parse_manifest(_line({**Header(3, {"a": 1}).content, **wrong})).header is None


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a":Infinity}', '{"a":1e999}', "{", '{"a": 1}'])
def test_manifest_line_that_nobody_writes_is_none(text: str) -> None:
    # with a checksum that is right, a number that is none ended in a traceback when the run was resumed
    from kapsim.runs.manifest import _checksum

    raw = f'{{"identity":{text},"layout":1,"shards":3}}'.encode()
    assert parse_manifest(_checksum(raw) + b" " + raw + b"\n").header is None


def test_design_without_its_figures(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, digest=np.asarray("digest"))
    item = loader("design of a calibration")
    files: Files = {"design.npz": stream.getvalue()}
    assert not run(item, files, emptied(tmp_path / "input"))
