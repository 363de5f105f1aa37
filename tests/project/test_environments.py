"""Every environment, resolved as Kedro resolves it, beside a literal table: nothing leaks in from base."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from gan_pipelines import settings
from gan_pipelines.augmentation.config import AugmentationConfig
from gan_pipelines.core.config import ConfigError, flatten, from_dict
from gan_pipelines.gan import ImageShape, summarize_networks
from gan_pipelines.gan.variants import VARIANTS as ROWS
from gan_pipelines.images.config import DatasetConfig
from gan_pipelines.metrics.config import ScoringConfig
from gan_pipelines.project.parameters import check_transforms, configure_gan

CONF = Path(__file__).parents[2] / "conf"

# What the five experiments have in common, setting by setting.
COMMON = {
    "networks.family": "dcgan",
    "networks.latent_size": 100,
    "networks.width": 64,
    "networks.discriminator_norm": "batch",
    "networks.spectral_norm": "none",
    "networks.attention": False,
    "objective": "non_saturating",
    "penalty": None,
    "weight_clip": None,
    "discriminator_steps": 1,
    "generator_optimizer.algorithm": "adam",
    "generator_optimizer.learning_rate": 2e-4,
    "generator_optimizer.betas": (0.5, 0.999),
    "discriminator_optimizer.algorithm": "adam",
    "discriminator_optimizer.learning_rate": 2e-4,
    "discriminator_optimizer.betas": (0.5, 0.999),
    "schedule.kind": "constant",
    "schedule.every_epochs": 30,
    "schedule.factor": 0.1,
    "transforms.horizontal_flip": False,
    "transforms.rotation_degrees": 0.0,
    "transforms.crop_padding": 0,
    "ema_decay": 0.999,
    "batch_size": 128,
    "epochs": 25,
    "seed": 0,
    "precision": "fp32",
    "compilation": "none",
}


def both(setting, value):
    return {f"generator_optimizer.{setting}": value, f"discriminator_optimizer.{setting}": value}


def without(settings, *names):
    return {name: value for name, value in settings.items() if name not in names}


LINE_PENALTY = {"penalty.at": "line", "penalty.target_norm": 1.0, "penalty.weight": 10.0}
PENALIZED = without(COMMON, "penalty") | LINE_PENALTY | {"objective": "wasserstein", "batch_size": 64}

VARIANTS = {
    "cifar10_64": {
        "dcgan": COMMON,
        "wgan": COMMON
        | {"objective": "wasserstein", "weight_clip": 0.5, "discriminator_steps": 7, "batch_size": 64}
        | both("algorithm", "rmsprop")
        | both("learning_rate", 5e-5),
        "wgan_gp": PENALIZED | {"discriminator_steps": 7} | both("learning_rate", 1e-4),
        "acgan": COMMON | {"networks.family": "acgan", "batch_size": 64},
    },
    "cifar10_64_attention": {
        "dcgan": COMMON,
        "sagan": COMMON
        | {"networks.spectral_norm": "both", "networks.attention": True, "objective": "wasserstein", "epochs": 45}
        | {"generator_optimizer.learning_rate": 1e-4, "discriminator_optimizer.learning_rate": 4e-4}
        | both("betas", (0.0, 0.9)),
    },
    "playing_cards": {
        "cdcgan": COMMON | {"networks.family": "cdcgan", "batch_size": 64, "epochs": 300} | both("learning_rate", 1e-4)
    },
    "cifar10_32": {
        "wgan_gp": PENALIZED
        | {"networks.width": 128, "discriminator_steps": 5, "epochs": 100, "schedule.kind": "step"}
        | {"transforms.horizontal_flip": True, "transforms.rotation_degrees": 10.0, "transforms.crop_padding": 4},
    },
    "fashion_mnist": {
        "mlp_gan": COMMON | {"networks.family": "mlp", "networks.discriminator_norm": "none", "epochs": 40},
        "dcgan": COMMON | {"networks.family": "dcgan_5x5", "epochs": 20},
    },
}

CIFAR10 = {
    "source": "cifar10",
    "path": "data/01_raw",
    "folder_split": None,
    "test_fraction": 0.0,
    "download": True,
    "on_bad_image": "error",
    "image_size": 64,
    "channels": 3,
    "resize_filter": "bicubic",
    "train_splits": ("train",),
    "label_preserving.horizontal_flip": True,
    "label_preserving.rotation_degrees": 15.0,
}
DATASETS = {
    "cifar10_64": CIFAR10 | {"train_splits": ("train", "test")},
    "cifar10_64_attention": CIFAR10,
    "playing_cards": CIFAR10
    | {"source": "image_folder", "path": "data/01_raw/playing-cards", "download": False}
    | {"label_preserving.horizontal_flip": False, "label_preserving.rotation_degrees": 180.0},
    "cifar10_32": CIFAR10 | {"image_size": 32},
    "fashion_mnist": CIFAR10 | {"source": "fashion_mnist", "image_size": 28, "channels": 1},
}

SCORING = {
    "extractor": "classifier",
    "inception_weights": None,
    "classifier.stem": "imagenet",
    "classifier.epochs": 10,
    "classifier.batch_size": 64,
    "classifier.learning_rate": 0.05,
    "classifier.momentum": 0.9,
    "classifier.weight_decay": 5e-4,
    "classifier.schedule": "cosine",
    "classifier.seed": 0,
    "samples": 50_000,
    "is_splits": 10,
    "reference_split": "train",
    "seed": 0,
    "during_training.samples": 5_000,
    "during_training.every_epochs": 1,
    "during_training.weights": "raw",  # as the reports score
}
SCORINGS = {
    "cifar10_64": SCORING,
    "cifar10_64_attention": SCORING,
    "playing_cards": SCORING | {"classifier.epochs": 30, "samples": 10_000, "during_training.every_epochs": 10},
    "cifar10_32": SCORING | {"classifier.stem": "small", "classifier.epochs": 30, "during_training.every_epochs": 2},
    "fashion_mnist": SCORING
    | {"classifier.epochs": 3, "samples": 10_000}
    | {"during_training.samples": 2_000, "during_training.every_epochs": 5},
}

AUGMENTATION = {
    "fractions": (0.1, 0.25, 0.5, 1.0),
    "replicates": 5,
    "ratios": (1.0, 4.0),
    "synthetic.weights": "raw",
    "synthetic.truncation": None,
    "synthetic.balance": "real",
    "synthetic.min_confidence": 0.0,
    "transforms.horizontal_flip": True,
    "transforms.rotation_degrees": 10.0,
    "transforms.crop_padding": 8,
    "classifier.stem": "imagenet",
    "classifier.epochs": 30,
    "classifier.batch_size": 64,
    "classifier.learning_rate": 1e-3,
    "classifier.momentum": 0.9,
    "classifier.weight_decay": 0.0,
    "classifier.schedule": "constant",
    "classifier.seed": 0,
    "generator_epochs": None,
    "seed": 0,
}
AUGMENTATIONS = {
    "cifar10_64": AUGMENTATION,
    "cifar10_64_attention": AUGMENTATION,
    "playing_cards": AUGMENTATION
    | {"transforms.horizontal_flip": False, "transforms.rotation_degrees": 15.0, "classifier.epochs": 50},
    "cifar10_32": AUGMENTATION | {"transforms.crop_padding": 4, "classifier.stem": "small"},
    "fashion_mnist": AUGMENTATION | {"transforms.rotation_degrees": 0.0, "transforms.crop_padding": 3},
}

GRID_EVERY = {"cifar10_64": 5, "cifar10_64_attention": 2, "playing_cards": 30, "cifar10_32": 10, "fashion_mnist": 5}


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch):
    monkeypatch.delenv("GAN_PIPELINES_DATA", raising=False)
    monkeypatch.delenv("GAN_PIPELINES_DEVICE", raising=False)


def load(env, kind="parameters"):
    return settings.CONFIG_LOADER_CLASS(str(CONF), env=env, **settings.CONFIG_LOADER_ARGS)[kind]


def test_the_five_experiments_are_there():
    assert {path.name for path in CONF.iterdir()} >= set(VARIANTS)  # and those of who uses the project


@pytest.mark.parametrize("env", VARIANTS)
def test_every_variant_of_an_environment_is_what_the_experiment_says(env):
    overrides = load(env)["variants"]
    resolved = {name: flatten(asdict(configure_gan(name, override))) for name, override in overrides.items()}
    assert resolved == VARIANTS[env]


# Generator and discriminator, published or stated; ACGAN's second head and attention counted by hand.
PARAMETERS = {
    "cifar10_64": {
        "dcgan": (3_576_704, 2_765_568),
        "wgan": (3_576_704, 2_765_568),
        "wgan_gp": (3_576_704, 2_765_568),
        "acgan": (3_577_704, 2_765_568 + 10 * 512 * 16),
    },
    # Attention over C channels: four 1x1 convolutions between C and C / 8, and gamma.
    "cifar10_64_attention": {
        "dcgan": (3_576_704, 2_765_568),
        "sagan": (3_576_704 + (128**2 + 64**2) // 2 + 2, 2_765_568 + (256**2 + 512**2) // 2 + 2),
    },
    "playing_cards": {"cdcgan": (7_666_180, 1_925_045)},
    "cifar10_32": {"wgan_gp": (3_448_576, 2_637_312)},
    "fashion_mnist": {"mlp_gan": (1_486_352, 533_505), "dcgan": (2_318_209, 213_249)},
}


@pytest.mark.parametrize("env", VARIANTS)
def test_the_networks_of_an_environment_have_the_published_sizes(env):
    dataset = from_dict(DatasetConfig, load(env)["dataset"], "dataset")
    shape = ImageShape(dataset.channels, dataset.image_size, dataset.image_size)
    counts = {}
    for name, overrides in load(env)["variants"].items():
        layers = summarize_networks(configure_gan(name, overrides), shape, 53 if env == "playing_cards" else 10)
        counts[name] = tuple(layer.parameters for layer in layers if layer.layer == "total")
        rows = sum(layer.parameters for layer in layers if layer.layer != "total")
        assert rows == sum(counts[name])
    assert counts == PARAMETERS[env]


@pytest.mark.parametrize("env", VARIANTS)
def test_everything_else_of_an_environment(env):
    parameters = load(env)
    sections = {"dataset", "variants", "scoring", "augmentation", "reporting", "sampling", "runtime"}
    assert set(parameters) == {"experiment", *sections}
    assert parameters["experiment"] == env
    assert flatten(asdict(from_dict(DatasetConfig, parameters["dataset"], "dataset"))) == DATASETS[env]
    assert flatten(asdict(from_dict(ScoringConfig, parameters["scoring"], "scoring"))) == SCORINGS[env]
    experiment = from_dict(AugmentationConfig, parameters["augmentation"], "augmentation")
    assert flatten(asdict(experiment)) == AUGMENTATIONS[env]
    assert parameters["reporting"] == {"grid_every_epochs": GRID_EVERY[env]}
    assert load(env, "globals") == {"experiment": env}
    # What a user asks for, on a machine, is no part of an experiment.
    assert parameters["sampling"] == {"count": 16, "classes": None, "seed": 0, "truncation": None, "weights": "ema"}
    assert parameters["runtime"] == {"device": "auto", "fresh": False}


def test_base_has_settings_for_every_variant():
    for name, overrides in load(None)["variants"].items():
        config = configure_gan(name, overrides)
        assert (config.batch_size, config.ema_decay, config.seed, config.precision) == (32, 0.98, 0, "auto")
    assert set(load(None)["variants"]) == set(ROWS)


@pytest.mark.parametrize("env", [None, *VARIANTS])
def test_augmentation_stays_within_what_the_labels_bear(env):
    parameters = load(env)
    dataset = from_dict(DatasetConfig, parameters["dataset"], "dataset")
    for name, overrides in parameters["variants"].items():
        check_transforms(name, configure_gan(name, overrides).transforms, dataset)


@pytest.mark.parametrize(
    ("transforms", "sentence"),
    [
        ({"rotation_degrees": 180}, "rotation_degrees is 180.0, but must be at most 15 for these images"),
        ({"crop_padding": 32}, "crop_padding is 32, but must be below dataset.image_size, 32"),
        ({"horizontal_flip": True}, "horizontal_flip is True, but must be false for these images"),
    ],
)
def test_an_augmentation_that_makes_labels_wrong_is_refused(transforms, sentence):
    parameters = load(None)
    config = configure_gan("acgan", {**parameters["variants"]["acgan"], "transforms": transforms})
    dataset = from_dict(DatasetConfig, parameters["dataset"], "dataset")
    with pytest.raises(ConfigError, match=f"^variants.acgan.transforms.{sentence}"):
        check_transforms("variants.acgan.transforms", config.transforms, dataset)


def test_local_settings_change_what_they_name_and_an_experiment_replaces_whole_sections(tmp_path):
    for env, variants in {
        "base": "{a: {epochs: 1, networks: {width: 2}}, b: {epochs: 3}}",
        "local": "{a: {networks: {latent_size: 9}}}",
        "experiment": "{a: {networks: {latent_size: 9}}}",
    }.items():
        (tmp_path / env).mkdir()
        (tmp_path / env / "parameters.yml").write_text(f"variants: {variants}\nseed: 5")

    def variants_of(env):
        loader = settings.CONFIG_LOADER_CLASS(str(tmp_path), env=env, **settings.CONFIG_LOADER_ARGS)
        return loader["parameters"]["variants"]

    local = {"a": {"epochs": 1, "networks": {"width": 2, "latent_size": 9}}, "b": {"epochs": 3}}
    assert variants_of(None) == variants_of("local") == local
    assert variants_of("experiment") == {"a": {"networks": {"latent_size": 9}}}
