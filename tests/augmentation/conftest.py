"""A small network in place of ResNets: these tests are about the experiment, and fit many classifiers."""

from __future__ import annotations

import pytest
from torch import nn

from gan_pipelines.classifier import Classifier


class SmallClassifier(Classifier):
    """Two convolutions and a linear layer, with the interface of `Classifier`."""

    def __init__(self, num_classes, config):
        nn.Module.__init__(self)
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
        )
        self.head = nn.Linear(512, num_classes)


@pytest.fixture(autouse=True)
def _small_network_in_fp32(monkeypatch):
    """So small a fit comes out differently in bf16."""
    monkeypatch.setattr("gan_pipelines.classifier.fitting.Classifier", SmallClassifier)
    monkeypatch.setattr("gan_pipelines.classifier.fitting.resolve_precision", lambda *_: "fp32")
