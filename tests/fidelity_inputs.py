"""Images and weights as torch-fidelity takes them."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import Dataset
from torch_fidelity import feature_extractor_clip as clip

LAYERS = {"clip-vit-b-32": (2, 64, 32), "clip-rn50": ((1, 1, 1, 1), 64, None)}
"""Few layers and their width, and the size of a patch: CLIP's networks are made from the shapes of their weights."""


class Rgb(Dataset):
    """Grey images repeated to three channels, which torch-fidelity requires."""

    def __init__(self, images):
        self.images = images.expand(-1, 3, -1, -1)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


def clip_network(name):
    """A small image encoder of CLIP with random weights."""
    torch.manual_seed(0)
    layers, width, patch = LAYERS[name]
    network = clip.CLIPVisual(48 if patch else 32 * width, 64, layers, width, patch)
    for weights in network.state_dict().values():
        if weights.is_floating_point() and weights.std() > 0:
            weights.copy_(weights.half())  # as they are published
    return network.eval()


class Clip(nn.Module):
    """An image encoder beside a part of CLIP's text encoder, as in the published files."""

    def __init__(self, name):
        super().__init__()
        encoder = clip_network(name)
        self.visual = encoder.visual
        self.text_projection = nn.Parameter(torch.zeros(16, 48 if LAYERS[name][2] else 32 * LAYERS[name][1]))

    def forward(self, pixels):
        return self.visual(pixels)
