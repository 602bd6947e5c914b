"""``kapsim populations``: the people to choose from, and a drawn population beside what was published."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kapsim.cli.options import BasedOn, OneToOne, Seed, check_target, population_words, print_json, shown_path
from kapsim.cli.runs import output

if TYPE_CHECKING:
    from rich.table import Table

    from kapsim.population import Check

#: As `kapsim.population.check`, which is not loaded for a help text.
_PEOPLE = 10_000


def populations(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Name of a population, a YAML file of laws, or a CSV of covariates."),
    ] = None,
    based_on: BasedOn = None,
    one_to_one: OneToOne = False,
    people: Annotated[
        int, typer.Option("--people", metavar="N", help="How many people to draw for the check.")
    ] = _PEOPLE,
    seed: Seed = 0,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the page with figures.")] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the drawn people as a CSV of covariates.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """List the named populations, or hold a drawn one beside what was published of such people.

    For each trait and correlation: its source, or that it is assumed and how widely, and a verdict with the Monte Carlo
    error.
    """
    if name is None:
        _list(json=json)
        return
    from kapsim.population import check, load_population

    for target in (html, csv):
        if target is not None:
            check_target(target)
    words = ["kapsim", "populations", shown_path(name), *population_words(None, based_on, one_to_one)]
    command = shlex.join([*words, "--people", str(people), "--seed", str(seed)])
    population = load_population(name, based_on=based_on, one_to_one=one_to_one)
    found = check(population, people, seed)
    files = {}
    if html is not None:
        from kapsim.report.page import write_page
        from kapsim.report.population_page import population_html

        write_page(population_html(found, population.draw(found.n, seed), command=command), html)
        files["page"] = html.as_posix()
    if csv is not None:
        from kapsim.population import write_table

        write_table(population.draw(found.n, seed), csv)
        files["people"] = csv.as_posix()
    if json:
        print_json({**_account(found, command), "files": files})
        return
    _print(found)
    for kind, target_name in files.items():
        typer.echo(f"\n{kind}: {target_name}")


def _list(*, json: bool) -> None:
    from kapsim.population import named_populations

    titles = named_populations()
    if json:
        print_json({"populations": titles})
        return
    width = max(map(len, titles))
    for name, title in titles.items():
        typer.echo(f"{name:<{width}}  {title}")


def _account(found: Check, command: str) -> dict[str, Any]:
    from kapsim._version import __version__
    from kapsim.evidence import evidence_hash, evidence_version
    from kapsim.statements import DISCLAIMER

    provenance = {
        "kapsim_version": __version__,
        "evidence_version": evidence_version(),
        "evidence_hash": evidence_hash(),
        "command": command,
    }
    return {"disclaimer": DISCLAIMER, "provenance": provenance, **found.as_data()}


def _print(found: Check) -> None:
    from kapsim.report.population_page import HOW_TO_READ, counts_text, marginal_rows, pair_rows
    from kapsim.statements import DISCLAIMER

    console = output(pipe_width=180)
    console.print(found.population["title"], style="bold", highlight=False, markup=False)
    if found.description:
        console.print(" ".join(found.description.split()), highlight=False, markup=False)
    console.print(_table("traits", marginal_rows(found)))
    if found.pairs:
        console.print(_table("correlations", pair_rows(found)))
    console.print(counts_text(found), highlight=False, markup=False)
    console.print(HOW_TO_READ, style="dim", highlight=False)
    console.print(DISCLAIMER, style="dim", highlight=False)


def _table(title: str, rows: list[dict[str, str]]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from kapsim.report.population_page import COLUMNS

    table = Table(title=escape(title), title_justify="left")
    for key, heading in COLUMNS:
        table.add_column(heading, justify="right" if key in ("stated", "drawn") else "left", overflow="fold")
    before = ""
    for row in rows:
        cells = [escape(row[key]) for key, _ in COLUMNS]
        # the same trait is said once
        table.add_row("" if row["trait"] == before else cells[0], *cells[1:])
        before = row["trait"]
    return table
