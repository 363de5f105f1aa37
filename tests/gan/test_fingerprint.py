"""What makes two trainings the same, and what makes them different."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, fields, replace

import pydantic.dataclasses
import pytest
import torch

from gan_pipelines.core.devices import resolve_precision
from gan_pipelines.gan import (
    VARIANTS,
    DifferentiableTransformConfig,
    GanConfig,
    NetworkConfig,
    OptimizerConfig,
    PenaltyConfig,
    ScheduleConfig,
    TransformConfig,
    fingerprint,
    train,
)

# A default decides what a fingerprint means, since settings at their default are not hashed.
ADAM = {"algorithm": "adam", "learning_rate": 2e-4, "betas": (0.5, 0.999)}
DEFAULTS = {
    GanConfig: {
        "networks": {
            "family": "dcgan", "latent_size": 100, "width": 64, "discriminator_norm": "batch", "spectral_norm": "none",
            "attention": False,
        },
        "penalties": (), "weight_clip": None, "discriminator_steps": 1, "generator_optimizer": ADAM,
        "discriminator_optimizer": ADAM,
        "schedule": {"kind": "constant", "every_epochs": 30, "factor": 0.1, "penalty_factor": 1.0},
        "transforms": {"horizontal_flip": False, "rotation_degrees": 0.0, "crop_padding": 0},
        "differentiable_transforms": {
            "kinds": (), "probability": 1.0, "target_sign": None, "ramp_images": 500_000,
        },
        "ema_decay": 0.999,
        "preview_weights": "ema", "on_collapse": "warn",
        "batch_size": 64, "drop_last": True, "repeat_batches": False, "epochs": 25, "seed": 0, "precision": "auto",
        "compilation": "none",
    },
    PenaltyConfig: {"at": "line", "target_norm": 1.0, "one_sided": False, "weight": 10.0, "every_steps": 1},
}  # fmt: skip
ROWS = {
    "mlp_gan": "9a5ea984ab5b2745",
    "dcgan": "641482252a5c9b97",
    "cdcgan": "1256ef9994ba9ce1",
    "lsgan": "85c844920f34d2c5",
    "wgan": "9298925f93f4957f",
    "wgan_gp": "0b678b76514fbbf1",
    "dragan": "2320f943b5e7b899",
    "acgan": "d1386a0044bc59c7",
    "sagan": "3f45cc1bf31029c5",
    "sngan": "9b5c5871f90c69de",
    "sngan_projection": "503ba7a3fa86a54e",
    "r3gan": "54d124ea87532a1f",
    "r3gan_conditional": "648aa4bb4ea2313a",
}


def identify(config, data_hash="data"):
    return fingerprint(config, data_hash, "cpu")


def plain(**changes):
    """A configuration with nothing but defaults, and what is given."""
    return GanConfig(**{"objective": "hinge", "precision": "fp32"} | changes)


@pytest.mark.parametrize(("config", "required"), [(GanConfig, {"objective": "hinge"}), (PenaltyConfig, {})])
def test_the_defaults_that_are_left_out_of_fingerprints_have_not_changed(config, required):
    assert asdict(config(**required)) == DEFAULTS[config] | required, (
        "If a default has changed, raise ALGORITHM_VERSION in gan/state.py: otherwise trainings with the old default "
        "are taken for trainings with the new one. If a setting is new and its default leaves training as it was, add "
        "it to DEFAULTS."
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_fingerprints_of_the_rows_have_not_changed(variant):
    assert identify(replace(VARIANTS[variant], precision="fp32")) == ROWS[variant], (
        "Finished trainings of this variant are no longer found. If the row or ALGORITHM_VERSION has changed on "
        "purpose, write the new fingerprint into ROWS. If not, what _identify in gan/state.py hashes has changed."
    )


def with_a_new_setting(config_type):
    """Add a setting to a configuration, as a later version may."""
    is_pydantic = pydantic.dataclasses.is_pydantic_dataclass(config_type)
    dataclass = pydantic.dataclasses.dataclass if is_pydantic else dataclasses.dataclass

    @dataclass(frozen=True, kw_only=True)
    class Later(config_type):
        new_setting: float = 0.0

    return Later


def as_type(config_type, config):
    return config_type(**{setting.name: getattr(config, setting.name) for setting in fields(config)})


def test_a_new_setting_at_its_default_leaves_fingerprints_as_they_are():
    config = plain(networks=NetworkConfig(width=8), seed=3)
    later = as_type(with_a_new_setting(GanConfig), config)
    assert identify(later) == identify(config)
    assert identify(replace(later, new_setting=0.1)) != identify(config)


def test_a_new_setting_of_a_part_leaves_fingerprints_as_they_are():
    config = plain(networks=NetworkConfig(width=8), seed=3)
    networks = as_type(with_a_new_setting(NetworkConfig), config.networks)
    assert identify(replace(config, networks=networks)) == identify(config)
    assert identify(replace(config, networks=replace(networks, new_setting=0.1))) != identify(config)


OTHER_VALUES = {
    NetworkConfig: {
        "family": "acgan", "latent_size": 50, "width": 8, "discriminator_norm": "instance", "spectral_norm": "both",
        "attention": True,
    },
    PenaltyConfig: {"at": "real", "target_norm": 0.0, "one_sided": True, "weight": 1.0, "every_steps": 16},
    OptimizerConfig: {"algorithm": "rmsprop", "learning_rate": 1e-3, "betas": (0.0, 0.9)},
    ScheduleConfig: {"kind": "linear", "every_epochs": 5, "factor": 0.5},
    TransformConfig: {"horizontal_flip": True, "rotation_degrees": 10.0, "crop_padding": 2},
    DifferentiableTransformConfig: {
        "kinds": ("colour", "cutout"), "probability": 0.5, "target_sign": 0.5, "ramp_images": 1000,
    },
    GanConfig: {
        "objective": "non_saturating", "weight_clip": 0.01, "discriminator_steps": 2, "ema_decay": 0.5,
        "batch_size": 8, "drop_last": False, "repeat_batches": True, "seed": 1, "precision": "bf16",
        "compilation": "default",
    },
}  # fmt: skip
PARTS = {
    "networks": NetworkConfig(),
    "generator_optimizer": OptimizerConfig(),
    "discriminator_optimizer": OptimizerConfig(),
    "schedule": ScheduleConfig(kind="step"),
    "transforms": TransformConfig(),
    "differentiable_transforms": DifferentiableTransformConfig(kinds=("cutout",), probability=0.0, target_sign=0.6),
}


def test_every_setting_has_another_value_here():
    left = {
        GanConfig: set(PARTS) | {"penalties", "epochs", "on_collapse", "preview_weights"},
        ScheduleConfig: {"penalty_factor"},
    }
    for config_type, values in OTHER_VALUES.items():
        assert set(values) | left.get(config_type, set()) == {setting.name for setting in fields(config_type)}


@pytest.mark.parametrize("name", OTHER_VALUES[GanConfig])
def test_every_setting_changes_the_fingerprint(name):
    assert identify(plain(**{name: OTHER_VALUES[GanConfig][name]})) != identify(plain())


@pytest.mark.parametrize("part", PARTS)
def test_every_setting_of_a_part_changes_the_fingerprint(part):
    values = PARTS[part]
    seen = [identify(plain()), *([identify(plain(**{part: values}))] if values != getattr(plain(), part) else [])]
    seen += [identify(plain(**{part: replace(values, **{name: value})})) for name, value in
             OTHER_VALUES[type(values)].items()]  # fmt: skip
    assert len(set(seen)) == len(seen)


def test_every_setting_of_a_penalty_changes_the_fingerprint_and_so_does_another_penalty():
    penalty, other = PenaltyConfig(), PenaltyConfig(at="real")
    changed = [replace(penalty, **{name: value}) for name, value in OTHER_VALUES[PenaltyConfig].items()]
    lists = [(), *((each,) for each in (penalty, *changed)), (penalty, other), (other, penalty), (penalty, penalty)]
    assert len({identify(plain(penalties=penalties)) for penalties in lists}) == len(lists)


def test_the_schedule_of_penalties_changes_the_fingerprint():
    penalties = (PenaltyConfig(),)
    kept, lowered = (ScheduleConfig(kind="cosine", penalty_factor=factor) for factor in (1.0, 0.1))
    assert identify(plain(penalties=penalties, schedule=kept)) != identify(plain(penalties=penalties, schedule=lowered))


def test_the_two_optimizers_are_told_apart():
    slow = OptimizerConfig(learning_rate=1e-5)
    assert identify(plain(generator_optimizer=slow)) != identify(plain(discriminator_optimizer=slow))


def test_the_data_belong_to_the_identity():
    assert identify(plain(), "other data") != identify(plain())


def test_precision_counts_as_what_auto_is_on_the_device():
    resolved = resolve_precision("auto", torch.device("cpu"))
    assert identify(plain(precision="auto")) == identify(plain(precision=resolved))


@pytest.mark.parametrize(("kind", "count"), [("constant", False), ("step", False), ("linear", True), ("cosine", True)])
def test_epochs_count_only_if_the_schedule_depends_on_them(kind, count):
    schedule = ScheduleConfig(kind=kind)
    fingerprints = {identify(plain(schedule=schedule, epochs=epochs)) for epochs in (1, 99)}
    assert (len(fingerprints) == 2) == count


@pytest.mark.parametrize("changes", [{"on_collapse": "stop"}, {"preview_weights": "raw"}])
def test_what_changes_no_weight_does_not_count(changes):
    assert identify(plain(**changes)) == identify(plain())


def test_the_fingerprint_is_known_before_the_training(tiny_gan, striped_images):
    images = striped_images.select("train")
    epochs = train(tiny_gan, images.images, images.labels, class_names=images.class_names, device="cpu")
    assert next(epochs).generator.training["fingerprint"] == identify(tiny_gan, images.content_hash)
