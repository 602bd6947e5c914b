"""The command line, from the very application that runs it."""

from __future__ import annotations

import re

import typer
from typer.cli import get_docs_for_click

from kapsim.cli import app
from kapsim.cli.options import NOTE

#: A list of the commands below would only repeat the table of contents, with its texts cut short.
_CONTENTS = re.compile(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n")
_HEADING = re.compile(r"^(#+) `(kapsim[^`]*)`$", re.MULTILINE)
_METAVAR = re.compile(r"<(\w+)>")


def commands() -> str:
    """Return every command with its arguments and options, as typer documents them."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="kapsim")
    text = _CONTENTS.sub("", text).replace(f"{NOTE}\n\n", "")
    # the page has a title of its own
    text = re.sub(r"\A\n*# `kapsim`\n", "", text)
    return _HEADING.sub(r"\1 \2", text)
