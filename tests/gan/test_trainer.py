from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.devices import resolve_precision
from gan_pipelines.core.pixels import to_uint8
from gan_pipelines.gan import (
    VARIANTS,
    CheckpointStore,
    DifferentiableTransformConfig,
    GanConfig,
    NetworkConfig,
    OptimizerConfig,
    PenaltyConfig,
    ScheduleConfig,
    TrainedGenerator,
    TrainingDiverged,
    TransformConfig,
    train,
    trainer,
)
from gan_pipelines.gan.data import TrainingData
from gan_pipelines.gan.health import diversity
from gan_pipelines.gan.networks import FAMILIES, Judgement, NetworkFamily
from gan_pipelines.gan.objectives import OBJECTIVES
from gan_pipelines.gan.state import TrainingState
from gan_pipelines.gan.trainer import _train_epoch

CPU = torch.device("cpu")


def no_op():
    pass


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
    assert steps == [8 * step for step in range(11)]
    assert set(second.metrics) == {
        "discriminator_loss", "generator_loss", "real_accuracy", "fake_accuracy", "penalty", "images_per_second",
        "sample_diversity",
    }  # fmt: skip
    assert second.samples.shape == (64, 1, 8, 8)
    assert second.samples.dtype == torch.uint8
    assert second.metrics["penalty"] > 0
    assert second.generator.training["epoch"] == 2


class Stop(Exception):
    pass


@pytest.mark.parametrize(("batch_size", "at", "steps"), [(10, 0.5, 2), (8, 0.5, 3), (8, 1.4, 7), (8, 1.99, 10)])
def test_samples_within_an_epoch_are_those_of_the_weights_after_that_part_of_its_steps(
    tiny_gan, tiny_images, batch_size, at, steps
):
    config = replace(tiny_gan, batch_size=batch_size)
    data = TrainingData.prepare(tiny_images, None, (), CPU)
    state = TrainingState(config, data)

    def after_step():
        if state.steps == steps:
            raise Stop

    with state.random.active(), pytest.raises(Stop):
        _train_epoch(state, data, after_step)
        state.epoch += 1
        _train_epoch(state, data, after_step)
    without, epoch = run(config, tiny_images)[-1], run(config, tiny_images, samples_at=[at, 2])[-1]
    assert list(epoch.sample_history) == sorted({1, at, 2})
    assert torch.equal(epoch.sample_history[at], state.sample_fixed())
    assert not torch.equal(epoch.sample_history[at], epoch.sample_history[2]) or steps == 10
    assert same_weights(epoch.generator, without.generator)
    assert torch.equal(epoch.samples, without.samples)


def test_samples_are_kept_of_epochs_that_are_named(tiny_gan, tiny_images):
    epochs = run(replace(tiny_gan, epochs=5), tiny_images, samples_every=10, samples_at=[2, 2.5, 2.52, 4, 7.5])
    assert [list(epoch.sample_history) for epoch in epochs] == [
        [1], [1, 2], [1, 2, 2.5, 2.52], [1, 2, 2.5, 2.52, 4], [1, 2, 2.5, 2.52, 4, 5],
    ]  # fmt: skip
    assert torch.equal(epochs[-1].sample_history[4], epochs[3].samples)
    epochs[-1].state.epoch = 2
    assert torch.equal(epochs[-1].state.newest_samples(), epochs[-1].sample_history[2])
    with pytest.raises(ConfigError, match=r"samples_at is \[0, 1\], but must be numbers above 0"):
        run(tiny_gan, tiny_images, samples_at=[0, 1])


def test_the_seed_decides_everything(tiny_gan, tiny_images):
    first, again = run(tiny_gan, tiny_images)[-1], run(tiny_gan, tiny_images)[-1]
    other = run(replace(tiny_gan, seed=1), tiny_images)[-1]
    assert same_weights(first.generator, again.generator)
    assert torch.equal(first.samples, again.samples)
    assert not same_weights(first.generator, other.generator)


