"""``kapsim calibrate``: the chain from glutamate to mood fitted to the trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kapsim.cli.options import Seed, Variant
from kapsim.cli.progress import stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kapsim.evidence.schema import ObservedRecord

POSTERIOR, ACCOUNT, PARTS = "posterior.csv", "calibration.json", "parts"
#: The same as package data: copied to the evidence, they are what runs draw from.
SHIPPED = ("calibration-chain.yaml", "left-out-chain.yaml", "ensemble-chain.csv", "variants-chain.yaml")
#: Parameters and studies that the terminal shows.
_SHOWN = 25


def calibrate(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the posterior, its account and parts.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="See in minutes that every stage works; the result is not to be believed.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the parts in the folder; without it a used folder is refused.")
    ] = False,
    study: Annotated[
        list[str] | None, typer.Option("--study", metavar="AUTHOR", help="Fit these first authors alone; repeatable.")
    ] = None,
    variant: Variant = "standard",
    variants: Annotated[
        bool, typer.Option("--variants", help="Score every other variant by the same records, too (an hour more).")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Fit the chain from glutamate to mood to the published trials: a joint posterior, and what each study teaches.

    Needs the extra 'fit'. It takes some half an hour on two cores, and can be stopped and resumed.
    """
    from kapsim.evidence import load_observed, load_parameters
    from kapsim.inference.chain.account import account
    from kapsim.inference.chain.calibrating import QUICK, Effort
    from kapsim.inference.chain.calibrating import calibrate as fit
    from kapsim.inference.chain.contest import distinct
    from kapsim.inference.chain.leave_out import leave_one_out
    from kapsim.inference.chain.new_studies import by_the_model, scatter_by_kind
    from kapsim.inference.chain.shipping import calibration, ensemble, of_variants, without_studies
    from kapsim.inference.chain.targets import fitted
    from kapsim.model import variant_switches
    from kapsim.runs.schedulers import LOCAL
    from kapsim.validation.cases import prepare

    _check_extra()
    variant_switches(variant)
    _check_folder(out, resume)
    parameters, effort = load_parameters(chain=False), QUICK if quick else Effort()
    cases = fitted(prepare(_of(load_observed(), study), parameters))
    with stages(None) as begin:
        posterior = fit(
            cases, parameters, effort, variant=variant, others=distinct(variant) if variants else (), seed=seed,
            folder=out / PARTS, progress=begin, scheduler=LOCAL,
        )  # fmt: skip
        begin("leaving studies out")
        left_out = leave_one_out(
            posterior.emulator, posterior.targets, posterior.draws, effort.again, seed=seed,
            progress=begin,
        )  # fmt: skip
    predicted = by_the_model(left_out, posterior.own)
    new_studies = scatter_by_kind(predicted, posterior.targets, posterior.own, seed=seed)
    told = account(posterior, predicted, parameters, effort, new_studies, seed=seed, variant=variant)
    free = posterior.shipped
    _write(
        out,
        told,
        {
            SHIPPED[0]: calibration(posterior, parameters, cases, new_studies, seed=seed),
            SHIPPED[1]: without_studies(posterior, left_out, parameters, cases),
            SHIPPED[2]: ensemble(free.names, free.z),
            SHIPPED[3]: of_variants(posterior, variant, parameters),
            POSTERIOR: _table(free.names, free.z),
        },
    )
    _print(told, quick)
    typer.echo(f"written: {out / POSTERIOR}, {out / ACCOUNT}")
    if posterior.failures:
        raise typer.Exit(1)


def _check_extra() -> None:
    from importlib.util import find_spec

    from kapsim.errors import InputError

    missing = [name for name in ("numpyro", "arviz") if find_spec(name) is None]
    if missing:
        raise InputError(f"calibration needs {', '.join(missing)}: pip install 'kapsim[fit]'")


