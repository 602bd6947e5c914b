"""What can be wrong with a file: mutators of bytes, YAML, tables, arrays and archives, each a function of a generator.

A mutator takes `random.Random` and content, and returns content; the same generator gives the same bytes, so that an
input is named by its loader and number and can be made again.
"""

from __future__ import annotations

import bz2
import csv
import functools
import io
import json
import math
import warnings
import zipfile
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np
import yaml

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

#: Bytes that have broken readers of text.
TOKENS = (
    b"\0", b"\xef\xbb\xbf", b"\r\n", b"\r", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", "\u2028".encode(),
    "\x85".encode(), b"\t", b"\x1b[31m", b"---\n", b"\n...\n", b"%YAML 1.1\n---\n", b"&a [*a]", b"*a", b"<<: *a",
    b"!!python/object:os.system", b"!!binary aGk=", b"!!int 'x'", b"? {a: 1}\n: 2\n", b"{", b"}", b"[", b"]", b"'",
    b'"', b"#", b":", b",", b"|\n", b">-\n", b"nan", b"inf", b"-inf", b"1e999", b"-0", b"0x1F", b"0o17", b"1_000",
    b"12:30:45", b"2026-01-01", b"null", b"~", b"yes", b"9" * 400, b"9" * 5000, b"1e-320", b"1e308", b"[" * 200, b"["
    * 20_000, b"{a: " * 2_000, b"- " * 3_000, b"a" * 20_000, "\uff19\xb2\u0967".encode(), "\U0001d7db".encode(),
    "\u202e".encode(), b"/dev/zero", b"../../etc/passwd", b"%s%n{0}", b"=cmd|'x'!A0", b"9**9**9",
)  # fmt: skip

#: Values to stand in the place of others.
SCALARS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7, 2**31, 2**63, 2**64, 10**400, -(10**400), 0.0, -0.0, 0.5, 1e308, -1e308,
    1e-308, 5e-324, math.nan, math.inf, -math.inf, "", " ", ".", "nan", "inf", "1e999", "-0", "0x1F", "1_000",
    "\uff19", "\xb2", "\u0967", "\u2028", "\x1b[31m", "a" * 10_000, "é" * 300, "5 mg", "1e300 mg", "1e-320 mg",
    "-5 mg", "5 lightyears", "mg", "5mg", "0 h", "-1 h", "1e9 wk", "1e308 wk", "inf h", "nan mg", "0.5 mg/kg",
    "1 min", "26 wk", "40 min", "9" * 400, "12:30", "2026-01-01", "../x.yaml", "/dev/zero", "x.csv", "here.yaml",
    "%s%n", "{0}", "~", "*", "&a", "!!x", "null", "ketamine", "iv", "standard", "normal", "madrs", "trd_trial",
    "single_infusion", "0 points", "9**9**9**9", "(" * 300, "{pk.v1}", "1/0", "exp(1e9)", "-1**0.5", "1", "[kg]",
    "\ud7ff", "\U0001f600",
)  # fmt: skip


def deep(kind: type, depth: int) -> Any:
    """Return a list or mapping nested `depth` deep."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


def value(rng: Random) -> Any:
    """Return any value."""
    kind = rng.random()
    if kind < 0.8:
        return rng.choice(SCALARS)
    if kind < 0.88:
        return [rng.choice(SCALARS) for _ in range(rng.choice((0, 1, 2, 50)))]
    if kind < 0.96:
        return {str(rng.choice(SCALARS))[:40]: rng.choice(SCALARS) for _ in range(rng.choice((0, 1, 3)))}
    return deep(rng.choice((list, dict)), rng.choice((3, 13, 80)))


# --- bytes ---------------------------------------------------------------------------------------------------------


def of_bytes(rng: Random, raw: bytes) -> bytes:
    """Damage bytes a few times."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        raw = rng.choice(_BYTES)(rng, raw)
    return raw


def _flip(rng: Random, raw: bytes) -> bytes:
    if not raw:
        return b"\x80"
    found = bytearray(raw)
    for _ in range(rng.choice((1, 1, 8))):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _span(rng: Random, raw: bytes) -> tuple[int, int]:
    first = rng.randrange(len(raw) + 1)
    return first, min(len(raw), first + rng.choice((1, 2, 8, 64, 1024)))


def _cut(rng: Random, raw: bytes) -> bytes:
    first, last = _span(rng, raw)
    return raw[:first] + raw[last:]


