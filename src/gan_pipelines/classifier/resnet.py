"""Residual networks (He et al. 2016), built from torchvision's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gan_pipelines.classifier.config import ClassifierConfig, NetworkName, Stem
from gan_pipelines.core.pixels import to_float

if TYPE_CHECKING:
    from torchvision.models.resnet import BasicBlock

FEATURES: dict[NetworkName, int] = {"resnet18": 512, "resnet8": 64}
"""Number of features of each network."""
PREDICTION_BATCH = 500
"""Number of images that `Classifier.predict` classifies at a time."""


class Prediction(NamedTuple):
    """Features (N, D) from before the last layer, and logits (N, classes); D is in `FEATURES`."""

    features: Tensor
    logits: Tensor


class Classifier(nn.Module):
    """Residual network that classifies uint8 images; grey is repeated to three channels.

    Args:
        num_classes: number of outputs.
        config: network and stem.
    """

    def __init__(self, num_classes: int, config: ClassifierConfig) -> None:
        super().__init__()
        self.backbone = _resnet8() if config.network == "resnet8" else _resnet18(config.stem)
        self.head = nn.Linear(FEATURES[config.network], num_classes)

    def forward(self, images: Tensor) -> Prediction:
        """Classify (N, 1 or 3, H, W) uint8 images."""
        return self.classify(to_float(images))

    def classify(self, pixels: Tensor) -> Prediction:
        """Classify (N, 1 or 3, H, W) floats in [-1, 1]."""
        rgb = pixels.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        features = self.backbone(rgb)
        return Prediction(features, self.head(features))

    def predict(self, images: Tensor) -> Tensor:
        """Compute logits (N, classes) of (N, 1 or 3, H, W) uint8 images, in evaluation mode; they are on the CPU."""
        return self.describe(images).logits

    def describe(self, images: Tensor) -> Prediction:
        """Compute features and logits of (N, 1 or 3, H, W) uint8 images, in evaluation mode; they are on the CPU."""
        device = self.head.weight.device
        self.eval()
        with torch.inference_mode():
            found = [[each.cpu() for each in self(part.to(device))] for part in images.split(PREDICTION_BATCH)]
        return Prediction(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Compute the share of (N, 1 or 3, H, W) uint8 images that are classified as their labels (N,), from 0 to 1."""
        return (self.predict(images).argmax(1) == labels).float().mean().item()

    def save(self, path: Path) -> None:
        """Write the weights to a safetensors file."""
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, path)

    @classmethod
    def load(cls, path: Path, config: ClassifierConfig) -> Classifier:
        """Read a file that `save` has written; the classifier is in evaluation mode, on the CPU."""
        weights = load_file(path)
        classifier = cls(len(weights["head.weight"]), config)
        classifier.load_state_dict(weights)
        return classifier.eval()


def _resnet18(stem: Stem) -> nn.Module:
    """ResNet-18 of torchvision up to its 512 features."""
    from torchvision.models.resnet import conv3x3, resnet18  # noqa: PLC0415 (a second to load: not before the first node)

    network = resnet18()
    network.fc = nn.Identity()
    if stem == "small":
        network.conv1 = conv3x3(3, 64)
        network.maxpool = nn.Identity()
    return network


def _resnet8() -> nn.Module:
    """Network of section 4.2 with n = 1, up to its 64 features; 1x1 convolutions widen the shortcuts (option B)."""
    from torchvision.models.resnet import BasicBlock, conv3x3  # noqa: PLC0415

    network = nn.Sequential(
        conv3x3(3, 16),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        BasicBlock(16, 16),
        _halving_block(16),
        _halving_block(32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):  # as torchvision does in its networks
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _halving_block(width: int) -> BasicBlock:
    """Block that halves height and width, and doubles the number of channels."""
    from torchvision.models.resnet import BasicBlock, conv1x1  # noqa: PLC0415

    shortcut = nn.Sequential(conv1x1(width, 2 * width, stride=2), nn.BatchNorm2d(2 * width))
    return BasicBlock(width, 2 * width, stride=2, downsample=shortcut)
