"""What a link must say that somebody adds to the chain from outside (see `kapsim.extensions`).

The links of the chain call each other by name, in the order of the story. An added link stands beside them: it sees the
whole chain at one moment, has a state of its own, and acts back in the three places where the popular account lets
everything act: depression, anxiety, and the plasticity window. What it acts with depends on its own state alone, so
that nothing has to be solved at a moment.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from kapsim.mechanisms.base import Drugs, Mechanism, Setting
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