class HostReads(TorchDispatchMode):
    """Counts what makes the host wait for a device: values that are read, shapes that depend on values."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.overloadpacket.__name__
        self.count += name in ("_local_scalar_dense", "nonzero", "unique_dim", "masked_select")
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("objective", ["wasserstein", "hinge", "relativistic_average"])
def test_the_host_waits_for_the_device_once_an_epoch(tiny_gan, tiny_images, objective):
    data = TrainingData.prepare(tiny_images, None, (), CPU)
    config = replace(
        tiny_gan,
        objective=objective,
        penalties=(PenaltyConfig(), PenaltyConfig(at="dragan", one_sided=True, every_steps=2)),
        transforms=TransformConfig(horizontal_flip=True, rotation_degrees=10, crop_padding=1),
        differentiable_transforms=DifferentiableTransformConfig(
            kinds=("colour", "translation", "cutout"), probability=0.5, target_sign=0.6
        ),
    )
    state = TrainingState(config, data)
    counts = []
    with HostReads() as reads:
        _train_epoch(state, data, lambda: counts.append(reads.count))
    assert counts == [0] * 5


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
    first, second = (epoch.generator for epoch in train(tiny_gan, tiny_images, device="cpu"))
    (only,) = run(replace(tiny_gan, epochs=1), tiny_images)
    assert same_weights(first, only.generator)
    assert not same_weights(first, second)


def test_nothing_is_copied_unless_it_is_asked_for(tiny_gan, tiny_images, monkeypatch):
    taken = []
    snapshot = TrainingState.snapshot
    monkeypatch.setattr(TrainingState, "snapshot", lambda state: taken.append(state.epoch) or snapshot(state))
    last = run(tiny_gan, tiny_images)[-1]
    assert taken == []
    assert last.generator is last.generator
    assert taken == [2]


def test_a_generator_that_is_asked_for_too_late_is_refused(tiny_gan, tiny_images):
    epochs = train(tiny_gan, tiny_images, device="cpu")
    first, second = next(epochs), next(epochs)
    with pytest.raises(RuntimeError, match="has gone on since epoch 1, .* read epoch.generator before"):
        _ = first.generator
    assert second.generator.training["epoch"] == 2


def test_a_generator_that_was_asked_for_stays(tiny_gan, tiny_images):
    epochs = train(tiny_gan, tiny_images, device="cpu")
    first = next(epochs)
    generator = first.generator
    next(epochs)
    assert first.generator is generator


def test_an_epoch_knows_the_history_up_to_itself_and_changing_it_changes_nothing(tiny_gan, tiny_images):
    first, second = run(tiny_gan, tiny_images, samples_every=1)
    assert [row["epoch"] for row in first.history] == [1]
    assert list(first.sample_history) == [1]
    first.history[0]["epoch"] = 99
    assert [row["epoch"] for row in second.history] == [1, 2]
    assert list(second.sample_history) == [1, 2]


def test_the_hash_of_the_data_may_be_given(tiny_gan, tiny_images, monkeypatch):
    computed = run(tiny_gan, tiny_images)[-1].generator.training
    monkeypatch.delattr("gan_pipelines.gan.data.hash_images")
    given = run(tiny_gan, tiny_images, data_hash=computed["data_hash"])[-1].generator.training
    assert given == computed


def test_the_generator_steps_once_in_discriminator_steps_also_across_epochs(tiny_gan, tiny_images):
    # Five steps an epoch, discriminator_steps 3: generator steps after steps 3, 6, 9 of 10.
    data = TrainingData.prepare(tiny_images, None, (), CPU)
    state = TrainingState(replace(tiny_gan, discriminator_steps=3), data)
    follow, counts = state.update_ema, []
    state.update_ema = lambda: counts.append(state.steps) or follow()
    for _ in range(2):
        _train_epoch(state, data, no_op)
    assert counts == [3, 6, 9]


@pytest.mark.parametrize(
    ("changes", "images", "generator_steps"), [({"drop_last": False}, 43, 6), ({"repeat_batches": True}, 80, 10)]
)
def test_batches_may_be_incomplete_or_repeated(tiny_gan, tiny_images, changes, images, generator_steps, monkeypatch):
    updates = []
    follow = TrainingState.update_ema
    monkeypatch.setattr(TrainingState, "update_ema", lambda state: updates.append(state.images_seen) or follow(state))
    epochs = run(replace(tiny_gan, **changes), tiny_images)
    assert [epoch.images_seen for epoch in epochs] == [images, 2 * images]
    assert len(updates) == generator_steps


def test_a_single_image_in_the_last_batch_is_left_out(tiny_gan, tiny_images):
    # 41 images, the last of which would be alone in its batch; batch norm needs two.
    networks = replace(tiny_gan.networks, discriminator_norm="batch")
    config = replace(tiny_gan, networks=networks, drop_last=False)
    assert [epoch.images_seen for epoch in run(config, tiny_images[:41])] == [40, 80]


def test_a_step_of_one_network_leaves_the_other_alone(tiny_gan, tiny_images):
    data = TrainingData.prepare(tiny_images, None, (), CPU)
    state = TrainingState(replace(tiny_gan, discriminator_steps=5), data)
    generator = [parameter.clone() for parameter in state.generator.parameters()]
    discriminator = [parameter.clone() for parameter in state.discriminator.parameters()]
    fake = state.generator(state.draw_latents(8))
    for real, _ in data.batches(torch.arange(43), tiny_gan):
        trainer._discriminator_step(state, real, fake.detach(), None, [True])
    assert all(map(torch.equal, generator, state.generator.parameters()))
    assert not any(map(torch.equal, discriminator, state.discriminator.parameters()))

    discriminator = [parameter.clone() for parameter in state.discriminator.parameters()]
    trainer._generator_step(state, real, fake, None)
    assert not any(map(torch.equal, generator, state.generator.parameters()))
    assert all(map(torch.equal, discriminator, state.discriminator.parameters()))
    assert all(parameter.requires_grad for parameter in state.discriminator.parameters())


@pytest.fixture
def record_batches(tiny_images, monkeypatch):
    """Train an epoch of five steps; return latents, labels and images of each batch, and what each step was given."""

    def run_recorded(config):
        data = TrainingData.prepare(tiny_images, np.arange(43) % 2, ("a", "b"), CPU)
        state = TrainingState(config, data)
        batches, given = [], {"discriminator": [], "generator": []}
        make = state.generator.forward

        def generate(latents, labels):
            batches.append((latents, labels, make(latents, labels)))
            return batches[-1][-1]

        def record(network, take_step):
            def take_and_record(state, *inputs):
                given[network].append(inputs[1:3])
                return take_step(state, *inputs)

            monkeypatch.setattr(trainer, f"_{network}_step", take_and_record)

        monkeypatch.setattr(state.generator, "forward", generate)
        record("discriminator", trainer._discriminator_step)
        record("generator", trainer._generator_step)
        _train_epoch(state, data, no_op)
        return batches, given["discriminator"], given["generator"]

    return run_recorded


def test_after_several_discriminator_steps_the_generators_step_takes_new_latents_and_the_labels_of_the_batch(
    tiny_gan, record_batches
):
    batches, of_discriminator, of_generator = record_batches(tiny_gan)
    assert [fake.requires_grad for *_, fake in batches] == [False, False, True, False, False, True, False]
    assert len({latents.numpy().tobytes() for latents, *_ in batches}) == 7
    assert of_generator[0][0] is batches[2][-1]
    assert of_generator[1][0] is batches[5][-1]
    for number, (fake, labels) in zip((0, 1, 3, 4, 6), of_discriminator, strict=True):
        assert torch.equal(fake, batches[number][-1])
        assert labels is batches[number][1]
    assert batches[2][1] is of_generator[0][1] is of_discriminator[1][1]


def test_after_one_discriminator_step_both_steps_share_the_generated_images(tiny_gan, record_batches):
    batches, of_discriminator, of_generator = record_batches(replace(tiny_gan, discriminator_steps=1))
    assert len(batches) == 5
    for (*_, made), (for_discriminator, _), (for_generator, _) in zip(
        batches, of_discriminator, of_generator, strict=True
    ):
        assert for_generator is made
        assert for_discriminator.data_ptr() == made.data_ptr()


def test_the_average_follows_its_recursion(tiny_gan, tiny_images):
    # One step an epoch: each epoch shows the weights after each generator step.
    config = replace(tiny_gan, batch_size=43, discriminator_steps=1, epochs=4, ema_decay=0.2)
    names = ("layers.0.weight", "layers.1.running_var")
    start = TrainingState(config, TrainingData.prepare(tiny_images, None, (), CPU)).snapshot().weights["raw"]
    averages = {name: start[name].double() for name in names}
    for epoch, decay in zip(train(config, tiny_images, device="cpu"), (1 / 10, 2 / 11, 0.2, 0.2), strict=True):
        for name in names:
            raw, average = (epoch.generator.weights[kind][name].double() for kind in ("raw", "ema"))
            averages[name] = decay * averages[name] + (1 - decay) * raw
            assert torch.allclose(average, averages[name], atol=1e-7)


def test_the_average_soon_forgets_the_first_generator(tiny_gan, tiny_images):
    # The share of the first weights is the product of (1 + n) / (10 + n) over n < N, which is N! 9! / (N + 9)!.
    state = TrainingState(replace(tiny_gan, ema_decay=0.999), TrainingData.prepare(tiny_images, None, (), CPU))
    weight, average = next(state.generator.parameters()), next(state.ema_generator.parameters())
    torch.nn.init.ones_(weight)
    torch.nn.init.zeros_(average)
    for _ in range(6):
        state.steps += tiny_gan.discriminator_steps
        state.update_ema()
    share = math.factorial(6) * math.factorial(9) / math.factorial(15)
    assert torch.allclose(average, torch.tensor(1 - share), rtol=1e-6)


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_the_samples_of_an_epoch_are_made_with_the_weights_for_previews(tiny_gan, tiny_images, weights):
    config = replace(tiny_gan, preview_weights=weights, generator_optimizer=OptimizerConfig(learning_rate=0.1))
    *_, epoch = run(config, tiny_images)
    made = {kind: epoch.generator.network(kind)(epoch.state.fixed_latents) for kind in ("ema", "raw")}
    assert torch.equal(epoch.samples, to_uint8(made[weights]))
    assert not torch.equal(to_uint8(made["ema"]), to_uint8(made["raw"]))
    spread = diversity(epoch.samples[:43]) / TrainingData.prepare(tiny_images, None, (), CPU).diversity
    assert epoch.metrics["sample_diversity"] == pytest.approx(spread)


def test_the_learning_rates_follow_the_schedule(tiny_gan, tiny_images):
    schedule = ScheduleConfig(kind="step", every_epochs=2, factor=0.1)
    data = TrainingData.prepare(tiny_images, None, (), CPU)
    state = TrainingState(replace(tiny_gan, schedule=schedule), data)
    for expected in (1e-4, 1e-4, 1e-5, 1e-5):
        _train_epoch(state, data, no_op)
        state.epoch += 1
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
            assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_the_penalties_follow_the_schedule(tiny_gan, tiny_images):
    """With a learning rate that changes nothing, the penalty falls as its weight does."""
    still = OptimizerConfig(learning_rate=1e-30)
    schedule = ScheduleConfig(kind="cosine", penalty_factor=0.1)
    penalties = (PenaltyConfig(at="real", target_norm=0.0),)
    config = replace(
        tiny_gan, penalties=penalties, generator_optimizer=still, discriminator_optimizer=still,
        schedule=schedule, epochs=2, batch_size=len(tiny_images), discriminator_steps=1,
    )  # fmt: skip
    first, second = (epoch.metrics["penalty"] for epoch in run(config, tiny_images))
    assert second / first == pytest.approx(0.55, rel=1e-4)


@pytest.mark.integration
def test_training_makes_the_critic_tell_real_from_generated(tiny_gan):
    bright = np.full((40, 1, 8, 8), 230, dtype=np.uint8)
    bright[::2] = 200
    config = replace(
        tiny_gan, epochs=20, discriminator_steps=5, generator_optimizer=OptimizerConfig(learning_rate=1e-9)
    )
    epochs = run(config, bright)
    assert epochs[-1].metrics["discriminator_loss"] < epochs[0].metrics["discriminator_loss"] < 0
    assert epochs[-1].metrics["real_accuracy"] > 0.95


class LabelGenerator(nn.Module):
    """Paints each image in the shade of its label."""

    def __init__(self):
        super().__init__()
        self.shade = nn.Parameter(torch.zeros(1))

    def forward(self, latent, labels=None):
        return (labels * 0.5 - 1 + self.shade).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


def test_rmsprop_follows_its_recursion_without_momentum(tiny_gan, tiny_images):
    rate = 0.01
    config = replace(tiny_gan, discriminator_optimizer=OptimizerConfig(algorithm="rmsprop", learning_rate=rate))
    state = TrainingState(config, TrainingData.prepare(tiny_images, None, (), CPU))
    parameter = next(state.discriminator.parameters())
    expected, square = parameter.detach().double().clone(), 0.0
    for step in range(1, 4):
        parameter.grad = torch.randn_like(parameter) * step
        square = 0.99 * square + 0.01 * parameter.grad.double() ** 2
        expected -= rate * parameter.grad.double() / (square.sqrt() + 1e-8)
        state.discriminator_optimizer.step()
    assert torch.allclose(parameter.double(), expected, atol=1e-6)


def test_clipped_weights_are_within_the_bound_after_every_discriminator_step(tiny_gan, tiny_images):
    clipped = replace(tiny_gan, penalties=(), weight_clip=0.01)
    data = TrainingData.prepare(tiny_images, None, (), CPU)
    state, largest = TrainingState(clipped, data), []
    assert max(parameter.abs().max() for parameter in state.discriminator.parameters()) > 0.02
    before = [parameter.clone() for parameter in state.generator.parameters()]

    def after_step():
        largest.append(max(parameter.abs().max().item() for parameter in state.discriminator.parameters()))

    _train_epoch(state, data, after_step)
    assert len(largest) == 5
    assert max(largest) <= 0.01 + 1e-9
    assert any(not torch.equal(*pair) for pair in zip(before, state.generator.parameters(), strict=True))


PENALTIES = [
    (),
    (PenaltyConfig(),),
    (PenaltyConfig(at="real", target_norm=0.0), PenaltyConfig(at="fake", target_norm=0.0)),
    (PenaltyConfig(at="dragan", one_sided=True),),
]
ACCEPTED = [
    (objective, penalties)
    for objective in OBJECTIVES
    for penalties in PENALTIES
    if objective != "wasserstein" or penalties
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("objective", "penalties"), ACCEPTED)
def test_any_objective_goes_with_any_network_and_penalties(objective, penalties, family):
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 16, 16), dtype=np.uint8)
    extra = {"attention": True, "spectral_norm": "both"} if FAMILIES[family].has_attention else {}
    networks = NetworkConfig(family=family, latent_size=4, width=4, discriminator_norm="none", **extra)
    config = GanConfig(networks=networks, objective=objective, penalties=penalties, batch_size=4, epochs=1)
    data = TrainingData.prepare(images, np.arange(4) % 2, ("a", "b"), CPU)
    state = TrainingState(config, data)
    before = [[parameter.clone() for parameter in network.parameters()] for network in state.networks]
    with state.random.active():
        metrics = _train_epoch(state, data, no_op)
    assert ("penalty" in metrics) == bool(penalties)
    for network, weights in zip(state.networks, before, strict=True):
        assert any(not torch.equal(*pair) for pair in zip(network.parameters(), weights, strict=True))


class Interrupted(Exception):
    pass


@pytest.mark.integration
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_row_of_the_table_trains_and_its_generator_makes_what_it_shows(variant, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 3, 16, 16), dtype=np.uint8)
    row = VARIANTS[variant]
    networks = replace(row.networks, width=4, latent_size=6)
    config = replace(row, networks=networks, discriminator_steps=1, batch_size=4, epochs=2, ema_decay=0.5)
    options = {"labels": np.arange(12) % 3, "class_names": ["a", "b", "c"]}
    *_, last = run(config, images, **options)
    assert ("class_loss" in last.metrics) == (variant == "acgan")
    path = tmp_path / "generator.safetensors"
    last.generator.save(path)
    loaded = TrainedGenerator.load(path)
    for weights in ("ema", "raw"):
        assert torch.equal(loaded.sample(5, seed=1, weights=weights), last.generator.sample(5, seed=1, weights=weights))
    store, seen = CheckpointStore(tmp_path / "checkpoints", interval_seconds=0), []

    def interrupt(images_seen):
        if images_seen == 20:  # within the second of two epochs; what is kept is the step before
            raise Interrupted

    with pytest.raises(Interrupted):
        run(config, images, checkpoints=store, on_step=interrupt, **options)
    *_, resumed = run(config, images, checkpoints=store, on_step=seen.append, **options)
    assert seen == [16, 20, 24]
    for weights in ("ema", "raw"):
        assert all(
            torch.equal(tensor, resumed.generator.weights[weights][name])
            for name, tensor in last.generator.weights[weights].items()
        )


class LabelDiscriminator(nn.Module):
    """Remembers the shade and the label of each image that it sees."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, images, labels=None):
        self.seen += list(zip(images[:, 0, 0, 0].tolist(), labels.tolist(), strict=True))
        return Judgement(self.scale * images.mean(dim=(1, 2, 3)))


