"""The blocks of code of a page, run in their order in an empty folder, as a reader would type them.

python scripts/page_blocks.py docs/first_course.md     run the blocks of pages and write down what they print

What a page wants of its blocks stands in a comment before the block, which no reader sees:

`<!-- file: mine.yaml -->`            the block is the text of that file, which is there before the first block runs
`<!-- given: examples -->`            a file or folder of the repository that is there, too
`<!-- output -->`                     what the code block before it prints; `<!-- output: 1-9, /response/ -->` some of
                                      its lines, by number or by what is in them
`<!-- status: 2 -->`                  the last command ends with this exit status; its error is part of the output
`<!-- small: 100_000 = 8 -->`         what is replaced where only a small form is run
`<!-- slow: a minute -->`             run in full only where everything is; else with the options of `SMALL`
`<!-- slow only: minutes -->`         run only where everything is run in full
`<!-- not run: needs a cluster -->`   not run at all
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w{}-]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_MARKS = re.compile(r"((?:<!-- [^\n]* -->\n+)+)\Z")
_MARK = re.compile(r"<!-- ([a-z ]+?)(?:: (.*))? -->")
_KINDS = ("file", "given", "output", "status", "small", "slow", "slow only", "not run")
#: Words that a shell block begins with where its language is not named.
_COMMANDS = ("kapsim", "pip", "make", "python", "dask", "git", "docker", "srun", "sbatch", "cd", "mkdir")
#: What is added to a command where only a small form is run: of two options of a name the last counts.
SMALL = {
    "run": ("--draws", "6"),
    "compare": ("--draws", "6"),
}
#: Commands that take a minute whatever their size: run in full alone, and by tests of their own.
LONG = ("brain", "explain", "power", "trial", "validate")
WIDTH = 128


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with what the page says of it."""

    page: Path
    line: int
    language: str
    text: str
    marks: dict[str, str]
    start: int
    end: int

    @property
    def where(self) -> str:
        """The place for a message."""
        return f"{self.page.name}:{self.line}"

    @property
    def runs(self) -> bool:
        """Whether it is code that somebody would run."""
        return not {"file", "output"} & self.marks.keys() and self.kind != ""

    @property
    def kind(self) -> str:
        """`python`, `shell`, or nothing."""
        if self.language == "python":
            return "python"
        if self.language in ("bash", "sh", "shell"):
            return "shell"
        first = self.text.split(maxsplit=1)[0] if self.text.strip() else ""
        return "shell" if self.language == "" and first in _COMMANDS else ""


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        before = _MARKS.search(text, 0, match.start())
        marks = {mark[1]: mark[2] or "" for mark in _MARK.finditer(before[1])} if before else {}
        marks = {name: value for name, value in marks.items() if name in _KINDS}
        width = len(match["indent"])
        code = "".join(line[width:] if line.strip() else line for line in match["text"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match["language"], code, marks, match.start("text"), match.end("text")))
    return found


def shown(printed: str, wanted: str) -> str:
    """Return what a page shows of what was printed: all of it, or some lines with dots for those between."""
    lines = [line.rstrip() for line in printed.rstrip("\n").splitlines()]
    if not wanted:
        return "\n".join(lines) + "\n"
    kept: set[int] = set()
    for part in wanted.split(", "):
        if part.startswith("/"):
            found = {number for number, line in enumerate(lines) if re.search(part.strip("/"), line)}
            if not found:
                raise AssertionError(f"nothing printed has {part} in it")
            kept |= found
        else:
            first, _, last = part.partition("-")
            kept |= set(range(int(first) - 1, min(int(last or first), len(lines))))
    picked: list[str] = []
    for number, line in enumerate(lines):
        if number in kept:
            picked.append(line)
        elif not picked or picked[-1] != "...":
            picked.append("...")
    return "\n".join(picked) + "\n"


