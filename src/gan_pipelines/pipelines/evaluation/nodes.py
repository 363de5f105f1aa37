"""Nodes of the evaluation of a variant."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_pipelines import figures, gan, images, metrics
from gan_pipelines.core.findings import Findings
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.score_names import MILESTONE
from gan_pipelines.core.stores import KeyedStore

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

NEIGHBOUR_ROWS = 8
HELDOUT_SPLITS = ("test", "valid")
"""Splits whose images show how near real images are to training images; the first that has enough images is used."""


def open_extractor(
    extractors: KeyedStore, image_set: images.ImageSet, scoring: metrics.ScoringConfig, device: DeviceName
) -> metrics.FeatureExtractor:
    """Open the feature extractor; fit a classifier only if the store does not hold it yet."""
    return metrics.get_extractor(extractors, image_set, scoring, device)


def open_reference(
    references: KeyedStore,
    image_set: images.ImageSet,
    extractor: metrics.FeatureExtractor,
    scoring: metrics.ScoringConfig,
    device: DeviceName,
) -> metrics.Reference:
    """Open the features of reference and held-out images; extract them only if the store does not hold them yet."""
    heldout = [split for split in HELDOUT_SPLITS if split in {*image_set.split_sizes} - {*scoring.reference_split}]
    return metrics.open_reference(
        references,
        image_set.select(*scoring.reference_split),
        extractor,
        device,
        heldout=[image_set.select(split) for split in heldout],
    )


def make_monitor(
    extractor: metrics.FeatureExtractor,
    reference: metrics.Reference,
    scoring: metrics.ScoringConfig,
    device: DeviceName,
) -> gan.Monitor:
    """Make the monitor, which scores a few samples during training."""
    return metrics.make_monitor(extractor, reference, scoring, device)


def score_generators(
    generator: gan.TrainedGenerator,
    best_generator: gan.TrainedGenerator,
    extractor: metrics.FeatureExtractor,
    reference: metrics.Reference,
    scoring: metrics.ScoringConfig,
    device: DeviceName,
) -> list[dict[str, Any]]:
    """Score the last and the best generator with both sets of weights; return one plain record for each score.

    A generator is scored alone if the best one is of another run: so is a milestone.
    """
    first = metrics.score_generator(generator, extractor, reference, scoring, device)
    if generator.version != best_generator.version:
        if not generator.is_milestone:
            logger.warning("The run of generator %s has left no best generator; it is scored alone.", generator.version)
        scored = {MILESTONE if generator.is_milestone else "last": first}
    elif generator.training == best_generator.training:
        scored = {"last": first, "best": first}
    else:
        best = metrics.score_generator(best_generator, extractor, reference, scoring, device)
        scored = {"last": first, "best": best}
    records = []
    for name, scores in scored.items():
        for record in map(asdict, scores):
            origin = {"generator": name, "trained_epochs": generator.training["epoch"]}
            records.append({**record, "identity": {**record["identity"], **origin}})
    return records


def score_folder(
    pictures: images.ImageSet,
    extractor: metrics.FeatureExtractor,
    reference: metrics.Reference,
    scoring: metrics.ScoringConfig,
    dataset: images.DatasetConfig,
    folder: images.FolderConfig,
    device: DeviceName,
) -> list[dict[str, Any]]:
    """Score pictures that were made elsewhere; return one plain record for each score.

    Memorisation is measured where the reference are images to train on.
    """
    is_training_set = {*scoring.reference_split} <= {*dataset.train_splits}
    scores = metrics.score_images(
        pictures, folder.label, extractor, reference, scoring, device, is_training_set=is_training_set
    )
    return [*map(asdict, scores)]


def summarize_scores(scores: list[dict[str, Any]]) -> Findings:
    """Summarize the scores of a run in metrics, tags and sentences."""
    return metrics.summarize_scores(scores)


def show_neighbours(
    generator: gan.TrainedGenerator,
    extractor: metrics.FeatureExtractor,
    reference: metrics.Reference,
    device: DeviceName,
) -> dict[str, NDArray[np.uint8]]:
    """Make a grid of samples, the leftmost of each row, and the real images nearest to them."""
    candidates = metrics.sample_candidates(generator, reference.images, device)
    return _show_nearest(candidates, extractor, reference, device)


def show_neighbours_of_folder(
    pictures: images.ImageSet,
    extractor: metrics.FeatureExtractor,
    reference: metrics.Reference,
    device: DeviceName,
) -> dict[str, NDArray[np.uint8]]:
    """Make the same grid of pictures that were made elsewhere."""
    return _show_nearest(metrics.spread_out(pictures), extractor, reference, device)


def _show_nearest(
    candidates: Tensor, extractor: metrics.FeatureExtractor, reference: metrics.Reference, device: DeviceName
) -> dict[str, NDArray[np.uint8]]:
    found = metrics.find_neighbours(candidates, extractor, reference, NEIGHBOUR_ROWS, device)
    return {"neighbours": figures.make_neighbour_grid(found)}