def test_labels_travel_with_their_images(tiny_gan, monkeypatch):
    discriminator = LabelDiscriminator()
    family = NetworkFamily(lambda *_: LabelGenerator(), lambda *_: discriminator)
    monkeypatch.setitem(FAMILIES, "dcgan", family)
    labels = np.arange(43) % 4
    images = np.round((labels * 0.5) * 127.5).astype(np.uint8)[:, None, None, None] * np.ones((1, 1, 8, 8), np.uint8)
    config = replace(tiny_gan, penalties=(), objective="hinge", epochs=1)
    (epoch,) = run(config, images, labels=labels, class_names=["a", "b", "c", "d"])
    assert len(discriminator.seen) == 5 * 16 + 2 * 8
    assert all(shade == pytest.approx(label * 0.5 - 1, abs=0.01) for shade, label in discriminator.seen)
    shades = epoch.samples[:8, 0, 0, 0].tolist()
    assert shades == pytest.approx([0, 64, 128, 191] * 2, abs=2)


def test_nan_ends_the_training_and_the_last_good_state_stays(tiny_gan, tiny_images, tmp_path, poison):
    store = CheckpointStore(tmp_path, interval_seconds=0)
    epochs = train(tiny_gan, tiny_images, device="cpu", checkpoints=store)
    good = next(epochs).generator
    poison.poisoned = True
    with pytest.raises(TrainingDiverged) as caught:
        next(epochs)
    assert "discriminator_loss became nan in epoch 2; lower the learning rates" in str(caught.value)
    with store.open(good.training["fingerprint"]) as checkpoints:
        assert f"The last good state is kept in {checkpoints.paths[-1]}." in str(caught.value)
        state = checkpoints.load_newest()
    assert state["plain"]["images_seen"] == 40
    assert torch.equal(state["parts"]["generator"]["layers.0.weight"], good.weights["raw"]["layers.0.weight"])


