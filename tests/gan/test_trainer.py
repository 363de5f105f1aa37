from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from gan_pipelines.gan import CheckpointStore, ScheduleConfig, TrainingDiverged, train, trainer
from gan_pipelines.gan.networks import FAMILIES, NetworkFamily
from gan_pipelines.gan.objectives import OBJECTIVES, Objective
from gan_pipelines.gan.trainer import TrainingData, TrainingState, _train_epoch
from gan_pipelines.typed_config import ConfigError

CPU = torch.device("cpu")


def run(config, images, **options):
    return list(train(config, images, device="cpu", **options))


def same_weights(first, second):
    return all(
        torch.equal(first.weights[weight_set][name], tensor)
        for weight_set in ("ema", "raw")
        for name, tensor in second.weights[weight_set].items()
    )


def test_epochs_count_images_and_measure(tiny_gan, tiny_images):
    steps = []
    first, second = run(tiny_gan, tiny_images, on_step=steps.append)
    assert (first.number, second.number) == (1, 2)
    assert (first.images_seen, second.images_seen) == (40, 80)
    assert steps == [8 * step for step in range(1, 11)]
    assert set(second.metrics) == {
        "discriminator_loss", "generator_loss", "real_accuracy", "fake_accuracy", "penalty", "images_per_second",
        "sample_diversity",
    }  # fmt: skip
    assert second.samples.shape == (64, 1, 8, 8)
    assert second.samples.dtype == torch.uint8
    assert second.metrics["penalty"] > 0
    assert second.generator.training["epoch"] == 2


def test_the_seed_decides_everything(tiny_gan, tiny_images):
    first, again = run(tiny_gan, tiny_images)[-1], run(tiny_gan, tiny_images)[-1]
    other = run(replace(tiny_gan, seed=1), tiny_images)[-1]
    assert same_weights(first.generator, again.generator)
    assert torch.equal(first.samples, again.samples)
    assert not same_weights(first.generator, other.generator)


def test_what_the_caller_draws_between_epochs_changes_nothing(tiny_gan, tiny_images):
    undisturbed = run(tiny_gan, tiny_images)[-1]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    epochs = train(tiny_gan, tiny_images, device="cpu")
    next(epochs)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(100)
    assert same_weights(next(epochs).generator, undisturbed.generator)


def test_a_generator_is_a_copy_that_training_leaves_alone(tiny_gan, tiny_images):
    first, second = train(tiny_gan, tiny_images, device="cpu")
    (only,) = run(replace(tiny_gan, epochs=1), tiny_images)
    assert same_weights(first.generator, only.generator)
    assert not same_weights(first.generator, second.generator)


def test_the_generator_steps_once_in_critic_steps_also_across_epochs(tiny_gan, tiny_images):
    # Five steps an epoch and three critic steps: generator steps after steps 3, 6, 9 of 10.
    data = TrainingData.prepare(tiny_images, None, CPU)
    state = TrainingState(replace(tiny_gan, critic_steps=3), data, ())
    counts = []
    for _ in range(2):
        _train_epoch(state, data, None)
        counts.append(int(state.average.n_averaged))
    assert counts == [1, 3]


def test_critic_steps_leave_the_generator_alone_and_generator_steps_the_critic(tiny_gan, tiny_images):
    data = TrainingData.prepare(tiny_images, None, CPU)
    state = TrainingState(replace(tiny_gan, critic_steps=100), data, ())
    generator = [parameter.clone() for parameter in state.generator.parameters()]
    critic = [parameter.clone() for parameter in state.discriminator.parameters()]
    _train_epoch(state, data, None)
    assert all(map(torch.equal, generator, state.generator.parameters()))
    assert not any(map(torch.equal, critic, state.discriminator.parameters()))

    critic = [parameter.clone() for parameter in state.discriminator.parameters()]
    trainer._generator_step(state, None)
    assert not any(map(torch.equal, generator, state.generator.parameters()))
    assert all(map(torch.equal, critic, state.discriminator.parameters()))
    assert all(parameter.requires_grad for parameter in state.discriminator.parameters())


