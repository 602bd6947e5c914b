"""Validation: the model held against published outcomes, each record scored or told why it cannot be."""

from __future__ import annotations

from kapsim.validation.domains import DOMAINS
from kapsim.validation.independence import INDEPENDENCE
from kapsim.validation.run import Validation, validate

__all__ = ["DOMAINS", "INDEPENDENCE", "Validation", "validate"]