def warnings_in(caplog):
    return [record.message for record in caplog.records if record.levelname == "WARNING"]


def test_a_collapse_is_warned_of_once_and_the_training_goes_on(tiny_gan, tiny_images, collapsing, caplog):
    epochs = train(replace(tiny_gan, epochs=7), tiny_images, device="cpu")
    numbers = [next(epochs).number]
    collapsing.collapsed = True
    numbers += [epoch.number for epoch in epochs]
    assert numbers == [1, 2, 3, 4, 5, 6, 7]
    (sentence,) = warnings_in(caplog)
    assert sentence.startswith("Epoch 4: the generator collapsed: for 3 epochs up to epoch 4 the diversity")
    assert sentence.endswith("choose another objective or seed. The training goes on.")


def test_a_healthy_training_goes_on_to_its_end_whatever_a_collapse_would_do(tiny_gan, tiny_images, collapsing, caplog):
    assert len(run(replace(tiny_gan, epochs=6, on_collapse="stop"), tiny_images)) == 6
    assert warnings_in(caplog) == []


@pytest.fixture
def collapsed_store(tiny_gan, tiny_images, collapsing, tmp_path):
    """Checkpoints of a training that was stopped in epoch 4 of 6, its configuration, and its epochs and sentence."""
    config = replace(tiny_gan, epochs=6, on_collapse="stop")
    store, shown = CheckpointStore(tmp_path, interval_seconds=0), []
    with pytest.raises(TrainingDiverged, match="collapsed: for 3 epochs up to epoch 4 ") as caught:
        for epoch in train(config, tiny_images, device="cpu", checkpoints=store, samples_every=10):
            shown.append((epoch, epoch.generator))
            collapsing.collapsed = True
    return config, store, shown, str(caught.value)


