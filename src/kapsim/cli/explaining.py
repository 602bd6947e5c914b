"""``kapsim explain``: which links of the chain carry the effect of a protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kapsim.cli.options import Kinetics, PatientFile, Seed, Variant, check_target, print_json, shown_path
from kapsim.cli.progress import stages
from kapsim.cli.runs import command_line, output

if TYPE_CHECKING:
    from rich.table import Table

    from kapsim.attribution import Explanation

#: As `kapsim.attribution.explanation.DRAWS`, which is not loaded for a help text.
_DRAWS = 96


def explain(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="Name of a protocol (see `kapsim protocols`) or a YAML file.")
    ],
    patient: PatientFile = None,
    variant: Variant = "standard",
    kinetics: Kinetics = "default",
    draws: Annotated[
        int,
        typer.Option("--draws", metavar="N", help="Number of simulated people, each under every subset of links."),
    ] = _DRAWS,
    seed: Seed = 0,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the page with figures.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Knock links out, one by one and together, and say what each carries of the change of mood.

    At 24 h, week 4 and month 6 after the first dose, and at the end of the protocol; with therapy against drug, and how
    well each link is supported.
    """
    from kapsim.attribution import account
    from kapsim.attribution import explain as knock_out

    if html is not None:
        check_target(html)
    command = command_line(["explain", shown_path(protocol)], patient, variant, kinetics, draws, seed)
    with stages(None) as begin:
        explanation = knock_out(
            protocol, patient, variant=variant, kinetics=kinetics, draws=draws, seed=seed, progress=begin
        )
    if html is not None:
        from kapsim.report.explanation_page import explanation_html
        from kapsim.report.page import write_page

        write_page(explanation_html(explanation, command=command), html)
    if json:
        content = account(explanation)
        content["provenance"]["command"] = command
        print_json({**content, "files": {} if html is None else {"page": html.as_posix()}})
        return
    _print(explanation)
    if html is not None:
        typer.echo(f"\npage: {html}")


def _print(explanation: Explanation) -> None:
    from kapsim.report.explanation_page import CELLS_WORDS, HOW_TO_READ, SCALE_WORDS, silent_lines, synergy_rows
    from kapsim.statements import DISCLAIMER

    console = output(pipe_width=150)
    for scale in SCALE_WORDS:
        console.print(_shares(explanation, scale))
    console.print(" ".join([HOW_TO_READ, *silent_lines(explanation)]), style="dim", highlight=False)
    if explanation.synergies:
        for scale, words in SCALE_WORDS.items():
            heads = ("drug alone", "therapy alone", "both", "beyond the sum", "ratio to the sum")
            console.print(_table(f"therapy and drug, {words}", "when", heads, synergy_rows(explanation, scale)))
        console.print(CELLS_WORDS, style="dim", highlight=False)
    console.print("\nHow well each link is supported:", highlight=False)
    for item in explanation.supports:
        console.print(f"- {item.sentence}", highlight=False, markup=False)
    for line in explanation.applicability.lines():
        console.print(f"evidence, {line}", highlight=False, markup=False)
    console.print(DISCLAIMER, style="dim", highlight=False)


def _shares(explanation: Explanation, scale: str) -> Table:
    from kapsim.report.explanation_page import SCALE_WORDS, share_rows

    settings = explanation.settings
    title = (
        f"{explanation.protocol.name}: change of {SCALE_WORDS[scale]}, points; {settings['draws']} people, "
        f"{explanation.subsets} subsets of links, variant {settings['variant']}"
    )
    heads = tuple(moment.title for moment in explanation.moments)
    return _table(title, "link (clause)", heads, share_rows(explanation, scale))


def _table(title: str, first: str, heads: tuple[str, ...], rows: list[tuple[str, list[str]]]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    table.add_column(first)
    for head in heads:
        table.add_column(escape(head), justify="right")
    for name, cells in rows:
        table.add_row(escape(name), *(escape(cell) for cell in cells))
    return table
