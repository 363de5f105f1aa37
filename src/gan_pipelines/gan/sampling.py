"""Generators that describe themselves, and the images that they make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gan_pipelines.core.config import ConfigError, parse, require, suggest
from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.pixels import to_uint8
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.config import GanConfig, SamplingConfig, WeightSet
from gan_pipelines.gan.networks import FAMILIES, ImageShape, load_generator

WEIGHT_SETS: Final[tuple[WeightSet, ...]] = get_args(WeightSet)

FORMAT = "gan_pipelines.generator/2"


class GeneratorUnusable(ProjectError):
    """A file that holds no generator that this version of the project can read."""


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator with all that is needed to use it: on disk one file, without pickled objects.

    Attributes:
        config: what was trained.
        image_shape: channels, height, width.
        class_names: of the data; empty if it had no labels.
        training: where it comes from: fingerprint of the training, hash of the data, epoch, images seen.
        weights: for each `WeightSet` a state dict, on the CPU.
        version: of the catalog entry that it was loaded from, or None.
    """

    config: GanConfig
    image_shape: ImageShape
    class_names: tuple[str, ...]
    training: Mapping[str, Any]
    weights: Mapping[WeightSet, Mapping[str, Tensor]]
    version: str | None = None

    def network(self, weights: WeightSet = "ema") -> nn.Module:
        """The generator network in evaluation mode, on the CPU: latents (N, latent_size) to images in [-1, 1]."""
        return load_generator(self.config.networks, self.image_shape, len(self.class_names), self.weights[weights])

    @property
    def is_conditional(self) -> bool:
        """Whether it makes the class that it is asked for."""
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
        """Make images: (count, C, H, W) uint8 on the CPU. See `sample_batches`."""
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
        """Make images batch by batch; the seed alone decides which, whatever the batch size.

        Args:
            count: number of images.
            seed: of the latents, which are drawn on the CPU.
            weights: which set of weights.
            labels: (count,) class indices; None takes the classes in turn. Ignored by unconditional generators.
            truncation: bound on the absolute value of each latent coordinate, drawn from N(0, 1) cut off there: less
                varied and more typical images (Brock et al. 2019, section 3.1); None for all of N(0, 1).
            device: where to compute.
            batch_size: images at a time.

        Yields:
            (up to batch_size, C, H, W) uint8 on the device.

        Raises:
            ConfigError: if the labels are not ``count`` indices of classes.
        """
        draws = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, self.config.networks.latent_size, generator=draws)
        if truncation is not None:
            nn.init.trunc_normal_(latents, a=-truncation, b=truncation, generator=draws)
        if labels is None:
            labels = classes_in_turn(count, len(self.class_names))
        else:
            require(labels.shape == (count,), "labels", tuple(labels.shape), f"of shape ({count},)")
            known = int(labels.min()) >= 0 and int(labels.max()) < len(self.class_names)
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
        """Make the images of latents (N, latent_size) and, where there are classes, labels (N,), batch by batch.

        Yields:
            (up to batch_size, C, H, W) uint8 on the device.
        """
        target = resolve_device(device)
        network = self.network(weights).to(target)
        for start in range(0, len(latents), batch_size):
            part = slice(start, start + batch_size)
            with torch.inference_mode():
                images = network(latents[part].to(target), None if labels is None else labels[part].to(target))
            yield to_uint8(images)

    def save(self, path: Path) -> None:
        """Write weights and description to one safetensors file."""
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
        """Read a file that `save` has written.

        Raises:
            GeneratorUnusable: if the file is torn, not such a file, or of another format version.
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
        if metadata.get("format") != FORMAT:
            found = metadata.get("format", "no generator")
            raise GeneratorUnusable(f"{path} holds {found}, but {FORMAT} was expected; train again.")
        description = json.loads(metadata["generator"])
        return cls(
            config=parse(GanConfig, description["config"], str(path)),
            image_shape=ImageShape(*description["image_shape"]),
            class_names=tuple(description["class_names"]),
            training=description["training"],
            weights=weights,
        )


def sample_classes(
    generator: TrainedGenerator, config: SamplingConfig, device: DeviceName = "auto"
) -> dict[str | None, Tensor]:
    """Make images class by class: (count, C, H, W) uint8 by the class's name, or by None if the generator knows none.

    Every class is made from the same latents, so its images do not depend on which others are asked for.

    Raises:
        ConfigError: if there is no such class.
    """

    def make(label: int | None) -> Tensor:
        return generator.sample(
            config.count,
            seed=config.seed,
            weights=config.weights,
            labels=None if label is None else torch.full((config.count,), label),
            truncation=config.truncation,
            device=device,
        )

    if not generator.is_conditional:
        require(config.classes is None, "sampling.classes", config.classes, "null: this generator knows no classes")
        return {None: make(None)}
    names = list(generator.class_names)
    for name in config.classes or ():
        if name not in names:
            raise ConfigError(
                f"sampling.classes has {name!r}, which the generator does not know; {suggest(name, names)}"
            )
    return {name: make(names.index(name)) for name in config.classes or names}


def interpolate(
    generator: TrainedGenerator,
    rows: int,
    steps: int,
    *,
    seed: int,
    weights: WeightSet = "ema",
    device: DeviceName = "cpu",
) -> Tensor:
    """Walk from one latent to another, row by row, on great circles (White 2016): (rows * steps, C, H, W) uint8.

    A row is of one class, the classes in turn. Images that change smoothly along a row, and are good in its middle too,
    speak against a generator that has learned single images by heart.

    Args:
        generator: makes the images.
        rows: pairs of latents.
        steps: images of a row, both ends included.
        seed: of the latents.
        weights: which set of weights.
        device: where to compute.
    """
    draws = torch.Generator().manual_seed(seed)
    start, end = torch.randn(2, rows, 1, generator.config.networks.latent_size, generator=draws)
    cosine = torch.cosine_similarity(start, end, dim=-1).clamp(-0.9999, 0.9999)  # else there are many great circles
    angle = torch.acos(cosine)[..., None]
    share = torch.linspace(0, 1, steps)[:, None]
    latents = (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end) / torch.sin(angle)
    labels = classes_in_turn(rows, len(generator.class_names))
    each = None if labels is None else labels.repeat_interleave(steps)
    return torch.cat([*generator.decode(latents.flatten(end_dim=1), each, weights=weights, device=device)]).cpu()


def classes_in_turn(count: int, num_classes: int) -> Tensor | None:
    """(count,) class indices 0, 1, ..., 0, 1, ...; None if there are no classes."""
    return torch.arange(count) % num_classes if num_classes else None
