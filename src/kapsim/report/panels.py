"""What each figure shows: which variables, in which rows, over which stretch of time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One set of axes; variables of different units are given axes of their own when drawn.

    Parameters
    ----------
    label : str
        What the vertical axis measures; the unit is added from the results.
    variables : tuple of str
        Names of (patient, time) variables; those that the results lack are left out.
    """

    label: str
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure.

    Parameters
    ----------
    kind : str
        Name of the figure, as `plot` takes it.
    title, caption : str
        Heading, and one or two sentences on how to read it.
    rows : tuple of Row
        Axes from top to bottom, over one time axis.
    hours_after_first_dose : float or None
        Width of a view around the first dose; None shows the whole course.
    """

    kind: str
    title: str
    caption: str
    rows: tuple[Row, ...]
    hours_after_first_dose: float | None = None


_PANELS = (
    Panel(
        "course",
        "From dose to mood",
        "One variable of each link over the whole course, from drug in plasma at the top to the rating scale below.",
        (
            Row("plasma ketamine, venous", ("plasma_ketamine_venous",)),
            Row("NMDA channels blocked", ("nmda_block",)),
            Row("glutamate", ("glutamate",)),
            Row("spines and window", ("spine_density", "plasticity_window")),
            Row("rumination and schema", ("rumination", "schema")),
            Row("depression, MADRS", ("madrs",)),
        ),
    ),
    Panel(
        "concentrations",
        "Concentrations and receptor block",
        "Around the first dose. Arterial blood peaks earlier and higher than the venous blood most studies sampled.",
        (
            Row(
                "plasma concentration",
                (
                    "plasma_ketamine_arterial",
                    "plasma_ketamine_venous",
                    "plasma_norketamine_venous",
                    "hydroxynorketamine",
                ),
            ),
            Row("NMDA channels blocked", ("nmda_block", "nmda_block_interneuron")),
        ),
        24.0,
    ),
    Panel(
        "glutamate",
        "Glutamate and AMPA drive",
        "Around the first dose. Blocked interneurons free pyramidal cells, glutamate rises, AMPA receptors respond.",
        (
            Row("glutamate", ("glutamate", "glx_mrs")),
            Row("firing and drive", ("pyramidal_rate", "ampa_drive")),
        ),
        48.0,
    ),
    Panel(
        "plasticity",
        "Plasticity",
        "What outlasts the drug: BDNF, spines, and the window in which therapy can teach more. "
        "Blood BDNF is a read-out with its own small gain, not the central state.",
        (
            Row("BDNF", ("bdnf", "blood_bdnf")),
            Row("spines and new neurons", ("spine_density", "neurogenesis")),
            Row("plasticity window", ("plasticity_window",)),
        ),
    ),
    Panel(
        "network",
        "Default mode network and rumination",
        "The sign of the default mode change is as the model gives it, even where the popular account says otherwise.",
        (
            Row("default mode activity", ("dmn_activity",)),
            Row("connectivity", ("dmn_connectivity", "sgacc_dmn_connectivity")),
            Row("rumination", ("rumination",)),
        ),
    ),
    Panel(
        "inflammation",
        "Inflammation",
        "Whether ketamine moves cytokines is contested: the variant that was run says what was assumed.",
        (
            Row("cytokines", ("tnf", "il6")),
            Row("microglia", ("microglia",)),
            Row("C-reactive protein", ("crp",)),
        ),
    ),
    Panel(
        "belief",
        "Belief and expectancy",
        "Therapy and practice teach against the negative belief; the schema is what has been consolidated.",
        (
            Row("belief and schema", ("negative_belief", "schema")),
            Row("rumination and expectancy", ("rumination", "expectancy")),
        ),
    ),
    Panel(
        "mood",
        "Depression and anxiety",
        "Rating scales as a clinician would score them. People split rather than shift: watch the width of the bands.",
        (
            Row("depression, MADRS", ("madrs",)),
            Row("anxiety, HAM-A", ("hama",)),
        ),
    ),
    Panel(
        "acute",
        "Acute effects",
        "Around the first dose. Dissociation is an effect of the drug and is not shown to cause its benefit.",
        (
            Row("dissociation, CADSS", ("cadss",)),
            Row("sedation and nausea", ("sedation", "loss_of_consciousness", "nausea")),
            Row("systolic and diastolic pressure, change", ("systolic_pressure", "diastolic_pressure")),
            Row("heart rate, change", ("heart_rate",)),
        ),
        6.0,
    ),
)

PANELS: dict[str, Panel] = {panel.kind: panel for panel in _PANELS}
