"""Connectomes: what is shipped stands in the right order, files round-trip, and every wrong one is refused by name."""

from __future__ import annotations

import bz2
import io
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kapsim.brain import (
    ATLASES,
    Connectome,
    Regions,
    empirical_connectivity,
    load_atlas,
    load_connectome,
    matrix_files,
    save_connectome,
)
from kapsim.brain.atlases import DATA
from kapsim.brain.connectome import NORMALISATIONS
from kapsim.errors import InputError

LEFT_RIGHT = [("7Networks_LH_", "7Networks_RH_"), ("L_", "R_")]
FORMATS = ("folder", "c.npz", "c.zip")


def mirrored_pairs(connectome: Connectome) -> list[tuple[int, int]]:
    """For each left region, the right one nearest to its mirror image, found by position and not by name."""
    positions = connectome.regions.centroids
    assert positions is not None
    right = np.flatnonzero(np.array(connectome.regions.hemispheres) == "R")
    mirror = positions * [-1.0, 1.0, 1.0]
    return [
        (int(row), int(right[np.linalg.norm(positions[right] - mirror[row], axis=1).argmin()]))
        for row in np.flatnonzero(np.array(connectome.regions.hemispheres) == "L")
    ]


# ---- what is shipped


@pytest.mark.parametrize("name", ATLASES)
def test_shipped_connectomes_are_in_the_order_of_their_regions(name: str) -> None:
    connectome = load_atlas(name)
    count = int("".join(filter(str.isdigit, name)))
    assert len(connectome) == count
    # Weights fall with distance, far beyond chance; and do not where the rows are shuffled.
    assert connectome.check_order() < -10.0
    shuffled = np.random.default_rng(1).permutation(count)
    with pytest.raises(InputError, match="different orders"):
        connectome.with_weights(connectome.weights[np.ix_(shuffled, shuffled)], "shuffled").check_order()


