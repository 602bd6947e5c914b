"""What a link must say that somebody adds to the chain from outside (see `kapsim.extensions`).

The links of the chain call each other by name, in the order of the story. An added link stands beside them: it sees the
whole chain at one moment, has a state of its own, and acts back in the three places where the popular account lets
everything act: depression, anxiety, and the plasticity window. What it acts with depends on its own state alone, so
that nothing has to be solved at a moment.
"""

from __future__ import annotations

import sys
import traceback
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import Field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from kapsim.errors import InputError, KapsimError
from kapsim.mechanisms.base import Drugs, Mechanism, Setting, missing_methods
from kapsim.mechanisms.operators import Value

if TYPE_CHECKING:
    from kapsim.model import Flow, State, Traits


class Influence(NamedTuple):
    """What an added link does to the chain at one moment; by default nothing."""

    depression: Value = 0.0  # shift of latent depression, logits, negative = better
    anxiety: Value = 0.0  # shift of latent anxiety, logits, negative = better
    opening: Value = 1.0  # factor on the opening of the plasticity window


class Seen(NamedTuple):
    """The chain at one moment, as an added link sees it."""

    chain: State  # the state of every link
    rest: State  # the person's own rest
    flow: Flow  # what follows from it: block, activity, synaptic strength, felt drug, scores
    traits: Traits
    drugs: Drugs
    setting: Setting


class AddedLink(Mechanism):
    """A link beside the chain; `parameter` fields hold its numbers, each with a record in the file `PARAMETERS`."""

    #: Name, which the records of its parameters bear as their link.
    name: ClassVar[str]
    #: A named tuple of its states.
    State: ClassVar[type[Any]]
    #: Read-outs by name: unit and long name.
    variables: ClassVar[Mapping[str, tuple[str, str]]] = {}

    @abstractmethod
    def rest(self, traits: Traits) -> Any:
        """Return the `State` of a person at rest, where nothing moves."""

    @abstractmethod
    def rates(self, state: Any, rest: Any, seen: Seen) -> Any:
        """Return the rates of change of the `State`, per hour."""

    @abstractmethod
    def influence(self, state: Any, rest: Any) -> Influence:
        """Return what the link does to the chain; nothing at rest."""

    def readouts(self, state: Any, rest: Any) -> dict[str, Value]:
        """Return the values of `variables`, by name; by default the states of these names."""
        del rest
        return {name: getattr(state, name) for name in self.variables}


def asked(link: AddedLink, method: str, *arguments: Any) -> Any:
    """Return what a link from outside answers; whatever goes wrong in its file is told as a line of it.

    Parameters
    ----------
    link : AddedLink
    method : str
        'rest', 'rates', 'influence' or 'readouts'.
    *arguments
        Of that method.

    Raises
    ------
    InputError
        If it raises anything, or returns something else than it must.
    """
    kind = type(link)
    try:
        answer = getattr(link, method)(*arguments)
    except (KapsimError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"extension {_place(error, kind)}: {type(error).__name__}: {_one_line(error)}") from error
    wanted = {"influence": Influence, "readouts": dict}.get(method, link.State)
    if not isinstance(answer, wanted):
        raise InputError(
            f"extension {_file(kind)}: {kind.__name__}.{method}() returns {type(answer).__name__}; "
            f"return {'a' if wanted is dict else 'its'} {wanted.__name__}"
        )
    return answer


def check_link(kind: type[Any], units: Mapping[str, str]) -> None:
    """Raise `InputError` for a class that cannot be a link of the chain.

    Parameters
    ----------
    kind : type
    units : mapping of str to str
        Unit of every parameter that has a record.
    """
    head = f"extension {_file(kind)}: LINKS: {kind.__name__}"
    # what the decorator has not taken up is still there as it was declared
    undecorated = any(isinstance(value, Field) for value in vars(kind).values())
    if not issubclass(kind, AddedLink) or undecorated:
        raise InputError(
            f"{head} is no link; derive it from kapsim.mechanisms.added.AddedLink and decorate it with "
            "@dataclass(frozen=True)"
        )
    missing = [name for name in ("name", "State") if not hasattr(kind, name)]
    missing += missing_methods(kind)
    if missing:
        raise InputError(f"{head} lacks {', '.join(missing)}")
    strangers = sorted(set(kind.variables) - set(kind.State._fields))
    if strangers and kind.readouts is AddedLink.readouts:
        raise InputError(f"{head}: variables: {strangers[0]!r} is no state; let readouts() return it")
    for item in kind.declared():
        name, unit = item.metadata["id"], item.metadata["unit"]
        if name not in units:
            raise InputError(f"{head}.{item.name}: there is no parameter {name!r}; give it a record in its PARAMETERS")
        if units[name] != unit:
            raise InputError(
                f"{head}.{item.name}: is taken in {unit!r}, and the record of {name!r} gives it in {units[name]!r}; "
                "write both in one unit"
            )


def _file(kind: type[Any]) -> str:
    return Path(getattr(sys.modules.get(kind.__module__), "__file__", None) or kind.__module__).name


def _place(error: BaseException, kind: type[Any]) -> str:
    """Return file and line of the link's own file that an error passed through last."""
    own = [step for step in traceback.extract_tb(error.__traceback__) if Path(step.filename).name == _file(kind)]
    return f"{_file(kind)}:{own[-1].lineno}" if own else f"{_file(kind)}: {kind.__name__}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
