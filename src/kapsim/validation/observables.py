"""Observable of a record → what the model says of it, or why it says nothing.

Every word of the evidence vocabulary stands here once; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from kapsim.scales import CONVERTED


class Observable(NamedTuple):
    """A model variable behind an observable.

    Attributes
    ----------
    variable : str
        Name in the results of `kapsim.simulate`; for plasma without its sampling site.
    direction : int
        −1 where the observable falls as the variable rises.
    relative : bool
        Whether only signs, shares and changes relative to a spread can be compared, because the units differ.
    noise : str
        Parameter that holds the standard deviation of one measurement ('' for none).
    """

    variable: str
    direction: int = 1
    relative: bool = False
    noise: str = ""


_NO_RHYTHM = "the model has no rhythms"
_NO_REGION = "the cortex of the chain has no regions; `kapsim brain` has, and is held against such records by itself"
_NO_CYTOKINE = "the inflammation link holds TNF, IL-6, CRP and microglia, not this marker"
_NO_LINK = "no published table links this scale to MADRS or HAM-A"
_NO_DISORDER = "the model has no course of this disorder"

_IMAGING, _MRS, _BLOOD, _SPINES = (
    f"observation.noise.{kind}" for kind in ("connectivity", "spectroscopy", "blood", "spines")
)

SIMULATED: Mapping[str, Observable] = MappingProxyType(
    {
        **{
            f"plasma.{name}": Observable(f"plasma_{name}")
            for name in ("ketamine", "s_ketamine", "r_ketamine", "norketamine", "s_norketamine", "r_norketamine")
        },
        "plasma.hydroxynorketamine": Observable("hydroxynorketamine"),
        "receptor.nmda_occupancy": Observable("nmda_block"),
        "glutamate.glx_mrs": Observable("glx_mrs", noise=_MRS),
        "glutamate.glu_mrs": Observable("glx_mrs", noise=_MRS),
        "glutamate.gln_cycling": Observable("glutamate", noise=_MRS),
        "glutamate.extracellular": Observable("glutamate", noise=_MRS),
        "firing.pyramidal": Observable("pyramidal_rate", noise=_MRS),
        "firing.interneuron": Observable("interneuron_rate", noise=_MRS),
        "plasticity.bdnf_blood": Observable("blood_bdnf", noise=_BLOOD),
        "plasticity.spine_density": Observable("spine_density", noise=_SPINES),
        "plasticity.sv2a": Observable("spine_density", noise=_SPINES),
        # the cortex of the chain is a mean: its pyramidal rate stands for every region's oxygen metabolism
        "brain.cmro2": Observable("pyramidal_rate", noise=_IMAGING),
        "dmn.activity": Observable("dmn_activity", noise=_IMAGING),
        "dmn.connectivity": Observable("dmn_connectivity", relative=True, noise=_IMAGING),
        "dmn.sgacc_dmn": Observable("sgacc_dmn_connectivity", relative=True, noise=_IMAGING),
        "immune.il6": Observable("il6", noise=_BLOOD),
        "immune.tnf": Observable("tnf", noise=_BLOOD),
        "immune.crp": Observable("crp", noise=_BLOOD),
        "immune.tspo": Observable("microglia", noise=_BLOOD),
        "mind.rumination": Observable("rumination", relative=True, noise="observation.noise.questionnaire"),
        "mind.self_association": Observable("negative_belief", -1, relative=True, noise="observation.noise.task"),
        "mind.mood": Observable("madrs_momentary", -1, relative=True),
        **{f"scale.{name}": Observable(name) for name in ("madrs", *CONVERTED, "hama", "gad7")},
        # the longer and shorter Hamilton scales share their items with the one that has a table to the MADRS
        **{f"scale.{name}": Observable("hdrs17", relative=True) for name in ("hdrs6", "hdrs21", "hdrs24", "hdrs25")},
        "acute.cadss": Observable("cadss", noise="observation.noise.cadss"),
        "acute.sbp": Observable("systolic_pressure", noise="observation.noise.pressure"),
        "acute.dbp": Observable("diastolic_pressure", noise="observation.noise.pressure"),
        "acute.map": Observable("mean_arterial_pressure", noise="observation.noise.pressure"),
        "acute.hr": Observable("heart_rate", noise="observation.noise.heart_rate"),
        "acute.cardiac_output": Observable("cardiac_output"),
        "acute.sedation": Observable("sedation"),
        "acute.loss_of_consciousness": Observable("loss_of_consciousness"),
    }
)
"""Observables that the model has a variable for."""

MISSING: Mapping[str, str] = MappingProxyType(
    {
        "plasma.dehydronorketamine": "no published kinetics of dehydronorketamine",
        "csf.ketamine": "no compartment for cerebrospinal fluid",
        "csf.il6": "no compartment for cerebrospinal fluid",
        "glutamate.gaba_mrs": "the glutamate link has no GABA pool",
        **{f"eeg.{band}_power": _NO_RHYTHM for band in ("gamma", "beta", "alpha", "theta")},
        "plasticity.spine_formation": "the plasticity link holds spine density, of which formation is one part",
        "plasticity.ltp": "the model has no induced potentiation",
        "plasticity.slow_wave": _NO_RHYTHM,
        **{
            f"dmn.{name}": _NO_REGION
            for name in ("deactivation", "anticorrelation", "pcc_mpfc", "pcc_dmpfc", "distance_from_healthy")
        },
        **{
            f"brain.{name}": _NO_REGION
            for name in (
                "global_connectivity", "ketamine_fingerprint", "thalamocortical_connectivity",
                "frontoparietal_connectivity", "frontoparietal_nmda", "frontoparietal_ampa", "parietal_gain",
                "salience_connectivity", "cerebellum_salience", "auditory_connectivity", "visual_connectivity",
                "somatosensory_connectivity", "striatal_connectivity", "pgacc_connectivity", "pgacc_activity",
                "sgacc_connectivity", "sgacc_activity", "amygdala_connectivity", "vmpfc_connectivity", "cbf",
                "glucose_metabolism", "bold",
            )
        },
        **{
            f"immune.{name}": _NO_CYTOKINE
            for name in (
                "il1b", "il10", "stnfr1", "ifng", "gmcsf", "ido", "kynurenine", "kynurenic_acid", "quinolinic_acid",
                "quin_kyn_ratio", "transcriptome",
            )
        },
        "mind.belief_update": "the mind link holds beliefs, not the updating of single ones",
        "mind.reward_learning": "the mind link has no reward learning",
        **{
            f"scale.{name}": _NO_LINK
            for name in ("madrs_item10", "hads", "vas_anxiety", "distress", "ssi", "cssrs", "suicidality")
        },
        **{f"scale.{name}": _NO_DISORDER for name in ("lsas", "caps5", "pcl5", "abstinence", "craving")},
        "acute.derealisation": "no published threshold links CADSS to a reported event",
        "safety.dissociation": "no published threshold links CADSS to a reported event",
    }
)  # fmt: skip
"""Observables that the model says nothing of, and why."""