@pytest.mark.parametrize("name", ATLASES)
def test_mirrored_regions_have_the_most_alike_activity(name: str) -> None:
    # An independent sign of order: homotopic regions are correlated far above other pairs between hemispheres.
    connectome, correlation = load_atlas(name), empirical_connectivity(name)
    left, right = (np.array(side) for side in zip(*mirrored_pairs(connectome), strict=True))
    all_right = np.array(connectome.regions.hemispheres) == "R"
    ranks = [(correlation[a, all_right] >= correlation[a, b]).mean() for a, b in zip(left, right, strict=True)]
    assert np.median(ranks) < 0.06
    shift = np.roll(right, len(right) // 3)
    assert correlation[left, right].mean() > correlation[left, shift].mean() + 0.2


@pytest.mark.parametrize("name", ATLASES)
def test_names_hemispheres_and_positions_agree(name: str) -> None:
    regions = load_atlas(name).regions
    assert regions.centroids is not None
    for label, side, position in zip(regions.names, regions.hemispheres, regions.centroids, strict=True):
        assert side == ("L" if label.startswith(("7Networks_LH_", "L_")) else "R")
        assert (position[0] < 0.0) == (side == "L")
    default = regions.members("default")
    sides = [regions.hemispheres[row] for row in default]
    assert 0.3 < sides.count("L") / len(sides) < 0.7


@pytest.mark.parametrize("name", ATLASES)
def test_nodes_of_the_default_network_are_where_anatomy_has_them(name: str) -> None:
    regions = load_atlas(name).regions
    assert regions.centroids is not None
    where = {part: regions.centroids[regions.members(part)] for part in ("pcc", "mpfc")}
    assert (where["pcc"][:, 1] < -40.0).all()
    assert (where["mpfc"][:, 1] > 35.0).all()
    assert all((np.abs(positions[:, 0]) < 10.0).all() for positions in where.values())
    for part in where:
        assert {regions.hemispheres[row] for row in regions.members(part)} == {"L", "R"}
        assert set(regions.members(part)) <= set(regions.members("default"))
    if "subgenual" in regions.sets:
        below = regions.centroids[regions.members("subgenual")]
        assert (below[:, 2] < -9.0).all()
        assert not set(regions.members("subgenual")) & set(regions.members("mpfc"))


def test_a_parcellation_without_a_subgenual_region_says_so() -> None:
    with pytest.raises(
        InputError, match=r"no set of regions 'subgenual' in this connectome; it has: visual, somatomotor"
    ):
        load_atlas("schaefer100").regions.members("subgenual")


def test_stored_figures_agree_with_the_evidence() -> None:
    from kapsim.evidence import load_evidence

    evidence = load_evidence()
    regions, correlation = load_atlas("schaefer100").regions, empirical_connectivity("schaefer100")
    off = ~np.eye(100, dtype=bool)
    default, attention = regions.members("default"), regions.members("attention")
    within = correlation[np.ix_(default, default)][~np.eye(len(default), dtype=bool)]
    found = {
        "brain.data.fc.s100.mean": correlation[off].mean(),
        "brain.data.fc.s100.dmn": within.mean(),
        "brain.data.fc.s100.dmn_dan": correlation[np.ix_(default, attention)].mean(),
        "brain.data.fc.dk68.mean": empirical_connectivity("dk68")[~np.eye(68, dtype=bool)].mean(),
        "brain.data.t1t2.dmn_ratio": regions.map_values("t1wt2w")[default].mean() / regions.map_values("t1wt2w").mean(),
    }
    for identity, value in found.items():
        assert value == pytest.approx(evidence[identity].value, abs=6e-4), identity


def test_measured_lengths_are_longer_than_straight_lines_and_estimated_ones_follow_them() -> None:
    measured = load_atlas("schaefer100")
    assert measured.lengths is not None
    tract = measured.lengths > 0.0
    # Centroids lie inside a parcel, fibres end at its border: a tract may be somewhat shorter than the line.
    assert (measured.lengths[tract] > measured.distances()[tract] - 30.0).mean() > 0.99
    assert np.corrcoef(measured.lengths[tract], measured.distances()[tract])[0, 1] == pytest.approx(0.82, abs=0.01)
    estimated = load_atlas("dk68")
    assert estimated.lengths is not None
    off = ~np.eye(68, dtype=bool)
    assert estimated.lengths[off] == pytest.approx(47.8 + 1.214 * estimated.distances()[off], abs=0.2)


def test_only_one_atlas_has_a_second_measurement() -> None:
    first, second = empirical_connectivity("schaefer100"), empirical_connectivity("schaefer100", holdout=True)
    assert not np.array_equal(first, second)
    with pytest.raises(InputError, match=r"^dk68: has no second functional connectivity; schaefer100 has$"):
        empirical_connectivity("dk68", holdout=True)
    with pytest.raises(InputError, match=r"no shipped connectome 'schaefer10'; did you mean 'schaefer100'"):
        load_atlas("schaefer10")


def test_notices_travel_with_the_data() -> None:
    notices = (DATA / "LICENSES.txt").read_text(encoding="utf-8")
    for carrier in (
        "cuBNM Developers",
        "saratheriver",
        "BrainSpace developers",
        "AlGoulas",
        "Computational Brain Imaging",
    ):
        assert carrier in notices
    for file in (DATA / "README.md", DATA.parents[3] / "DATA-LICENCES"):
        text = " ".join(file.read_text(encoding="utf-8").replace("> ", "").split())
        assert "Data were provided in part by the Human Connectome Project, WU-Minn Consortium." in text
        assert "under the same terms" in text.replace("*", "")
    assert {path.parent.name for path in DATA.rglob("*.csv")} == {"dk82", "schaefer100", "schaefer200"}


# ---- normalisation


@pytest.mark.parametrize("name", ATLASES)
@pytest.mark.parametrize("how", NORMALISATIONS)
def test_normalisation_divides_by_one_number(name: str, how: str) -> None:
    connectome = load_atlas(name)
    scaled = connectome.normalised(how)
    ratio = connectome.weights[connectome.weights > 0] / scaled[connectome.weights > 0]
    assert ratio == pytest.approx(np.full(ratio.shape, ratio[0]), rel=1e-12)
    one = {
        "maximum": scaled.max(),
        "spectral": np.abs(np.linalg.eigvals(scaled)).max(),
        "mean_strength": scaled.sum() / len(connectome),
        "none": scaled.max() / connectome.weights.max(),
    }[how]
    assert one == pytest.approx(1.0, rel=1e-9)


def test_rows_are_never_normalised() -> None:
    with pytest.raises(InputError, match=r"no normalisation 'rows': .*would make all regions alike"):
        load_atlas().normalised("rows")


# ---- files: what is saved is what is loaded

LABEL = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
WORD = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=6)
WEIGHT = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))


