"""Protocols: what is done to a patient, when, and blinded against what."""

from __future__ import annotations

from kapsim.protocol.events import CoMedicationEvent, DoseEvent, PracticeLevel, SessionEvent, StressorEvent
from kapsim.protocol.loading import load_protocol, named_protocols, parse_protocol
from kapsim.protocol.schema import CoMedication, Dose, Practice, Protocol, Relative, Stressor, Therapy

__all__ = [
    "CoMedication",
    "CoMedicationEvent",
    "Dose",
    "DoseEvent",
    "Practice",
    "PracticeLevel",
    "Protocol",
    "Relative",
    "SessionEvent",
    "Stressor",
    "StressorEvent",
    "Therapy",
    "load_protocol",
    "named_protocols",
    "parse_protocol",
]