def _again(rng: Random, raw: bytes) -> bytes:
    first, last = _span(rng, raw)
    return raw[:last] + raw[first:last] * rng.choice((1, 2, 100)) + raw[last:]


def _end(rng: Random, raw: bytes) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _token(rng: Random, raw: bytes) -> bytes:
    first, last = _span(rng, raw)
    return raw[:first] + rng.choice(TOKENS) + raw[first if rng.random() < 0.5 else last :]


def _noise(rng: Random, raw: bytes) -> bytes:
    first, _ = _span(rng, raw)
    return raw[:first] + rng.randbytes(rng.choice((1, 4, 300))) + raw[first:]


def _coded(rng: Random, raw: bytes) -> bytes:
    text = raw.decode("utf-8", errors="replace")
    how = rng.randrange(5)
    if how == 0:
        return text.encode("utf-16")
    if how == 1:
        return text.replace("\n", "\r\n").encode()
    if how == 2:
        return ("\ufeff" + text).encode()
    if how == 3:
        return text.replace(" ", "\u00a0").encode()
    return text.replace("\n", "\r").encode("latin-1", errors="replace")


def _whole(rng: Random, raw: bytes) -> bytes:
    return rng.choice((b"", b"\n", b"\0" * 100, b" " * 1000, rng.choice(TOKENS), raw * 3, rng.choice(TOKENS) * 30))


_BYTES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip, _cut, _again, _end, _token, _token, _token, _noise, _coded, _whole,
)  # fmt: skip


# --- YAML and JSON -------------------------------------------------------------------------------------------------


def of_tree(rng: Random, data: Any) -> Any:
    """Change a few places of mappings and lists."""
    found = json.loads(json.dumps(data, default=str))
    for _ in range(rng.choice((1, 1, 2, 3))):
        holder = rng.choice([*_holders(found)] or [[]])
        if not holder:
            continue
        place = rng.choice([*holder] if isinstance(holder, dict) else range(len(holder)))
        what = rng.random()
        if what < 0.55:
            holder[place] = value(rng)
        elif what < 0.7:
            del holder[place]
        elif what < 0.8 and isinstance(holder, dict):
            holder[rng.choice((place + "x", str(value(rng))[:50], "schema_version"))] = holder.pop(place)
        elif what < 0.9:
            # what stands elsewhere in the same file is of a right kind in a wrong place
            other = rng.choice([*_holders(found)])
            picked = [*other.values()] if isinstance(other, dict) else other
            holder[place] = json.loads(json.dumps(rng.choice(picked))) if picked else None
        elif isinstance(holder, list):
            holder += [holder[place]] * rng.choice((1, 3, 1000))
        else:
            holder[place] = [holder[place]]
    return found


def _holders(data: Any) -> Iterator[Any]:
    if isinstance(data, (dict, list)):
        yield data
        for inner in data.values() if isinstance(data, dict) else data:
            yield from _holders(inner)


