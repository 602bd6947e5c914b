"""Words that the evidence files may use, and what each observable stands for.

The same words are explained for people in ``data/README.md``; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DIAGNOSES = _words(
    "trd mdd bipolar mood remitted suicidal healthy at_risk gad sad ptsd aud cud pain surgery trauma icu hepatitis "
    "mixed rodent primate"
)
"""Diagnoses of a group."""

DRUGS = _words("ketamine esketamine arketamine midazolam saline placebo placebo_nasal infliximab endotoxin")
"""Drugs and controls of an observed dose."""

ROUTES = _words("iv im sc ip intranasal sublingual oral rectal inhaled none")
"""Routes of an observed dose."""

DOSE_UNITS = _words("mg/kg mg mg/kg/h mg/h ng/kg ng/mL")
"""Units of an observed dose."""

THERAPIES = _words(
    "cbt ct ba rfcbt mbrp mbrp_or_education met psychotherapy self_association sham_training coaching kap group_kap "
    "montreal"
)
"""Kinds of therapy."""

ACCOMPANIMENTS = _words(
    "naltrexone rapamycin anaesthesia oral_antidepressant benzodiazepine clarithromycin ticlopidine rifampicin "
    "grapefruit_juice st_johns_wort extended_release inpatient_care usual_care ect quetiapine"
)
"""What else a group received."""

ASSUMED = _words(
    "doses.drug doses.route doses.amount doses.duration_min doses.at_h therapy.minutes therapy.at_h points.time_h "
    "outcome.observable outcome.sampling group.weight_kg"
)
"""Fields of a record that may hold the usual value because no source gave one."""

STATISTICS = _words(
    "mean change percent_change ratio_to_baseline response remission relapse fraction difference "
    "standardised_difference odds_ratio hazard_ratio median_time cmax tmax auc clearance volume half_life "
    "bioavailability ratio sign correlation"
)
"""Kinds of figure."""

TIMELESS = _words(
    "cmax tmax auc clearance volume half_life bioavailability ratio median_time hazard_ratio odds_ratio correlation"
)
"""Statistics that need no time."""

COMPARATIVE = _words(
    "change percent_change ratio_to_baseline difference standardised_difference hazard_ratio odds_ratio ratio "
    "bioavailability sign"
)
"""Statistics that need something to stand against."""

SHARES = _words("response remission relapse fraction")
"""Statistics that are shares of patients, 0 to 100 where the unit is %."""

CONTROLS = _words("saline placebo placebo_nasal")
"""Drugs whose amount is 0."""

TIMED_UNITS = _words("mg/kg/h mg/h ng/mL")
"""Dose units that are a rate or a target and so need a duration."""

CENTRAL = _words("mean median geometric_mean least_squares_mean")
"""How an average was taken; null for shares, signs and effect sizes."""

SAMPLING = _words("arterial venous")
"""Where plasma was drawn."""

POINT_SPREADS = _words("sd se gsd ci95 ci90 iqr range plusminus")
"""Spreads that a point of a record may carry, at most one."""

CONFIDENCE = _words("read secondary")
"""read: seen in the source's own text; secondary: quoted by another paper."""

USE = _words("quantitative qualitative none")
"""How far a record can be held against a simulation."""

