from __future__ import annotations

from dataclasses import asdict
from typing import get_args

import pytest

from gan_pipelines.core.config import ConfigError, merge, parse
from gan_pipelines.gan import VARIANTS, GanConfig, OptimizerConfig, ScheduleConfig
from gan_pipelines.gan.config import NetworkFamilyName
from gan_pipelines.gan.networks import FAMILIES
from gan_pipelines.gan.variants import parse_variant

ADAM = ("adam", 2e-4, 0.5, 0.999)
SLOW, FAST = ("adam", 1e-4, 0.0, 0.9), ("adam", 4e-4, 0.0, 0.9)
MIDDLE = ("adam", 2e-4, 0.0, 0.9)
R3GAN = ("adam", 2e-4, 0.0, 0.99)
RMSPROP = ("rmsprop", 5e-5)
SMALL = (100, 64)
R1_R2 = [("real", 0.0, 0.025), ("fake", 0.0, 0.025)]  # gamma / 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 1}, "batch_size is 1, but must be 2 or more"),
        ({"epochs": 0}, "epochs is 0"),
        ({"discriminator_steps": 0}, "discriminator_steps is 0"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0"),
        ({"seed": -1}, "seed is -1"),
        ({"objective": "wasserstien"}, "objective is 'wasserstien', but must be one of"),
        ({"precision": "fp8"}, "precision is 'fp8'"),
        ({"networks": {"width": 0}}, "networks.width is 0"),
        ({"networks": {"latent_size": 0}}, "networks.latent_size is 0"),
        ({"networks": {"family": "biggan"}}, "networks.family is 'biggan'"),
        ({"networks": {"discriminator_norm": "group"}}, "networks.discriminator_norm is 'group'"),
        ({"penalties": [{"weight": 0}]}, "penalties.0.weight is 0, but must be greater than 0."),
        ({"penalties": [{}, {"at": "nowhere"}]}, "penalties.1.at is 'nowhere'"),
        ({"penalties": [{"wieght": 1}]}, "penalties.0.wieght is not a setting; did you mean weight?"),
        ({"penalties": {"at": "real"}}, "penalties is {'at': 'real'}, but must be a list."),
        ({"penalties": [{"every_steps": 0}]}, "penalties.0.every_steps is 0"),
        ({"penalties": [{"one_sided": True, "target_norm": 0}]}, "penalties.0.one_sided is True, but must be false"),
        ({"penalties": [{"target_norm": -1}]}, "penalties.0.target_norm is -1"),
        ({"generator_optimizer": {"learning_rate": 0}}, "generator_optimizer.learning_rate is 0"),
        ({"generator_optimizer": {"learning_rate": float("nan")}}, "generator_optimizer.learning_rate is nan"),
        (
            {"discriminator_optimizer": {"betas": [0.5]}},
            "discriminator_optimizer.betas is [0.5], but must be a longer list.",
        ),
        ({"discriminator_optimizer": {"betas": [0.5, 1]}}, "discriminator_optimizer.betas is 1, but must be below 1."),
        ({"schedule": {"kind": "sine"}}, "schedule.kind is 'sine'"),
        ({"schedule": {"every_epochs": 5}}, "schedule.kind is 'constant', but must be step, since every_epochs is set"),
        ({"schedule": {"kind": "linear", "factor": 0.5}}, "schedule.kind is 'linear', but must be step or cosine"),
        (
            {"schedule": {"penalty_factor": 0.5}},
            "schedule.kind is 'constant', but must be cosine, since penalty_factor",
        ),
        (
            {"penalties": [], "schedule": {"kind": "cosine", "penalty_factor": 0.5}},
            "schedule.penalty_factor is 0.5, but must be set to 1 where penalties is []",
        ),
        ({"penalties": [{"target_norm": float("inf")}]}, "penalties.0.target_norm is inf"),
        ({"schedule": {"every_epochs": 0}}, "schedule.every_epochs is 0"),
        ({"schedule": {"factor": 1.5}}, "schedule.factor is 1.5"),
        ({"transforms": {"rotation_degrees": 200}}, "transforms.rotation_degrees is 200"),
        ({"transforms": {"crop_padding": -1}}, "transforms.crop_padding is -1"),
        (
            {"differentiable_transforms": {"kinds": "cutout;cutout"}},
            "differentiable_transforms.kinds is ('cutout', 'cutout'), but must be different from each other",
        ),
        ({"differentiable_transforms": {"probability": 1.5}}, "differentiable_transforms.probability is 1.5"),
        ({"differentiable_transforms": {"target_sign": 1.0}}, "differentiable_transforms.target_sign is 1.0"),
        ({"networks": {"spectral_norm": "generator"}}, "networks.spectral_norm is 'generator'"),
        (
            {"networks": {"family": "r3gan_projection", "spectral_norm": "discriminator"}},
            "networks.spectral_norm is 'discriminator', but must be none for the r3gan_projection networks",
        ),
        ({"generator_optimizer": {"algorithm": "sgd"}}, "generator_optimizer.algorithm is 'sgd'"),
        ({"weight_clip": 0.01}, "weight_clip is 0.01, but must be null beside a penalty"),
        ({"weight_clip": 0, "penalties": []}, "weight_clip is 0, but must be greater than 0"),
        (
            {"weight_clip": 0.01, "penalties": [], "networks": {"spectral_norm": "discriminator"}},
            "weight_clip is 0.01, but must be null beside spectral_norm",
        ),
        ({"penalties": []}, "objective is 'wasserstein', but must be bounded by a penalty, weight_clip or"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    values = merge(asdict(VARIANTS["wgan_gp"]), changes)
    with pytest.raises(ConfigError) as caught:
        parse(GanConfig, values, "variants.wgan_gp")
    assert str(caught.value).startswith(f"variants.wgan_gp.{message}")


def test_a_configuration_survives_the_way_through_plain_values():
    for config in VARIANTS.values():
        assert parse(GanConfig, asdict(config), "x") == config


# networks: family, latent_size, width, discriminator_norm, spectral_norm, attention; objective; penalties or clip;
# discriminator_steps; G and D; batch.
ROWS = {
    "mlp_gan": ("mlp", *SMALL, "none", "none", False, "non_saturating", [], 1, ADAM, ADAM, 128),
    "dcgan": ("dcgan", *SMALL, "batch", "none", False, "non_saturating", [], 1, ADAM, ADAM, 128),
    "cdcgan": ("cdcgan", *SMALL, "batch", "none", False, "non_saturating", [], 1, ADAM, ADAM, 64),
    "lsgan": ("dcgan", *SMALL, "batch", "none", False, "least_squares", [], 1, ADAM, ADAM, 64),
    "wgan": ("dcgan", *SMALL, "batch", "none", False, "wasserstein", 0.01, 5, RMSPROP, RMSPROP, 64),
    "wgan_gp": ("dcgan", *SMALL, "none", "none", False, "wasserstein", [("line", 1.0, 10.0)], 5, SLOW, SLOW, 64),
    "dragan": ("dcgan", *SMALL, "none", "none", False, "non_saturating", [("dragan", 1.0, 10.0)], 1, ADAM, ADAM, 64),
    "acgan": ("acgan", *SMALL, "batch", "none", False, "non_saturating", [], 1, ADAM, ADAM, 100),
    "sagan": ("dcgan", *SMALL, "none", "both", True, "hinge", [], 1, SLOW, FAST, 128),
    "sngan": ("resnet", 128, 128, "none", "discriminator", False, "hinge", [], 5, MIDDLE, MIDDLE, 64),
    "sngan_projection": (
        "resnet_projection", 128, 128, "none", "discriminator", False, "hinge", [], 5, MIDDLE, MIDDLE, 64,
    ),
    "r3gan": ("r3gan", 64, 768, "none", "none", False, "relativistic", R1_R2, 1, R3GAN, R3GAN, 512),
    "r3gan_conditional": (
        "r3gan_projection", 64, 768, "none", "none", False, "relativistic", R1_R2, 1, R3GAN, R3GAN, 512,
    ),
}  # fmt: skip


def test_every_row_is_checked_against_its_paper():
    assert list(ROWS) == list(VARIANTS)


@pytest.mark.parametrize("variant", ROWS)
def test_the_rows_follow_their_papers(variant):
    row = VARIANTS[variant]
    networks, penalties = row.networks, row.penalties
    optimizers = [
        (one.algorithm, one.learning_rate, *(one.betas if one.algorithm == "adam" else ()))
        for one in (row.generator_optimizer, row.discriminator_optimizer)
    ]
    constraint = row.weight_clip or [(one.at, one.target_norm, one.weight) for one in penalties]
    sizes = (networks.family, networks.latent_size, networks.width)
    constraints = (networks.discriminator_norm, networks.spectral_norm, networks.attention, row.objective, constraint)
    assert (*sizes, *constraints, row.discriminator_steps, *optimizers, row.batch_size) == ROWS[variant]
    linear, cosine = ScheduleConfig(kind="linear"), ScheduleConfig(kind="cosine", factor=0.25, penalty_factor=0.1)
    schedules = {"sngan": linear, "sngan_projection": linear, "r3gan": cosine, "r3gan_conditional": cosine}
    assert row.schedule == schedules.get(variant, ScheduleConfig())


def test_a_schedule_of_another_kind_takes_nothing_from_that_of_the_row():
    config = parse_variant("r3gan", {"schedule": {"kind": "step", "every_epochs": 5}})
    assert config.schedule == ScheduleConfig(kind="step", every_epochs=5)
    assert parse_variant("r3gan", {"schedule": {"factor": 0.5}}).schedule == ScheduleConfig(
        kind="cosine", factor=0.5, penalty_factor=0.1
    )
    same_kind = parse_variant("r3gan", {"schedule": {"kind": "cosine", "factor": 0.5}})
    assert same_kind.schedule == ScheduleConfig(kind="cosine", factor=0.5, penalty_factor=0.1)
    with pytest.raises(ConfigError, match=r"variants\.r3gan\.schedule is 'linear'"):
        parse_variant("r3gan", {"schedule": "linear"})


def test_every_family_has_a_name():
    assert set(FAMILIES) == set(get_args(NetworkFamilyName))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (ScheduleConfig(), [1, 1, 1, 1, 1]),
        (ScheduleConfig(kind="step", every_epochs=2, factor=0.1), [1, 1, 0.1, 0.1, 0.01]),
        (ScheduleConfig(kind="linear"), [1, 0.75, 0.5, 0.25, 0]),
        (ScheduleConfig(kind="cosine", factor=0.2), [1, 0.6 + 0.2 * 2**0.5, 0.6, 0.6 - 0.2 * 2**0.5, 0.2]),
    ],
)
def test_schedules(schedule, expected):
    assert [schedule.learning_rate_factor(epoch, 4) for epoch in range(5)] == pytest.approx(expected)
    assert {schedule.penalty_weight_factor(epoch, 4) for epoch in range(5)} == {1}


def test_the_weights_of_penalties_follow_their_own_cosine():
    schedule = ScheduleConfig(kind="cosine", factor=0.2, penalty_factor=0.1)
    assert [schedule.penalty_weight_factor(epoch, 2) for epoch in range(3)] == pytest.approx([1, 0.55, 0.1])


def test_betas_may_be_written_as_whole_numbers():
    assert OptimizerConfig(betas=(0, 0.9)).betas == (0.0, 0.9)
    assert isinstance(OptimizerConfig(betas=(0, 0.9)).betas[0], float)
