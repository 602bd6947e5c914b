"""The manifest of a run: one line a fact, each under its own checksum, so that a torn or damaged line is known as such.

The first line says what the run is: its layout, its number of shards, and its identity, which is all that decides what
is computed. Each further line says that a shard is stored. Lines are only ever added; a line that does not agree with
its checksum counts as not written, and what it told is found again from the shard itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: Name of the manifest in the folder of a run.
MANIFEST = "manifest.jsonl"
#: How files of a run are laid out; another number is another layout.
LAYOUT = 1
_DIGITS = 16
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Header:
    """What a run is.

    Parameters
    ----------
    shards : int
    identity : mapping
        As JSON holds it: no tuples, keys of text.
    layout : int, optional
        Of the files; another version of kapsim may have another one.
    """

    shards: int
    identity: Mapping[str, Any]
    layout: int = LAYOUT

    @classmethod
    def of(cls, identity: Mapping[str, Any], shards: int) -> Header:
        """Return the header of an identity.

        Raises
        ------
        TypeError
            If the identity holds something that JSON has no form for.
        ValueError
            If a number in it is not finite, or there is no shard.
        """
        if shards < 1:
            raise ValueError(f"a run has at least one shard, not {shards}")
        return cls(shards, json.loads(_canonical(identity)))

    @property
    def content(self) -> dict[str, Any]:
        """What stands in the first line."""
        return {"layout": self.layout, "shards": self.shards, "identity": self.identity}

    @property
    def digest(self) -> str:
        """SHA-256 over all of it; every shard carries this, and so tells which run it is of."""
        return hashlib.sha256(_canonical(self.content)).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A shard that is stored.

    Parameters
    ----------
    shard : int
        Its number, from 0.
    rows : int
    size : int
        Bytes of the file.
    sha256 : str
        Of the file.
    schema : str
        Hash of the names and types of its columns.
    """

    shard: int
    rows: int
    size: int
    sha256: str
    schema: str

    @property
    def file(self) -> str:
        """Name of the file, which tells the number and the content: a shard is recognised without a manifest."""
        return shard_file(self.shard, self.sha256)


@dataclass(frozen=True)
class Manifest:
    """What the lines say that agree with their checksums.

    Parameters
    ----------
    header : Header or None
        None where the first line is torn or damaged.
    entries : mapping of int to Entry
        By number of the shard.
    sound : bool
        Whether every line agrees with its checksum, and the last one is ended.
    """

    header: Header | None = None
    entries: Mapping[int, Entry] = field(default_factory=dict)
    sound: bool = True


def shard_file(shard: int, sha256: str) -> str:
    """Return the name of the file of a shard."""
    return f"{shard:06d}-{sha256[:32]}.parquet"


def header_line(header: Header) -> bytes:
    """Return the first line of a manifest."""
    return _line(header.content)


def entry_line(entry: Entry) -> bytes:
    """Return the line that says that a shard is stored."""
    return _line(asdict(entry))


def manifest_bytes(header: Header, entries: Mapping[int, Entry]) -> bytes:
    """Return a whole manifest, its shards in order of their numbers."""
    return b"".join([header_line(header), *(entry_line(entries[number]) for number in sorted(entries))])


def parse_manifest(raw: bytes) -> Manifest:
    """Read a manifest, whatever has become of it.

    Parameters
    ----------
    raw : bytes

    Returns
    -------
    Manifest
        Without the lines that are torn or damaged. Where the first one is, the others are of no known run and there are
        no entries.
    """
    *lines, rest = raw.split(b"\n")
    contents = [_content(line) for line in lines]
    header = _header(contents[0]) if contents else None
    if header is None:
        return Manifest(sound=not raw)
    found = [_entry(content, header.shards) for content in contents[1:]]
    entries = {entry.shard: entry for entry in found if entry is not None}
    return Manifest(header, entries, sound=not rest and len(entries) == len(found))


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:_DIGITS].encode("ascii")


def _line(content: Any) -> bytes:
    text = _canonical(content)
    return b"%s %s\n" % (_checksum(text), text)


def _content(line: bytes) -> Any:
    """Return what a line says, None where it does not agree with its checksum or is nothing that is ever written."""
    checksum, _, text = line.partition(b" ")
    if checksum != _checksum(text):
        return None
    try:
        found = json.loads(text)
        # what is read back must be what was written: no NaN and no infinity, of which there is no hash
        return found if _canonical(found) == text else None
    except (ValueError, RecursionError):
        return None


def _header(content: Any) -> Header | None:
    if not isinstance(content, dict) or content.keys() != {"layout", "shards", "identity"}:
        return None
    header = Header(content["shards"], content["identity"], content["layout"])
    right = _whole(header.shards, 1) and isinstance(header.identity, dict) and _whole(header.layout)
    return header if right else None


def _entry(content: Any, shards: int) -> Entry | None:
    if not isinstance(content, dict) or content.keys() != set(Entry.__dataclass_fields__):
        return None
    entry = Entry(**content)
    right = _whole(entry.shard) and _whole(entry.rows) and _whole(entry.size) and isinstance(entry.schema, str)
    # the name of the file is made of it
    right = right and isinstance(entry.sha256, str) and _SHA256.fullmatch(entry.sha256) is not None
    return entry if right and entry.shard < shards else None


def _whole(value: Any, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