def test_a_collapse_stops_the_training_after_the_epoch_is_reported(collapsed_store):
    _, store, shown, sentence = collapsed_store
    epoch, generator = shown[-1]
    assert [epoch.number for epoch, _ in shown] == [1, 2, 3, 4]
    assert [row["epoch"] for row in epoch.history] == [1, 2, 3, 4]
    assert list(epoch.sample_history) == [1, 4]
    assert sentence.endswith("choose another objective or seed, or go on with on_collapse: warn.")
    with store.open(generator.training["fingerprint"]) as checkpoints:
        assert checkpoints.load_newest()["plain"]["images_seen"] == 160


def test_a_stopped_training_that_is_started_again_trains_nothing_and_stops_again(collapsed_store, tiny_images):
    config, store, shown, sentence = collapsed_store
    (epoch, generator), seen = shown[-1], []
    epochs = train(config, tiny_images, device="cpu", checkpoints=store, on_step=seen.append)
    again = next(epochs)
    assert (again.number, again.history, seen) == (4, epoch.history, [160])
    assert torch.equal(again.samples, epoch.samples)
    assert same_weights(again.generator, generator)
    with pytest.raises(TrainingDiverged) as caught:
        next(epochs)
    assert str(caught.value) == sentence


def test_a_stopped_training_goes_on_if_it_may(collapsed_store, tiny_images):
    config, store, *_ = collapsed_store
    epochs = run(replace(config, on_collapse="warn"), tiny_images, checkpoints=store)
    assert [epoch.number for epoch in epochs] == [5, 6]


