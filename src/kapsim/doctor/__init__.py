"""Is all well here: environment, caches, devices, evidence, and whether this machine computes the same numbers."""

from __future__ import annotations

from kapsim.doctor.examination import Examination, examine

__all__ = ["Examination", "examine"]