def test_the_average_follows_its_recursion(tiny_gan, tiny_images):
    # One step an epoch: each epoch shows the weights after each generator step.
    config = replace(tiny_gan, batch_size=43, critic_steps=1, epochs=4, ema_decay=0.75)
    epochs = run(config, tiny_images)
    average = None
    for epoch in epochs:
        raw = epoch.generator.weights["raw"]["layers.0.weight"]
        average = raw if average is None else 0.75 * average + 0.25 * raw
        assert torch.allclose(epoch.generator.weights["ema"]["layers.0.weight"], average, atol=1e-7)


def test_the_learning_rates_follow_the_schedule(tiny_gan, tiny_images):
    schedule = ScheduleConfig(kind="step", every_epochs=2, factor=0.1)
    data = TrainingData.prepare(tiny_images, None, CPU)
    state = TrainingState(replace(tiny_gan, schedule=schedule), data, ())
    for expected in (1e-4, 1e-4, 1e-5, 1e-5):
        _train_epoch(state, data, None)
        state.epoch += 1
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
            assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_training_makes_the_critic_tell_real_from_generated(tiny_gan):
    bright = np.full((40, 1, 8, 8), 230, dtype=np.uint8)
    bright[::2] = 200
    config = replace(tiny_gan, epochs=20, critic_steps=100)
    epochs = run(config, bright)
    assert epochs[-1].metrics["discriminator_loss"] < epochs[0].metrics["discriminator_loss"] < 0
    assert epochs[-1].metrics["real_accuracy"] > 0.95


def test_a_restored_state_goes_on_bit_for_bit(tiny_gan, tiny_images, tmp_path):
    config = replace(tiny_gan, epochs=4, schedule=ScheduleConfig(kind="linear"))
    uninterrupted = run(config, tiny_images)[-1]

    store = CheckpointStore(tmp_path)
    epochs = train(config, tiny_images, device="cpu", checkpoints=store)
    next(epochs), next(epochs)
    epochs.close()

    data = TrainingData.prepare(tiny_images, None, CPU)
    state = TrainingState(config, data, ())
    state.load_state_dict(store.load(state.fingerprint))
    assert (state.epoch, state.images_seen) == (2, 80)
    for _ in range(2):
        with state.random.active():
            _train_epoch(state, data, None)
        state.epoch += 1
    assert same_weights(state.snapshot(), uninterrupted.generator)


class LabelGenerator(nn.Module):
    """Paints each image in the shade of its label."""

    def __init__(self):
        super().__init__()
        self.shade = nn.Parameter(torch.zeros(1))

    def forward(self, latent, labels=None):
        return (labels * 0.5 - 1 + self.shade).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


