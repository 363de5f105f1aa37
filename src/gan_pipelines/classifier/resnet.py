"""ResNet-18 (He et al. 2016), built from torchvision's."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import resnet18

from gan_pipelines.classifier.config import Stem
from gan_pipelines.core.pixels import to_float

PREDICTION_BATCH = 500
"""Number of images that `Classifier.predict` classifies at a time."""


class Prediction(NamedTuple):
    """Features (N, D) from before the last layer, and logits (N, classes); D is 512 for the ResNet-18."""

    features: Tensor
    logits: Tensor


class Classifier(nn.Module):
    """ResNet-18 that classifies uint8 images; grey is repeated to three channels."""

    def __init__(self, num_classes: int, stem: Stem) -> None:
        super().__init__()
        backbone = resnet18(num_classes=num_classes)
        if stem == "small":
            backbone.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
            backbone.maxpool = nn.Identity()
        self.head = backbone.fc
        backbone.fc = nn.Identity()
        self.backbone = backbone

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
        device = self.head.weight.device
        self.eval()
        with torch.inference_mode():
            return torch.cat([self(part.to(device)).logits.cpu() for part in images.split(PREDICTION_BATCH)])

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Compute the share of (N, 1 or 3, H, W) uint8 images that are classified as their labels (N,), from 0 to 1."""
        return (self.predict(images).argmax(1) == labels).float().mean().item()

    def save(self, path: Path) -> None:
        """Write the weights to a safetensors file."""
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, path)

    @classmethod
    def load(cls, path: Path, stem: Stem) -> Classifier:
        """Read a file that `save` has written; the classifier is in evaluation mode, on the CPU."""
        weights = load_file(path)
        classifier = cls(len(weights["head.weight"]), stem)
        classifier.load_state_dict(weights)
        return classifier.eval()
