"""What is going on, on standard error and only where a person is looking."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

#: Stages that `kapsim.simulate` announces.
SIMULATION_STAGES = 3


@contextlib.contextmanager
def stages(count: int | None) -> Iterator[Callable[[str], None]]:
    """Show a bar of `count` stages (None: how many is not known); yields what to call, in words, as each begins."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.description}"))
    # Names of protocols may hold brackets, which rich would read as markup.
    columns[3].markup = False
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=count)
        begun = 0

        def begin(text: str) -> None:
            nonlocal begun
            progress.update(task, description=text, completed=begun)
            begun += 1

        yield begin
