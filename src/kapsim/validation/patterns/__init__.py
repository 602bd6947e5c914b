"""The stylised facts of the clinical record as statements about the model, each with its rule set beforehand."""

from __future__ import annotations

from kapsim.validation.patterns.run import Patterns, judge_patterns

__all__ = ["Patterns", "judge_patterns"]
