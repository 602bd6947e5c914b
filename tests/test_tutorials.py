"""The tutorials do what they say: their files and commands, in an empty folder, print what stands on the page."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from tutorial_docs import FOLDER, Command, blocks, play  # noqa: E402

TUTORIALS = sorted(FOLDER.glob("own_*.md"))
#: Costs little, and stands for the others by default.
QUICK = "own_variant"
_NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?(?![\w])")


def same(shown: str, printed: str) -> bool:
    """Whether two lines agree in words, and in numbers to two in the last digit shown."""
    if shown.endswith("..."):
        shown, printed = shown[:-3], printed[: len(shown) - 3]
        shown, printed = (line[: min(len(shown), len(printed))] for line in (shown, printed))
    if _NUMBER.sub("#", shown) != _NUMBER.sub("#", printed):
        return False
    for ours, theirs in zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True):
        digits = len(ours.partition(".")[2])
        if abs(float(ours) - float(theirs)) > 2.001 * 10.0**-digits:
            return False
    return True


def checked(page: str) -> Callable[[Command, list[str]], None]:
    def check(command: Command, printed: list[str]) -> None:
        place = 0
        for line in command.shown:
            if line == "...":
                continue
            found = next((k for k in range(place, len(printed)) if same(line, printed[k])), None)
            assert found is not None, f"{page}: {command.text}: no line like {line!r} in\n" + "\n".join(printed)
            place = found + 1
        exact = [line for line in command.shown if line != "..."]
        if "..." not in command.shown:
            assert len(exact) == len(printed), f"{page}: {command.text}: it prints more:\n" + "\n".join(printed)

    return check


def test_there_is_one_for_each_thing_of_your_own() -> None:
    assert {path.stem for path in TUTORIALS} == {"own_drug", "own_link", "own_population", "own_route", "own_variant"}


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_files_and_commands_of_a_tutorial_belong_together(path: Path) -> None:
    found = list(blocks(path.read_text(encoding="utf-8")))
    commands = [command for block in found if isinstance(block, list) for command in block]
    files = [block[0] for block in found if not isinstance(block, list)]
    assert commands
    assert files
    every = " ".join(command.text for command in commands) + " ".join(
        block[1] for block in found if not isinstance(block, list)
    )
    for name in files:
        # a script may make the name of a file from its stem
        assert name in every or f'"{Path(name).stem}"' in every, name
    for command in commands:
        assert command.shown, command.text


@pytest.mark.parametrize(("shown", "printed", "agree"), [
    ("a +1.23 b", "a +1.24 b", True),
    ("a +1.23 b", "a +1.29 b", False),
    ("a 1 b", "c 1 b", False),
    ("hash ab12...", "hash ab12cd", True),
    ("hash ab12...", "hash xb12cd", False),
])  # fmt: skip
def test_lines_are_held_together_with_sense(shown: str, printed: str, agree: bool) -> None:
    assert same(shown, printed) is agree


def test_a_tutorial_prints_what_it_shows(tmp_path: Path) -> None:
    play((FOLDER / f"{QUICK}.md").read_text(encoding="utf-8"), tmp_path, checked(QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_every_tutorial_prints_what_it_shows(path: Path, tmp_path: Path) -> None:
    play(path.read_text(encoding="utf-8"), tmp_path, checked(path.stem))
