"""Simulated operators whose true effects are known: presets of planted parameters, tables, and their truth."""

from __future__ import annotations

from cxresearch.data.simulation.model import Operator, generate
from cxresearch.data.simulation.presets import PRESETS, Preset
from cxresearch.data.simulation.write import simulate

__all__ = ["PRESETS", "Operator", "Preset", "generate", "simulate"]
