"""What other tools read and write: event tables in the conventions of NONMEM and mrgsolve.

See `docs/event_tables.md`.
"""

from __future__ import annotations

from kapsim.exchange.reading import parse_events, read_events
from kapsim.exchange.simulating import Predictions, simulate_events
from kapsim.exchange.table import DRUGS, OBSERVABLES, ROUTES, Dosing, EventTable, Observation, Subject
from kapsim.exchange.writing import measured_events, predictions_csv, protocol_events, write_events

__all__ = [
    "DRUGS",
    "OBSERVABLES",
    "ROUTES",
    "Dosing",
    "EventTable",
    "Observation",
    "Predictions",
    "Subject",
    "measured_events",
    "parse_events",
    "predictions_csv",
    "protocol_events",
    "read_events",
    "simulate_events",
    "write_events",
]
