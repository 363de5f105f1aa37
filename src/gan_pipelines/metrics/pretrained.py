"""Networks with published weights: what they have in common, and where their weights are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.errors import ProjectError

BATCH = 32
"""Maximum number of images in a network at a time: more take longer on a CPU, whose cache holds less than a layer."""
HASH_PREFIX_DIGITS = 8
"""Digits of a SHA-256 that PyTorch's hub puts into the names of files."""

State = dict[str, Tensor]
"""Parameters and buffers by name."""


class ExtractorUnavailable(ProjectError):
    """The network or the weights of the chosen feature extractor cannot be had."""


class PretrainedNetwork(nn.Module):
    """A network with published weights, in evaluation mode.

    A subclass defines `extract`, and resizes images of any size itself.
    """

    def forward(self, images: Tensor) -> Prediction:
        """Extract features and logits of (N, 1 or 3, H, W) uint8 images; grey is repeated to three channels."""
        parts = [self.extract(part) for part in images.expand(-1, 3, -1, -1).split(BATCH)]
        return Prediction(*map(torch.cat, zip(*parts, strict=True)))

    def extract(self, images: Tensor) -> Prediction:
        """Extract features (N, D) and logits (N, classes) of (N, 3, H, W) uint8 images; classes may be 0."""
        raise NotImplementedError


@contextmanager
def full_precision() -> Iterator[None]:
    """Let CUDA's convolutions compute in float32: the TF32 that PyTorch takes for them has 10 bits of mantissa."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def find_published(url: str, file_name: str, sha256: str | None = None) -> Path:
    """Return the path of a file in PyTorch's hub cache; it is downloaded if it is missing.

    Args:
        url: where it is published.
        file_name: its name in the cache.
        sha256: hexadecimal digits with which its SHA-256 begins, or None; compared after a download.

    Raises:
        OSError, RuntimeError: if it cannot be downloaded, or is another file.
    """
    path = Path(torch.hub.get_dir(), "checkpoints", file_name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), sha256)
    return path


def read_weights(path: Path) -> State:
    """Read a safetensors file or one of ``torch.save``, of which nothing but tensors is read: no code is run."""
    if path.suffix == ".safetensors":
        return load_file(path)
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state


def hash_file(path: Path) -> str:
    """Compute the SHA-256 of a file, in 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
