"""Scores of a folder of pictures against another, without a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gan_pipelines.core.config import require
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import (
    DatasetConfig,
    DatasetUnusable,
    PlainFolderSource,
    open_plain_folder,
    prepare_pictures,
)
from gan_pipelines.images.decoding import picture_size
from gan_pipelines.metrics import Score, ScoringConfig, open_pretrained, open_reference, score_images
from gan_pipelines.metrics.config import MIN_IMAGES


def score_folder(
    folder: Path,
    reference: Path,
    scoring: ScoringConfig,
    image_sets: KeyedStore,
    references: KeyedStore,
    size: int | None = None,
    device: DeviceName = "auto",
) -> list[Score]:
    """Score the pictures of a folder against those of another; both are read and scored as all of one split.

    Args:
        folder: pictures in folders named by class, or all in one folder.
        reference: those to compare with, laid out in one of these ways as well.
        scoring: an extractor with fixed weights, and the splits of the Inception Score.
        image_sets: prepared pictures of earlier calls.
        references: features of earlier calls.
        size: height and width to which pictures are resized; None takes theirs.
        device: where to compute.

    Raises:
        DatasetUnusable: if a folder cannot be read, has folders of splits, or its pictures have several sizes and
            ``size`` is None.
        ConfigError: if there are too few pictures, or both folders have other sizes.
        ExtractorUnavailable: if the network or its weights cannot be had.
    """
    (made, made_source), (dataset, source) = (_open_folder(each, size) for each in (folder, reference))
    for path, count, needed in (
        (folder, len(made_source.items), scoring.fewest_samples),
        (reference, len(source.items), MIN_IMAGES),
    ):
        require(count >= needed, f"number of pictures in {path}", count, f"{needed} or more")
    size_of_both = f"{dataset.image_size}, as in {reference}; choose one for both with --size"
    require(made.image_size == dataset.image_size, f"size of the pictures in {folder}", made.image_size, size_of_both)
    extractor = open_pretrained(
        scoring.extractor, scoring.extractor_weights, setting="--extractor", weights_setting="--weights"
    )
    real = prepare_pictures(image_sets, dataset, source)
    scored = prepare_pictures(image_sets, replace(made, value_range=real.value_range), made_source)
    statistics = open_reference(references, real, extractor, device)
    return score_images(scored, folder.name, extractor, statistics, replace(scoring, samples=len(scored)), device)


def describe_scores(scores: Sequence[Score]) -> Iterator[str]:
    """Describe scores, one in a line, then notes and flags, each once."""
    key = scores[0].comparability
    yield f"{key['samples']:,} pictures, {key['extractor']} ({key['extractor_weights']}), {key['resize_filter']}"
    for score in scores:
        name = " ".join(filter(None, [score.metric, score.comparability.get("class")]))
        yield f"{name:<24} {score.value:.6g}{'' if score.spread is None else f' ± {score.spread:.2g}'}"
    yield from sorted({note for score in scores for note in score.notes})
    yield from sorted({f"Careful: {flag}" for score in scores for flag in score.flags})


def _open_folder(folder: Path, size: int | None) -> tuple[DatasetConfig, PlainFolderSource]:
    """Open all pictures of a folder, as RGB: grey ones have the same features in one channel or in three."""
    dataset = DatasetConfig(
        source="image_folder", path=str(folder), folder_split="train", image_size=size or 1, channels=3
    )
    source = open_plain_folder(dataset)
    return (dataset if size else replace(dataset, image_size=_common_size(source, folder))), source


def _common_size(source: PlainFolderSource, folder: Path) -> int:
    """Height and width of all pictures that can be read."""
    sizes = {picture_size(source.path(index)) for index in range(len(source.items))}
    sides = {side for size in sizes if size is not None for side in size}
    if len(sides) != 1:
        raise DatasetUnusable(
            f"The pictures of {folder} have sides of {min(sides, default=0)} to {max(sides, default=0)} pixels; choose "
            "a size for all with --size."
        )
    return sides.pop()
