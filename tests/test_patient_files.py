"""Patient files: everything optional, everything checked, one clear line for each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kapsim import strict_yaml
from kapsim.errors import InputError
from kapsim.patient import Patient, load_patient, parse_patient

FULL = """\
schema_version: 1
title: A woman of 45 with treatment-resistant depression
weight: 70 kg
age: 45 a
sex: female
diagnosis: trd
baseline:
  scale: madrs
  score: 33
anxiety: {scale: hama, score: 20.5}
crp: 1.3 mg/L
episode: 24 mo
expectancy: 0.6
sensitivities:
  plasticity: 1.0
  therapy: 0.5
  pressor: 2
  dissociation: 1.2
"""


def test_a_full_patient(tmp_path: Path) -> None:
    file = tmp_path / "patient.yaml"
    file.write_text(FULL, encoding="utf-8")
    patient = load_patient(file)
    assert patient == load_patient(str(file)) == parse_patient(FULL)
    assert (patient.weight_kg, patient.age_years, patient.crp_mg_per_l, patient.episode_months) == (70, 45, 1.3, 24)
    assert patient.baseline is not None
    assert (patient.baseline.scale, patient.baseline.score) == ("madrs", 33)
    assert patient.anxiety is not None
    assert patient.anxiety.score == 20.5
    assert patient.sensitivities is not None
    assert patient.sensitivities.pressor == 2
    assert parse_patient(patient.to_yaml()) == patient
    assert hash(patient) == hash(parse_patient(FULL))


def test_nothing_known_is_a_patient_too() -> None:
    patient = parse_patient("schema_version: 1\n")
    assert patient.weight_kg is patient.age_years is patient.crp_mg_per_l is patient.episode_months is None
    assert patient.to_yaml() == "schema_version: 1\n"
    assert parse_patient("schema_version: 1\nweight:\nbaseline: null\n") == patient


def test_units_are_converted() -> None:
    patient = parse_patient("schema_version: 1\nweight: 80000 g\nage: 600 mo\ncrp: 0.2 mg/dL\nepisode: 2 a\n")
    assert patient.weight_kg == pytest.approx(80)
    assert patient.age_years == pytest.approx(50)
    assert patient.crp_mg_per_l == pytest.approx(2)
    assert patient.episode_months == pytest.approx(24)
    assert "weight: 80000 g\n" in patient.to_yaml()


MISTAKES = [
    ("weight: 70 kg", "wieght: 70 kg", "3: wieght", "nearest valid key 'weight'"),
    ("  score: 33", "  scores: 33", "9: baseline.scores", "nearest valid key 'score'"),
    ("  plasticity: 1.0", "  plastic: 1.0", "15: sensitivities.plastic", "nearest valid key 'plasticity'"),
    ("hama, score", "hama, scor", "10: anxiety.scor", "nearest valid key 'score'"),
    ("schema_version: 1\n", "", "1: schema_version", "is missing"),
    ("  score: 33\n", "", "7: baseline.score", "is missing"),
    ("weight: 70 kg", "weight: 70", "3: weight", "a number with its unit is needed"),
    ("weight: 70 kg", "weight: 70 lb", "3: weight", "unknown unit"),
    ("weight: 70 kg", "weight: 70 L", "3: weight", "quantity of volume"),
    ("weight: 70 kg", "weight: 7 kg", "3: weight", "at least 25"),
    ("weight: 70 kg", "weight: -70 kg", "3: weight", "out of range"),
    ("age: 45 a", "age: 12 a", "4: age", "at least 18"),
    ("age: 45 a", "age: 450 a", "4: age", "at most 110"),
    ("sex: female", "sex: f", "5: sex", "female, male"),
    ("diagnosis: trd", "diagnosis: tdr", "6: diagnosis", "nearest valid value 'trd'"),
    ("diagnosis: trd", "diagnosis: rodent", "6: diagnosis", "not known here"),
    ("scale: madrs", "scale: madr", "8: baseline.scale", "nearest valid value 'madrs'"),
    ("score: 33", "score: 61", "9: baseline.score", "0 to 60"),
    ("score: 33", "score: -1", "9: baseline.score", "0 to 60"),
    ("score: 33", "score: many", "9: baseline.score", "a number is needed"),
    ("score: 33", "score: true", "9: baseline.score", "a number is needed"),
    ("score: 33", "score: 1e999", "9: baseline.score", "is not finite"),
    ("score: 20.5", "score: 57", "10: anxiety.score", "0 to 56"),
    ("crp: 1.3 mg/L", "crp: 0 mg/L", "11: crp", "more than 0"),
    ("crp: 1.3 mg/L", "crp: 1.3 mg", "11: crp", "quantity of mass"),
    ("episode: 24 mo", "episode: 50 a", "12: episode", "longer than a life"),
    ("expectancy: 0.6", "expectancy: 60", "13: expectancy", "at most 1"),
    ("therapy: 0.5", "therapy: 0.05", "16: sensitivities.therapy", "at least 0.1"),
    ("pressor: 2", "pressor: 20", "17: sensitivities.pressor", "at most 10"),
    ("sensitivities:", "sensitivities: 5\nmore:", "15: more", "unknown key"),
    ("anxiety: {scale: hama, score: 20.5}", "anxiety: 20.5", "10: anxiety", "keys and values are needed"),
]


@pytest.mark.parametrize(("right", "wrong", "place", "words"), MISTAKES)
def test_each_mistake_gives_one_line(right: str, wrong: str, place: str, words: str) -> None:
    assert right in FULL
    with pytest.raises(InputError) as caught:
        parse_patient(FULL.replace(right, wrong, 1), source="file.yaml")
    message = str(caught.value)
    assert message.startswith(f"file.yaml:{place}: "), message
    assert words in message, message
    assert "\n" not in message
    assert "; " in message


def test_loading_what_is_not_a_patient(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_patient(tmp_path / "none.yaml")
    file = tmp_path / "binary.yaml"
    file.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match=r"binary\.yaml:\d+: \(file\): is not text"):
        load_patient(file)


def test_patients_are_frozen_and_strict() -> None:
    with pytest.raises(ValidationError):
        parse_patient(FULL).expectancy = 0.1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Patient.model_validate({"schema_version": 1, "expectancy": float("nan")})


PATIENTS = st.fixed_dictionaries(
    {"schema_version": st.just(1)},
    optional={
        "weight": st.floats(25, 350).map(lambda kg: f"{kg!r} kg"),
        "age": st.integers(18, 110).map(lambda years: f"{years} a"),
        "sex": st.sampled_from(["female", "male"]),
        "diagnosis": st.sampled_from(["trd", "healthy", "ptsd"]),
        "baseline": st.fixed_dictionaries({"scale": st.sampled_from(["qids", "phq9"]), "score": st.floats(0, 27)}),
        "anxiety": st.fixed_dictionaries({"scale": st.sampled_from(["hama", "gad7"]), "score": st.integers(0, 21)}),
        "crp": st.floats(1e-6, 500).map(lambda value: f"{value!r} mg/L"),
        "expectancy": st.floats(0, 1),
        "sensitivities": st.dictionaries(
            st.sampled_from(["plasticity", "therapy", "pressor", "dissociation"]), st.floats(0.1, 10), max_size=4
        ),
    },
)


@settings(max_examples=100, deadline=None)
@given(PATIENTS)
def test_any_patient_round_trips(data: dict[str, Any]) -> None:
    patient = parse_patient(strict_yaml.dump(data))
    assert parse_patient(patient.to_yaml()) == patient
    assert strict_yaml.parse(patient.to_yaml()).data.keys() == data.keys()
