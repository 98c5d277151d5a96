"""Measurements; RESULTS.md holds what they gave, with the conditions."""
