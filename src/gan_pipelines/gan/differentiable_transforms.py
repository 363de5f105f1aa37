"""Differentiable transforms of what the discriminator sees (DiffAugment, ADA), and their adaptive probability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_pipelines.gan.config import DifferentiableTransformConfig, DifferentiableTransformName

MAX_SHIFT = 1 / 8
"""Maximum translation, as a fraction of the image's size."""
CUTOUT_SIZE = 1 / 2
"""Side of the square that is cut out, as a fraction of the image's size."""
ADAPTED_EVERY = 4
"""Number of discriminator steps between two changes of an adaptive probability (Karras et al. 2020)."""


def transform_differentiably(
    images: Tensor, kinds: tuple[DifferentiableTransformName, ...], probability: Tensor
) -> Tensor:
    """Transform each image at random (Zhao et al. 2020, section 3.2). Values are not clipped.

    Args:
        images: (N, C, H, W) in [-1, 1].
        kinds: which transforms, in order.
        probability: scalar, with which an image has each of them.

    Returns:
        (N, C, H, W) float32 on the same device, or the images themselves without any transform. Brightness and contrast
        may leave [-1, 1]. Pixels from outside the image, and those that are cut out, are grey (0).
    """
    if not kinds:
        return images
    images = images.float()
    for kind in kinds:
        chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < probability
        images = torch.where(chosen, TRANSFORMS[kind](images), images)
    return images.contiguous(memory_format=torch.channels_last)


def _change_colours(images: Tensor) -> Tensor:
    """Shift brightness by -0.5 to 0.5, and multiply saturation by 0 to 2 and contrast by 0.5 to 1.5."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device)
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = torch.lerp(grey, images, 2 * saturation)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, contrast + 0.5)


def _translate(images: Tensor) -> Tensor:
    """Shift by a whole number of pixels, up to `MAX_SHIFT` of the size."""
    count, _, height, width = images.shape
    matrices = torch.eye(2, 3, device=images.device).repeat(count, 1, 1)
    for axis, size in enumerate((width, height)):
        matrices[:, axis, 2] = _draw_whole(count, -round(size * MAX_SHIFT), round(size * MAX_SHIFT), images) * 2 / size
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)


def _cut_out(images: Tensor) -> Tensor:
    """Cut out a square of `CUTOUT_SIZE` of the size, whose centre is anywhere in the image."""
    count, _, height, width = images.shape
    inside = [_draw_interval(count, size, images) for size in (height, width)]
    return images * ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])


def _draw_interval(count: int, size: int, images: Tensor) -> Tensor:
    """Draw (count, size) switches: for each image an interval of `CUTOUT_SIZE` of the places, or what is inside."""
    length = round(size * CUTOUT_SIZE)
    start = _draw_whole(count, 0, size - length % 2, images)[:, None] - length // 2
    places = torch.arange(size, device=images.device)
    return (places >= start) & (places < start + length)


def _draw_whole(count: int, lowest: int, highest: int, images: Tensor) -> Tensor:
    """Draw (count,) whole numbers, both bounds included, on the device of the images."""
    return torch.randint(lowest, highest + 1, (count,), device=images.device)


TRANSFORMS: Final[Mapping[DifferentiableTransformName, Callable[[Tensor], Tensor]]] = {
    "colour": _change_colours,
    "translation": _translate,
    "cutout": _cut_out,
}


class TransformProbability:
    """The probability of differentiable transforms, which may adapt to the discriminator (Karras et al. 2020).

    Where the mean sign of its logits of real images exceeds the target, the discriminator overfits, and the probability
    rises; otherwise it falls. The sign is that of the difference from the objective's threshold.

    Attributes:
        value: scalar on the device. Steps recorded as CUDA graphs read this tensor, so it is changed in place.
        sign_sum: scalar, the sum of the mean signs of the batches since the last change.
    """

    def __init__(self, config: DifferentiableTransformConfig, batch_size: int, device: torch.device) -> None:
        self._target = config.target_sign
        self._change = batch_size * ADAPTED_EVERY / config.ramp_images
        self.value = torch.tensor(config.probability, device=device)
        self.sign_sum = torch.zeros((), device=device)

    @torch.no_grad()
    def adapt(self, real_accuracy: Tensor, steps: int) -> dict[str, Tensor]:
        """Follow a discriminator step, if the probability is adaptive.

        Args:
            real_accuracy: scalar, the fraction of real images whose logit is above the threshold.
            steps: discriminator steps since the start.

        Returns:
            the metric ``transform_probability``, or none if the probability is not adaptive.
        """
        if self._target is None:
            return {}
        self.sign_sum += 2 * real_accuracy - 1
        if steps % ADAPTED_EVERY == 0:
            self.value += self._change * torch.sign(self.sign_sum / ADAPTED_EVERY - self._target)
            self.value.clamp_(0, 1)
            self.sign_sum.zero_()
        return {"transform_probability": self.value}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state as tensors."""
        return {"value": self.value, "sign_sum": self.sign_sum}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned, on any device."""
        for name, saved in state.items():
            getattr(self, name).copy_(saved)