class Page:
    """A page whose blocks are run: a folder of its own, one Python for all of it."""

    def __init__(self, page: Path, folder: Path, *, full: bool) -> None:
        self.page, self.folder, self.full = page, folder, full
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.found = blocks(page)
        for block in self.found:
            if "given" in block.marks:
                for name in block.marks["given"].split(", "):
                    self._give(name)
            if "file" in block.marks:
                (folder / block.marks["file"]).write_text(block.text, encoding="utf-8")

    def _give(self, name: str) -> None:
        source, target = ROOT / name, self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)

    def printed(self) -> Iterator[tuple[Block, str | None]]:
        """Run block after block; yield each that is code with what it printed, None where it was not run."""
        for block in self.found:
            if not block.runs:
                continue
            if "not run" in block.marks or ("slow only" in block.marks and not self.full):
                yield block, None
            else:
                yield block, self._run(block)

    def _run(self, block: Block) -> str:
        text = block.text
        if not self.full:
            for change in filter(None, block.marks.get("small", "").split("; ")):
                old, _, new = change.partition(" = ")
                if old not in text:
                    raise AssertionError(f"{block.where}: no {old!r} to make small")
                text = text.replace(old, new)
        block = replace(block, text=text)
        told = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(told), _width():
            if block.kind == "python":
                exec(compile(text, block.where, "exec"), self.names)
            elif self.full:
                told.write(self._shell(block))
            else:
                self._commands(block, told)
        return told.getvalue()

    def _shell(self, block: Block) -> str:
        """Run a block in a shell, but for what installs or sets up something."""
        kept = "\n".join(line for line in _lines(block.text) if not _checked(line))
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", kept],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        )
        if done.returncode != int(block.marks.get("status", "0")):
            raise AssertionError(f"{block.where}: exit status {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout + (done.stderr if "status" in block.marks else "")

    def _commands(self, block: Block, told: io.StringIO) -> None:
        """Run the commands of a block in this process, where nothing is imported or compiled a second time."""
        from kapsim.cli import main

        commands = [words for line in _lines(block.text) if not _checked(line) for words in _split(line)]
        for number, words in enumerate(commands, start=1):
            if words[0] != "kapsim":
                raise AssertionError(f"{block.where}: what is {words[0]!r}? say why it is not run")
            if not self.full and words[1] in LONG:
                continue
            out, words = _redirected(words, told)
            whole = self.compared(block) or "--one-to-one" in words
            small = () if whole or "small" in block.marks else SMALL.get(words[1], ())
            errors = io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
                status = main([*words[1:], *small])
            last = number == len(commands)
            if status != (int(block.marks.get("status", "0")) if last else 0):
                raise AssertionError(f"{block.where}: {shlex.join(words)}: exit status {status}: {errors.getvalue()}")
            if last and "status" in block.marks:
                told.write(errors.getvalue())
            if out is not told:
                out.close()

    def output(self, block: Block) -> Block | None:
        """Return the block that shows what this one prints, if the next one does."""
        after = next((other for other in self.found if other.start > block.start), None)
        return after if after is not None and "output" in after.marks else None

    def compared(self, block: Block) -> bool:
        """Whether what a block prints now is what the page shows of it: not in a small form."""
        return self.output(block) is not None and (self.full or not {"slow", "small"} & block.marks.keys())


@contextlib.contextmanager
def _width() -> Iterator[None]:
    """Print as wide as a page is, and without colours."""
    before = {name: os.environ.get(name) for name in ("COLUMNS", "NO_COLOR")}
    os.environ |= {"COLUMNS": str(WIDTH), "NO_COLOR": "1"}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _lines(text: str) -> list[str]:
    return [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.split("#")[0].strip()]


def _checked(line: str) -> bool:
    """Whether a line installs something or serves: then what it names must be there, and it is not run."""
    words = shlex.split(line, comments=True)
    if words[:2] == ["pip", "install"]:
        document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        known = document["project"]["optional-dependencies"]
        for extra in re.findall(r"\[([\w,-]+)\]", line.split("#")[0]):
            unknown = set(extra.split(",")) - known.keys()
            if unknown:
                raise AssertionError(f"{line}: no extra {', '.join(sorted(unknown))}")
        return True
    if words[:1] == ["make"]:
        targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        if words[1] not in targets:
            raise AssertionError(f"{line}: the Makefile has no {words[1]}")
        return True
    # it ends only when it is stopped; tests/test_serve_command.py starts it
    return words[:2] == ["kapsim", "serve"]


def _split(line: str) -> list[list[str]]:
    """Return the commands of a line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";>")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if word == ";":
            commands.append([])
        else:
            commands[-1].append(word)
    return [words for words in commands if words]


def _redirected(words: Sequence[str], told: io.StringIO) -> tuple[Any, list[str]]:
    """Return where a command writes to, and the command without that."""
    if ">" not in words:
        return told, list(words)
    at = list(words).index(">")
    return Path(words[at + 1]).open("w", encoding="utf-8"), list(words[:at])


def write(page: Path) -> int:
    """Run a page and put what its blocks print into it; return how many blocks changed."""
    with tempfile.TemporaryDirectory() as folder:
        running = Page(page, Path(folder), full=True)
        printed = [(block, told) for block, told in running.printed() if told is not None]
    text, changes = page.read_text(encoding="utf-8"), 0
    for block, told in reversed(printed):
        output = running.output(block)
        if output is not None:
            new = shown(told, output.marks["output"])
            changes += new != output.text
            text = text[: output.start] + new + text[output.end :]
    page.write_text(text, encoding="utf-8")
    return changes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path)
    for page in parser.parse_args().pages:
        print(f"{page}: {write(page)} outputs changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
