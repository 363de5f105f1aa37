from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_pipelines.core.pixels import to_uint8
from gan_pipelines.gan import DifferentiableTransformConfig, PenaltyConfig, train, trainer
from gan_pipelines.gan.data import TrainingData
from gan_pipelines.gan.differentiable_transforms import TransformProbability, transform_differentiably
from gan_pipelines.gan.networks import FAMILIES, Judgement, NetworkFamily
from gan_pipelines.gan.state import TrainingState

CPU = torch.device("cpu")
ALL = ("colour", "translation", "cutout")


def transform(images, *kinds, probability=1.0):
    return transform_differentiably(images, kinds, torch.tensor(probability))


def pictures(count=64, channels=3, height=16, width=24):
    """Without a pixel of 0, which is what padding and cutouts are."""
    return torch.rand(count, channels, height, width) * 0.9 + 0.05


def test_without_kinds_images_pass_through():
    images = pictures()
    assert transform(images) is images


@pytest.mark.parametrize("kind", ALL)
def test_the_probability_is_that_of_each_image(kind):
    images = pictures(count=400, height=8, width=8)
    assert torch.equal(transform(images, kind, probability=0.0), images)
    changed = (transform(images, kind, probability=0.25) != images).flatten(1).any(dim=1)
    share = {"colour": 0.25, "translation": 0.25 * 8 / 9, "cutout": 0.25}[kind]  # one shift of nine is none
    assert changed.float().mean().item() == pytest.approx(share, abs=0.07)
    assert (transform(images, kind) != images).flatten(1).any(dim=1).float().mean() > 0.8


def test_kinds_are_drawn_one_by_one():
    images = pictures(count=400, channels=1, height=8, width=8)
    both = transform(images, "colour", "cutout", probability=0.5)
    is_cut = (both == 0).flatten(1).any(dim=1)
    is_coloured = ((both != 0) & (both != images)).flatten(1).any(dim=1)
    counts = torch.bincount(2 * is_cut + is_coloured)
    assert counts.tolist() == pytest.approx([100] * 4, abs=35)


def slope(before, after):
    """Of the line through the origin that fits best, image by image."""
    return (before * after).sum(axis=(1, 2, 3)) / (before**2).sum(axis=(1, 2, 3))


def test_colours_have_a_brightness_a_saturation_and_a_contrast_of_their_own():
    images = pictures(count=500).numpy()
    changed = transform(torch.from_numpy(images), "colour").numpy()

    def split(images):
        """Mean of each image, differences of its grey levels from it, and those of its channels from grey levels."""
        grey = images.mean(axis=1, keepdims=True)
        mean = grey.mean(axis=(2, 3), keepdims=True)
        return mean, grey - mean, images - grey

    (mean, greys, colours), (new_mean, new_greys, new_colours) = split(images), split(changed)
    contrast = slope(greys, new_greys)
    saturation = slope(colours, new_colours) / contrast
    brightness = (new_mean - mean).ravel()
    shifted = (contrast * greys.T).T + ((contrast * saturation) * colours.T).T
    assert np.abs(changed - new_mean - shifted).max() < 1e-5
    found = np.stack([brightness, saturation, contrast])
    for values, (lowest, highest) in zip(found, [(-0.5, 0.5), (0, 2), (0.5, 1.5)], strict=True):
        span = highest - lowest
        assert lowest - 1e-4 <= values.min() <= lowest + 0.02 * span
        assert highest - 0.02 * span <= values.max() <= highest + 1e-4
        assert values.mean() == pytest.approx((lowest + highest) / 2, abs=0.05 * span)
    assert np.abs(np.corrcoef(found) - np.eye(3)).max() < 0.15


def test_the_saturation_of_grey_images_is_none():
    images = pictures(channels=1).double()
    changed = transform(images, "colour")
    slopes = (changed - changed.mean((1, 2, 3), keepdim=True)) / (images - images.mean((1, 2, 3), keepdim=True))
    for slope in slopes:
        assert slope.median() >= 0.5 - 1e-4
        assert slope.quantile(0.9) - slope.quantile(0.1) < 1e-3


def test_translations_are_crops_of_the_padded_image_up_to_an_eighth():
    images = pictures(count=300)
    padded = F.pad(images, (3, 3, 2, 2))
    places = []
    for index, image in enumerate(transform(images, "translation")):
        crops = {(y, x): padded[index, :, y : y + 16, x : x + 24] for y in range(5) for x in range(7)}
        matches = [place for place, crop in crops.items() if torch.equal(crop, image)]
        assert len(matches) == 1
        places += matches
    assert len(set(places)) == 35


def test_cutouts_are_squares_of_half_the_size_with_their_centre_anywhere():
    images = pictures(count=600, height=6, width=8)
    corners = set()
    for before, after in zip(images, transform(images, "cutout"), strict=True):
        is_cut = after[0] == 0
        assert torch.equal(after, torch.where(is_cut, 0.0, before))
        rows, columns = is_cut.any(dim=1).nonzero().flatten().tolist(), is_cut.any(dim=0).nonzero().flatten().tolist()
        corners.add((rows[0], rows[-1], columns[0], columns[-1]))
        assert is_cut.sum() == len(rows) * len(columns)
    rows = {(max(0, centre - 1), min(5, centre + 1)) for centre in range(6)}  # 3 rows
    columns = {(max(0, centre - 2), min(7, centre + 1)) for centre in range(9)}  # 4 columns
    assert corners == {(*row, *column) for row in rows for column in columns}


