"""A data set on the device that trains on it: pixels of one byte, normalised as batches are made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from services.trainer.data import Dataset

JUDGED_AT_ONCE = 256
"""Images judged at once."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Generators of what an epoch draws about its images."""

    order: torch.Generator
    shifts: torch.Generator
    flips: torch.Generator


class Resident:
    """A data set, attached once and trained on many times.

    Parameters
    ----------
    dataset : Dataset
    device : str
        A torch device.
    """

    def __init__(self, dataset: Dataset, device: str = "cpu") -> None:
        self.dataset, self.info, self.device = dataset, dataset.info, torch.device(device)
        self._pixels, self._labels = {}, {}
        for name, part in dataset.parts.items():
            # The clone gives one memory layout whatever strides numpy chose: convolutions round by layout.
            pixels = torch.tensor(dataset.images[part]).clone(memory_format=torch.contiguous_format)
            self._pixels[name] = pixels.to(self.device)
            self._labels[name] = torch.tensor(dataset.labels[part], device=self.device)
        self._mean, deviation = (
            torch.tensor(values, dtype=torch.float32, device=self.device).view(-1, 1, 1)
            for values in (dataset.mean, dataset.deviation)
        )
        self._deviation = deviation.clamp(min=1.0)  # a constant channel stays constant
        self._augmentation = dataset.augmentation
        self._shifted: tuple[int, Tensor] | None = None

    def train_batches(
        self, batch_size: int, recipe_shift_px: int, draws: Draws
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the train part once, in random order, each image shifted and perhaps flipped at random."""
        labels, count = self._labels["train"], self.info.train_images
        windows = self._windows(recipe_shift_px * self._augmentation.shift_px)
        chosen = torch.randperm(count, generator=draws.order).to(self.device)
        dy, dx = torch.randint(windows.shape[2], (2, count), generator=draws.shifts).to(self.device)
        flipped = None
        if self._augmentation.flip:
            flipped = (torch.rand(count, generator=draws.flips) < 0.5).to(self.device)
        for start in range(0, count, batch_size):
            batch = slice(start, start + batch_size)
            x = windows[chosen[batch], :, dy[batch], dx[batch]]
            if flipped is not None:
                x = torch.where(flipped[batch, None, None, None], x.flip(3), x)
            yield self._normalised(x), labels[chosen[batch]]

    @torch.no_grad()
    def accuracy_frac(self, module: nn.Module, part: str) -> float:
        """Share of a part (train, validation or test) that `module` classifies right."""
        module.eval()
        pixels, labels = self._pixels[part], self._labels[part]
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        for start in range(0, len(labels), JUDGED_AT_ONCE):
            batch = slice(start, start + JUDGED_AT_ONCE)
            right += (module(self._normalised(pixels[batch])).argmax(1) == labels[batch]).sum()
        return int(right) / len(labels)

    def _windows(self, shift_px: int) -> Tensor:
        """View every shift of every image: image, channel, dy, dx, row, column. Black is shifted in."""
        if self._shifted is None or self._shifted[0] != shift_px:
            padded = nn.functional.pad(self._pixels["train"], (shift_px,) * 4)
            side = self.info.input_shape.width
            self._shifted = shift_px, padded.unfold(2, side, 1).unfold(3, side, 1)
        return self._shifted[1]

    def _normalised(self, pixels: Tensor) -> Tensor:
        """Scale pixels to the train part's mean 0 and deviation 1 by channel."""
        x = (pixels.to(torch.float32) - self._mean).div_(self._deviation)
        return x.contiguous(memory_format=torch.channels_last)