def test_a_last_step_that_ruins_the_weights_is_seen_in_its_own_epoch(tiny_gan, tiny_images, tmp_path):
    # The losses of the only step of an epoch are taken before it moves the weights.
    ruinous = OptimizerConfig(learning_rate=1e38)
    config = replace(tiny_gan, batch_size=43, discriminator_steps=1, generator_optimizer=ruinous)
    with pytest.raises(TrainingDiverged, match="weights of the DcganGenerator became infinite or NaN in epoch 1"):
        next(train(config, tiny_images, device="cpu", checkpoints=CheckpointStore(tmp_path, interval_seconds=0)))
    assert list(tmp_path.rglob("*.pt")) == []


class RecordingLoss(nn.Module):
    """Keeps the real images, the generated ones and the labels of each discriminator step."""

    def __init__(self, loss):
        super().__init__()
        self.loss, self.objective, self.penalty_factor = loss, loss.objective, loss.penalty_factor
        self.steps, self.due = [], []

    def forward(self, real, fake, labels, due):
        self.steps.append((real.clone(), fake.clone(), labels))
        self.due.append(due)
        return self.loss(real, fake, labels, due)


@pytest.fixture
def record(tiny_gan, tiny_images):
    """Train some epochs and return what each discriminator step was given."""

    def run_recorded(epochs=1, **changes):
        torch.manual_seed(1)
        data = TrainingData.prepare(tiny_images, None, (), CPU)
        state = TrainingState(replace(tiny_gan, **changes), data)
        state.discriminator_loss = RecordingLoss(state.discriminator_loss)
        metrics = [_train_epoch(state, data, no_op) for _ in range(epochs)]
        return state, state.discriminator_loss.steps, metrics

    return run_recorded


