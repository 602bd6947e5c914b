"""Commands that print what there is: protocols, variants, kinetics, equations and the publications behind a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kapsim.cli.options import NOTE, Seed

if TYPE_CHECKING:
    from kapsim.evidence.calibration import Contested
    from kapsim.perturbations import Answer

protocols_app = typer.Typer(
    name="protocols",
    help="List the named protocols, or show one as a file to start from.",
    epilog=NOTE,
    invoke_without_command=True,
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
)

#: What each switch of the contested links stands for; a test holds it against the switches there are.
SWITCH_TEXTS = {
    "indirect": "the indirect arm of translation, through evoked glutamate and AMPA receptors",
    "direct": "the direct arm of translation, through block of receptors at rest",
    "hnk": "hydroxynorketamine adds to AMPA drive",
    "opioid_gate": "naltrexone closes potentiation and its effect on mood",
    "mtor_elimination": "mTOR inhibition slows the loss of spines instead of translation",
    "fast_tnf": "ketamine lowers TNF within hours",
    "slow_down": "ketamine lowers cytokines over a course",
    "il6_up": "ketamine raises IL-6",
    "dmn": "the path from the default mode network to rumination and learning",
    "window": "the plasticity window gates therapy",
    "equal_affinity": "R-ketamine binds nearly as well as S-ketamine, the racemate as before",
    "whole_brain": "the network is read from the whole-brain model's response surface (without it, a pair of nodes)",
    "links": "everything from brain to mood (without it, expectancy alone)",
    "surge": "the glutamate surge reaches translation",
    "resting_block": "block of receptors at rest reaches translation",
    "connections": "new connections and neurons reach mood",
    "quieting": "changes of the default mode network reach rumination and learning",
    "opening": "the plasticity window acts on belief and learning",
    "therapy": "corrective experience teaches",
    "expectancy": "expectancy and care reach mood",
}
_FORMATS = {"cite": ("text", "bibtex"), "equations": ("text", "latex")}


@protocols_app.callback()
def protocols(context: typer.Context) -> None:
    """List the named protocols, or show one with `show NAME`."""
    if context.invoked_subcommand is not None:
        return
    from kapsim.protocol import named_protocols

    titles = named_protocols()
    width = max(map(len, titles))
    for name, title in titles.items():
        typer.echo(f"{name:<{width}}  {title}")


@protocols_app.command(epilog=NOTE)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a protocol, or a file.")],
) -> None:
    """Print a protocol as YAML: copy it, change it, run it."""
    from kapsim.protocol import load_protocol

    typer.echo(load_protocol(name).to_yaml(), nl=False)


#: A switch between the two is on in part, which an extension may ask for.
_LEVELS = {0.0: "off", 1.0: "on"}


def variants(
    perturbations: Annotated[
        bool,
        typer.Option(
            "--perturbations",
            help="Simulate what each answers to naltrexone, rapamycin, a mask and so on (a minute or two).",
        ),
    ] = False,
    seed: Seed = 0,
    json: Annotated[bool, typer.Option("--json", help="With --perturbations: print JSON instead of tables.")] = False,
) -> None:
    """List the settings of the contested links, or what each says of things that would tell them apart."""
    from kapsim.errors import InputError
    from kapsim.mechanisms.switches import named_variants

    if perturbations:
        _perturb(seed, json)
        return
    if json:
        raise InputError("--json: goes with --perturbations")
    known = named_variants()
    standard = known["standard"]
    width = max(map(len, known))
    scores = {item.name: item for item in _scored()}
    for name, switches in known.items():
        changed = [
            f"{_LEVELS.get(value, f'at {value:g}')}: {SWITCH_TEXTS[field]}"
            for field, value in switches._asdict().items()
            if value != getattr(standard, field)
        ]
        same = "what runs where no variant is named" if name == "standard" else "as standard"
        typer.echo(f"{name:<{width}}  {'; '.join(changed) or same}")
        if (score := scores.get(name)) is not None:
            typer.echo(
                f"{'':<{width}}  on studies left out {score.behind:.1f} (s.e. {score.se:.1f}) of log density behind "
                f"the best; weight {score.weight:.2f}"
            )


def _scored() -> tuple[Contested, ...]:
    """Return how the shipped calibration scores the variants; nothing where it does not."""
    from kapsim.evidence._files import CHAIN_CALIBRATION
    from kapsim.evidence.calibration import load_calibration

    return load_calibration(CHAIN_CALIBRATION).variants if CHAIN_CALIBRATION.exists() else ()


def _perturb(seed: int, as_json: bool) -> None:
    from rich.table import Table

    from kapsim.cli.options import print_json
    from kapsim.cli.progress import stages
    from kapsim.cli.runs import output
    from kapsim.perturbations import HOURS, PERTURBATIONS, PLAIN, perturb
    from kapsim.simulation import provenance
    from kapsim.statements import DISCLAIMER

    with stages(None) as begin:
        answers = perturb(seed=seed, progress=begin)
    if as_json:
        rows = [
            {**answer._asdict(), "seen": None if answer.seen is None else answer.seen._asdict()} for answer in answers
        ]
        about = {name: text for name, text in provenance("all", seed, 0).items() if name != "draws"}
        print_json({"disclaimer": DISCLAIMER, "provenance": about, "answers": rows})
        return
    console = output(pipe_width=150)
    console.print(f"Against {PLAIN.words}: points that each adds to the MADRS (above 0 is less relief), mean and 90 %")
    for item in PERTURBATIONS:
        table = Table("variant", *(f"{hour:g} h" for hour in HOURS), title=item.words)
        for variant in dict.fromkeys(answer.variant for answer in answers):
            own = [answer for answer in answers if (answer.variant, answer.perturbation) == (variant, item.name)]
            table.add_row(variant, *(_told(answer) for answer in own))
        console.print(table)
        for seen in item.seen:
            console.print(
                f"seen in {seen.people} people at {seen.hour:g} h: {SEEN_TEXTS[seen.effect]} ({seen.evidence})",
                highlight=False,
            )
        if not item.seen:
            console.print("no figure of people is on record", style="dim")
    console.print(DISCLAIMER, style="dim", highlight=False)


#: What was seen of a perturbation, in words.
SEEN_TEXTS = {"less": "less relief", "same": "no difference found", "more": "more relief"}


def _told(answer: Answer) -> str:
    text = f"{answer.change:+.1f} ({answer.low:+.1f} to {answer.high:+.1f})"
    return text if answer.agrees is None else f"{text}, {'as seen' if answer.agrees else 'not as seen'}"


def kinetics() -> None:
    """List the kinetics to choose from, each with what it describes and what it lacks."""
    from kapsim.kinetic_sets import named_sets

    known = named_sets()
    width = max(map(len, known))
    for name, kind in known.items():
        lacks = f"; lacks {', '.join(kind.gaps)}" if kind.gaps else ""
        about = f"{' and '.join(kind.sites)} blood; {', '.join(kind.drugs)}; {', '.join(kind.routes)}"
        typer.echo(f"{name:<{width}}  {kind.structure}; {about}{lacks}")


def equations(
    link: Annotated[str | None, typer.Argument(metavar="[LINK]", help="One link of the chain; all by default.")] = None,
    format: Annotated[str, typer.Option("--format", help="text or latex.")] = "text",
) -> None:
    """Print the equations, typeset from the code that is run."""
    _check_format("equations", format)
    from kapsim.equations import typeset

    typer.echo(typeset(link, format))


def cite(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="results.nc of a run, or the folder it is in.")],
    format: Annotated[str, typer.Option("--format", help="text or bibtex.")] = "text",
) -> None:
    """Print the publications behind the numbers that a run used."""
    _check_format("cite", format)
    from kapsim.evidence import load_evidence, load_observed, load_parameters, references, to_bibtex, to_text
    from kapsim.store import load_results

    attributes = load_results(result).attrs
    used = json.loads(attributes["parameters_used"])
    known = load_parameters()
    unknown = sum(not isinstance(name, str) or name not in known for name in used)
    if unknown:
        typer.echo(
            f"kapsim: note: {unknown} of {len(used)} parameters are unknown to this version and left out", err=True
        )
    # evidence that kinetics other than the default, or a population, rest on
    asked = json.loads(attributes.get("records_used", "[]"))
    evidence = {*load_evidence(), *(record.id for record in (load_observed() if asked else ()))}
    records = [name for name in asked if name in evidence]
    found = references([*(name for name in used if isinstance(name, str) and name in known), *records])
    typer.echo(to_bibtex(found) if format == "bibtex" else to_text(found))


def _check_format(command: str, wanted: str) -> None:
    if wanted not in _FORMATS[command]:
        from kapsim.errors import InputError

        raise InputError(f"--format: no format {wanted!r}; it is one of {', '.join(_FORMATS[command])}")
