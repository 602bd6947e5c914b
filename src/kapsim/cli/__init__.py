"""The command line: ``kapsim run``, ``compare``, ``cite`` and the rest, each in a small file of its kind."""

from __future__ import annotations

from kapsim.cli.application import app, main

__all__ = ["app", "main"]