def test_lazy_penalties_are_due_every_so_many_steps_across_epochs(record):
    penalties = (PenaltyConfig(), PenaltyConfig(at="real", every_steps=2), PenaltyConfig(at="dragan", every_steps=4))
    state, _, _ = record(epochs=2, penalties=penalties)
    expected = [[True, step % 2 == 0, step % 4 == 0] for step in range(1, 11)]
    assert state.discriminator_loss.due == expected


def test_each_epoch_shows_the_real_images_in_another_order(record, tiny_images):
    _, steps, _ = record(epochs=2)
    shown = torch.cat([real for real, *_ in steps])
    known = {image.tobytes(): number for number, image in enumerate(tiny_images)}
    order = [known[to_uint8(image).numpy().tobytes()] for image in shown]
    first, second = order[:40], order[40:]
    assert len(set(first)) == len(set(second)) == 40
    assert first != sorted(first)
    assert first != second


def test_the_real_images_are_augmented_and_the_generated_ones_are_not(record):
    _, plain, _ = record()
    _, flipped, _ = record(transforms=TransformConfig(horizontal_flip=True))
    mirrored = 0
    for (real, *_), (augmented, *_) in zip(plain[:1], flipped[:1], strict=True):
        same = (real - augmented).abs().amax(dim=(1, 2, 3)) < 1e-5
        mirror = (real.flip(3) - augmented).abs().amax(dim=(1, 2, 3)) < 1e-5
        assert torch.all(same ^ mirror)
        mirrored += int(mirror.sum())
    assert 0 < mirrored < 8


@pytest.mark.integration
def test_every_step_has_fresh_latents_from_a_normal_distribution(record, monkeypatch):
    drawn = []
    draw = TrainingState.draw_latents
    monkeypatch.setattr(TrainingState, "draw_latents", lambda *args: drawn.append(draw(*args)) or drawn[-1])
    record(epochs=20)
    latents = torch.cat(drawn[1:])  # the first are the fixed ones
    assert len(latents) == (100 + 50) * 8  # of discriminator steps and of generator steps
    assert len(latents.unique(dim=0)) == len(latents)
    assert latents.mean().item() == pytest.approx(0, abs=0.05)
    assert latents.std().item() == pytest.approx(1, abs=0.05)
    assert latents.abs().max() > 2.5


def test_metrics_are_means_over_the_steps(tiny_gan, tiny_images, monkeypatch):
    steps, generator_losses = iter(range(1, 6)), iter([10.0, 20.0])
    shares = {"discriminator_loss": 1.0, "real_accuracy": 0.1, "fake_accuracy": 0.2, "penalty": 2.0}

    def discriminator_step(*_):
        step = next(steps)
        return {name: torch.tensor(value * step) for name, value in shares.items()}

    monkeypatch.setattr(trainer, "_discriminator_step", discriminator_step)
    monkeypatch.setattr(trainer, "_generator_step", lambda *_: {"generator_loss": torch.tensor(next(generator_losses))})
    data = TrainingData.prepare(tiny_images, None, (), CPU)
    metrics = _train_epoch(TrainingState(tiny_gan, data), data, no_op)
    assert metrics.pop("images_per_second") > 0
    assert metrics == pytest.approx(
        {"discriminator_loss": 3.0, "real_accuracy": 0.3, "fake_accuracy": 0.6, "penalty": 6.0, "generator_loss": 15.0}
    )


