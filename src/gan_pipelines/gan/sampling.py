"""Trained generators: sampling, interpolation, and files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gan_pipelines.core.config import ConfigError, require, suggest
from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.pixels import to_uint8
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.config import GanConfig, SamplingConfig, WeightSet, parse_saved
from gan_pipelines.gan.networks import FAMILIES, ImageShape, load_generator

WEIGHT_SETS: Final[tuple[WeightSet, ...]] = get_args(WeightSet)

Decoder = Callable[[Tensor, Tensor | None], Tensor]
"""Maps latents (N, latent_size), and labels (N,) or None, to images (N, C, H, W) uint8, all on one device."""
FORMAT = "gan_pipelines.generator/4"
"""Format of a generator's file, written into its metadata. Raise it when the file or the names of settings change."""
EARLIER_FORMATS = ("gan_pipelines.generator/2", "gan_pipelines.generator/3")
"""Formats that are still read: settings had other names. Fingerprint and recipe in the file stay as they were."""


class GeneratorUnusable(ProjectError):
    """A file without a generator that this version of the project can read."""


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator and everything needed to use it. It is saved as one safetensors file, without pickled objects.

    Attributes:
        config: the settings of the training.
        image_shape: channels, height and width.
        class_names: names of the classes, in the order of their indices; empty if the data had no labels.
        training: origin of the weights: ``fingerprint`` and ``recipe`` of the training, ``seed``, ``data_hash``,
            ``device``, ``epoch``, ``images_seen``; ``failure`` if the training has failed, why; ``milestone`` if it was
            kept as a `MilestoneStore` keeps it.
        weights: for each `WeightSet` a state dict, on the CPU.
        version: version of the catalog entry that it was loaded from, or None.
    """

    config: GanConfig
    image_shape: ImageShape
    class_names: tuple[str, ...]
    training: Mapping[str, Any]
    weights: Mapping[WeightSet, Mapping[str, Tensor]]
    version: str | None = None

    @property
    def is_milestone(self) -> bool:
        """Whether it was kept of an epoch on the way."""
        return "milestone" in self.training

    def network(self, weights: WeightSet = "ema") -> nn.Module:
        """Build the network in evaluation mode, on the CPU.

        It maps latents (N, latent_size), and labels (N,) or None, to images (N, C, H, W) in [-1, 1].
        """
        return load_generator(self.config.networks, self.image_shape, len(self.class_names), self.weights[weights])

    @property
    def is_conditional(self) -> bool:
        """Whether labels decide the class of the images."""
        return FAMILIES[self.config.networks.family].conditional

    def sample(
        self,
        count: int,
        *,
        seed: int,
        weights: WeightSet = "ema",
        labels: Tensor | None = None,
        truncation: float | None = None,
        device: DeviceName = "cpu",
    ) -> Tensor:
        """Generate images (count, C, H, W) uint8 on the CPU; the arguments are those of `sample_batches`."""
        batches = self.sample_batches(
            count, seed=seed, weights=weights, labels=labels, truncation=truncation, device=device
        )
        return torch.cat([batch.cpu() for batch in batches])

    def sample_batches(
        self,
        count: int,
        *,
        seed: int,
        weights: WeightSet = "ema",
        labels: Tensor | None = None,
        truncation: float | None = None,
        device: DeviceName = "cpu",
        batch_size: int = 250,
    ) -> Iterator[Tensor]:
        """Generate images in batches.

        Latents are drawn on the CPU, all at once: neither device nor batch size changes them.

        Args:
            count: number of images.
            seed: seed of the latents.
            weights: which weights to use.
            labels: (count,) class indices; None cycles through the classes. Unconditional generators ignore them.
            truncation: bound on the absolute value of each latent coordinate: N(0, 1) truncated there gives less varied
                and more typical images (Brock et al. 2019, section 3.1). None does not truncate.
            device: where to compute.
            batch_size: images per batch.

        Yields:
            (up to batch_size, C, H, W) uint8 on the device.

        Raises:
            ConfigError: if the labels are not ``count`` class indices, or this machine has no such device.
        """
        draws = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, self.config.networks.latent_size, generator=draws)
        if truncation is not None:
            nn.init.trunc_normal_(latents, a=-truncation, b=truncation, generator=draws)
        if labels is None:
            labels = classes_in_turn(count, len(self.class_names))
        else:
            require(labels.shape == (count,), "labels", tuple(labels.shape), f"of shape ({count},)")
            known = not self.is_conditional or 0 <= int(labels.min()) <= int(labels.max()) < len(self.class_names)
            require(known, "labels", labels.unique().tolist(), f"from 0 to {len(self.class_names) - 1}")
        yield from self.decode(latents, labels, weights=weights, device=device, batch_size=batch_size)

    def decode(
        self,
        latents: Tensor,
        labels: Tensor | None,
        *,
        weights: WeightSet = "ema",
        device: DeviceName = "cpu",
        batch_size: int = 250,
    ) -> Iterator[Tensor]:
        """Generate the images of given latents in batches.

        Args:
            latents: (N, latent_size).
            labels: (N,) class indices, or None without classes.
            weights: which weights to use.
            device: where to compute.
            batch_size: images per batch.

        Yields:
            (up to batch_size, C, H, W) uint8 on the device.

        Raises:
            ConfigError: if this machine has no such device.
        """
        target = resolve_device(device)
        make_images = self._open(weights, target)
        for start in range(0, len(latents), batch_size):
            part = slice(start, start + batch_size)
            yield make_images(latents[part].to(target), None if labels is None else labels[part].to(target))

    def _open(self, weights: WeightSet, device: torch.device) -> Decoder:
        """Open the networks on a device; what is returned makes the images of a batch."""
        network = self.network(weights).to(device)

        def make_images(latents: Tensor, labels: Tensor | None) -> Tensor:
            with torch.inference_mode():
                images = network(latents, labels)
            return to_uint8(images)

        return make_images

    def save(self, path: Path) -> None:
        """Write weights and description to a safetensors file."""
        tensors = {
            f"{weight_set}.{name}": tensor.contiguous()
            for weight_set, state in self.weights.items()
            for name, tensor in state.items()
        }
        description = {
            "config": asdict(self.config),
            "image_shape": self.image_shape,
            "class_names": self.class_names,
            "training": dict(self.training),
        }
        save_file(tensors, path, metadata={"format": FORMAT, "generator": json.dumps(description)})

    @classmethod
    def load(cls, path: Path) -> TrainedGenerator:
        """Load a file that `save` wrote, in this format or an earlier one.

        Raises:
            GeneratorUnusable: if the file is torn, holds no generator, or has another format.
        """
        weights: dict[WeightSet, dict[str, Tensor]] = {"ema": {}, "raw": {}}
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                for key in file.keys():  # noqa: SIM118 (the file is no mapping)
                    weight_set, _, name = key.partition(".")
                    weights["ema" if weight_set == "ema" else "raw"][name] = file.get_tensor(key)
        except SafetensorError as error:
            raise GeneratorUnusable(
                f"{path} is torn, or no generator; choose another version, or train again."
            ) from error
        found = metadata.get("format", "no generator")
        if found not in (FORMAT, *EARLIER_FORMATS):
            raise GeneratorUnusable(f"{path} holds {found}, but {FORMAT} was expected; train again.")
        description = json.loads(metadata["generator"])
        return cls(
            config=parse_saved(description["config"], str(path)),
            image_shape=ImageShape(*description["image_shape"]),
            class_names=tuple(description["class_names"]),
            training=description["training"],
            weights=weights,
        )


def sample_classes(
    generator: TrainedGenerator, config: SamplingConfig, device: DeviceName = "auto"
) -> dict[str | None, Tensor]:
    """Generate images class by class.

    All classes use the same latents, so the images of a class do not depend on which others are asked for.

    Args:
        generator: the generator.
        config: how many images of which classes.
        device: where to compute.

    Returns:
        by the name of each class (count, C, H, W) uint8 on the CPU; of an unconditional generator, by None.

    Raises:
        ConfigError: if the generator has no such class, or this machine no such device.
    """

    def sample(label: int | None) -> Tensor:
        return generator.sample(
            config.count,
            seed=config.seed,
            weights=config.weights,
            labels=None if label is None else torch.full((config.count,), label),
            truncation=config.truncation,
            device=device,
        )

    check_classes(generator, config)
    if not generator.is_conditional:
        return {None: sample(None)}
    names = list(generator.class_names)
    return {name: sample(names.index(name)) for name in config.classes or names}


def check_classes(generator: TrainedGenerator, config: SamplingConfig) -> None:
    """Raise a `ConfigError` if a generator does not know the classes that are asked for."""
    if not generator.is_conditional:
        require(config.classes is None, "sampling.classes", config.classes, "null: this generator knows no classes")
    names = list(generator.class_names)
    for name in config.classes or ():
        if name not in names:
            raise ConfigError(
                f"sampling.classes has {name!r}, which the generator does not know; {suggest(name, names)}"
            )


def interpolate(
    generator: TrainedGenerator,
    rows: int,
    steps: int,
    *,
    seed: int,
    weights: WeightSet = "ema",
    device: DeviceName = "cpu",
) -> Tensor:
    """Interpolate between pairs of latents by spherical linear interpolation (White 2016, section 2.1).

    All images of a row have the same class; the rows cycle through the classes. Smooth changes along a row, with good
    images in its middle, indicate that the generator has not memorised single images.

    Args:
        generator: the generator.
        rows: number of pairs of latents.
        steps: images per row, both ends included.
        seed: seed of the latents.
        weights: which weights to use.
        device: where to compute.

    Returns:
        (rows * steps, C, H, W) uint8 on the CPU, row by row.

    Raises:
        ConfigError: if this machine has no such device.
    """
    draws = torch.Generator().manual_seed(seed)
    start, end = torch.randn(2, rows, 1, generator.config.networks.latent_size, generator=draws)
    cosine = torch.cosine_similarity(start, end, dim=-1).clamp(-0.9999, 0.9999)  # opposite latents have no unique path
    angle = torch.acos(cosine)[..., None]
    fraction = torch.linspace(0, 1, steps)[:, None]
    latents = (torch.sin((1 - fraction) * angle) * start + torch.sin(fraction * angle) * end) / torch.sin(angle)
    labels = classes_in_turn(rows, len(generator.class_names))
    labels = None if labels is None else labels.repeat_interleave(steps)
    return torch.cat([*generator.decode(latents.flatten(end_dim=1), labels, weights=weights, device=device)]).cpu()


def classes_in_turn(count: int, num_classes: int) -> Tensor | None:
    """Return (count,) class indices 0, 1, ..., 0, 1, ...; None without classes."""
    return torch.arange(count) % num_classes if num_classes else None
