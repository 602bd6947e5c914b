"""Patients: who is treated."""

from __future__ import annotations

from kapsim.patient.schema import Anxiety, Baseline, Patient, Sensitivities, load_patient, parse_patient

__all__ = ["Anxiety", "Baseline", "Patient", "Sensitivities", "load_patient", "parse_patient"]
