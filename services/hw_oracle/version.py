"""Version of the chip model."""

MODEL_VERSION = "1"
"""Raised whenever an equation changes what a report says."""