def test_diversity_is_relative_to_the_real_images(tiny_gan, tiny_images):
    (epoch, _) = run(tiny_gan, tiny_images)
    expected = diversity(epoch.samples[: len(tiny_images)]) / diversity(torch.from_numpy(tiny_images))
    assert epoch.metrics["sample_diversity"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (None, "labels is None, but must be given for the acgan networks"),
        (np.arange(43) % 3 - 1, "the lowest label is -1, but must be 0 or more"),
    ],
)
def test_labels_that_a_conditional_variant_cannot_use_are_refused(tiny_gan, tiny_images, labels, sentence):
    config = replace(tiny_gan, networks=replace(tiny_gan.networks, family="acgan"))
    with pytest.raises(ConfigError, match=sentence):
        run(config, tiny_images, labels=labels, class_names=["a", "b", "c"])


def test_what_auto_resolved_to_is_recorded(tiny_gan, tiny_images, caplog):
    caplog.set_level(logging.INFO, logger="gan_pipelines")
    generator = run(replace(tiny_gan, precision="auto"), tiny_images)[-1].generator
    resolved = resolve_precision("auto", CPU)
    assert generator.config.precision == resolved
    assert generator.training["device"] == "cpu"
    stated = run(replace(tiny_gan, precision=resolved), tiny_images)[-1].generator
    assert generator.training["fingerprint"] == stated.training["fingerprint"]
    assert f"Training on cpu in {resolved}" in caplog.text


def test_the_data_hash_is_the_image_sets(tiny_gan, striped_images):
    train_images = striped_images.select("train")
    options = {"labels": train_images.labels, "class_names": train_images.class_names}
    generator = run(tiny_gan, train_images.images, **options)[-1].generator
    assert generator.training["data_hash"] == train_images.content_hash


def test_bf16_trains_and_keeps_fp32_weights(tiny_gan, tiny_images):
    epoch = run(replace(tiny_gan, precision="bf16"), tiny_images)[-1]
    assert epoch.generator.weights["raw"]["layers.0.weight"].dtype == torch.float32
    assert not same_weights(epoch.generator, run(tiny_gan, tiny_images)[-1].generator)


@pytest.mark.integration
def test_compiled_training_ends_where_eager_training_ends(tiny_gan, tiny_images):
    torch._dynamo.utils.counters.clear()
    compiled = run(replace(tiny_gan, compilation="default"), tiny_images)[-1].generator
    assert torch._dynamo.utils.counters["frames"]["ok"] >= 2  # generator and discriminator
    eager = run(tiny_gan, tiny_images)[-1].generator
    torch.testing.assert_close(dict(compiled.weights["raw"]), dict(eager.weights["raw"]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((43, 8, 8), np.uint8), None, r"images is .*, but must be \(N, C, H, W\) of uint8"),
        (np.zeros((43, 1, 8, 8), np.float32), None, r"must be \(N, C, H, W\) of uint8"),
        (np.zeros((43, 1, 8, 8), np.uint8), np.zeros(5, np.int64), r"labels is \(5,\), but must be of shape \(43,\)"),
        (
            np.zeros((43, 1, 8, 8), np.uint8),
            np.ones(43, np.int64),
            "the highest label is 1, but must be below the 0 class",
        ),
        (np.zeros((43, 1, 8, 8), np.uint8), None, "images is 'all the same'"),
        (np.eye(43, 81, dtype=np.uint8).reshape(43, 1, 9, 9), None, "image_size is '9x9'"),
        (
            np.eye(12, 64, dtype=np.uint8).reshape(12, 1, 8, 8),
            None,
            "discriminator_steps is 2, but must be at most the 1 batches",
        ),
        (np.eye(7, 64, dtype=np.uint8).reshape(7, 1, 8, 8), None, "batch_size is 8, but must be at most the 7 images"),
    ],
)
def test_data_that_do_not_fit_are_refused(tiny_gan, images, labels, message):
    with pytest.raises(ConfigError, match=message):
        next(train(tiny_gan, images, labels, device="cpu"))
