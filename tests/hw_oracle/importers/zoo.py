"""Well-known networks written in plain PyTorch, whole and in small, as their users write them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from torch import Tensor, nn


def conv_norm(i: int, o: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]


class BasicBlock(nn.Module):
    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(i, o, 3, stride)
        self.conv2, self.bn2 = conv_norm(o, o, 3)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(*conv_norm(i, o, 1, stride)) if stride != 1 or i != o else None

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    """He et al., Deep residual learning for image recognition."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1)]
        widths += [(256, 512, 2), (512, 512, 1)]
        self.layers = nn.Sequential(*(BasicBlock(*w) for w in widths))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layers(x))
        return self.fc(torch.flatten(x, 1))


class Vgg16(nn.Module):
    """Simonyan, Zisserman, Very deep convolutional networks; configuration D."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
            if width:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, classes)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(x.view(x.size(0), -1))


class InvertedResidual(nn.Module):
    def __init__(self, i: int, o: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = i * expand
        first = [*conv_norm(i, hidden, 1), nn.ReLU6(inplace=True)] if expand != 1 else []
        depthwise = [*conv_norm(hidden, hidden, 3, stride, hidden), nn.ReLU6(inplace=True)]
        self.conv = nn.Sequential(*first, *depthwise, *conv_norm(hidden, o, 1))
        self.residual = stride == 1 and i == o

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Sandler et al., MobileNetV2: Inverted residuals and linear bottlenecks."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers = [*conv_norm(3, 32, 3, 2), nn.ReLU6(inplace=True)]
        channels = 32
        stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
        stages += [(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
        for expand, width, repeats, stride in stages:
            for number in range(repeats):
                layers.append(InvertedResidual(channels, width, 1 if number else stride, expand))
                channels = width
        self.features = nn.Sequential(*layers, *conv_norm(channels, 1280, 1), nn.ReLU6(inplace=True))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = F.adaptive_avg_pool2d(x, (1, 1)).reshape(x.shape[0], -1)
        return self.classifier(x)


class SqueezeExcite(nn.Module):
    """A block of MobileNetV3: expansion, depthwise, squeeze and excitation, projection."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Sequential(*conv_norm(4, 12, 1), nn.Hardswish(inplace=True))
        self.depthwise = nn.Sequential(*conv_norm(12, 12, 5, 2, 12), nn.Hardswish(inplace=True))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(12, 8, 1), nn.Conv2d(8, 12, 1)
        self.project = nn.Sequential(*conv_norm(12, 6, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.expand(x))
        scale = F.hardsigmoid(self.fc2(F.relu(self.fc1(self.pool(x)))))
        return self.project(scale * x)


class DenseBlock(nn.Module):
    """Two layers and a transition of DenseNet: normalisation and ReLU stand before each convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, 4, 3, padding=1, bias=False))
            for c in (6, 10)
        )
        self.transition = nn.Sequential(
            nn.BatchNorm2d(14), nn.ReLU(), nn.Conv2d(14, 7, 1, bias=False), nn.AvgPool2d(2, 2)
        )
        self.norm, self.classifier = nn.BatchNorm2d(7), nn.Linear(7, 10)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        x = self.transition(torch.cat(features, 1))
        x = F.relu(self.norm(x), inplace=True)
        return F.log_softmax(self.classifier(x.mean([2, 3])), dim=1)


class Inception(nn.Module):
    """A module of GoogLeNet: four branches, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(*conv_norm(6, 4, 1), nn.ReLU())
        self.branch2 = nn.Sequential(*conv_norm(6, 3, 1), nn.ReLU(), *conv_norm(3, 5, 3), nn.ReLU())
        self.branch3 = nn.Sequential(*conv_norm(6, 2, 1), nn.ReLU(), *conv_norm(2, 3, 5), nn.ReLU())
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *conv_norm(6, 2, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [branch(x) for branch in (self.branch1, self.branch2, self.branch3, self.branch4)], 1
        )
