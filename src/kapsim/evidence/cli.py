"""Command line of the registry: ``kapsim parameters`` lists, ``kapsim parameters show ID`` explains one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kapsim.statements import DISCLAIMER

if TYPE_CHECKING:
    from kapsim.evidence.parameter import Parameter

app = typer.Typer(
    name="parameters",
    help="List the parameters, or explain one with its sources.",
    epilog=DISCLAIMER,
    invoke_without_command=True,
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
)

_NARROW, _PIPE_WIDTH = 110, 200
_STYLES = {"measured": "green", "derived": "cyan", "calibrated": "yellow", "assumed": "red"}


@app.callback()
def parameters(
    context: typer.Context,
    link: Annotated[str | None, typer.Option(help="Only parameters of this link of the chain.")] = None,
    status: Annotated[str | None, typer.Option(help="Only measured, derived, calibrated or assumed ones.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the model's parameters, or explain one with `show ID`."""
    if context.invoked_subcommand is None:
        _list(link, status, json)


def _list(link: str | None, status: str | None, as_json: bool) -> None:
    from kapsim.evidence.parameter import LINKS, STATUSES
    from kapsim.evidence.registry import load_parameters

    _check_word("--link", link, LINKS)
    _check_word("--status", status, STATUSES)
    chosen = [
        parameter
        for parameter in load_parameters().values()
        if link in (None, parameter.link) and status in (None, parameter.status)
    ]
    if as_json:
        from json import dumps

        typer.echo(dumps([parameter.model_dump() for parameter in chosen], indent=2, ensure_ascii=False))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        # Into a pipe or a file each parameter goes whole, on one line.
        console = Console(width=_PIPE_WIDTH)
    # An id must be readable in one piece, to be given to `show`; on a narrow screen the name gives way.
    names = console.width >= _NARROW
    table = Table(title=f"{len(chosen)} parameters", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("id", no_wrap=True)
    if names:
        table.add_column("name")
    table.add_column("value", justify="right", no_wrap=True)
    for heading in ("unit", "status", "not known", "between people"):
        table.add_column(heading)
    for parameter in chosen:
        table.add_row(
            Text(parameter.id),
            *((Text(parameter.name),) if names else ()),
            f"{parameter.value:.6g}",
            Text(parameter.unit),
            Text(parameter.status, style=_STYLES[parameter.status]),
            _law(parameter, "uncertainty"),
            _law(parameter, "between_subject"),
        )
    console.print(table)
    counts = {name: sum(parameter.status == name for parameter in chosen) for name in STATUSES}
    console.print(", ".join(f"{count} {name}" for name, count in counts.items()), highlight=False)


def _law(parameter: Parameter, which: str) -> str:
    law = parameter.uncertainty if which == "uncertainty" else parameter.between_subject
    return "" if law is None else f"{law.law.replace('_', '-')} {law.sd:g}"


def _check_word(option: str, word: str | None, allowed: tuple[str, ...]) -> None:
    from kapsim.errors import InputError
    from kapsim.units import nearest

    if word is not None and word not in allowed:
        close = nearest(word, allowed)
        advice = f"did you mean {close!r}?" if close else f"one of {', '.join(allowed)}"
        raise InputError(f"{option}: no {option.removeprefix('--')} {word!r}; {advice}")


@app.command(epilog=DISCLAIMER)
def show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Id of the parameter, such as pk.v1.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Explain one parameter: value, where it comes from, what is not known, how people differ."""
    from kapsim.evidence.citations import references, to_text
    from kapsim.evidence.registry import derivation, get_parameter

    parameter = get_parameter(identity)
    cited = references([identity])
    if json:
        from dataclasses import asdict
        from json import dumps

        content = {
            **parameter.model_dump(),
            "derivation": derivation(parameter),
            "references": [asdict(reference) for reference in cited],
        }
        typer.echo(dumps(content, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{parameter.id}: {parameter.name}")
    for heading, text in _facts(parameter):
        typer.echo(f"  {heading:<15} {text}")
    typer.echo("\nWhere it comes from")
    for line in derivation(parameter).splitlines():
        typer.echo(f"  {line}")
    _echo_sources(parameter)
    if cited:
        typer.echo("\nReferences")
        for line in to_text(cited).splitlines():
            typer.echo(f"  {line}")


def _facts(parameter: Parameter) -> list[tuple[str, str]]:
    from kapsim.units import format_quantity

    facts = [
        ("value", format_quantity(parameter.value, parameter.unit)),
        ("symbol", parameter.symbol),
        ("link", parameter.link),
        ("status", parameter.status),
        ("not known", parameter.uncertainty.describe(parameter.unit) if parameter.uncertainty else "no law given"),
        (
            "between people",
            parameter.between_subject.describe(parameter.unit) if parameter.between_subject else "the same in all",
        ),
        ("set to", ", ".join(parameter.fitted_to) if parameter.prior is None else None),
        ("before", None if parameter.prior is None else _prior(parameter)),
        ("inert", parameter.inert),
        ("note", parameter.note),
    ]
    return [(heading, " ".join(text.split())) for heading, text in facts if text]


def _prior(parameter: Parameter) -> str:
    from kapsim.units import format_quantity

    prior = parameter.prior
    assert prior is not None
    start = format_quantity(prior.value, parameter.unit)
    return f"{start}, {prior.status}; {prior.uncertainty.describe(parameter.unit)}"


def _echo_sources(parameter: Parameter) -> None:
    from kapsim.evidence.registry import load_evidence
    from kapsim.units import format_quantity

    evidence = load_evidence()
    if parameter.all_sources:
        typer.echo("\nEvidence records")
    for identity in parameter.all_sources:
        record = evidence.get(identity)
        if record is None:
            typer.echo(f"  {identity}: a published outcome")
            continue
        value = "no value" if record.value is None else format_quantity(record.value, record.unit)
        extra = "" if record.n is None else f", n = {record.n:g}"
        species = "" if record.species is None else f", {record.species}"
        typer.echo(f"  {identity}: {value} ({' '.join(record.quantity.split())}{species}{extra})")
