"""The environments: the facts of the five experiments, each once, and that nothing of base leaks into them."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest
import yaml

from gan_pipelines import settings
from gan_pipelines.augmentation.config import AugmentationConfig
from gan_pipelines.core.config import ConfigError, flatten, parse
from gan_pipelines.gan import ImageShape, summarize_networks
from gan_pipelines.gan.variants import VARIANTS as ROWS
from gan_pipelines.gan.variants import parse_variant
from gan_pipelines.images.config import DatasetConfig
from gan_pipelines.metrics.config import ScoringConfig
from gan_pipelines.project.parameters import ReportingConfig
from gan_pipelines.project.preflight import check_transforms
from gan_pipelines.serving import ExportConfig

CONF = Path(__file__).parents[2] / "conf"
OWN_SECTIONS = ("dataset", "variants", "scoring", "augmentation", "reporting")


def both(setting, value):
    return {f"generator_optimizer.{setting}": value, f"discriminator_optimizer.{setting}": value}


def adam(learning_rate):
    return both("algorithm", "adam") | both("learning_rate", learning_rate) | both("betas", (0.5, 0.999))


# Facts of the reports and, where these are silent, the choices of this project.
NETWORKS = {"networks.family": "dcgan", "networks.width": 64, "networks.discriminator_norm": "batch"}
DCGAN = NETWORKS | adam(2e-4) | {"objective": "non_saturating", "discriminator_steps": 1, "batch_size": 128}
CRITIC = NETWORKS | {"objective": "wasserstein", "discriminator_steps": 7, "batch_size": 64}
PENALTY = {
    "penalties.0.at": "line", "penalties.0.target_norm": 1.0, "penalties.0.one_sided": False,
    "penalties.0.weight": 10.0, "penalties.0.every_steps": 1,
}  # fmt: skip
VARIANTS = {
    "cifar10_64": {
        "dcgan": DCGAN | {"epochs": 25},
        "wgan": CRITIC
        | both("algorithm", "rmsprop")
        | both("learning_rate", 5e-5)
        | {"weight_clip": 0.5, "epochs": 25},
        "wgan_gp": CRITIC | adam(1e-4) | PENALTY | {"epochs": 25},
        "acgan": DCGAN | {"networks.family": "acgan", "batch_size": 64, "epochs": 25},
    },
    "cifar10_64_attention": {
        "dcgan": DCGAN | {"epochs": 25},
        "sagan": DCGAN
        | {"generator_optimizer.learning_rate": 1e-4, "discriminator_optimizer.learning_rate": 4e-4}
        | both("betas", (0.0, 0.9))
        | {"networks.spectral_norm": "both", "networks.attention": True, "objective": "wasserstein", "epochs": 45},
    },
    "playing_cards": {
        "cdcgan": DCGAN | adam(1e-4) | {"networks.family": "cdcgan", "batch_size": 64, "epochs": 300},
    },
    "cifar10_32": {
        "wgan_gp": CRITIC
        | adam(2e-4)
        | PENALTY
        | {"networks.width": 128, "discriminator_steps": 5, "epochs": 100}
        | {"schedule.kind": "step", "schedule.every_epochs": 30, "schedule.factor": 0.1}
        | {"transforms.horizontal_flip": True, "transforms.rotation_degrees": 10.0, "transforms.crop_padding": 4},
    },
    "fashion_mnist": {
        "mlp_gan": DCGAN | {"networks.family": "mlp", "networks.discriminator_norm": "none", "epochs": 40},
        "dcgan": DCGAN | {"networks.family": "dcgan_5x5", "epochs": 20},
    },
}

# What holds for each variant of which the facts do not say otherwise.
UNLESS_STATED = both("betas", (0.5, 0.999)) | {
    "networks.latent_size": 100,
    "networks.spectral_norm": "none",
    "networks.attention": False,
    "penalties": (),
    "weight_clip": None,
    "schedule.kind": "constant",
    "schedule.every_epochs": 30,
    "schedule.factor": 0.1,
    "schedule.penalty_factor": 1.0,
    "transforms.horizontal_flip": False,
    "transforms.rotation_degrees": 0.0,
    "transforms.crop_padding": 0,
    "differentiable_transforms.kinds": (),
    "differentiable_transforms.probability": 1.0,
    "differentiable_transforms.target_sign": None,
    "differentiable_transforms.ramp_images": 500_000,
    "drop_last": True,
    "repeat_batches": False,
    "ema_decay": 0.999,
    "preview_weights": "raw",  # as the reports show
    "on_collapse": "warn",
    "seed": 0,
    "precision": "fp32",
    "compilation": "none",
}

IMAGES = {  # source, size, channels, training splits
    "cifar10_64": ("cifar10", 64, 3, ("train", "test")),
    "cifar10_64_attention": ("cifar10", 64, 3, ("train",)),
    "playing_cards": ("image_folder", 64, 3, ("train",)),
    "cifar10_32": ("cifar10", 32, 3, ("train",)),
    "fashion_mnist": ("fashion_mnist", 28, 1, ("train",)),
}

# Epochs that the reports score, and those of which they show pictures.
SCORED = {"cifar10_64": (1,), "cifar10_64_attention": (1,), "playing_cards": (30,)}
SHOWN = {"cifar10_64_attention": (0.5, 4, 6, 10, 12, 18, 40), "playing_cards": (30,), "cifar10_32": (10, 50, 100)}
KEPT = {"cifar10_32": (10, True)}  # epochs between weights that are saved, and whether the training starts from them

# The same in every experiment, and mostly what is left to the defaults.
SHARED = {
    "dataset": {
        "folder_split": None,
        "test_fraction": 0.0,
        "on_bad_image": "error",
        "resize_filter": "bicubic",
    },
    "scoring": {
        "extractor": "classifier",
        "extractor_weights": None,
        "classifier.network": "resnet18",
        "classifier.batch_size": 64,
        "classifier.learning_rate": 0.05,
        "classifier.momentum": 0.9,
        "classifier.weight_decay": 5e-4,
        "classifier.schedule": "cosine",
        "classifier.seed": 0,
        "is_splits": 10,
        "reference_split": ("train",),
        "seed": 0,
        "during_training.weights": "raw",  # as the reports score
    },
    "augmentation": {
        "fractions": (0.1, 0.25, 0.5, 1.0),
        "replicates": 5,
        "ratios": (1.0, 4.0),
        "max_valid_share": 0.25,
        "synthetic.weights": "raw",
        "synthetic.truncation": None,
        "synthetic.balance": "real",
        "synthetic.min_confidence": 0.0,
        "classifier.batch_size": 64,
        "classifier.network": "resnet18",
        "classifier.learning_rates": (1e-3,),
        "classifier.momentum": 0.9,
        "classifier.weight_decay": 0.0,
        "classifier.schedule": "constant",
        "generator_epochs": None,
        "seed": 0,
    },
}
ENVIRONMENTS = (*VARIANTS, "cifar10_quick")
CONFIGS = {
    "dataset": DatasetConfig, "scoring": ScoringConfig, "augmentation": AugmentationConfig,
    "reporting": ReportingConfig,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch):
    monkeypatch.delenv("GAN_PIPELINES_DATA", raising=False)
    monkeypatch.delenv("GAN_PIPELINES_DEVICE", raising=False)


def load(env, kind="parameters", conf=CONF):
    return deepcopy(read(env, kind, conf))


@cache
def read(env, kind, conf):
    return settings.CONFIG_LOADER_CLASS(str(conf), env=env, **settings.CONFIG_LOADER_ARGS)[kind]


def configure(env, section):
    """A section of an environment with its defaults, setting by setting."""
    return flatten(asdict(parse(CONFIGS[section], load(env)[section], section)))


def test_the_five_experiments_are_there():
    assert {path.name for path in CONF.iterdir()} >= set(VARIANTS)  # and those of who uses the project


@pytest.mark.parametrize("env", VARIANTS)
def test_the_variants_of_an_experiment_are_what_its_report_says(env):
    overrides = load(env)["variants"]
    resolved = {name: flatten(asdict(parse_variant(name, override))) for name, override in overrides.items()}
    expected = {name: UNLESS_STATED | facts for name, facts in VARIANTS[env].items()}
    for facts in expected.values():
        if facts.keys() >= PENALTY.keys():
            del facts["penalties"]
    assert resolved == expected


@pytest.mark.parametrize("env", VARIANTS)
def test_the_images_and_scores_of_an_experiment_are_those_of_its_report(env):
    dataset, scoring = configure(env, "dataset"), configure(env, "scoring")
    assert tuple(dataset[name] for name in ("source", "image_size", "channels", "train_splits")) == IMAGES[env]
    assert not [epoch for epoch in SCORED.get(env, ()) if epoch % scoring["during_training.every_epochs"]]
    reporting = configure(env, "reporting")
    others = [epoch for epoch in SHOWN.get(env, ()) if epoch % reporting["grid_every_epochs"]]
    assert others == [*reporting["grid_at_epochs"]]
    assert (reporting["milestone_every_epochs"], reporting["restartable_milestones"]) == KEPT.get(env, (None, False))
    assert scoring["samples"] == (50_000 if dataset["source"] == "cifar10" else 10_000)


# Choices of this project, where the reports are silent.
CIFAR10 = {
    "dataset": {"path": "data/01_raw", "download": True, "label_preserving.rotation_degrees": 15.0},
    "scoring": {"classifier.stem": "imagenet", "classifier.epochs": 10, "during_training.samples": 5_000},
    "augmentation": {"classifier.stem": "imagenet", "classifier.epochs": 30, "transforms.rotation_degrees": 10.0},
}
CHOICES = {  # beside what differs: mirror images, epochs between scores and grids, pixels of random shifts
    "cifar10_64": (CIFAR10, {}, True, 1, 5, 8),
    "cifar10_64_attention": (CIFAR10, {}, True, 1, 2, 8),
    "playing_cards": (
        CIFAR10,
        {
            "dataset": {
                "path": "data/01_raw/playing-cards",
                "download": False,
                "label_preserving.rotation_degrees": 180.0,
            },
            "scoring": {"classifier.epochs": 30},
            "augmentation": {"classifier.epochs": 50, "transforms.rotation_degrees": 15.0},
        },
        False, 10, 30, 8,
    ),
    "cifar10_32": (
        CIFAR10,
        {
            "scoring": {"classifier.stem": "small", "classifier.epochs": 30},
            "augmentation": {"classifier.stem": "small"},
        },
        True, 2, 10, 4,
    ),
    "fashion_mnist": (
        CIFAR10,
        {
            "scoring": {"classifier.epochs": 3, "during_training.samples": 2_000},
            "augmentation": {"transforms.rotation_degrees": 0.0},
        },
        True, 5, 5, 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("env", VARIANTS)
def test_an_experiment_makes_these_choices(env):
    common, own, is_mirrored, scored_every, shown_every, shift = CHOICES[env]
    for section, settings_ in common.items():
        assert (settings_ | own.get(section, {})).items() <= configure(env, section).items()
    dataset, scoring, augmentation = (configure(env, section) for section in common)
    assert dataset["label_preserving.horizontal_flip"] == augmentation["transforms.horizontal_flip"] == is_mirrored
    assert scoring["during_training.every_epochs"] == scored_every
    assert load(env)["reporting"]["grid_every_epochs"] == shown_every
    assert augmentation["transforms.crop_padding"] == shift


@pytest.mark.parametrize("env", VARIANTS)
@pytest.mark.parametrize("section", SHARED)
def test_the_experiments_have_these_settings_in_common(env, section):
    assert SHARED[section].items() <= configure(env, section).items()


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_nothing_of_base_leaks_into_an_experiment(env, tmp_path):
    for name in ("base", env):
        shutil.copytree(CONF / name, tmp_path / name)
    (tmp_path / "local").mkdir()
    stated = yaml.safe_load((CONF / "base/parameters.yml").read_text())
    nonsense = {section: spoil(stated[section]) for section in OWN_SECTIONS}
    (tmp_path / "base/parameters.yml").write_text(yaml.safe_dump(stated | nonsense))
    spoilt = load(env, conf=tmp_path)
    assert spoilt == load(env)
    assert load(None, conf=tmp_path)["dataset"]["source"] == "nonsense"
    assert load(env, "globals") == {"experiment": env}
    assert spoilt["experiment"] == env
    # What a user asks for, on a machine, is no part of an experiment.
    assert set(spoilt) == {"experiment", "sampling", "export", "folder", "runtime", *OWN_SECTIONS}
    assert spoilt["sampling"] == {"count": 16, "classes": None, "seed": 0, "truncation": None, "weights": "ema"}
    assert ExportConfig(**spoilt["export"]) == ExportConfig()
    engine = {"engine": "pool", "workers": None, "address": None, "cpus_per_task": 1, "gpus_per_task": 0}
    assert spoilt["runtime"] == {
        "device": "auto",
        "fresh": False,
        "restart_epoch": None,
        "system_metrics": True,
        **engine,
    }


def spoil(values):
    """The same settings and one more, all with a value that nobody would state."""
    if isinstance(values, dict):
        return {"nonsense": "nonsense"} | {name: spoil(value) for name, value in values.items()}
    return "nonsense"


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
    "cifar10_quick": {  # counted by hand
        "acgan": (371_624, 188_288),
        "dcgan": (370_624, 167_808),
        "cdcgan": (608_184, 480_233),
    },
}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_networks_of_an_environment_have_the_published_sizes(env):
    dataset = parse(DatasetConfig, load(env)["dataset"], "dataset")
    shape = ImageShape(dataset.channels, dataset.image_size, dataset.image_size)
    counts = {}
    for name, overrides in load(env)["variants"].items():
        layers = summarize_networks(parse_variant(name, overrides), shape, 53 if env == "playing_cards" else 10)
        counts[name] = tuple(layer.parameters for layer in layers if layer.layer == "total")
        rows = sum(layer.parameters for layer in layers if layer.layer != "total")
        assert rows == sum(counts[name])
    assert counts == PARAMETERS[env]


def test_the_quick_experiment_has_the_recipe_that_was_measured():
    dcgan = {
        "networks.discriminator_norm": "batch", "networks.spectral_norm": "none", "objective": "non_saturating",
        "epochs": 8,
    }  # fmt: skip
    acgan = dcgan | {"batch_size": 32, "epochs": 6}
    cdcgan = {
        "networks.discriminator_norm": "none", "networks.spectral_norm": "discriminator", "objective": "hinge",
        "epochs": 10,
    }  # fmt: skip
    recipe = {
        "networks.width": 32, "discriminator_steps": 1, "penalties": (), "batch_size": 64,
        "transforms.horizontal_flip": True, "ema_decay": 0.999, "preview_weights": "ema", "precision": "auto",
        **both("algorithm", "adam"), **both("learning_rate", 4e-4), **both("betas", (0.5, 0.999)),
    }  # fmt: skip
    overrides = load("cifar10_quick")["variants"]
    assert list(overrides) == ["acgan", "dcgan", "cdcgan"]
    for (name, override), own in zip(overrides.items(), (acgan, dcgan, cdcgan), strict=True):
        settings_ = flatten(asdict(parse_variant(name, override)))
        assert (recipe | own | {"networks.family": name}).items() <= settings_.items()
    dataset = configure("cifar10_quick", "dataset")
    assert tuple(dataset[name] for name in ("source", "image_size", "channels", "train_splits")) == IMAGES["cifar10_32"]


def test_base_has_settings_for_every_variant():
    for name, overrides in load(None)["variants"].items():
        config = parse_variant(name, overrides)
        assert (config.batch_size, config.ema_decay, config.seed, config.precision) == (32, 0.98, 0, "auto")
    assert set(load(None)["variants"]) == set(ROWS)


@pytest.mark.parametrize("env", [None, *ENVIRONMENTS])
def test_augmentation_stays_within_what_the_labels_bear(env):
    parameters = load(env)
    dataset = parse(DatasetConfig, parameters["dataset"], "dataset")
    for name, overrides in parameters["variants"].items():
        check_transforms(name, parse_variant(name, overrides).transforms, dataset)


@pytest.mark.parametrize(
    ("transforms", "sentence"),
    [
        ({"rotation_degrees": 180}, "rotation_degrees is 180.0, but must be at most 15 for these images"),
        ({"crop_padding": 16}, "crop_padding is 16, but must be below dataset.image_size, 16"),
        ({"horizontal_flip": True}, "horizontal_flip is True, but must be false for these images"),
    ],
)
def test_an_augmentation_that_makes_labels_wrong_is_refused(transforms, sentence):
    parameters = load(None)
    config = parse_variant("acgan", {**parameters["variants"]["acgan"], "transforms": transforms})
    dataset = parse(DatasetConfig, parameters["dataset"], "dataset")
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
