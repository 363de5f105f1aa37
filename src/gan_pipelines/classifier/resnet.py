"""ResNet-18 (He et al. 2016) with torchvision's layers: fit, score, features."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import resnet18

from gan_pipelines.classifier.config import ClassifierConfig, Stem
from gan_pipelines.devices import RandomState, resolve_device
from gan_pipelines.pixels import to_float
from gan_pipelines.runtime import DeviceName

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
        pixels = to_float(images).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        features = self.backbone(pixels)
        return Prediction(features, self.head(features))

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Share of (N, C, H, W) uint8 images whose label (N,) is the class of the largest logit."""
        device = self.head.weight.device
        self.eval()
        with torch.inference_mode():
            guesses = [self(part.to(device)).logits.argmax(1).cpu() for part in images.split(PREDICTION_BATCH)]
        return (torch.cat(guesses) == labels).float().mean().item()

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


def fit_classifier(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    config: ClassifierConfig,
    *,
    device: DeviceName = "auto",
) -> Classifier:
    """Fit a ResNet-18 from random weights by cross entropy.

    Args:
        images: (N, 1 or 3, H, W) uint8, at least two.
        labels: (N,) class indices.
        num_classes: number of outputs.
        config: stem, budget and optimiser.
        device: where to compute.

    Returns:
        the classifier in evaluation mode, on the CPU.
    """
    target = resolve_device(device)
    random = RandomState(config.seed, target)
    with random.active():
        classifier = Classifier(num_classes, config.stem).to(memory_format=torch.channels_last).to(target)
        optimizer = torch.optim.SGD(
            classifier.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=config.epochs)
        images, labels = images.to(target), labels.to(target)
        for _ in range(config.epochs):
            _fit_epoch(classifier, optimizer, images, labels, config.batch_size)
            schedule.step()
    return classifier.eval().cpu()


def _fit_epoch(
    classifier: Classifier, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, batch_size: int
) -> None:
    classifier.train()
    # A last batch of one image would stop batch norm: it is left out.
    batches = [part for part in torch.randperm(len(images), device=images.device).split(batch_size) if len(part) > 1]
    for chosen in batches:
        loss = F.cross_entropy(classifier(images[chosen]).logits, labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