class LabelDiscriminator(nn.Module):
    """Remembers the shade and the label of each image that it sees."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, images, labels=None):
        self.seen += list(zip(images[:, 0, 0, 0].tolist(), labels.tolist(), strict=True))
        return self.scale * images.mean(dim=(1, 2, 3))


def test_labels_travel_with_their_images(tiny_gan, monkeypatch):
    discriminator = LabelDiscriminator()
    family = NetworkFamily(lambda *_: LabelGenerator(), lambda *_: discriminator)
    monkeypatch.setitem(FAMILIES, "dcgan", family)
    labels = np.arange(43) % 4
    images = np.round((labels * 0.5) * 127.5).astype(np.uint8)[:, None, None, None] * np.ones((1, 1, 8, 8), np.uint8)
    config = replace(tiny_gan, penalty=None, epochs=1)
    (epoch,) = run(config, images, labels=labels, class_names=["a", "b", "c", "d"])
    assert len(discriminator.seen) == 5 * 16 + 2 * 8
    assert all(shade == pytest.approx(label * 0.5 - 1, abs=0.01) for shade, label in discriminator.seen)
    shades = epoch.samples[:8, 0, 0, 0].tolist()
    assert shades == pytest.approx([0, 64, 128, 191] * 2, abs=2)


class PoisonedObjective:
    """Turns its losses into NaN once it is told to."""

    def __init__(self):
        self.poisoned = False
        self.objective = Objective(
            lambda real, fake: (fake.mean() - real.mean()) * (float("nan") if self.poisoned else 1.0),
            lambda fake: -fake.mean(),
            OBJECTIVES["wasserstein"].threshold,
        )


def test_nan_ends_the_training_and_the_last_good_state_stays(tiny_gan, tiny_images, tmp_path, monkeypatch):
    poison = PoisonedObjective()
    monkeypatch.setitem(OBJECTIVES, "wasserstein", poison.objective)
    store = CheckpointStore(tmp_path)
    epochs = train(tiny_gan, tiny_images, device="cpu", checkpoints=store)
    good = next(epochs)
    poison.poisoned = True
    with pytest.raises(TrainingDiverged) as caught:
        next(epochs)
    path = store.path(good.generator.training["fingerprint"])
    assert "discriminator_loss became nan in epoch 2; lower the learning rates" in str(caught.value)
    assert f"The state after epoch 1 is kept in {path}." in str(caught.value)
    state = store.load(good.generator.training["fingerprint"])
    assert state["epoch"] == 1
    assert torch.equal(state["parts"]["generator"]["layers.0.weight"], good.generator.weights["raw"]["layers.0.weight"])


class CollapsingGenerator(nn.Module):
    """Spreads its latents over the grey levels until it is told to collapse."""

    collapsed = False

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, latent, labels=None):
        spread = 0.0 if CollapsingGenerator.collapsed else 1.0
        return torch.tanh(self.scale * latent[:, :1] * spread).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


@pytest.mark.parametrize("collapses", [True, False])
def test_a_generator_made_to_collapse_ends_the_training_and_a_healthy_one_does_not(
    tiny_gan, tiny_images, tmp_path, monkeypatch, collapses
):
    monkeypatch.setattr(CollapsingGenerator, "collapsed", False)
    monkeypatch.setitem(
        FAMILIES, "dcgan", NetworkFamily(lambda *_: CollapsingGenerator(), FAMILIES["dcgan"].discriminator)
    )
    epochs = train(replace(tiny_gan, epochs=6), tiny_images, device="cpu", checkpoints=CheckpointStore(tmp_path))
    next(epochs)
    CollapsingGenerator.collapsed = collapses
    if not collapses:
        assert len(list(epochs)) == 5
        return
    assert [next(epochs).number, next(epochs).number] == [2, 3]
    with pytest.raises(TrainingDiverged, match="the generator collapsed: for 3 epochs up to epoch 4"):
        next(epochs)


def test_bf16_trains_and_keeps_fp32_weights(tiny_gan, tiny_images):
    epoch = run(replace(tiny_gan, precision="bf16"), tiny_images)[-1]
    assert epoch.generator.weights["raw"]["layers.0.weight"].dtype == torch.float32
    assert not same_weights(epoch.generator, run(tiny_gan, tiny_images)[-1].generator)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((43, 8, 8), np.uint8), None, r"images is .*, but must be \(N, C, H, W\) of uint8"),
        (np.zeros((43, 1, 8, 8), np.float32), None, r"must be \(N, C, H, W\) of uint8"),
        (np.zeros((7, 1, 8, 8), np.uint8), None, "batch_size is 8, but must be at most the 7 images"),
        (np.zeros((43, 1, 8, 8), np.uint8), np.zeros(5, np.int64), r"labels is \(5,\), but must be of shape \(43,\)"),
        (np.zeros((43, 1, 9, 9), np.uint8), None, "image size is '9x9'"),
    ],
)
def test_data_that_do_not_fit_are_refused(tiny_gan, images, labels, message):
    with pytest.raises(ConfigError, match=message):
        next(train(tiny_gan, images, labels, device="cpu"))
