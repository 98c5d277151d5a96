"""The training loop that one writes first: transforms of each sample, a DataLoader, NCHW, two threads.

Network, initialisation, optimiser, schedule, loss, augmentation, epochs and batch are those of the
trainer's loop.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from services.common.candidate import parse_candidate
from services.trainer.build import build_module
from services.trainer.data import Dataset
from services.trainer.fit import Seeds, initialise
from services.trainer.types import TrainRecipe


class Samples(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Images one by one; those to train on shifted and perhaps flipped at random."""

    def __init__(self, data: Dataset, part: str, shift_px: int) -> None:
        indices = data.parts[part]
        self._images, self._labels = data.images[indices], data.labels[indices].tolist()
        self._mean = torch.tensor(data.mean).view(-1, 1, 1)
        self._deviation = torch.tensor(data.deviation).view(-1, 1, 1).clamp(min=1.0)
        self._shift_px, self._flip = shift_px, data.augmentation.flip and part == "train"

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x = torch.from_numpy(self._images[index].copy()).float()
        if self._shift_px:
            side = x.shape[-1]
            dy, dx = torch.randint(2 * self._shift_px + 1, (2,)).tolist()
            x = nn.functional.pad(x, (self._shift_px,) * 4)[:, dy : dy + side, dx : dx + side]
        if self._flip and torch.rand(()) < 0.5:
            x = x.flip(2)
        return (x - self._mean) / self._deviation, self._labels[index]


def train_plain(blocks: str, data: Dataset, recipe: TrainRecipe, seed: int, device: str = "cpu") -> float:
    """Train one candidate as the trainer does, epoch by epoch judged; give its validation accuracy."""
    torch.manual_seed(seed)
    info = data.info
    module = build_module(parse_candidate(blocks), info.input_shape, info.classes)
    seeds = Seeds(f"plain {seed}")
    initialise(module, seeds.generator("init"), seeds.generator("dropout", device))
    module.to(device)
    shift_px = recipe.shift_px * data.augmentation.shift_px
    loader = torch.utils.data.DataLoader(Samples(data, "train", shift_px), recipe.batch_size, shuffle=True)
    judged = torch.utils.data.DataLoader(Samples(data, "validation", 0), 256)
    sgd = torch.optim.SGD(
        module.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum,
        weight_decay=recipe.weight_decay, nesterov=True,
    )  # fmt: skip
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        sgd,
        max_lr=recipe.learning_rate,
        total_steps=len(loader) * recipe.epochs,
        cycle_momentum=False,
    )
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing_frac)
    accuracy_frac = 0.0
    for _ in range(recipe.epochs):
        module.train()
        total_loss = 0.0
        for x, y in loader:
            loss = criterion(module(x.to(device)), y.to(device))
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            schedule.step()
            total_loss += loss.item()
        module.eval()
        right = 0
        with torch.no_grad():
            for x, y in judged:
                right += int((module(x.to(device)).argmax(1) == y.to(device)).sum())
        accuracy_frac = right / info.validation_images
    return accuracy_frac
