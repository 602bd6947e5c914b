"""Run the tutorials of docs/tutorials/ and write down what their commands print: `scripts/tutorial_docs.py [NAME ...]`.

A tutorial is a page. Before a fenced block stands `<!-- file: NAME -->` where the block is a file to write; a block of
`console` holds commands (`$ ...`), run one after the other in one folder, each with what it prints. A line `...` stands
for lines that are left out, and at the end of a line for its rest.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "tutorials"
#: Columns of a terminal, so that tables are the same everywhere.
WIDTH: Final = 116
_BLOCK = re.compile(r"(?:<!-- file: (?P<file>[\w.]+) -->\n)?```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.S | re.M)
_ELLIPSIS: Final = "..."


@dataclass(frozen=True)
class Command:
    """One command of a tutorial, with the lines that stand under it."""

    text: str
    shown: tuple[str, ...]


def blocks(page: str) -> Iterator[tuple[str, str] | list[Command]]:
    """Yield what a page asks for, in its order: files, as name and content, and lists of commands."""
    for block in _BLOCK.finditer(page):
        if block["file"]:
            yield block["file"], block["body"]
        elif block["kind"] == "console":
            yield commands(block["body"])


def commands(body: str) -> list[Command]:
    """Return the commands of a console block."""
    found: list[tuple[str, list[str]]] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return [Command(text, tuple(lines)) for text, lines in found]


def run(text: str, folder: Path) -> list[str]:
    """Run a command in a folder and return the lines that it prints, on standard output and error."""
    words = text.split()
    own: dict[str, str] = {}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        own[name] = value
    programs = {"kapsim": [sys.executable, "-m", "kapsim"], "python": [sys.executable]}
    done = subprocess.run(
        [*programs[words[0]], *words[1:]],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": str(WIDTH), **own},
        check=False,
    )
    if "Traceback (most recent call last)" in done.stdout:
        raise SystemExit(f"{text}: broke down:\n{done.stdout}")
    return [line.rstrip() for line in done.stdout.splitlines()]


def play(page: str, folder: Path, heard: Callable[[Command, list[str]], None]) -> None:
    """Write the files and run the commands of a page in a folder; `heard` is given what each command printed."""
    for block in blocks(page):
        if isinstance(block, list):
            for command in block:
                heard(command, run(command.text, folder))
        else:
            name, content = block
            (folder / name).write_text(content, encoding="utf-8")


def as_shown(command: Command, printed: list[str]) -> list[str]:
    """Return what a page shall show of what a command printed now: the same lines as before, or all."""
    if not command.shown:
        return printed
    found: list[str] = []
    for line in command.shown:
        if line == _ELLIPSIS:
            found.append(line)
            continue
        # a line is known by its first word
        begin = line.removesuffix(_ELLIPSIS).split(" ")[0]
        match = next((other for other in printed if other.startswith(begin) and other not in found), None)
        if match is None:
            raise SystemExit(f"{command.text}: nothing that it prints begins with {begin!r}:\n" + "\n".join(printed))
        found.append(match)
    return found


def main(names: list[str]) -> int:
    for path in sorted(FOLDER.glob("*.md")):
        if names and path.stem not in names:
            continue
        page = path.read_text(encoding="utf-8")
        told: list[str] = []

        def heard(command: Command, printed: list[str], told: list[str] = told) -> None:
            told.append("\n".join([f"$ {command.text}", *as_shown(command, printed)]))

        with tempfile.TemporaryDirectory() as folder:
            play(page, Path(folder), heard)
        answers = iter(told)

        def filled(block: re.Match[str], answers: Iterator[str] = answers) -> str:
            if block["file"] or block["kind"] != "console":
                return block[0]
            lines = "\n".join(next(answers) for _ in commands(block["body"]))
            return f"```console\n{lines}\n```"

        path.write_text(_BLOCK.sub(filled, page), encoding="utf-8")
        print(textwrap.shorten(f"{path.name}: {len(told)} commands", 100))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
