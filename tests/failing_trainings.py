"""Objectives and networks with which a training fails when it is told to."""

from __future__ import annotations

import torch
from torch import nn

from gan_pipelines.gan.objectives import OBJECTIVES, Objective


class PoisonedObjective:
    """Turns its losses into NaN once it is told to."""

    def __init__(self):
        self.poisoned = False
        self.objective = Objective(
            lambda real, fake: (fake.mean() - real.mean()) * (float("nan") if self.poisoned else 1.0),
            lambda fake: -fake.mean(),
            OBJECTIVES["wasserstein"].threshold,
        )


class CollapsingGenerator(nn.Module):
    """Spreads its latents of length 4 over the grey levels until it is told to collapse."""

    collapsed = False

    def __init__(self, image_size):
        super().__init__()
        self.image_size = image_size
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, latent, labels=None):
        spread = 0.0 if CollapsingGenerator.collapsed else 1.0
        size = self.image_size
        return torch.tanh(self.scale * latent * spread).repeat(1, size * size // 4).view(-1, 1, size, size)
