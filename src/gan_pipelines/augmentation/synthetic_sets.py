"""The synthetic images of each replicate: made once, kept in a store, memory-mapped."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gan_pipelines.augmentation.config import REAL_LONGER, AugmentationConfig
from gan_pipelines.augmentation.judge import fit_judge
from gan_pipelines.augmentation.replicates import Replicate, count_steps, count_synthetic
from gan_pipelines.augmentation.synthesis import SyntheticImages, choose_labels, needs_judge, synthesize
from gan_pipelines.classifier import precision_in_key
from gan_pipelines.core.hashing import hash_values
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan.health import NARROW_BELOW, relative_diversity

logger = logging.getLogger(__name__)

COMPARED = 256
"""Maximum number of synthetic and of real images whose diversity is compared."""
MIN_COMPARED = 16
"""Minimum number of images whose diversity says anything."""
ENTRY_VERSION = 3
"""Version of a synthetic set, part of its key.

Raise it when the images, or the classifier that labels or filters them, change for the same settings."""


def make_synthetic_set(
    store: KeyedStore,
    replicate: Replicate,
    config: AugmentationConfig,
    device: DeviceName = "auto",
) -> SyntheticImages:
    """Open the synthetic images of a replicate; choose them only if the store does not hold them yet.

    There are as many as the largest ratio needs. ``diversity`` of the provenance is theirs relative to as many real
    images, of the same classes if there are enough, see `relative_diversity`; a warning is logged if it is low.
    """
    draw, source = replicate
    folder = store.get_or_build(
        hash_synthetic_set(replicate, config, device),
        lambda folder: _synthesize(replicate, config, device).save(folder),
    )
    made = SyntheticImages.load(folder)
    rows, real_rows = _match_classes(made.labels[:COMPARED].numpy(), draw.images.labels)
    if len(rows) < MIN_COMPARED:  # of rare classes alone
        count = min(COMPARED, len(made.images), len(draw.images))
        rows, real_rows = np.arange(count), np.arange(len(draw.images))
    diversity = relative_diversity(torch.from_numpy(made.images[rows]), draw.images.images[real_rows])
    if diversity < NARROW_BELOW:
        logger.warning(
            "Most synthetic images of seed %d look alike: their diversity is %.0f%% of that of the real images",
            draw.seed,
            100 * diversity,
        )
    origin = {"fraction": draw.fraction, "real_images": len(draw.images), **source.origin}
    return replace(made, provenance={**made.provenance, **origin, "diversity": diversity})


def _match_classes(
    labels: NDArray[np.int64], real_labels: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose as many synthetic as real images of each class; return the rows of both, the real ones spread evenly."""
    rows, real_rows = [], []
    for label in np.unique(labels):
        of_class, real_of_class = np.flatnonzero(labels == label), np.flatnonzero(real_labels == label)
        count = min(len(of_class), len(real_of_class))
        rows.append(of_class[:count])
        real_rows.append(real_of_class[np.linspace(0, len(real_of_class) - 1, count).astype(int)])
    return np.concatenate(rows), np.concatenate(real_rows)


def synthetic_bytes(store: KeyedStore, config: AugmentationConfig, train_images: int, bytes_per_image: int) -> int:
    """Estimate the bytes of the synthetic images of all replicates that are still to be made.

    Args:
        store: their store; what it holds is taken for images of the same experiment.
        config: fractions, replicates and ratios.
        train_images: number of images of the train split.
        bytes_per_image: height x width x channels.
    """
    counts = (count_synthetic(config.largest_ratio, round(part * train_images)) for part in config.fractions)
    held = sum(file.stat().st_size for file in store.root.rglob("*") if file.is_file())
    return max(0, config.replicates * sum(counts) * bytes_per_image - held)


def _synthesize(replicate: Replicate, config: AugmentationConfig, device: DeviceName) -> SyntheticImages:
    (_, seed, real, _), source = replicate
    count = count_synthetic(config.largest_ratio, len(real))
    labels = choose_labels(real.labels, real.class_names, count, config.synthetic)
    judge = fit_judge(replicate.draw, config, device) if needs_judge(source, config.synthetic) else None
    return synthesize(source, labels, real.class_names, config.synthetic, seed=seed, judge=judge, device=device)


def hash_synthetic_set(replicate: Replicate, config: AugmentationConfig, device: DeviceName) -> str:
    """Hash of everything that determines the synthetic images of a replicate: 16 hexadecimal digits."""
    (_, seed, real, valid), source = replicate
    settings = asdict(config.synthetic)
    if config.synthetic.distance_quantiles is None:  # a later setting: entries from before are found
        del settings["distance_quantiles"]
    identity = source.identify(config.synthetic)
    values: list[Any] = [identity, real.content_hash, seed, settings, config.largest_ratio]
    if needs_judge(source, config.synthetic):
        steps = count_steps(REAL_LONGER, len(real), config)
        values += [asdict(config.classifier), steps, valid.content_hash, *precision_in_key(device)]
    return hash_values(ENTRY_VERSION, *values)