@functools.cache
def _tree(raw: bytes) -> Any:
    return yaml.load(raw, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def of_yaml(rng: Random, raw: bytes) -> bytes:
    """Change values and keys of YAML, or its bytes."""
    if rng.random() < 0.35:
        return of_bytes(rng, raw)
    text = yaml.dump(of_tree(rng, _tree(raw)), Dumper=_Dumper, sort_keys=False, allow_unicode=rng.random() < 0.5)
    changed = str(text).encode("utf-8", errors="surrogatepass")
    return of_bytes(rng, changed) if rng.random() < 0.1 else changed


def of_json(rng: Random, raw: bytes) -> bytes:
    """Change values and keys of JSON, or its bytes."""
    return of_bytes(rng, raw) if rng.random() < 0.35 else json.dumps(of_tree(rng, json.loads(raw))).encode()


# --- tables --------------------------------------------------------------------------------------------------------


def of_table(rng: Random, raw: bytes) -> bytes:
    """Change cells, rows, columns and headings of CSV, or its bytes."""
    if rng.random() < 0.35:
        return of_bytes(rng, raw)
    rows = [row for row in csv.reader(io.StringIO(raw.decode())) if row]
    for _ in range(rng.choice((1, 1, 2, 3))):
        row, what = rng.randrange(len(rows)), rng.random()
        if not rows[row]:
            continue
        cell = rng.randrange(len(rows[row]))
        if what < 0.6:
            rows[row][cell] = str(rng.choice(SCALARS))
        elif what < 0.7:
            rows = rows[:row] + rows[row + 1 :] if len(rows) > 1 else rows
        elif what < 0.8:
            rows += [list(rows[row])] * rng.choice((1, 2, 500))
        elif what < 0.9:
            kept = rng.random() < 0.5
            rows = [
                line[:cell] + ([line[cell]] * 2 if kept and cell < len(line) else []) + line[cell + 1 :]
                for line in rows
            ]
        else:
            rows[row], rows[0] = rows[0], rows[row]
    text = io.StringIO()
    csv.writer(
        text, delimiter=rng.choice(",,,,,,,;\t"), lineterminator=rng.choice(("\n", "\n", "\n", "\r\n"))
    ).writerows(rows)
    return text.getvalue().encode("utf-8", errors="surrogatepass")


# --- arrays and archives -------------------------------------------------------------------------------------------


def of_array(rng: Random, raw: bytes) -> bytes:
    """Change an array in the format of NumPy: its values, shape, kind or header, or its bytes."""
    if rng.random() < 0.3:
        return of_bytes(rng, raw)
    array, what = np.load(io.BytesIO(raw), allow_pickle=False), rng.randrange(8)
    if what == 0 and array.size and array.dtype.kind == "f":
        array = array.copy()
        array.flat[rng.randrange(array.size)] = rng.choice((math.nan, math.inf, -1.0, 1e308, 1e-320))
    elif what == 1:
        array = array.reshape(rng.choice(((-1,), (1, -1), (-1, 1), (1, *array.shape))))
    elif what == 2:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind = rng.choice(("f2", ">f8", "i1", "u8", "bool", "U3", "S3", "c16", "O", "M8[s]", "f16"))
            try:
                array = array.astype(kind)
            except (ValueError, TypeError):
                array = np.zeros(array.shape, dtype=kind)
    elif what == 3:
        array = array[: rng.randrange(len(array) + 1)] if array.ndim else array
    elif what == 4:
        array = np.zeros((2, 2), dtype=[("a", "f8"), ("b", "i4")])
    elif what == 5:
        array = np.array(rng.choice((0.0, "text", 1e308)))
    else:
        shape = rng.choice(
            ("(9999999999, 9999999999)", "(-1,)", "(3.5,)", "(2, 2" + ", 1" * 40 + ")", "()", "'x'", "(" * 300)
        )
        kind = rng.choice(("<f8", "|O", "<U999999999", "nonsense", "V8", "f8, (9,9)f8"))
        return _npy_header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}", rng) + raw[128:]
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def _npy_header(text: str, rng: Random) -> bytes:
    content = text.ljust(117).encode() + b"\n"
    version = rng.choice((b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x09"))
    return b"\x93NUMPY" + version + len(content).to_bytes(2 if version == b"\x01\x00" else 4, "little") + content


def of_archive(rng: Random, raw: bytes, of_member: Callable[[Random, bytes], bytes]) -> bytes:
    """Change what a zip holds or how, or its bytes."""
    if rng.random() < 0.3:
        return of_bytes(rng, raw)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = [(item.filename, archive.read(item)) for item in archive.infolist()]
    place, what = rng.randrange(len(members)), rng.random()
    name, content = members[place]
    if what < 0.6:
        members[place] = (name, of_member(rng, content))
    elif what < 0.7:
        del members[place]
    elif what < 0.8:
        wrong = rng.choice(
            (
                "../x.txt",
                "/etc/x",
                "C:/x",
                "a/" * 200 + name,
                "",
                ".",
                "/",
                "\\",
                "..",
                "x\0y",
                "\uff58.txt",
                name.upper(),
            )
        )
        members[place] = (wrong, content)
    elif what < 0.88:
        members.append((rng.choice((name, f"more/{name}", "weights.txt", "__MACOSX/x", "empty/")), content))
    elif what < 0.94:
        members[place] = (name, rng.choice((b"\0", b"0 ", b"1,")) * rng.choice((1_000_000, 30_000_000)))
    elif what < 0.97:
        members[place] = (
            f"{name}.bz2",
            bz2.compress(content + b"0 " * rng.choice((0, 10_000_000)))[: rng.choice((None, -5))],
        )
    else:
        members += [(f"{number}.txt", b"1") for number in range(70)]
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(
                zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED, compresslevel=1
            )
    changed = stream.getvalue()
    if rng.random() < 0.1:
        # flags of the central directory: encrypted, or another method
        at = changed.rfind(b"PK\x01\x02")
        changed = (
            changed[: at + 8]
            + bytes([rng.choice((1, 8, 64)), 0, rng.choice((0, 8, 12, 14, 99)), 0])
            + changed[at + 12 :]
        )
    return changed
