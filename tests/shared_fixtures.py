"""Small data and small networks that several tests share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from command_line import copy_project, kedro, small
from failing_trainings import CollapsingGenerator, PoisonedObjective
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.gan import VARIANTS, GanConfig, NetworkConfig
from gan_pipelines.gan.networks import FAMILIES, NetworkFamily
from gan_pipelines.gan.objectives import OBJECTIVES
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import make_thumbnails

torch.set_num_threads(1)  # two workers share two cores


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_gan() -> GanConfig:
    """A WGAN-GP for 8x8 images, 5 batches an epoch over `tiny_images`."""
    networks = NetworkConfig(latent_size=4, width=4, discriminator_norm="none")
    return replace(
        VARIANTS["wgan_gp"],
        networks=networks,
        discriminator_steps=2,
        batch_size=8,
        epochs=2,
        ema_decay=0.5,
        precision="fp32",
    )


@pytest.fixture
def poison(monkeypatch) -> PoisonedObjective:
    """Turns the losses of `tiny_gan` into NaN once ``poisoned`` is set."""
    poison = PoisonedObjective()
    monkeypatch.setitem(OBJECTIVES, "wasserstein", poison.objective)
    return poison


@pytest.fixture
def collapsing(monkeypatch) -> type[CollapsingGenerator]:
    """Makes the generator of `tiny_gan` collapse once ``collapsed`` is set."""
    monkeypatch.setattr(CollapsingGenerator, "collapsed", False)
    make = lambda _, image_shape: CollapsingGenerator(image_shape.width)  # noqa: E731
    monkeypatch.setitem(FAMILIES, "dcgan", NetworkFamily(make, FAMILIES["dcgan"].discriminator))
    return CollapsingGenerator


@pytest.fixture(scope="session")
def tiny_images() -> np.ndarray:
    """(43, 1, 8, 8) uint8: five batches of eight, and three left over."""
    return np.random.default_rng(0).integers(0, 256, (43, 1, 8, 8), dtype=np.uint8)


@pytest.fixture(scope="session")
def striped_images() -> ImageSet:
    """Dark and bright 16x16 images with noise: 40 train, 20 test and 10 valid."""
    labels = np.arange(70) % 2
    noise = np.random.default_rng(0).integers(0, 60, (70, 1, 16, 16))
    images = (labels[:, None, None, None] * 190 + noise).astype(np.uint8)
    split_sizes = {"train": 40, "test": 20, "valid": 10}
    names = tuple(map(str, range(70)))
    return ImageSet(
        images, hash_images(images), labels, ("dark", "bright"), split_sizes, "bicubic", names, make_thumbnails(images)
    )


@pytest.fixture(scope="session")
def small_project(tmp_path_factory):
    """A copy of the project after a short training of the conditional DCGAN by the real command line."""
    project = copy_project(tmp_path_factory.mktemp("clone") / "project")
    kedro(project, "run", "--pipelines=train_cdcgan", f"--params={small('cdcgan', epochs=2)}")
    return project