def _check_folder(out: Path, resume: bool) -> None:
    from kapsim.errors import InputError

    if out.exists() and not out.is_dir():
        raise InputError(f"--out: {out} is a file; name a folder")
    if not out.parent.is_dir():
        raise InputError(f"--out: there is no folder {str(out.parent)!r}; make it first")
    if (out / PARTS).exists() and not resume:
        raise InputError(f"--out: {out} holds parts of a calibration; add --resume to go on with them, or name another")


def _of(records: list[ObservedRecord], study: list[str] | None) -> list[ObservedRecord]:
    from kapsim.errors import InputError

    if not study:
        return records
    heads = tuple(name.strip().lower() for name in study)
    found = [record for record in records if record.study.author.lower().startswith(heads)]
    if not found:
        raise InputError(f"--study: no record by {', '.join(study)}; `kapsim validate` names the studies")
    return found


def _table(names: Sequence[str], z: NDArray[np.float64]) -> str:
    rows = [",".join(names), *(",".join(f"{value:.6g}" for value in row) for row in z)]
    return "\n".join(rows) + "\n"


def _write(out: Path, told: dict[str, Any], texts: dict[str, str]) -> None:
    import json as json_format

    from kapsim.files import write_together

    texts = {**texts, ACCOUNT: json_format.dumps(told, indent=1, ensure_ascii=False) + "\n"}
    write_together({out / name: text.encode("utf-8") for name, text in texts.items()})


def _print(told: dict[str, Any], quick: bool) -> None:
    from rich.table import Table

    from kapsim.cli.runs import output
    from kapsim.statements import DISCLAIMER

    console = output()
    if quick:
        console.print(
            "[bold]A quick run: it shows that every stage works, and its numbers are not to be believed.[/bold]"
        )
    sampler, emulator = told["sampler"], told["emulator"]
    console.print(
        f"{told['figures']} figures of {told['studies']} studies; largest R-hat {sampler['largest_r_hat']}, smallest "
        f"effective sample {sampler['smallest_effective_sample']:.0f}, {sampler['divergences']} divergences; "
        f"emulator explains {100 * emulator['explained']:.0f} % (median figure), Pareto shape "
        f"{emulator['pareto_shape']}" + ("" if emulator["weighted_to_the_model"] else ": not weighted to the model")
    )
    table = Table("parameter", "prior", "median", "90 %", "moved", "width kept", title="What the records moved")
    ordered = sorted(told["parameters"], key=lambda one: one["kept"])
    for one in ordered[:_SHOWN]:
        span = f"{one['low']:g} to {one['high']:g}"
        table.add_row(
            one["id"], f"{one['prior']:g}", f"{one['median']:g}", span, f"{one['moved']:+.2f}", f"{one['kept']:.2f}"
        )
    console.print(table)
    for pair in told["confounded"][:5]:
        console.print(f"known only together: {' and '.join(pair['parameters'])} (r {pair['correlation']:+.2f})")
    scores = Table("kind", "figures", "RMSE", "bias", "inside 90 %", "noise floor", title="Each study by the others")
    for kind, row in told["held_out"].items():
        if kind == "sign":
            console.print(f"signs right: {100 * row['right']:.0f} % of {row['figures']}")
            continue
        scores.add_row(
            kind, str(row["figures"]), f"{row['rmse']:g}", f"{row['bias']:+g}", f"{100 * row['inside_90']:.0f} %",
            f"{row['noise_floor']:g}",
        )  # fmt: skip
    console.print(scores)
    if told["variants"]:
        contest = Table(
            "variant", "behind the best", "s.e.", "weight", "doubtful studies", title="Variants, by studies"
        )
        for one in sorted(told["variants"], key=lambda one: one["behind"]):
            contest.add_row(
                one["name"], f"{one['behind']:.1f}", f"{one['se']:.1f}", f"{one['weight']:.2f}", str(one["doubtful"])
            )
        console.print(contest)
    console.print(DISCLAIMER)
