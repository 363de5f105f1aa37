"""A network that needs no fit, for tests of scores."""

from __future__ import annotations

import torch
from torch import nn

from gan_pipelines.classifier.resnet import Prediction


class Projection(nn.Module):
    """A fixed random projection in place of a trained network."""

    def __init__(self):
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        self.weights = nn.Parameter(torch.randn(256, 12, generator=draws), requires_grad=False)

    def forward(self, images):
        features = (images.float() / 255).flatten(1) @ self.weights
        return Prediction(features, (features[:, :4] * 50).sin() * 3)
