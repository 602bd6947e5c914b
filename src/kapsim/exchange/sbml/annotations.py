"""What things are in the databases of biology, where that is certain: an id → relation and entry.

Ketamine's enantiomers, and compartments that hold drug on its way to a metabolite, are *versions of* ketamine. Entries
that could not be looked up are left out rather than guessed.
"""

from __future__ import annotations

_HOST = "https://identifiers.org"
_KETAMINE = f"{_HOST}/CHEBI:6121"
_IS, _VERSION, _PROPERTY = "BQB_IS", "BQB_IS_VERSION_OF", "BQB_IS_PROPERTY_OF"

TERMS: dict[str, tuple[str, str]] = {
    **{
        f"{system}_{place}": (_VERSION, _KETAMINE)
        for system in ("s", "r")
        for place in ("central", "rapid", "slow", "effect", "venous", "shallow", "deep", "muscle", "tissue", "nose")
    },
    **{
        f"plasma_{drug}_{site}": (_PROPERTY, _KETAMINE)
        for drug in ("ketamine", "s_ketamine", "r_ketamine")
        for site in ("arterial", "venous")
    },
    "midazolam_central": (_IS, f"{_HOST}/CHEBI:6931"),
    "nmda_block": (_PROPERTY, f"{_HOST}/GO:0017146"),
    "state_glutamate_level": (_IS, f"{_HOST}/CHEBI:14321"),
    "state_plasticity_bdnf": (_IS, f"{_HOST}/uniprot:P23560"),
    "blood_bdnf": (_IS, f"{_HOST}/uniprot:P23560"),
    "state_plasticity_spines": (_PROPERTY, f"{_HOST}/GO:0043197"),
    "state_plasticity_neurogenesis": (_IS, f"{_HOST}/GO:0022008"),
    "state_inflammation_tnf": (_IS, f"{_HOST}/uniprot:P01375"),
    "state_inflammation_il6": (_IS, f"{_HOST}/uniprot:P05231"),
    "state_inflammation_crp": (_IS, f"{_HOST}/uniprot:P02741"),
}
