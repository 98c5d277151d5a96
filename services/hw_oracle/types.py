"""What crosses the oracle's door: the chip and what a network costs on it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipConfig:
    """Placeholder replaced by the chip tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """Placeholder replaced by the cost report."""