@st.composite
def connectomes(draw: st.DrawFn) -> Connectome:
    count = draw(st.integers(2, 7))

    def matrix() -> np.ndarray:
        upper = np.triu(draw(hnp.arrays(float, (count, count), elements=WEIGHT)), 1)
        upper[0, 1] += 1.0
        return upper + upper.T

    sides = draw(st.lists(st.sampled_from("LR"), min_size=count, max_size=count))
    positions = draw(hnp.arrays(float, (count, 3), elements=st.floats(0.0, 100.0)))
    positions[:, 0] *= np.where(np.array(sides) == "L", -1.0, 1.0)
    members = draw(st.sets(st.integers(0, count - 1), min_size=1))
    regional = hnp.arrays(float, count, elements=st.one_of(st.just(np.nan), st.floats(-1e3, 1e3)))
    return Connectome(
        "drawn",
        matrix(),
        Regions(
            names=tuple(draw(st.lists(LABEL, min_size=count, max_size=count, unique=True))),
            hemispheres=tuple(sides),
            centroids=positions,
            networks=tuple(draw(st.lists(WORD, min_size=count, max_size=count))),
            cortical=draw(hnp.arrays(bool, count)),
            maps={"density": draw(regional)},
            sets={"some": tuple(sorted(members))},
        ),
        matrix() if draw(st.booleans()) else None,
    )


@given(connectomes())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_files_round_trip(connectome: Connectome) -> None:
    for form in FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            path = save_connectome(connectome, Path(folder) / form)
            again = load_connectome(path)
        kept = connectome
        if form == "c.zip":
            regions = replace(connectome.regions, networks=(), maps={}, sets={})
            kept = replace(connectome, regions=regions)
        assert again.fingerprint == kept.fingerprint, form


@pytest.mark.parametrize("name", ATLASES)
@pytest.mark.parametrize("form", FORMATS)
def test_shipped_connectomes_round_trip(name: str, form: str, tmp_path: Path) -> None:
    connectome = load_atlas(name)
    again = load_connectome(save_connectome(connectome, tmp_path / form))
    np.testing.assert_array_equal(again.weights, connectome.weights)
    np.testing.assert_array_equal(again.lengths, connectome.lengths)
    assert again.regions.names == connectome.regions.names
    assert (again.fingerprint == connectome.fingerprint) is (form != "c.zip")


def test_saving_twice_gives_the_same_archive(tmp_path: Path) -> None:
    connectome = load_atlas()
    for suffix in (".zip",):
        first, second = (save_connectome(connectome, tmp_path / f"{word}{suffix}").read_bytes() for word in "ab")
        assert first == second


def test_a_tvb_archive_reads_as_the_virtual_brain_reads_it(tmp_path: Path) -> None:
    # As its reader does: the first member whose name contains the word, by numpy.loadtxt.
    connectome = load_atlas("schaefer100")
    with zipfile.ZipFile(save_connectome(connectome, tmp_path / "c.zip")) as archive:

        def array(word: str, **options: object) -> np.ndarray:
            member = next(name for name in archive.namelist() if word in name)
            return np.loadtxt(archive.open(member), **options)  # type: ignore[call-overload]

        np.testing.assert_array_equal(array("weights"), connectome.weights)
        np.testing.assert_array_equal(array("tract_lengths"), connectome.lengths)
        np.testing.assert_array_equal(array("centres", usecols=(1, 2, 3)), connectome.regions.centroids)
        assert tuple(array("centres", dtype=np.str_, usecols=(0,))) == connectome.regions.names
        right = array("hemispheres", dtype=np.bool_)
    assert [side == "R" for side in connectome.regions.hemispheres] == right.tolist()