@pytest.mark.parametrize("kind", ALL)
def test_gradients_flow_to_each_pixel_that_is_shown(kind):
    images = (pictures(count=3, height=8, width=8) * 10).requires_grad_()  # far outside [-1, 1]: nothing is clipped
    torch.manual_seed(2)
    changed = transform(images, kind)
    weights = torch.randn_like(changed)
    (changed * weights).sum().backward()
    nudge = torch.randn_like(images) * 0.01
    torch.manual_seed(2)
    difference = ((transform(images + nudge, kind) - changed) * weights).sum()
    assert difference.item() == pytest.approx((images.grad * nudge).sum().item(), rel=1e-2)  # they are affine
    reached = (images.grad != 0).float().mean(dim=(1, 2, 3))
    assert (
        reached.tolist()
        == {
            "colour": pytest.approx([1] * 3),
            "translation": pytest.approx((changed != 0).float().mean(dim=(1, 2, 3)).tolist()),
            "cutout": pytest.approx((changed != 0).float().mean(dim=(1, 2, 3)).tolist()),
        }[kind]
    )


def test_the_images_of_a_bf16_generator_are_transformed_in_fp32():
    assert transform(pictures().bfloat16(), *ALL).dtype == torch.float32


ADAPTIVE = DifferentiableTransformConfig(kinds=ALL, probability=0.0, target_sign=0.6, ramp_images=320)


def adapt(config, accuracies, batch_size=8):
    """The probability after each step."""
    probability, values = TransformProbability(config, batch_size, CPU), []
    for steps, accuracy in enumerate(accuracies, start=1):
        probability.adapt(torch.tensor(accuracy), steps)
        values.append(probability.value.item())
    return values


def test_the_probability_follows_the_mean_sign_of_four_steps():
    # A step of 4 * 8 / 320. Signs of 0.5, 0.5, 1, 1 exceed the target of 0.6 on average; those of 0.5 do not.
    above, below = [0.75, 0.75, 1.0, 1.0], [0.75] * 4
    values = adapt(ADAPTIVE, above + above + below + above)
    assert values == pytest.approx([0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.2])


def test_the_probability_stays_between_0_and_1():
    assert min(adapt(ADAPTIVE, [0.0] * 8)) == 0
    assert adapt(ADAPTIVE, [1.0] * 60)[-1] == 1
    assert adapt(ADAPTIVE, [1.0] * 39)[-1] == pytest.approx(0.9)


def test_a_probability_without_a_target_stays_as_it_is():
    assert adapt(DifferentiableTransformConfig(kinds=ALL, probability=0.25), [1.0] * 8) == [0.25] * 8


class SeeingDiscriminator(nn.Module):
    """Remembers the least value of each batch that it sees."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.least = []

    def forward(self, images, labels=None):
        self.least.append(images.min().item())
        return Judgement((self.scale * images).square().mean(dim=(1, 2, 3)))


R1, R2 = (PenaltyConfig(at=at, target_norm=0.0) for at in ("real", "fake"))


@pytest.mark.parametrize(("objective", "batches"), [("hinge", 3), ("relativistic", 4)])
def test_each_image_that_the_discriminator_sees_is_transformed_and_no_sample_is(
    tiny_gan, tiny_images, monkeypatch, objective, batches
):
    discriminator = SeeingDiscriminator()
    family = NetworkFamily(FAMILIES["dcgan"].generator, lambda *_: discriminator)
    monkeypatch.setitem(FAMILIES, "dcgan", family)
    calls = []
    monkeypatch.setattr(trainer, "transform_differentiably", lambda images, *_: calls.append(images) or images + 100)
    config = replace(tiny_gan, objective=objective, penalties=(R1, R2), discriminator_steps=1, epochs=1)
    (epoch,) = train(config, tiny_images, device="cpu")
    assert len(calls) == 5 * batches
    assert all(images.abs().max() <= 1 for images in calls)
    assert len(discriminator.least) == 5 * (batches + 2)  # and those of the penalties
    assert min(discriminator.least) >= 99
    with torch.no_grad():
        images = epoch.generator.network("ema")(epoch.state.fixed_latents)
    assert torch.equal(epoch.samples, to_uint8(images))
    assert torch.equal(epoch.generator.sample(4, seed=1), next(epoch.generator.sample_batches(4, seed=1)))


def test_the_generator_learns_through_the_transforms(tiny_gan, tiny_images):
    """Without a gradient through them, its weights would stay."""
    transforms = DifferentiableTransformConfig(kinds=ALL)
    config = replace(tiny_gan, differentiable_transforms=transforms, penalties=(), objective="hinge", epochs=1)
    (epoch,), (plain,) = (
        list(train(each, tiny_images, device="cpu"))
        for each in (config, replace(config, differentiable_transforms=DifferentiableTransformConfig()))
    )
    start = TrainingState(config, TrainingData.prepare(tiny_images, None, (), CPU)).generator.state_dict()
    for name, weights in epoch.generator.weights["raw"].items():
        if name.endswith("weight"):
            assert not torch.equal(weights, start[name])
            assert not torch.equal(weights, plain.generator.weights["raw"][name])


def test_an_adaptive_probability_is_among_the_metrics(tiny_gan, tiny_images):
    # Half of the 20 images of the first steps are above the midpoint; -0.9 is always exceeded.
    config = replace(tiny_gan, differentiable_transforms=replace(ADAPTIVE, target_sign=-0.9), epochs=2)
    first, second = list(train(config, tiny_images, device="cpu"))
    assert first.metrics["transform_probability"] == pytest.approx(0.1 * 2 / 5)
    assert second.metrics["transform_probability"] == pytest.approx((0.1 * 2 + 0.2 * 3) / 5)
    assert second.state.transform_probability.value.item() == pytest.approx(0.2)
