"""imcnas: hardware-aware neural architecture search for analog in-memory computing."""

__version__ = "0.1.0"