def test_matrices_of_numpy_and_names_beside_a_matrix(tmp_path: Path) -> None:
    folder = save_connectome(load_atlas(), tmp_path / "c")
    weights = load_atlas().weights
    (folder / "weights.csv").unlink()
    np.save(folder / "weights.npy", weights)
    assert load_connectome(folder).fingerprint == load_atlas().fingerprint
    (folder / "weights.npy").unlink()
    np.savez(folder / "weights.npz", weights)
    assert load_connectome(folder).fingerprint == load_atlas().fingerprint
    (folder / "weights.npz").unlink()
    names = load_atlas().regions.names
    rows = [",".join(["", *names])] + [
        ",".join([name, *map(repr, row.tolist())]) for name, row in zip(names, weights, strict=True)
    ]
    (folder / "weights.csv").write_text("\n".join(rows) + "\n")
    assert load_connectome(folder).fingerprint == load_atlas().fingerprint
    rows[0] = ",".join(["", *names[:3], names[4], names[3], *names[5:]])
    (folder / "weights.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(
        InputError, match=r"columns are not in the order of regions.csv: number 4 is 'L_entorhinal' here"
    ):
        load_connectome(folder)


def test_members_in_a_folder_and_compressed_members_are_read(tmp_path: Path) -> None:
    connectome = load_atlas()
    with zipfile.ZipFile(save_connectome(connectome, tmp_path / "c.zip")) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for name, content in parts.items():
            archive.writestr(f"connectivity/{name}.bz2", bz2.compress(content))
        archive.writestr("__MACOSX/connectivity/._weights.txt", b"\0\1")
        archive.writestr("connectivity/areas.txt", "1 2 3")
    np.testing.assert_array_equal(load_connectome(tmp_path / "d.zip").weights, connectome.weights)


# ---- what is refused, and the one line that says so

NAMES = ("L_a", "L_b", "R_a", "R_b")
GOOD = np.array([[0.0, 2, 1, 0], [2, 0, 0, 1], [1, 0, 0, 3], [0, 1, 3, 0]])
POSITIONS = np.array([[-10.0, 0, 0], [-20, 5, 0], [10, 0, 0], [20, 5, 0]])


def small(**changes: object) -> Connectome:
    parts: dict[str, object] = {"names": NAMES, "hemispheres": tuple("LLRR"), "centroids": POSITIONS}
    matrices = {"weights": GOOD, "lengths": None} | {k: changes.pop(k) for k in ("weights", "lengths") if k in changes}
    return Connectome("small", regions=Regions(**(parts | changes)), **matrices)  # type: ignore[arg-type]


