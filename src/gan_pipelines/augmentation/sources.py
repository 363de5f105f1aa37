"""Where the synthetic images of a replicate come from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from torch import Tensor

from gan_pipelines.augmentation.config import SyntheticConfig
from gan_pipelines.core.hashing import hash_arrays
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan import WeightSet

ATTEMPTS = 20
"""Maximum number of rounds in which a generator's missing images are generated again."""


class Candidates(NamedTuple):
    """Images (N, C, H, W) uint8 that may become synthetic images; class indices (N,), or None if they are unknown."""

    images: Tensor
    labels: Tensor | None


class Source(Protocol):
    """Offers candidates in rounds: a generator, or pictures that were made elsewhere."""

    kind: ClassVar[str]

    @property
    def has_labels(self) -> bool:
        """Whether it knows the classes of its images."""

    @property
    def rounds(self) -> int:
        """Number of rounds in which it has something to offer."""

    @property
    def origin(self) -> Mapping[str, Any]:
        """Plain values that say where its images come from."""

    def identify(self, config: SyntheticConfig) -> str:
        """Hash of everything but the seed that determines its images."""

    def offer(
        self, attempt: int, wanted: Tensor, count: int, *, seed: int, config: SyntheticConfig, device: DeviceName
    ) -> Candidates:
        """Offer images.

        Args:
            attempt: number of the round, from 0.
            wanted: (W,) class indices of the images that are still missing.
            count: number of images to generate, W or more.
            seed: seed of the replicate.
            config: weights and truncation of a generator.
            device: device to generate on.
        """


class Generator(Protocol):
    """What `GeneratorSource` needs of a `TrainedGenerator`."""

    @property
    def weights(self) -> Mapping[WeightSet, Mapping[str, Tensor]]:
        """The sets of weights, one or both."""

    @property
    def training(self) -> Mapping[str, Any]:
        """Plain values that describe its training."""

    @property
    def is_conditional(self) -> bool:
        """Whether it generates images of a given class."""

    def sample(
        self,
        count: int,
        *,
        seed: int,
        weights: WeightSet,
        labels: Tensor | None,
        truncation: float | None,
        device: DeviceName,
    ) -> Tensor:
        """Generate images: (count, C, H, W) uint8 on the CPU."""


@dataclass(frozen=True)
class GeneratorSource:
    """A generator, trained on the real images of one replicate. Each round of each seed has latents of its own."""

    generator: Generator
    kind: ClassVar[str] = "generator"
    rounds: ClassVar[int] = ATTEMPTS

    @property
    def has_labels(self) -> bool:
        """Whether it generates images of a given class."""
        return self.generator.is_conditional

    @property
    def origin(self) -> dict[str, Any]:
        """Its training."""
        return {"training": dict(self.generator.training)}

    def identify(self, config: SyntheticConfig) -> str:
        """SHA-256 of its weights, 64 hexadecimal digits."""
        tensors = self.generator.weights[config.weights]
        return hash_arrays(tensors[name].numpy() for name in sorted(tensors))

    def offer(
        self, attempt: int, wanted: Tensor, count: int, *, seed: int, config: SyntheticConfig, device: DeviceName
    ) -> Candidates:
        """Generate images of the classes that are wanted, in turn."""
        asked = wanted.repeat(math.ceil(count / len(wanted)))[:count] if self.has_labels else None
        images = self.generator.sample(
            count,
            seed=seed * ATTEMPTS + attempt,
            weights=config.weights,
            labels=asked,
            truncation=config.truncation,
            device=device,
        )
        return Candidates(images, asked)
