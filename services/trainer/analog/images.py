"""Images of a data set as a network sees them: for calibration, and to be judged on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from services.trainer.data import Dataset

CALIBRATION_IMAGES = 256
"""Training images that the ranges of activations are of."""

FIT_IMAGES = 32
"""Of these, the images that the folded form is fitted to the exact one on."""

Indices = npt.NDArray[np.int64]


def normalised(dataset: Dataset, indices: Indices) -> Tensor:
    """Give images as training sees them: mean 0 and deviation 1 by channel, over the train part."""
    mean, deviation = (torch.tensor(v, dtype=torch.float32) for v in (dataset.mean, dataset.deviation))
    pixels = torch.from_numpy(dataset.images[indices]).float()
    return (pixels - mean.view(-1, 1, 1)) / deviation.clamp(min=1.0).view(-1, 1, 1)


def spread(indices: Indices, count: int | None) -> Indices:
    """Take `count` indices at even distances, or all there are."""
    if count is None or count >= len(indices):
        return indices
    return indices[np.arange(count) * len(indices) // count]
