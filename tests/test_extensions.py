"""Links, kinetics, variants and parameters from outside go where the chain goes; what is wrong is one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kapsim.errors import InputError
from kapsim.extensions import VARIABLE, extensions, use
from kapsim.kinetic_sets import named_sets
from kapsim.mechanisms.switches import named_variants
from kapsim.model import Model, State, added_links, flatten, state_names, unflatten
from kapsim.results import known_variables

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from tutorial_docs import blocks  # noqa: E402

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "tutorials").glob("own_*.md")}
LINK = """
from dataclasses import dataclass
from typing import NamedTuple
from kapsim.mechanisms.added import AddedLink, Influence
from kapsim.mechanisms.base import parameter
class S(NamedTuple):
    x: float
@dataclass(frozen=True)
class Own(AddedLink):
    name = "own"
    State = S
    def rest(self, traits):
        return S(0.0 * traits.madrs)
    def rates(self, state, rest, seen):
        return S(-state.x)
    def influence(self, state, rest):
        return Influence()
LINKS = (Own,)
"""


def files_of(tutorial: str, folder: Path) -> None:
    """Write the files of a tutorial into a folder."""
    for block in blocks(PAGES[tutorial]):
        if not isinstance(block, list):
            (folder / block[0]).write_text(block[1], encoding="utf-8")


def told(code: str, folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process that has the extensions `names`: they are read once in a process."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env={**os.environ, VARIABLE: os.pathsep.join(str(folder / name) for name in names)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def kapsim(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kapsim", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_without_extensions_there_is_nothing_added() -> None:
    assert extensions() == ()
    assert added_links() == {}
    assert list(Model.links()) == list(Model.own())
    state = unflatten(tuple(range(len(state_names()))))
    assert isinstance(state, State)
    assert state.added == ()
    assert flatten(state) == tuple(range(len(state_names())))


def test_an_added_link_goes_where_the_chain_goes(tmp_path: Path) -> None:
    files_of("own_link", tmp_path)
    done = told(
        """
import numpy as np, kapsim
from kapsim.course import build_course
from kapsim.equations import link_equations
from kapsim.evidence import evidence_hash, load_parameters
from kapsim.exchange.sbml.chain import chain_system
from kapsim.mechanisms.switches import Switches
from kapsim.model import state_names
from kapsim.patient.sampling import sample_people
from kapsim.protocol import load_protocol
from kapsim.solving import integrate

protocol = load_protocol("single_infusion").model_copy(update={"horizon": load_protocol("no_treatment").horizon})
people = sample_people(None, 4, 0)
course = build_course(load_protocol("single_infusion"), people)
place = state_names().index("sleep.sleep")
found = {engine: integrate(course, people, Switches(), engine=engine)[0] for engine in ("compiled", "jax")}
np.testing.assert_allclose(found["compiled"], found["jax"], rtol=1e-8, atol=1e-10)
sleep = found["compiled"][:, place]
# BDNF and sleep meet at a day, and both are back in the end
assert (sleep.max(axis=0) > sleep[0] + 1e-3).all(), sleep

# mood gets what influence() says: the score under the link is the score of the shifted logit
run = kapsim.simulate("single_infusion", draws=4, variant="standard")
assert run.sleep.attrs == {"units": "1", "long_name": "quality of sleep, healthy = 1", "link": "sleep"}
np.testing.assert_allclose(run.sleep.values.T, sleep, rtol=1e-12)
assert '"sleep": "' in run.attrs["extensions"]
assert "sleep.weight" in run.attrs["parameters_used"]

# nobody treated, nothing moves
still = kapsim.simulate("no_treatment", draws=4, variant="standard")
assert float(abs(still.sleep - still.sleep[:, 0]).max()) < 1e-9
assert float(abs(still.madrs_momentary - still.madrs_momentary[:, 0]).max()) < 1e-6

left = [str(pair[0]) for pair in link_equations("sleep")]
assert len(left) == 2 and "depression" in left[1], left
system = chain_system(load_protocol("single_infusion"), people.of(0), name="x", title="x")
assert any(item.id == "state_sleep_sleep" for item in system.integrated)
print(evidence_hash())
""",
        tmp_path,
        "sleep.py",
    )
    assert done.returncode == 0, done.stderr
    from kapsim.evidence import evidence_hash

    assert done.stdout.strip() != evidence_hash()


def test_what_a_link_does_to_mood_is_what_it_says(tmp_path: Path) -> None:
    # shifts add up, and all that is from brain to mood goes with the switch of the links
    (tmp_path / "own.py").write_text(
        LINK.replace(
            "return Influence()", "return Influence(depression=-state.x, anxiety=state.x, opening=1.0 + state.x)"
        )
    )
    done = told(
        """
import numpy as np
from kapsim.mechanisms.base import REST
from kapsim.mechanisms.switches import Switches
from kapsim.model import NO_DRUG, Model
from kapsim.patient.sampling import sample_people

