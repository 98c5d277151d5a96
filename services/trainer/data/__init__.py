"""Data sets: named, read, checked, and split once so that no training seed changes who is in which part."""

from services.trainer.data.dataset import Augmentation, Dataset
from services.trainer.data.registry import Registry, dataset_names, load_dataset, locate
from services.trainer.data.split import stratified_order

__all__ = [
    "Augmentation",
    "Dataset",
    "Registry",
    "dataset_names",
    "load_dataset",
    "locate",
    "stratified_order",
]
