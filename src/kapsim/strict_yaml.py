"""Strict YAML: the small part of YAML that protocols and patients need, with the line of every key.

A file may come from anywhere, so nothing in it can run, expand or surprise: no anchors or aliases (a few lines of them
expand to gigabytes), no tags, no duplicate keys, no second document, and a cap on bytes, depth and nodes. Plain words
read as in YAML 1.2: ``no`` is text, ``12:30`` is text, only ``true`` and ``false`` are switches.

Errors are one line: ``FILE:LINE: path.to.key: problem; what would be right``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kapsim.errors import InputError
from kapsim.given_files import decoded, one_line, read_capped

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "Document", "KeyPath", "dump", "one_line", "parse", "read", "spell"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 12
MAX_NODES = 20_000
_MAX_NUMBER = 32

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys of mappings and indices of lists, from the top."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """What a file holds, and where.

    Attributes
    ----------
    data : object
        Mappings, lists, text, numbers, switches and None.
    lines : mapping of path to int
        The line, from 1, of each key and list item.
    source : str
        The name of the file, for messages.
    """

    data: Any
    lines: Mapping[KeyPath, int]
    source: str

    def known_part(self, path: KeyPath) -> KeyPath:
        """Return the longest beginning of `path` that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return path

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, or of the nearest key around it."""
        return self.lines.get(self.known_part(path), 1)

    def error(self, path: KeyPath, problem: str) -> InputError:
        """Return the error for a problem at `path`, as one line."""
        return _error(self.source, self.line(path), path, problem)


def spell(path: KeyPath) -> str:
    """Return `path` as people write it: ``doses[0].amount``; the whole file is ``(file)``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{one_line(part, 40)}" if text else one_line(part, 40)
    return text or "(file)"


def _error(source: str, line: int, path: KeyPath, problem: str) -> InputError:
    return InputError(f"{one_line(source, 400)}:{line}: {spell(path)}: {one_line(problem, 600)}")


def read(path: str | Path) -> Document:
    """Read a strict YAML file.

    Parameters
    ----------
    path : str or Path
        A regular file of at most `MAX_BYTES` bytes of UTF-8.

    Returns
    -------
    Document
        Its content with the line of each key.

    Raises
    ------
    InputError
        If the file cannot be read or holds anything but strict YAML.
    """
    raw = read_capped(path, MAX_BYTES, "a YAML file")
    return parse(raw, source=one_line(path, 400))


def parse(content: bytes | str, *, source: str = "<text>") -> Document:
    """Parse strict YAML.

    Parameters
    ----------
    content : bytes or str
        The text, UTF-8 where it is bytes.
    source : str
        What to call it in messages.

    Returns
    -------
    Document
        Its content with the line of each key.

    Raises
    ------
    InputError
        If it is not strict YAML; the message names line and key.
    """
    raw = content.encode("utf-8", errors="surrogatepass") if isinstance(content, str) else content
    if len(raw) > MAX_BYTES:
        raise InputError(f"{source}: is over {MAX_BYTES // 1024} KB; a protocol or patient file is far smaller")
    return _Builder(decoded(raw, source), source).document()


