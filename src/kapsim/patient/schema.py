"""Patient: who is treated, as a file says it. Everything that is not given is drawn from the population."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kapsim import file_model, strict_yaml
from kapsim.file_model import FileModel, Line, Quantity, SchemaVersion, problem, quantity

__all__ = [
    "ANXIETY_MAXIMUM",
    "BASELINE_MAXIMUM",
    "Anxiety",
    "Baseline",
    "Patient",
    "Sensitivities",
    "load_patient",
    "parse_patient",
]

Diagnosis = Literal[
    "trd",
    "mdd",
    "bipolar",
    "mood",
    "remitted",
    "suicidal",
    "healthy",
    "at_risk",
    "gad",
    "sad",
    "ptsd",
    "aud",
    "cud",
    "pain",
    "surgery",
    "trauma",
    "icu",
    "hepatitis",
    "mixed",
]

BASELINE_MAXIMUM = {"madrs": 60.0, "hdrs17": 52.0, "qids": 27.0, "phq9": 27.0, "bdi": 63.0}
ANXIETY_MAXIMUM = {"hama": 56.0, "gad7": 21.0}

Multiplier = Annotated[float, Field(ge=0.1, le=10)]


def _within(scale: str, score: float, maximum: float) -> None:
    if not 0 <= score <= maximum:
        raise problem(
            f"{score:g} is not a score of {scale}, which runs from 0 to {maximum:g}; check the scale", "score"
        )


class Baseline(FileModel):
    """Severity of depression at time 0."""

    scale: Literal["madrs", "hdrs17", "qids", "phq9", "bdi"]
    score: float

    @model_validator(mode="after")
    def _possible(self) -> Baseline:
        _within(self.scale, self.score, BASELINE_MAXIMUM[self.scale])
        return self


class Anxiety(FileModel):
    """Severity of anxiety at time 0."""

    scale: Literal["hama", "gad7"]
    score: float

    @model_validator(mode="after")
    def _possible(self) -> Anxiety:
        _within(self.scale, self.score, ANXIETY_MAXIMUM[self.scale])
        return self


class Sensitivities(FileModel):
    """Multipliers on how strongly this person reacts; 1 is the population's middle."""

    plasticity: Multiplier | None = None
    therapy: Multiplier | None = None
    pressor: Multiplier | None = None
    dissociation: Multiplier | None = None


class Patient(FileModel):
    """A patient as far as known; None means drawn from the population."""

    schema_version: SchemaVersion
    title: Line | None = None
    weight: Annotated[Quantity, quantity("kg", example="70 kg", low=25, high=350)] | None = None
    age: Annotated[Quantity, quantity("a", example="45 a", low=18, high=110)] | None = None
    sex: Literal["female", "male"] | None = None
    diagnosis: Diagnosis | None = None
    baseline: Baseline | None = None
    anxiety: Anxiety | None = None
    crp: Annotated[Quantity, quantity("mg/L", example="1.3 mg/L", high=500, open_low=True)] | None = None
    episode: Annotated[Quantity, quantity("mo", example="24 mo", high=1200, open_low=True)] | None = None
    expectancy: Annotated[float, Field(ge=0, le=1)] | None = None
    sensitivities: Sensitivities | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Patient:
        if self.episode is not None and self.age is not None and self.episode.to("a") > self.age.to("a"):
            raise problem(
                f"an episode of {self.episode} is longer than a life of {self.age}; check the unit", "episode"
            )
        return self

    @property
    def weight_kg(self) -> float | None:
        """Body weight, kg."""
        return None if self.weight is None else self.weight.to("kg")

    @property
    def age_years(self) -> float | None:
        """Age, years."""
        return None if self.age is None else self.age.to("a")

    @property
    def crp_mg_per_l(self) -> float | None:
        """C-reactive protein in blood, mg/L."""
        return None if self.crp is None else self.crp.to("mg/L")

    @property
    def episode_months(self) -> float | None:
        """Length of the present episode, months."""
        return None if self.episode is None else self.episode.to("mo")


def parse_patient(text: str | bytes, *, source: str = "<patient>") -> Patient:
    """Read a patient from the text of a file; InputError with source, line and key of the first problem."""
    return file_model.validate(Patient, strict_yaml.parse(text, source=source))


def load_patient(path: str | Path) -> Patient:
    """Load a patient from a YAML file.

    Raises
    ------
    InputError
        With file, line and key of the first problem.
    """
    return file_model.validate(Patient, strict_yaml.read(path))
