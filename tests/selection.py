"""Which of many cases always run, and which only with the slow checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some(names: Iterable[str], *always: str) -> list[Any]:
    """Return all names for `parametrize`, of which those not in `always` only run with the slow checks."""
    every = list(names)
    missing = set(always) - set(every)
    assert not missing, missing
    return [name if name in always else pytest.param(name, marks=pytest.mark.slow) for name in every]
