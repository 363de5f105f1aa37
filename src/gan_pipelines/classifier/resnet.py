"""ResNet-18 (He et al. 2016) with torchvision's layers: features, predictions, files."""

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


class Prediction(NamedTuple):
    """Features (N, 512) from before the last layer, and logits (N, classes)."""

    features: Tensor
    logits: Tensor


class Classifier(nn.Module):
    """ResNet-18 over uint8 images; grey ones are repeated to three channels."""

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
        """Logits (N, classes) of (N, C, H, W) uint8 images, in evaluation mode; on the CPU."""
        device = self.head.weight.device
        self.eval()
        with torch.inference_mode():
            return torch.cat([self(part.to(device)).logits.cpu() for part in images.split(PREDICTION_BATCH)])

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Share of (N, C, H, W) uint8 images whose label (N,) is the class of the largest logit."""
        return (self.predict(images).argmax(1) == labels).float().mean().item()

    def save(self, path: Path) -> None:
        """Write the weights to a safetensors file."""
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, path)

    @classmethod
    def load(cls, path: Path, stem: Stem) -> Classifier:
        """Read weights that `save` has written, in evaluation mode on the CPU."""
        weights = load_file(path)
        classifier = cls(len(weights["head.weight"]), stem)
        classifier.load_state_dict(weights)
        return classifier.eval()
