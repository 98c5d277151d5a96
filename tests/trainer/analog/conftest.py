from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from services.common.candidate import parse_candidate
from services.trainer.analog.images import normalised
from services.trainer.build import build_module
from services.trainer.data import Dataset, load_dataset
from services.trainer.fit import Seeds, initialise


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")


def untrained(dataset: Dataset, blocks: str = "VGG8") -> nn.Module:
    module = build_module(parse_candidate(blocks), dataset.info.input_shape, dataset.info.classes)
    seeds = Seeds("tests of accuracy on the chip")
    initialise(module, seeds.generator("init"), seeds.generator("dropout"))
    return module.eval()


@pytest.fixture(scope="session")
def trained(digits: Dataset) -> nn.Module:
    """A network that knows digits; nothing changes it."""
    torch.set_num_threads(1)
    module = untrained(digits).train()
    x, y = normalised(digits, digits.train), torch.tensor(digits.labels[digits.train])
    sgd = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    order = torch.Generator().manual_seed(0)
    for _ in range(120):
        some = torch.randint(len(x), (64,), generator=order)
        loss = nn.functional.cross_entropy(module(x[some]), y[some])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    return module.eval()
