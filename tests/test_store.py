"""Results on disk: what was written is what is read, and nothing is ever half there."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import synthetic
from kapsim.errors import InputError
from kapsim.files import output_folder, write_together
from kapsim.store import load_results, results_bytes, save_results

SMALL = synthetic.results(patients=4, times=20)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KB, where this system lets one be made."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files can be made, but nothing reaches the disk."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)


def test_results_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = save_results(SMALL, tmp_path / "results.nc")
    loaded = load_results(path)
    xr.testing.assert_allclose(loaded, SMALL, rtol=0, atol=0)
    assert list(loaded.data_vars) == list(SMALL.data_vars)
    assert set(loaded.coords) == set(SMALL.coords)
    for name, variable in SMALL.variables.items():
        assert loaded[name].attrs == variable.attrs
        assert loaded[name].dtype.isnative
        assert loaded[name].dtype.kind == variable.dtype.kind
    assert loaded["patient"].dtype == np.int32
    assert {name: str(value) for name, value in loaded.attrs.items()} == {
        name: str(value) for name, value in SMALL.attrs.items()
    }


def test_text_and_not_a_number_survive(tmp_path: Path) -> None:
    dataset = SMALL.copy(deep=True).assign_attrs(title="µ–é “quoted”\nsecond line", patient="")
    dataset["madrs"].values[0, 0] = np.nan
    loaded = load_results(save_results(dataset, tmp_path / "a.nc"))
    assert loaded.attrs["title"] == dataset.attrs["title"]
    assert loaded.attrs["patient"] == ""
    np.testing.assert_array_equal(loaded["madrs"].values, dataset["madrs"].values)


def test_saving_twice_gives_the_same_bytes() -> None:
    assert results_bytes(SMALL) == results_bytes(SMALL.copy(deep=True))


def test_a_folder_stands_for_the_results_in_it(tmp_path: Path) -> None:
    save_results(SMALL, tmp_path / "results.nc")
    assert load_results(tmp_path).attrs["protocol_name"] == "two_infusions"


def test_whole_numbers_beyond_the_format_are_refused(tmp_path: Path) -> None:
    dataset = SMALL.assign_coords(female=("patient", np.full(4, 2**40)))
    with pytest.raises(InputError, match="female: whole numbers beyond 32 bits"):
        save_results(dataset, tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "results.nc"
    path.write_bytes(b"old")
    save_results(SMALL, path)
    assert load_results(path).sizes["patient"] == 4
    assert [item.name for item in tmp_path.iterdir()] == ["results.nc"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"results\.nc: cannot be written \(no such file or directory\); make its"):
        save_results(SMALL, tmp_path / "missing" / "results.nc")


def test_folder_in_the_place_of_the_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results.nc").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        save_results(SMALL, tmp_path / "results.nc")


@pytest.mark.usefixtures("full_disk")
def test_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.nc"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match=r"no space left on device\); free some space") as caught:
        save_results(SMALL, path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["results.nc"]


def test_truly_full_disk_keeps_the_old_file_and_leaves_nothing(tiny_disk: Path) -> None:
    path = tiny_disk / "results.nc"
    path.write_bytes(b"old")
    large = synthetic.results(patients=40, times=60)
    with pytest.raises(InputError, match="no space left on device"):
        save_results(large, path)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tiny_disk.iterdir()] == ["results.nc"]


def test_read_only_disk_is_one_line(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(InputError, match=r"read-only file system\); choose a folder that may be written to"):
        save_results(SMALL, tiny_disk / "results.nc")
    with pytest.raises(InputError, match="cannot be used for results"), output_folder(tiny_disk / "new"):
        pass


def test_of_two_files_both_appear_or_none(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"old")
    second.mkdir()
    with pytest.raises(InputError, match="b: cannot be written"):
        write_together({first: b"new", second: b"new"})
    assert first.read_bytes() == b"old"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a", "b"]


def test_folders_made_for_failed_work_go_away_again(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    def fail(folder: Path) -> None:
        with output_folder(folder):
            assert folder.is_dir()
            raise RuntimeError

    for name in ("new/deeper", "there/new", "there"):
        with pytest.raises(RuntimeError):
            fail(tmp_path / name)
    assert [str(item.relative_to(tmp_path)) for item in tmp_path.rglob("*")] == ["there"]


def test_file_in_the_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "file/deeper"):
        with pytest.raises(InputError, match="cannot be used for results"), output_folder(tmp_path / name):
            pass
    assert (tmp_path / "file").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a netCDF file"),
        (b"\x89HDF\r\n\x1a\n", "is not a netCDF file"),
        (b"\x80\x04cos\nsystem\n.", "is not a netCDF file"),
        (b"CDF\x02", "is damaged or cut short"),
        (b"CDF\x02" + b"\xff" * 200, "is damaged or cut short"),
    ],
    ids=["empty", "netcdf 4", "pickle", "no header", "mad header"],
)
def test_what_is_no_result_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "results.nc"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_results(path)
    assert "\n" not in str(caught.value)


def test_missing_file_and_what_is_no_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_results(tmp_path / "results.nc")
    with pytest.raises(InputError, match="no such file"):
        load_results(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is not a file"):
        load_results(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"is not the name of a file|no such file"):
        load_results("a\0b")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_one_line(tmp_path: Path, share: float) -> None:
    whole = results_bytes(SMALL)
    path = tmp_path / "results.nc"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"is damaged or cut short|is not a netCDF file|is missing"):
        load_results(path)


@pytest.mark.parametrize("name", ["parameters_used", "doses", "kapsim_version"])
def test_results_of_something_else_are_one_line(tmp_path: Path, name: str) -> None:
    dataset = SMALL.copy()
    del dataset.attrs[name]
    with pytest.raises(InputError, match=f"is not a result of kapsim .attribute {name} is missing"):
        load_results(save_results(dataset, tmp_path / "a.nc"))
    other = xr.Dataset({"x": ("y", np.arange(3.0))})
    with pytest.raises(InputError, match="is not a result of kapsim"):
        load_results(save_results(other, tmp_path / "b.nc"))


@pytest.mark.parametrize("text", ["{}", "[", "1", "[" * 100_000])
def test_damaged_lists_are_one_line(tmp_path: Path, text: str) -> None:
    dataset = SMALL.assign_attrs(doses=text)
    with pytest.raises(InputError, match="attribute doses: is not a list in JSON"):
        load_results(save_results(dataset, tmp_path / "a.nc"))
