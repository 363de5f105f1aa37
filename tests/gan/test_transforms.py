from __future__ import annotations

import torch
import torch.nn.functional as F
from torchvision.transforms.functional import InterpolationMode, rotate

from gan_pipelines.gan import TransformConfig
from gan_pipelines.gan.transforms import _inverse_transforms, apply_transforms


def blobs(count=48, height=12, width=12):
    """Smooth random images in [-1, 1], black at the border."""
    images = F.avg_pool2d(torch.rand(count, 3, height, width), 3, stride=1, padding=1) * 2 - 1
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[2:-2, 2:-2] = True
    return torch.where(mask, images, -1.0)


def test_without_settings_images_pass_through():
    images = blobs()
    assert apply_transforms(images, TransformConfig()) is images


def test_flips_mirror_about_half_of_the_images_and_change_no_other():
    images = blobs()
    flipped = apply_transforms(images, TransformConfig(horizontal_flip=True))
    same = (flipped - images).abs().amax(dim=(1, 2, 3)) < 1e-5
    mirrored = (flipped - images.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert torch.all(same ^ mirrored)
    assert 12 < same.sum() < 36


def test_shifts_equal_crops_of_the_padded_image_each_with_its_own_place():
    images, padding = blobs(height=10, width=14), 2
    shifted = apply_transforms(images, TransformConfig(crop_padding=padding))
    padded = F.pad(images, (padding,) * 4, value=-1.0)
    places = []
    for index, image in enumerate(shifted):
        crops = {(y, x): padded[index, :, y : y + 10, x : x + 14] for y in range(5) for x in range(5)}
        matches = [place for place, crop in crops.items() if torch.allclose(crop, image, atol=1e-4)]
        assert len(matches) == 1
        places += matches
    assert len(set(places)) > 12


def test_rotation_equals_torchvisions_at_the_angle_that_was_drawn():
    images = blobs(count=8, height=16, width=16)
    config = TransformConfig(rotation_degrees=30)
    torch.manual_seed(3)
    rotated = apply_transforms(images, config)
    torch.manual_seed(3)
    angles = torch.rad2deg(
        torch.atan2(*_inverse_transforms(8, 16, 16, config, images.device)[:, :, 0].flip(1).unbind(1))
    )
    assert angles.abs().max() <= 30
    assert angles.unique().numel() == 8
    for index, angle in enumerate(angles.tolist()):
        expected = rotate(images[index], angle, InterpolationMode.BILINEAR, fill=[-1.0])
        assert torch.allclose(rotated[index, :, 3:-3, 3:-3], expected[:, 3:-3, 3:-3], atol=2e-2)


def test_rotation_keeps_circles_round_in_images_that_are_not_square():
    rows, columns = torch.meshgrid(torch.arange(24) - 11.5, torch.arange(40) - 19.5, indexing="ij")
    disc = torch.where(rows**2 + columns**2 < 64, 1.0, -1.0).expand(6, 1, -1, -1)
    rotated = apply_transforms(disc, TransformConfig(rotation_degrees=180))
    assert ((rotated - disc).abs() > 1).float().mean() < 0.01


def test_values_stay_in_range():
    rotated = apply_transforms(blobs(), TransformConfig(horizontal_flip=True, rotation_degrees=10, crop_padding=4))
    assert rotated.min() >= -1
    assert rotated.max() <= 1
