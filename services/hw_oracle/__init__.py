"""The model of the chip: what a list of layers costs in latency, energy, area and power."""
