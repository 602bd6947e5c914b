"""``kapsim validate``: the model held against published studies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kapsim.cli.options import Kinetics, Seed, Variant, check_target
from kapsim.cli.progress import stages
from kapsim.cli.runs import output

if TYPE_CHECKING:
    from rich.table import Table

    from kapsim.validation import Validation
    from kapsim.validation.patterns import Patterns
    from kapsim.validation.scoring import RecordScore

#: Misfits that the terminal shows.
_WORST = 12
_COLUMNS = (
    ("records", "records"),
    ("points", "figures"),
    ("gmfe", "mean fold\nerror"),
    ("mdape", "median\nerror"),
    ("within_twofold", "within\n2-fold"),
    ("rmse", "RMSE,\npoints"),
    ("bias", "bias,\npoints"),
    ("rate_mae", "error of\nshares, %"),
    ("coverage", "inside\n90 %"),
    ("signs", "signs\nright"),
    ("noise", "noise\nfloor"),
)


def validate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Files of observed records (observed-*.yaml); the shipped ones by default."
        ),
    ] = None,
    variant: Variant = "standard",
    kinetics: Kinetics = "default",
    only: Annotated[
        str | None, typer.Option("--only", metavar="DOMAIN", help="Score one domain, such as plasma_iv or mood_single.")
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", metavar="AUTHOR", help="Score the records of one first author.")
    ] = None,
    hold_out: Annotated[
        bool,
        typer.Option(
            "--hold-out/--no-hold-out",
            help="Predict concentrations also without what their own study taught the model.",
        ),
    ] = True,
    patterns: Annotated[
        bool,
        typer.Option(
            "--patterns", help="Judge the patterns of the clinical record instead of scoring record by record."
        ),
    ] = False,
    seed: Seed = 0,
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write every record, domain and limit, or pattern, as JSON."),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the page with plots.")] = None,
) -> None:
    """Hold the model against published records: predicted beside observed, scored by domain.

    Exit status 1 where a simulation broke down; what could be scored is written all the same.
    """
    from kapsim.evidence import load_observed
    from kapsim.validation import validate as hold

    if patterns:
        _refuse_with_patterns(files, only, study)
    records = None if patterns else load_observed(files or None)
    for path in (json, html):
        if path is not None:
            check_target(path)
    if patterns:
        _judge(variant, kinetics, seed, json, html)
        return
    with stages(None) as begin:
        validation = hold(
            records,
            variant=variant,
            kinetics=kinetics,
            seed=seed,
            only=only,
            study=study,
            hold_out=hold_out,
            progress=begin,
        )
    from kapsim.report.validation_page import validation_html
    from kapsim.validation.account import account

    written = _write({json: lambda: _as_json(account(validation)), html: lambda: validation_html(validation)})
    _print(validation)
    for path in written:
        typer.echo(f"written: {path}")
    if validation.failures:
        raise typer.Exit(1)


def _write(wanted: Mapping[Path | None, Callable[[], str]]) -> list[Path]:
    """Write the files that were asked for, all or none of them, and return them."""
    from kapsim.files import write_together

    contents = {path: text().encode("utf-8") for path, text in wanted.items() if path is not None}
    if contents:
        write_together(contents)
    return list(contents)


def _as_json(told: Any) -> str:
    import json as json_format

    return json_format.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _refuse_with_patterns(files: list[Path] | None, only: str | None, study: str | None) -> None:
    """Raise where a choice of records is given beside the patterns, which choose their own."""
    from kapsim.errors import InputError

    for name, given in (("files", files), ("--only", only), ("--study", study)):
        if given:
            raise InputError(f"--patterns: takes its own shipped records; leave {name} out")


def _judge(variant: str, kinetics: str, seed: int, json: Path | None, html: Path | None) -> None:
    """Judge the patterns; write and show what came of them."""
    from kapsim.report.patterns_page import patterns_html
    from kapsim.validation.patterns import judge_patterns
    from kapsim.validation.patterns.run import account

    with stages(None) as begin:
        found = judge_patterns(variant=variant, kinetics=kinetics, seed=seed, progress=begin)
    written = _write({json: lambda: _as_json(account(found)), html: lambda: patterns_html(found)})
    _print_patterns(found)
    for path in written:
        typer.echo(f"written: {path}")
    if found.failures:
        raise typer.Exit(1)


def _print_patterns(found: Patterns) -> None:
    from rich.markup import escape
    from rich.table import Table

    from kapsim.report.patterns_page import COLUMNS, counts_text, pattern_rows
    from kapsim.statements import DISCLAIMER

    console = output(pipe_width=170)
    table = Table(title="patterns of the clinical record, by rules set beforehand", title_justify="left")
    # the evidence behind each part is in the files: a line has no room for it
    shown = [(key, heading) for key, heading in COLUMNS if key != "evidence"]
    for _, heading in shown:
        table.add_column(heading)
    for row in pattern_rows(found):
        table.add_row(*(escape(row[key]) for key, _ in shown))
    console.print(table)
    console.print(counts_text(found), highlight=False)
    for failure in found.failures:
        console.print(f"broke down: {failure}", highlight=False, markup=False)
    console.print(DISCLAIMER, style="dim", highlight=False)


def _print(validation: Validation) -> None:
    from kapsim.statements import DISCLAIMER

    console = output(pipe_width=170)
    console.print(_domain_table(validation))
    for table in (_limit_table(validation), _misfit_table(validation)):
        if table.row_count:
            console.print(table)
    refused = [record for record in validation.records if record.status == "cannot"]
    scored = len(validation.records) - len(refused)
    console.print(f"{scored} of {len(validation.records)} records scored", highlight=False)
    for reason, ids in _by_reason(refused).items():
        names = ", ".join(ids[:4]) + (f" and {len(ids) - 4} more" if len(ids) > 4 else "")
        console.print(f"cannot be simulated, because {reason}: {names}", highlight=False, markup=False)
    for failure in validation.failures:
        console.print(f"broke down: {failure}", highlight=False, markup=False)
    console.print(DISCLAIMER, style="dim", highlight=False)


def _by_reason(records: list[RecordScore]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in records:
        found.setdefault(record.reason or "", []).append(record.id)
    return found


def _domain_table(validation: Validation) -> Table:
    from rich.table import Table

    from kapsim.report.validation_page import CLASS_WORDS, class_rows, score_cells
    from kapsim.validation.summary import summaries

    table = Table(title="scores by domain, studies weighted equally", title_justify="left")
    table.add_column("domain")
    table.add_column("records")
    for _, heading in _COLUMNS:
        table.add_column(heading, justify="right")
    for name, summary in summaries(validation).items():
        for kind, scores in class_rows(summary):
            cells = score_cells(scores)
            table.add_row(name, CLASS_WORDS[kind], *(cells[key] for key, _ in _COLUMNS))
    return table


def _limit_table(validation: Validation) -> Table:
    from rich.table import Table

    from kapsim.report.validation_page import limit_cells
    from kapsim.validation.limits import limits

    table = Table(title="limits set beforehand", title_justify="left")
    for heading in ("limit", "wanted", "on records", "found", "figures", "verdict", "without weak figures"):
        table.add_column(heading, justify="right" if heading in ("found", "figures") else "left")
    for item in limits(validation.records):
        if item.n_points:
            cells = limit_cells(item)
            table.add_row(
                *(cells[key] for key in ("name", "wanted", "evidence", "found", "points", "verdict", "sound"))
            )
    return table


def _misfit_table(validation: Validation) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from kapsim.report.theme import number_text
    from kapsim.validation.summary import misfits

    table = Table(title=f"the {_WORST} worst misfits", title_justify="left")
    for heading in ("record", "domain", "figure", "observed", "predicted", "90 % interval"):
        table.add_column(heading, justify="left" if heading in ("record", "domain", "figure") else "right")
    for record in misfits(validation.records)[:_WORST]:
        if not record.points:
            continue
        point = max(record.points, key=lambda found: found.misfit)
        span = "–" if point.scale == "sign" else f"{number_text(point.low)} to {number_text(point.high)}"
        table.add_row(
            escape(record.id), record.domain, f"{record.statistic}, {record.unit}",
            number_text(point.observed), number_text(point.predicted), span,
        )  # fmt: skip
    return table
