"""Data sets of benchmarks, named as `imcnas search --dataset` names them."""

from __future__ import annotations

from services.trainer.data import Dataset, load_dataset
from services.trainer.data.registry import locate


def dataset_of(text: str) -> Dataset:
    """Read a data set by its name, or from KIND:PATH."""
    if ":" not in text:
        return load_dataset(text)
    located = locate(text)
    return located.read(located.name, located.path)