people = sample_people(None, 5, 0)
def moved(switches, x):
    model = Model.build(people.values, switches)
    rest = model.rest(people.traits)
    opened = rest._replace(plasticity=rest.plasticity._replace(window=rest.plasticity.window + 1.0))
    now = opened._replace(added=(rest.added[0]._replace(x=x + 0.0 * people.traits.madrs),))
    return model.flow(now, rest, people.traits, NO_DRUG, REST)
plain, acted, off = moved(Switches(), 0.0), moved(Switches(), 0.5), moved(Switches(links=0.0), 0.5)
np.testing.assert_allclose(acted.opening, 1.5 * plain.opening)
assert (plain.opening > 0).all()
assert (acted.hama > plain.hama).all()
np.testing.assert_allclose(off.madrs, people.traits.madrs)
# the opening lightens belief, too: the shift alone shows where the window does nothing
closed, alone = moved(Switches(opening=0.0), 0.0), moved(Switches(opening=0.0), 0.5)
floor = people.traits.untouched * people.traits.madrs
most = people.values["mood.madrs.maximum"]
logit = lambda y: np.log((y - floor) / (most - y))
np.testing.assert_allclose(logit(alone.madrs) - logit(closed.madrs), -0.5, rtol=1e-9)
""",
        tmp_path,
        "own.py",
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.py", None, "extension gone.py: no such file or directory"),
        ("my-link.py", LINK, "name it as a Python module"),
        ("broken.py", "LINKS = (", "it does not run: SyntaxError"),
        ("raises.py", "1 / 0", "it does not run: ZeroDivisionError: division by zero"),
        ("empty.py", "x = 1", "it defines none of LINKS, KINETICS, VARIANTS, PARAMETERS, EVIDENCE"),
        ("listed.py", "LINKS = 3", "LINKS: is no tuple of classes"),
        ("beside.py", "PARAMETERS = 'gone.yaml'", "PARAMETERS: there is no file 'gone.yaml' beside it"),
        ("mapping.py", "VARIANTS = ['x']", "VARIANTS: is no mapping"),
    ],
)
@pytest.mark.usefixtures("read_anew")
def test_an_extension_that_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(InputError, match=re.escape(says)) as error:
        use(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("words", [("--with", "own.py"), ("--with=own.py",)])
def test_an_extension_behind_the_command_is_told_where_it_goes(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = kapsim(tmp_path, "variants", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "kapsim: error: --with goes before the command: kapsim --with FILE.py run PROTOCOL\n"


def test_the_command_line_leaves_with_one_line(tmp_path: Path) -> None:
    done = kapsim(tmp_path, "--with", "gone.py", "variants")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("kapsim: error: extension gone.py: no such file")


NUMBERED = (
    LINK.replace("State = S", 'State = S\n    tau: float = parameter("own.tau", "h")') + 'PARAMETERS = "own.yaml"\n'
)
RECORD = (
    "- {id: own.tau, link: own, name: t, value: 3, unit: UNIT, status: assumed, uncertainty: {law: lognormal, sd: 0.5}}"
)


@pytest.mark.parametrize(
    ("code", "record", "says"),
    [
        (NUMBERED, "d", "own.py: LINKS: Own.tau: is taken in 'h', and the record of 'own.tau' gives it in 'd'"),
        (
            NUMBERED.replace('"own.tau"', '"own.gain"'),
            "h",
            "Own.tau: there is no parameter 'own.gain'; give it a record",
        ),
        (NUMBERED.replace("LINKS = (Own,)", ""), "h", "is not allowed: 'own'; allowed: one of"),
        (NUMBERED.replace("@dataclass(frozen=True)\n", ""), "h", "decorate it with @dataclass(frozen=True)"),
        (
            LINK.replace("-state.x", "-seen.flow.madras * state.x"),
            "",
            "own.py:15: AttributeError: 'Flow' object has no",
        ),
        (LINK.replace("return S(-state.x)", "return -state.x"), "", "own.py: Own.rates() returns"),
        (LINK.replace("return S(0.0 *", "return S(1 / 0 *"), "", "own.py:13: ZeroDivisionError: division by zero"),
        (LINK.replace("Influence()", "Influence(mood=1.0)"), "", "own.py:17: TypeError:"),
        (LINK.replace("return Influence()", "return 1.0"), "", "Own.influence() returns float; return its Influence"),
        (LINK.replace("-state.x", "max(state.x, 0.0)"), "", "own.py:15: "),
    ],
)
def test_what_is_wrong_in_a_link_is_one_line_of_its_file(tmp_path: Path, code: str, record: str, says: str) -> None:
    (tmp_path / "own.py").write_text(code)
    (tmp_path / "own.yaml").write_text(RECORD.replace("UNIT", record) if record else "[]")
    done = kapsim(tmp_path, "--with", "own.py", "run", "single_infusion", "--draws", "2", "--out", "out")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_symbol_of_an_equation_means_one_thing(tmp_path: Path) -> None:
    # the trait and the score of one name would cancel, and so would what care is given and what it has done
    (tmp_path / "own.py").write_text(
        LINK.replace(
            "-state.x", "seen.traits.madrs - seen.flow.madrs + seen.setting.care - seen.chain.mind.care - state.x"
        )
    )
    done = kapsim(tmp_path, "--with", "own.py", "equations", "own")
    assert done.stdout.splitlines()[2] == "d x / dt = -care + care_given - madrs + madrs_own - x", (
        done.stdout + done.stderr
    )
    from kapsim.equations import _settings
    from kapsim.model import STATES

    states = {rf"\mathit{{{name.replace('_', ' ')}}}" for part in STATES.values() for name in part._fields}
    assert not states & {str(symbol) for symbol in _settings()}


def test_the_tutorial_names_everything_that_a_link_sees() -> None:
    from kapsim.mechanisms.added import Influence
    from kapsim.mechanisms.base import Drugs, Setting
    from kapsim.mechanisms.network import Activity
    from kapsim.mechanisms.receptor import Block
    from kapsim.model import STATES, Flow, Traits

    named = set(re.findall(r"`([a-z_.0-9]+)`", PAGES["own_link"]))
    last = {name.rpartition(".")[2] for name in named}
    parts = [*STATES.values(), Drugs, Setting, Flow, Traits, Influence]
    assert not {field for part in parts for field in part._fields} - last - {"block", "activity"}
    assert {f"chain.{link}" for link in STATES} <= named
    assert {f"block.{field}" for field in Block._fields} | {f"activity.{field}" for field in Activity._fields} <= named


WRONG = {
    "no_class": ("LINKS = (int,)", added_links, "int is no link"),
    "taken": (LINK.replace('"own"', '"mood"'), added_links, "'mood' already"),
    "lacks": (
        LINK.replace("def influence", "def other"),
        added_links,
        "Own lacks influence",
    ),
    "variable": (
        LINK.replace("x: float", "madrs: float").replace(
            "State = S", 'State = S\n    variables = {"madrs": ("1", "x")}'
        ),
        known_variables,
        "there is a variable 'madrs' already",
    ),
    "no_state": (
        LINK.replace("State = S", 'State = S\n    variables = {"y": ("1", "x")}'),
        added_links,
        "Own: variables: 'y' is no state",
    ),
    "variant_name": (
        "from kapsim.mechanisms.switches import Switches\nVARIANTS = {'standard': Switches()}",
        named_variants,
        "there is a variant 'standard' already",
    ),
    "variant_kind": (
        "VARIANTS = {'x': 3}",
        named_variants,
        "'x' is no Switches",
    ),
    "kinetics": ("KINETICS = (int,)", named_sets, "no set of kinetics"),
    "drug": (
        "from dataclasses import dataclass\nfrom kapsim.mechanisms.pharmacokinetics import Pharmacokinetics\n"
        "@dataclass(frozen=True)\nclass K(Pharmacokinetics):\n    name = 'k'\n    own_drugs = {'ketamine': 1.0}\n"
        "KINETICS = (K,)",
        named_sets,
        "own_drugs: 'ketamine'",
    ),
}


@pytest.fixture
def read_anew() -> Iterator[None]:
    """Let extensions be read again: they are read once in a process, which other tests share."""
    caches = (extensions, added_links, named_sets)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("read_anew")
@pytest.mark.parametrize("case", WRONG)
def test_what_an_extension_defines_is_checked_where_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    content, use, says = WRONG[case]
    path = tmp_path / f"own_{case}.py"
    path.write_text(content)
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(InputError, match=re.escape(says)):
        use()


def test_records_of_an_extension_take_no_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("PARAMETERS = 'own.yaml'")
    (tmp_path / "own.yaml").write_text(
        "- {id: pk.v1, link: pharmacokinetics, name: x, value: 1, unit: L, status: assumed, "
        "uncertainty: {law: lognormal, sd: 1}}"
    )
    done = kapsim(tmp_path, "--with", "own.py", "parameters", "show", "pk.v1")
    assert (done.returncode, done.stderr) == (
        2,
        "kapsim: error: own.yaml: pk.v1: there is a record of this id already; choose another\n",
    )


def test_own_evidence_gives_kinetics_their_numbers(tmp_path: Path) -> None:
    files_of("own_drug", tmp_path)
    source = (tmp_path / "domino.py").read_text()
    (tmp_path / "domino.py").write_text(source.replace("pk.domino1982.v1", "mine.v1") + "\nEVIDENCE = 'mine.yaml'\n")
    (tmp_path / "mine.yaml").write_text(
        "- {id: mine.v1, quantity: central volume, value: 0.126, unit: L/kg, spread: null, n: null, species: human, "
        "source: {author: Nobody, year: 2026, journal: null, doi: null, where: made up}, confidence: read, note: null}"
    )
    done = told(
        """
import kapsim
from kapsim.evidence import references
run = kapsim.simulate("single_infusion", kinetics="domino1982", draws=1, spread=False)
print("mine.v1" in run.attrs["records_used"], [item.author for item in references(["mine.v1"])])
""",
        tmp_path,
        "domino.py",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True ['Nobody']\n"


def test_extensions_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(LINK)
    done = told(
        """
from kapsim.errors import InputError
from kapsim.extensions import extensions, use
assert extensions() == ()
try:
    use("own.py")
except InputError as error:
    print(error)
""",
        tmp_path,
    )
    assert done.stdout.startswith("extensions are read once in a process"), done.stderr