def changed(row: int, column: int, value: float, both: bool = True) -> np.ndarray:
    matrix = GOOD.copy()
    matrix[row, column] = value
    if both:
        matrix[column, row] = value
    return matrix


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "NaN": ({"weights": changed(0, 1, np.nan)}, r"weights: L_a to L_b \(row 1, column 2\): nan is not a number"),
    "infinite": ({"lengths": changed(0, 1, np.inf)}, r"lengths: L_a to L_b .*: inf is not a number"),
    "negative": ({"weights": changed(1, 3, -2.0)}, r"weights: L_b to R_b .*: -2 is negative; a weight"),
    "negative length": ({"lengths": changed(1, 3, -2.0)}, r"lengths: .*-2 is negative; a length is 0 or more"),
    "asymmetric": ({"weights": changed(0, 1, 5.0, both=False)}, r"L_a to L_b .*: 5, but back 2; .*symmetrise"),
    "diagonal": ({"weights": changed(2, 2, 1.0)}, r"weights: R_a is connected to itself \(1\); .*drop_diagonal"),
    "shape": ({"weights": GOOD[:3, :3]}, r"weights: has the shape 3 x 3, but 4 regions need 4 x 4"),
    "not square": ({"weights": GOOD[:3]}, r"weights: has the shape 3 x 4, but 4 regions need 4 x 4"),
    "text": ({"weights": [["a"] * 4] * 4}, r"weights: is not an array of numbers"),
    "nothing": ({"weights": GOOD * 0}, r"weights: all are 0"),
    "no label": ({"names": ("L_a", "L_b", " ", "R_b")}, r"row 3 has no name; every region needs a label"),
    "same label": ({"names": ("L_a", "L_b", "L_a", "R_b")}, r"'L_a' names rows 1 and 3; names are unique"),
    "labels short": ({"names": NAMES[:3]}, r"4 hemispheres for 3 names"),
    "one": ({"names": ("a",), "hemispheres": (), "centroids": None}, r"1 is too few"),
    "many": ({"names": tuple(map(str, range(2001)))}, r"2001 are over the 2000"),
    "side": ({"hemispheres": tuple("LLRX")}, r"R_b: hemisphere 'X' is neither L nor R"),
    "order": ({"hemispheres": tuple("RRLL")}, r"L_a: hemisphere R, but its centroid lies at x = -10 mm .*different"),
    "centroid": ({"centroids": POSITIONS * np.nan}, r"L_a: its centroid is not a number"),
    "centroids": ({"centroids": POSITIONS[:, :2]}, r"centroids: has the shape 4 x 2, but 4 regions need 4 x 3"),
    "map": ({"maps": {"m": [1.0, np.inf, 0, 0]}}, r"L_b: map 'm' is infinite"),
    "map shape": ({"maps": {"m": [1.0]}}, r"map 'm': has the shape 1, but 4 regions need 4"),
    "set": ({"sets": {"s": (0, 4)}}, r"set 's' is empty, repeats a region or names one that is not there"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_connectomes_are_refused_by_name(case: str) -> None:
    changes, message = WRONG[case]
    with pytest.raises(InputError, match=message) as caught:
        small(**changes)
    assert "\n" not in str(caught.value)


def folder_with(tmp_path: Path, **files: str | bytes | None) -> Path:
    folder = save_connectome(small(), tmp_path / "c")
    for name, content in files.items():
        path = folder / f"{name}.csv"
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


WEIGHTS = "0,2,1,0\n2,0,0,1\n1,0,0,3\n0,1,3,0\n"
WRONG_FILES: dict[str, tuple[dict[str, str | bytes | None], str]] = {
    "no regions": ({"regions": None}, r"c: has no regions.csv; regions need labels"),
    "no weights": ({"weights": None}, r"c: has no weights.csv, weights.npy or weights.npz"),
    "no names": ({"regions": "index,label\n0,a\n"}, r"regions.csv: has no column 'name'; every region needs a label"),
    "empty": ({"weights": ""}, r"weights.csv: is empty"),
    "binary": ({"weights": b"\x89PNG\0\1"}, r"weights.csv: is not text but binary"),
    "latin": ({"weights": b"0,\xe9\n"}, r"weights.csv:1: is not text in UTF-8"),
    "cut in a number": ({"weights": WEIGHTS[:-1]}, r"weights.csv:4: does not end its line: the file may be cut off"),
    "cut in a row": ({"weights": WEIGHTS[:20] + "\n"}, r"weights.csv: row 3 has 3 cells, the first 4; .*cut off"),
    "cut after a row": ({"weights": WEIGHTS[:16]}, r"has the shape 2 x 4, but 4 regions need 4 x 4"),
    "word": ({"weights": WEIGHTS.replace("3", "x")}, r"weights.csv: row 3, column 4: 'x' is not a number"),
    "NaN": ({"weights": WEIGHTS.replace("3", "nan")}, r"c: weights: R_a to R_b .*nan is not a number"),
    "order by index": ({"regions": "index,name\n0,a\n2,b\n1,c\n3,d\n"}, r"row 3: index 2 is out of order"),
    "two of a name": ({"regions": "name,name\na,b\n"}, r"a column has no name, or the name of another"),
    "half a place": ({"regions": "name,x_mm\na,1\nb,2\n"}, r"has x_mm only; give x_mm, y_mm, z_mm or none"),
    "map word": ({"regions": "name,m\na,1\nb,two\n"}, r"row 3 \(b\), m: 'two' is not a number"),
    "quote": ({"weights": '0,"1\n'}, r"weights.csv: is not CSV"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_folders_are_refused_by_file(case: str, tmp_path: Path) -> None:
    files, message = WRONG_FILES[case]
    with pytest.raises(InputError, match=message) as caught:
        load_connectome(folder_with(tmp_path, **files))
    assert "\n" not in str(caught.value)


def test_shuffled_rows_are_refused_and_can_be_let_through(tmp_path: Path) -> None:
    folder = save_connectome(load_atlas(), tmp_path / "c")
    order = np.random.default_rng(3).permutation(68)
    np.save(folder / "weights.npy", load_atlas().weights[np.ix_(order, order)])
    (folder / "weights.csv").unlink()
    with pytest.raises(InputError, match=r"c: .*rows and regions may be in different orders.*check_order off"):
        load_connectome(folder)
    assert len(load_connectome(folder, check_order=False)) == 68


def test_asymmetry_and_diagonal_are_mended_only_on_request(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, weights=WEIGHTS.replace("0,2,1,0\n", "9,4,1,0\n"))
    with pytest.raises(InputError, match="but back"):
        load_connectome(folder)
    with pytest.raises(InputError, match="connected to itself"):
        load_connectome(folder, symmetrise=True)
    np.testing.assert_array_equal(
        load_connectome(folder, symmetrise=True, drop_diagonal=True).weights, changed(0, 1, 3.0)
    )


def archive_of(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


TVB = {"weights.txt": b"0 1\n1 0\n", "centres.txt": b"a -1 0 0\nb 1 0 0\n", "tract_lengths.txt": b""}


def bent(raw: bytes) -> bytes:
    """An archive with one bit of its first member's data turned."""
    at = raw.index(b"weights.txt") + len("weights.txt") + 2
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


WRONG_ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "no zip": (lambda: b"PK\3\4 and nothing", r"c.zip: is no whole zip archive"),
    "empty": (lambda: b"", r"c.zip: is no whole zip archive"),
    "cut off": (lambda: archive_of(TVB)[:-30], r"c.zip: is no whole zip archive"),
    "bent": (lambda: bent(archive_of(TVB, zipfile.ZIP_STORED)), r"c.zip: is no whole zip archive \(Bad CRC"),
    "points out": (lambda: archive_of(TVB | {"../x.txt": b""}), r"'../x.txt' points out of the archive"),
    "points to the root": (lambda: archive_of(TVB | {"/etc/x": b""}), r"'/etc/x' points out of the archive"),
    "points to a drive": (lambda: archive_of(TVB | {"C:\\x": b""}), r"points out of the archive"),
    "bomb": (lambda: archive_of({"weights.txt": b"0 " * 600_000}), r"c.zip: holds over 1 MB"),
    "bz2 bomb": (lambda: archive_of({"weights.txt.bz2": bz2.compress(b"0 " * 600_000)}), r"c.zip: holds over 1 MB"),
    "many": (lambda: archive_of({f"{n}.txt": b"" for n in range(65)}), r"holds 65 files, over 64"),
    "no weights": (lambda: archive_of({"centres.txt": TVB["centres.txt"]}), r"has no weights.txt; a TVB connectivity"),
    "no labels": (lambda: archive_of({"weights.txt": TVB["weights.txt"]}), r"has no centres.txt"),
    "short line": (lambda: archive_of(TVB | {"centres.txt": b"a 1 2\n"}), r"centres.txt:1: has 3 items"),
    "other shape": (lambda: archive_of(TVB | {"weights.txt": b"0 1 1\n1 0 1\n1 1 0\n"}), r"has the shape 3 x 3"),
    "side": (lambda: archive_of(TVB | {"hemispheres.txt": b"0\n2\n"}), r"hemispheres.txt: holds 2 values for 2"),
    "ragged": (lambda: archive_of(TVB | {"weights.txt": b"0 1\n1\n"}), r"row 2 has 1 numbers, the first 2; .*cut off"),
    "matlab": (lambda: archive_of({"weights.mat": b""}), r"'weights.mat' is no .txt or .txt.bz2"),
    "two": (lambda: archive_of(TVB | {"a/weights.txt": b"0 1\n1 0\n"}), r"holds two files of weights"),
    "bz2 cut": (
        lambda: archive_of(TVB | {"cortical.txt.bz2": bz2.compress(b"1\n1\n")[:-6]}),
        r"cortical.txt.bz2: is cut off",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_ARCHIVES)
def test_wrong_archives_are_refused(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, message = WRONG_ARCHIVES[case]
    monkeypatch.setattr(matrix_files, "MOST_BYTES", 1024 * 1024)
    path = tmp_path / "c.zip"
    path.write_bytes(make())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message) as caught:
        load_connectome(path)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def npy(array: np.ndarray, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=pickled)
    return stream.getvalue()


WRONG_ARRAYS: dict[str, tuple[Callable[[], bytes], str]] = {
    "objects": (lambda: npy(np.array([[object()]], dtype=object), pickled=True), r"holds object items"),
    "text": (lambda: npy(np.array(["a"])), r"holds text; a matrix holds numbers"),
    "cut off": (lambda: npy(GOOD)[:-8], r"is not of the size that its header says"),
    "false size": (
        lambda: npy(np.zeros((4, 4))).replace(b"(4, 4), }            ", b"(99999999, 999999), }"),
        r"is not of the size that its header says",
    ),
    "no array": (lambda: b"0,1\n1,0\n", r"is no NumPy array"),
    "empty": (lambda: b"", r"is no NumPy array"),
}


@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_wrong_arrays_are_refused(case: str, tmp_path: Path) -> None:
    make, message = WRONG_ARRAYS[case]
    folder = folder_with(tmp_path, weights=None)
    (folder / "weights.npy").write_bytes(make())
    with pytest.raises(InputError, match=message):
        load_connectome(folder)
    archive = tmp_path / "c.npz"
    archive.write_bytes(archive_of({"weights.npy": make(), "names.npy": npy(np.array(NAMES))}))
    with pytest.raises(InputError, match=message):
        load_connectome(archive)


def test_huge_files_are_refused_before_they_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_files, "MOST_BYTES", 20)
    with pytest.raises(InputError, match="is over 0 MB; use a coarser parcellation"):
        load_connectome(folder_with(tmp_path))


def test_paths_that_are_no_connectome(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; check the path"):
        load_connectome(tmp_path / "none.zip")
    (tmp_path / "c.mat").write_bytes(b"")
    with pytest.raises(InputError, match=r"c.mat: is no connectome; give a folder, an .npz file or a TVB .zip"):
        load_connectome(tmp_path / "c.mat")


def test_what_a_tvb_archive_cannot_hold_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs centroids"):
        save_connectome(small(centroids=None), tmp_path / "c.zip")
    with pytest.raises(InputError, match="'L a' has a blank"):
        save_connectome(small(names=("L a", *NAMES[1:])), tmp_path / "c.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_subset_keeps_regions_with_their_weights() -> None:
    whole = load_atlas("dk82")
    part = whole.subset([70, 3, 12])
    assert part.regions.names == tuple(whole.regions.names[row] for row in (70, 3, 12))
    assert part.weights[0, 2] == whole.weights[70, 12]
    assert part.regions.sets["subgenual"] == (2,)
    assert not part.regions.cortical[0]
    with pytest.raises(InputError, match="map 't1wt2w' has no value for L_caud"):
        part.regions.map_values("t1wt2w")


def test_arrays_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        load_atlas().weights[0, 1] = 1.0
    assert load_atlas().normalised().flags.writeable
