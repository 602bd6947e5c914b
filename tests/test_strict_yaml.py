"""Strict YAML: what it reads, what it refuses, and that every refusal is one line with a place."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapsim import strict_yaml
from kapsim.errors import InputError

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def refusal(text: str | bytes) -> str:
    with pytest.raises(InputError) as caught:
        strict_yaml.parse(text, source="file.yaml")
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("a: 1\nb: [x, 2.5, true, null]\n", {"a": 1, "b": ["x", 2.5, True, None]}),
        (
            "answer: no\nclock: 12:30\nday: 2020-01-01\nmerge: <<\n",
            {"answer": "no", "clock": "12:30", "day": "2020-01-01", "merge": "<<"},
        ),
        ("a: '1'\nb: \"true\"\nc: |\n  1\n", {"a": "1", "b": "true", "c": "1\n"}),
        (
            "a: 1e3\nb: .5\nc: 5.\nd: -2\ne: .nan\nf: 0x10\n",
            {"a": 1000.0, "b": 0.5, "c": 5.0, "d": -2, "e": ".nan", "f": "0x10"},
        ),
        ("%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
        (b"\xef\xbb\xbfa: \xc2\xb5\n", {"a": "\u00b5"}),
    ],
)
def test_reads(text: str | bytes, value: Any) -> None:
    assert strict_yaml.parse(text).data == value


def test_knows_the_line_of_every_key() -> None:
    document = strict_yaml.parse("a: 1\nb:\n  c:\n  - x\n  - d: 2\n    e: [1,\n      2]\n")
    expected = {
        (): 1, ("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", 0): 4, ("b", "c", 1): 5, ("b", "c", 1, "d"): 5,
        ("b", "c", 1, "e"): 6, ("b", "c", 1, "e", 0): 6, ("b", "c", 1, "e", 1): 7,
    }  # fmt: skip
    assert dict(document.lines) == expected
    assert document.line(("b", "c", 1, "missing", 3)) == 5
    assert document.known_part(("b", "c", 7)) == ("b", "c")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: &x 2\n", "2: b:", "anchors"),
        ("a: 1\nb: *x\n", "2: b:", "aliases"),
        ("*x : 1\n", "1: (file):", "aliases"),
        ("&x a: 1\n", "1: (file):", "anchors"),
        (LAUGHS, "1: a:", "anchors"),
        ("a: 1\nb:\n- !!python/object/apply:os.system [x]\n", "3: b[0]:", "tags"),
        ("a: !!str 1\n", "1: a:", "tags"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "4: b.c:", "first on line 3"),
        ("{a: 1, a: 2}", "1: a:", "twice"),
        ("? [1]\n: 2\n", "1: (file):", "a key must be a word"),
        ("1: 2\n", "1: (file):", "a key must be a word"),
        ("a: 1\n---\nb: 2\n", "2: (file):", "second document"),
        ("a: 1\nb: c: d\n", "2: ", "not valid YAML"),
        ("a: [1, 2\n", "2: ", "not valid YAML"),
        ("a:\n\t- 1\n", "2: ", "not valid YAML"),
        ("a: 1\nb: \x01\n", "2: (file):", "control character"),
        ("a: " + "9" * 400, "1: a:", "over 32 digits"),
        ("a: " + "[" * 50 + "]" * 50, "1: a[0]", "nested over"),
        ("a: [" + "1," * 21000 + "]", "1: a[19997]:", "over 20000 values"),
        (b"a: 1\nb: \xff\xfe\n", "2: (file):", "UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "1: (file):", "UTF-8"),
        ("a: \ud800", "1: (file):", "UTF-8"),
    ],
)
def test_refuses_in_one_line_with_line_and_path(text: str | bytes, place: str, words: str) -> None:
    message = refusal(text)
    assert message.startswith(f"file.yaml:{place}")
    assert words in message
    assert "; " in message


def test_refuses_what_is_too_large() -> None:
    assert "over 256 KB" in refusal("a: " + "x" * strict_yaml.MAX_BYTES)


@pytest.mark.parametrize(
    "text", ["[" * 200_000, "{" * 200_000, "? " * 100_000, "- " * 100_000, "a: " * 60_000, "&a " * 60_000]
)
def test_hostile_nesting_ends_at_once(text: str) -> None:
    start = time.process_time()
    refusal(text)
    assert time.process_time() - start < 2


def test_files_that_are_not_files(tmp_path: Path) -> None:
    big, pipe = tmp_path / "big.yaml", tmp_path / "pipe"
    big.write_bytes(b"#" * (strict_yaml.MAX_BYTES + 1))
    os.mkfifo(pipe)
    cases: list[tuple[Path | str, str]] = [
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "is a directory"),
        (pipe, "not a regular file"),
        (big, "over 256 KB"),
        ("/dev/zero", "not a regular file"),
        ("a\0b", "a b"),
        ("x" * 5000, "cannot be read"),
    ]
    for path, words in cases:
        with pytest.raises(InputError) as caught:
            strict_yaml.read(path)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Made by hand, since tests may run as a user whom no permission stops.
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "secret.yaml"
    file.write_text("a: 1")
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match=r"secret\.yaml: cannot be read \(permission denied\); check"):
        strict_yaml.read(file)


def test_a_hostile_file_name_stays_on_one_line(tmp_path: Path) -> None:
    file = tmp_path / "two\nlines\x1b[31m.yaml"
    file.write_text("a: &x 1")
    with pytest.raises(InputError) as caught:
        strict_yaml.read(file)
    assert re.search(r"two lines \[31m\.yaml:1: a: anchors", str(caught.value))
    assert "\x1b" not in str(caught.value)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(
        [
            "1e3",
            "no",
            "0o7",
            "12:30",
            "~",
            "null",
            "1_000",
            "<<",
            "=",
            "\x85",
            "a\u2028 b",
            "\ufeff",
            "- a",
            "# b",
            ".5",
            "-",
            "2020-01-01",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz_", min_size=1, max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text("abcxyz_", min_size=1, max_size=6), VALUES, max_size=4))
def test_what_is_dumped_reads_back(data: dict[str, Any]) -> None:
    assert strict_yaml.parse(strict_yaml.dump(data)).data == data


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60) | st.text("ab:- \n[]{}&*!|>'\"#%?,1", max_size=40))
def test_any_text_is_read_or_refused_in_one_line(text: str | bytes) -> None:
    try:
        strict_yaml.parse(text)
        message = "<text>"
    except InputError as error:
        message = str(error)
    assert message.startswith("<text>")
    assert "\n" not in message
