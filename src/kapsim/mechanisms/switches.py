"""The contested links as switches: a variant is a named setting of them."""

from __future__ import annotations

from typing import NamedTuple

from kapsim.errors import InputError
from kapsim.extensions import own_variants


class Switches(NamedTuple):
    """Which contested links are on (1) or off (0).

    `indirect` and `direct` are the arms of translation; `hnk`: hydroxynorketamine adds to AMPA drive; `opioid_gate`:
    naltrexone closes potentiation and its effect on mood; `mtor_elimination`: mTOR inhibition slows the loss of spines
    instead of translation; `fast_tnf`, `slow_down`, `il6_up`: ketamine on cytokines; `dmn`: the path from the default
    mode network to rumination and learning; `window`: the plasticity window gates therapy; `links`: everything from
    brain to mood, so that 0 leaves expectancy alone; `equal_affinity`: R-ketamine binds nearly as well as S-ketamine;
    `whole_brain`: the network is read from the response surface of the whole-brain model; without it, a pair of nodes
    with assumed gains stands in its place.

    Those of `KNOCKOUTS` are on in every variant: with them links are knocked out, and they leave rest alone.
    `surge` and `resting_block`: the arms of translation, none of whose weight goes to the other; `connections`: growth
    of connections and neurons reaches mood; `quieting`: changes of the default mode network reach the mind; `opening`:
    the plasticity window acts on the mind; `therapy`: corrective experience teaches; `expectancy`: expectancy and care
    reach mood.
    """

    indirect: float = 1.0
    direct: float = 1.0
    hnk: float = 0.0
    opioid_gate: float = 0.0
    mtor_elimination: float = 0.0
    fast_tnf: float = 0.0
    slow_down: float = 0.0
    il6_up: float = 0.0
    dmn: float = 1.0
    window: float = 1.0
    links: float = 1.0
    equal_affinity: float = 0.0
    whole_brain: float = 1.0
    surge: float = 1.0
    resting_block: float = 1.0
    connections: float = 1.0
    quieting: float = 1.0
    opening: float = 1.0
    therapy: float = 1.0
    expectancy: float = 1.0


#: Switches that no variant touches: what they switch off is taken out of a prediction to see what it carries.
KNOCKOUTS = ("surge", "resting_block", "connections", "quieting", "opening", "therapy", "expectancy")

#: Named variants: what is switched, against the standard model.
VARIANTS: dict[str, Switches] = {
    "standard": Switches(),
    "equal_affinity": Switches(equal_affinity=1.0),
    "indirect": Switches(direct=0.0),
    "direct": Switches(indirect=0.0),
    "hnk": Switches(hnk=1.0),
    "opioid_gate": Switches(opioid_gate=1.0),
    "mtor_elimination": Switches(mtor_elimination=1.0),
    "cytokines_off": Switches(),
    "fast_tnf": Switches(fast_tnf=1.0),
    "slow_down": Switches(slow_down=1.0),
    "il6_up": Switches(il6_up=1.0),
    "dmn_silent": Switches(dmn=0.0),
    "additive_therapy": Switches(window=0.0),
    "expectancy_only": Switches(links=0.0),
    "node_pair": Switches(whole_brain=0.0),
}


def named_variants() -> dict[str, Switches]:
    """Return every variant by name: those of `VARIANTS`, then those of extensions.

    Raises
    ------
    InputError
        For one of an extension that is no setting of the switches, or bears a name that is taken.
    """
    found = dict(VARIANTS)
    for name, switches in own_variants().items():
        if name in VARIANTS or name == "average":
            raise InputError(f"extension: VARIANTS: there is a variant {name!r} already; choose another name")
        if not isinstance(switches, Switches):
            raise InputError(f"extension: VARIANTS: {name!r} is no Switches; write Switches(hnk=1.0), say")
        for field, value in switches._asdict().items():
            if not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
                raise InputError(f"extension: VARIANTS: {name!r}: {field} is {value!r}; it must be between 0 and 1")
        found[name] = switches
    return found
