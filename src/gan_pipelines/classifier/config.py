"""How the classifier is built and fitted."""

from __future__ import annotations

from typing import Literal

from gan_pipelines.core.config import Count, NonNegative, Positive, Seed, Share, config, require
from gan_pipelines.gan.config import BatchSize

NetworkName = Literal["resnet18", "resnet8"]
Stem = Literal["imagenet", "small"]
Schedule = Literal["cosine", "constant"]


@config
class FitConfig:
    """Residual network (He et al. 2016) and its fit by SGD with momentum, but for learning rate and seed.

    Attributes:
        network: ``resnet18``, or ``resnet8``, the paper's network for CIFAR-10 with one block for each of its three
            sizes: 78,000 weights and 64 features, for images of up to 32 pixels.
        stem: of ``resnet18``: ``imagenet`` is the paper's 7x7 convolution and pooling; ``small`` is a 3x3 convolution
            without pooling, which is better at 32 pixels and takes about ten times as long. ``resnet8`` has a 3x3
            convolution, and refuses another stem than the default.
        epochs: passes over the images.
        batch_size: images of a step; 2 or more, since batch norm needs two.
        momentum: of SGD.
        weight_decay: of SGD.
        schedule: of the learning rate: ``cosine`` falls to zero along half a cosine, ``constant`` stays.
    """

    network: NetworkName = "resnet18"
    stem: Stem = "imagenet"
    epochs: Count = 10
    batch_size: BatchSize = 64
    momentum: Share = 0.9
    weight_decay: NonNegative = 5e-4
    schedule: Schedule = "cosine"

    def __post_init__(self) -> None:
        allowed = "left out with network: resnet8, which has a stem of its own"
        require(self.network == "resnet18" or self.stem == "imagenet", "stem", self.stem, allowed)

    @property
    def network_name(self) -> str:
        """Name of the network with its stem, as scores state it."""
        return self.network if self.network == "resnet8" else f"{self.network}-{self.stem}-stem"


@config
class ClassifierConfig(FitConfig):
    """Residual network (He et al. 2016), fitted by SGD with momentum at one learning rate.

    Attributes:
        learning_rate: at the start.
        seed: of the weights and the order of the images.
    """

    learning_rate: Positive = 0.05
    seed: Seed = 0
