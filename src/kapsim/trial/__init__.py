"""Trials: what is compared in whom, conducted many times, analysed, and how often it finds what is there.

A design is a file (`load_design`); `conduct` makes the data of a block of replicates; `ancova`, `mmrm` and their
neighbours analyse all of them at once. Research software: that a design runs here is no reason to treat anybody.
"""

from __future__ import annotations

from kapsim.trial.design import Trial, load_design, parse_design

__all__ = ["Trial", "load_design", "parse_design"]