class _Builder:
    """Turns the events of the YAML parser into plain values, refusing what strict YAML leaves out."""

    def __init__(self, text: str, source: str) -> None:
        self.text, self.source = text, source
        self.lines: dict[KeyPath, int] = {(): 1}
        self.nodes = 0
        self.path: KeyPath = ()
        self.at = 1

    def document(self) -> Document:
        # The C parser looks ahead as it is made, so its first errors arrive here too.
        loader: Any = None
        try:
            loader = _Loader(self.text)
            data = self._only_document(loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = self.at if mark is None else min(mark.line + 1, self.text.count("\n") + 1)
            raise self._fail(
                f"is not valid YAML ({one_line(error.problem or error.context)}); check indentation, colons and quotes",
                line,
            ) from None
        except yaml.YAMLError:
            position = next((i for i, c in enumerate(self.text) if not c.isprintable() and c not in "\t\r\n"), 0)
            line = self.text.count("\n", 0, position) + 1
            raise _error(self.source, line, (), "holds a control character; save the file as plain text") from None
        finally:
            if loader is not None:
                loader.dispose()
        return Document(data, self.lines, self.source)

    def _fail(self, problem: str, line: int | None = None) -> InputError:
        return _error(self.source, self.at if line is None else line, self.path, problem)

    def _only_document(self, loader: Any) -> Any:
        loader.get_event()
        event = loader.get_event()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        data = self._value(loader, loader.get_event())
        loader.get_event()
        event = loader.get_event()
        if not isinstance(event, yaml.StreamEndEvent):
            self.path = ()
            raise self._fail("a second document begins here; keep one document a file", event.start_mark.line + 1)
        return data

    def _value(self, loader: Any, event: Any) -> Any:
        self.at = event.start_mark.line + 1
        self.lines.setdefault(self.path, self.at)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self._fail(f"the file has over {MAX_NODES} values; use `every` or `weekdays` for long schedules")
        if isinstance(event, yaml.AliasEvent):
            raise self._fail("aliases (*) are not allowed; write the value out")
        if event.anchor is not None:
            raise self._fail("anchors (&) are not allowed; write the value out where it is needed")
        if event.tag is not None:
            raise self._fail("tags (!) are not allowed; write the plain value")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if len(self.path) >= MAX_DEPTH:
            raise self._fail(f"is nested over {MAX_DEPTH} deep; the format needs four levels")
        return self._sequence(loader) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(loader)

    def _scalar(self, event: Any) -> Any:
        value = str(event.value)
        if event.style or not event.implicit[0]:
            return value
        if value in _WORDS:
            return _WORDS[value]
        if not _FLOAT.fullmatch(value):
            return value
        if len(value) > _MAX_NUMBER:
            raise self._fail(f"the number has over {_MAX_NUMBER} digits; shorten it")
        return int(value) if _INTEGER.fullmatch(value) else float(value)

    def _sequence(self, loader: Any) -> list[Any]:
        items: list[Any] = []
        here = self.path
        while not isinstance(event := loader.get_event(), yaml.SequenceEndEvent):
            self.path = (*here, len(items))
            items.append(self._value(loader, event))
            self.path = here
        return items

    def _mapping(self, loader: Any) -> dict[str, Any]:
        items: dict[str, Any] = {}
        here = self.path
        while not isinstance(event := loader.get_event(), yaml.MappingEndEvent):
            key = self._value(loader, event) if isinstance(event, yaml.ScalarEvent) else None
            self.at = event.start_mark.line + 1
            if not isinstance(key, str):
                if isinstance(event, yaml.AliasEvent):
                    raise self._fail("aliases (*) are not allowed; write the key out")
                raise self._fail("a key must be a word; put text before the colon")
            self.path = (*here, key)
            if key in items:
                raise self._fail(f"the key stands twice (first on line {self.lines[self.path]}); keep one")
            self.lines[self.path] = self.at
            items[key] = self._value(loader, loader.get_event())
            self.path = here
        return items


class _Dumper(yaml.SafeDumper):
    """Writes lists of plain values on one line and quotes every text that would read back as something else."""

    def represent_list(self, data: Any) -> Any:
        flat = not any(isinstance(item, (dict, list, tuple)) for item in data)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flat)

    def represent_text(self, data: str) -> Any:
        # Plain style would fold U+0085 and its like into spaces; double quotes escape them.
        safe = all(c.isprintable() or c == "\n" for c in data)
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if safe else '"')

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(list, _Dumper.represent_list)
_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(tuple, _Dumper.represent_list)
# PyYAML reads YAML 1.1, where 1e3 is text; here it is a number, so text that looks like it needs quotes.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"^(?:{_FLOAT.pattern})$"), list("-+.0123456789"))


def dump(data: Mapping[str, Any]) -> str:
    """Return `data` as strict YAML, in the order of its keys; `parse` reads the same values back."""
    text: str = yaml.dump(
        dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=110
    )
    return text