OBSERVABLES: Mapping[str, str] = MappingProxyType(
    {
        "plasma.ketamine": "ketamine, both enantiomers, in plasma or serum",
        "plasma.s_ketamine": "S-ketamine (esketamine)",
        "plasma.r_ketamine": "R-ketamine (arketamine)",
        "plasma.norketamine": "norketamine, both enantiomers",
        "plasma.s_norketamine": "S-norketamine",
        "plasma.r_norketamine": "R-norketamine",
        "plasma.hydroxynorketamine": "hydroxynorketamine, all isomers measured",
        "plasma.dehydronorketamine": "dehydronorketamine",
        "csf.ketamine": "ketamine in cerebrospinal fluid",
        "csf.il6": "interleukin 6 in cerebrospinal fluid",
        "receptor.nmda_occupancy": "share of NMDA receptors blocked",
        "glutamate.extracellular": "extracellular glutamate, prefrontal (microdialysis)",
        "glutamate.glx_mrs": "glutamate plus glutamine, proton spectroscopy",
        "glutamate.glu_mrs": "glutamate, proton spectroscopy",
        "glutamate.gln_cycling": "glutamate-glutamine cycling, 13C spectroscopy",
        "glutamate.gaba_mrs": "GABA, proton spectroscopy",
        "firing.pyramidal": "firing rate of pyramidal cells",
        "firing.interneuron": "firing rate of interneurons",
        "eeg.gamma_power": "gamma power, EEG or MEG",
        "eeg.beta_power": "beta power",
        "eeg.alpha_power": "alpha power",
        "eeg.theta_power": "theta power",
        "plasticity.bdnf_blood": "BDNF in plasma or serum",
        "plasticity.spine_density": "density of dendritic spines",
        "plasticity.spine_formation": "rate of spine formation",
        "plasticity.sv2a": "synaptic density, SV2A PET",
        "plasticity.ltp": "long-term potentiation",
        "plasticity.slow_wave": "slow-wave activity in sleep",
        "dmn.activity": "activity of default-mode nodes",
        "dmn.connectivity": "connectivity within the default mode network",
        "dmn.deactivation": "size of the task-induced fall",
        "dmn.anticorrelation": "correlation of the network with task-positive regions (negative at rest)",
        "dmn.pcc_mpfc": "posterior cingulate to medial prefrontal cortex",
        "dmn.pcc_dmpfc": "posterior cingulate to dorsomedial prefrontal cortex",
        "dmn.sgacc_dmn": "subgenual cingulate to the default mode network",
        "dmn.distance_from_healthy": "distance of a default-mode link from its value in the healthy",
        "brain.global_connectivity": "global brain connectivity",
        "brain.ketamine_fingerprint": "strength of the published ketamine connectome pattern",
        "brain.thalamocortical_connectivity": "thalamus to cortex",
        "brain.frontoparietal_connectivity": "within the frontoparietal network",
        "brain.frontoparietal_nmda": "NMDA-mediated frontal-to-parietal coupling (dynamic causal model)",
        "brain.frontoparietal_ampa": "AMPA-mediated frontal-to-parietal coupling (dynamic causal model)",
        "brain.parietal_gain": "gain of parietal pyramidal cells (dynamic causal model)",
        "brain.salience_connectivity": "within the salience network",
        "brain.cerebellum_salience": "cerebellum to salience network",
        "brain.auditory_connectivity": "within the auditory network",
        "brain.visual_connectivity": "visual networks",
        "brain.somatosensory_connectivity": "somatosensory and auditory networks to affective regions",
        "brain.striatal_connectivity": "striatum to cortex or thalamus",
        "brain.pgacc_connectivity": "pregenual cingulate links",
        "brain.pgacc_activity": "pregenual cingulate activity",
        "brain.sgacc_connectivity": "subgenual cingulate to lateral prefrontal cortex",
        "brain.sgacc_activity": "subgenual cingulate activity or blood flow",
        "brain.amygdala_connectivity": "amygdala links",
        "brain.vmpfc_connectivity": "ventromedial prefrontal links",
        "brain.cbf": "cerebral blood flow",
        "brain.cmro2": "cerebral oxygen metabolism",
        "brain.glucose_metabolism": "cerebral glucose metabolism",
        "brain.bold": "BOLD signal",
        "immune.il6": "interleukin 6 in blood",
        "immune.il1b": "interleukin 1 beta",
        "immune.il10": "interleukin 10",
        "immune.tnf": "TNF-alpha",
        "immune.stnfr1": "soluble TNF receptor 1",
        "immune.ifng": "interferon gamma",
        "immune.gmcsf": "GM-CSF",
        "immune.crp": "C-reactive protein",
        "immune.ido": "indoleamine 2,3-dioxygenase",
        "immune.kynurenine": "kynurenine",
        "immune.kynurenic_acid": "kynurenic acid",
        "immune.quinolinic_acid": "quinolinic acid",
        "immune.quin_kyn_ratio": "quinolinic acid over kynurenine",
        "immune.tspo": "TSPO PET in brain",
        "immune.transcriptome": "blood transcriptome",
        "mind.belief_update": "updating of beliefs, good against bad news",
        "mind.rumination": "rumination (RRS total)",
        "mind.self_association": "implicit self-association, higher is better",
        "mind.reward_learning": "learning from reward",
        "mind.mood": "momentary mood, higher is better",
        "scale.madrs": "MADRS, 0 to 60",
        "scale.madrs_item10": "MADRS item 10, suicidal thoughts, 0 to 6",
        "scale.hdrs6": "Hamilton depression, 6 items",
        "scale.hdrs17": "Hamilton depression, 17 items",
        "scale.hdrs21": "Hamilton depression, 21 items",
        "scale.hdrs24": "Hamilton depression, 24 items",
        "scale.hdrs25": "Hamilton depression, 25 items",
        "scale.qids": "QIDS-SR16",
        "scale.phq9": "PHQ-9",
        "scale.bdi": "BDI-II",
        "scale.hads": "HADS total",
        "scale.hama": "Hamilton anxiety",
        "scale.gad7": "GAD-7",
        "scale.lsas": "Liebowitz social anxiety",
        "scale.vas_anxiety": "anxiety, visual analogue",
        "scale.caps5": "CAPS-5",
        "scale.pcl5": "PCL-5",
        "scale.ssi": "Scale for Suicidal Ideation",
        "scale.cssrs": "Columbia suicide severity",
        "scale.suicidality": "suicidal ideation over several measures",
        "scale.distress": "general distress of psychotherapy outpatients",
        "scale.abstinence": "abstinence: share of patients, or of days",
        "scale.craving": "craving",
        "acute.cadss": "dissociation, CADSS",
        "acute.derealisation": "derealisation reported",
        "acute.sbp": "systolic pressure",
        "acute.dbp": "diastolic pressure",
        "acute.map": "mean arterial pressure",
        "acute.hr": "heart rate",
        "acute.cardiac_output": "cardiac output",
        "acute.sedation": "sedation",
        "acute.loss_of_consciousness": "loss of consciousness",
        "safety.dissociation": "dissociation reported as an adverse event",
    }
)
"""What can be observed, with its meaning."""

SCALES = frozenset(name.removeprefix("scale.") for name in OBSERVABLES if name.startswith("scale."))
"""Rating scales, without their prefix."""
