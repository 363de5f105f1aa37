"""Labelled synthetic images, chosen from what a source offers."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_pipelines.augmentation.config import SyntheticConfig
from gan_pipelines.augmentation.judge import Judge, Judgement
from gan_pipelines.augmentation.sources import Candidates, Source
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.runtime import DeviceName

logger = logging.getLogger(__name__)

IMAGES_FILE = "images.npy"
LABELS_FILE = "labels.npy"
PLACES_FILE = "places.npy"
DESCRIPTION_FILE = "description.json"
MIN_OFFERED = 250
"""Minimum number of images per round that a classifier chooses from: the last few need many candidates."""


class SynthesisFailed(ProjectError):
    """None of the images that are offered is good enough."""


class Selection(NamedTuple):
    """Numbers of the images that filters have chosen from.

    Attributes:
        offered: number of images that were offered.
        kept_by_confidence: number of those of whose label the classifier is sure enough.
        kept_by_distance: number of these whose distance to the nearest real image is within the range.
    """

    offered: int
    kept_by_confidence: int
    kept_by_distance: int


@dataclass(frozen=True)
class SyntheticImages:
    """Synthetic images with labels and provenance.

    Attributes:
        images: (N, C, H, W) uint8; memory-mapped if loaded from disk, also by a process that receives them.
        labels: (N,) int64 indices into ``class_names``.
        places: (N,) ascending positions among the requested images; some are missing if too few were good enough.
        class_names: names of the classes.
        provenance: plain values: settings, seed, source of the labels, the numbers of `Selection`, and the number of
            missing images by class.
    """

    images: NDArray[np.uint8]
    labels: Tensor
    places: Tensor
    class_names: tuple[str, ...]
    provenance: Mapping[str, Any]

    @property
    def selection(self) -> Selection | None:
        """Numbers of the images that these were chosen from; sets of earlier versions do not have them."""
        return Selection(**self.provenance["selection"]) if "selection" in self.provenance else None

    def save(self, folder: Path) -> None:
        """Write arrays and description into an existing folder."""
        np.save(folder / IMAGES_FILE, self.images)
        np.save(folder / LABELS_FILE, self.labels.numpy())
        np.save(folder / PLACES_FILE, self.places.numpy())
        description = {"class_names": self.class_names, "provenance": self.provenance}
        (folder / DESCRIPTION_FILE).write_text(json.dumps(description))

    @classmethod
    def load(cls, folder: Path) -> SyntheticImages:
        """Open a folder that `save` wrote; images are read when they are used."""
        description = json.loads((folder / DESCRIPTION_FILE).read_text())
        return cls(
            # Copy-on-write: the file never changes, and PyTorch does not warn about read-only memory.
            images=np.load(folder / IMAGES_FILE, mmap_mode="c"),
            labels=torch.from_numpy(np.load(folder / LABELS_FILE)),
            places=torch.from_numpy(np.load(folder / PLACES_FILE)),
            class_names=tuple(description["class_names"]),
            provenance=description["provenance"],
        )


def choose_labels(real: NDArray[np.int64], class_names: Sequence[str], count: int, config: SyntheticConfig) -> Tensor:
    """Choose the class indices (count,) of the synthetic images.

    The first images alone, as a smaller ratio takes them, have the balance that is asked for as well. With ``fill``,
    each image is of a class that has the fewest real and synthetic images so far; with shares, of the class that lags
    behind its share the most (Webster's method of apportionment).

    Args:
        real: (N,) class indices of the real images.
        class_names: names of the classes.
        count: number of images to choose.
        config: balance of the classes.
    """
    balance, num_classes = config.balance, len(class_names)
    if isinstance(balance, Mapping):
        shares = np.array([balance.get(name, 0) for name in class_names], dtype=float)
        return _fill_up(np.full(num_classes, 0.5), shares, count)
    if balance == "fill":
        return _fill_up(np.bincount(real, minlength=num_classes), np.ones(num_classes), count)
    pattern = np.arange(num_classes) if balance == "uniform" else np.random.default_rng(0).permutation(real)
    return torch.from_numpy(np.resize(pattern, count).astype(np.int64))


def _fill_up(totals: NDArray[Any], shares: NDArray[np.float64], count: int) -> Tensor:
    """Class indices (count,): each time of the class whose total is the smallest for its share, 0 being none."""
    labels = []
    with np.errstate(divide="ignore"):
        for _ in range(count):
            labels.append(int((totals / shares).argmin()))
            totals[labels[-1]] += 1
    return torch.tensor(labels)


def needs_judge(source: Source, config: SyntheticConfig) -> bool:
    """Whether `synthesize` needs a judge, for labels or for filters."""
    return config.has_filters or not source.has_labels


def synthesize(
    source: Source,
    labels: Tensor,
    class_names: tuple[str, ...],
    config: SyntheticConfig,
    *,
    seed: int,
    judge: Judge | None = None,
    device: DeviceName = "auto",
) -> SyntheticImages:
    """Choose an image of a source for each label.

    Images without labels are labelled by ``judge``. Images that it rejects are replaced as long as the source offers
    others. Images still missing then are left out and counted in the provenance, where ``selection`` has the numbers
    of `Selection`.

    Args:
        source: source of the images.
        labels: (N,) requested class indices.
        class_names: names of the classes.
        config: weights and truncation of a generator, and filters.
        seed: seed of the replicate.
        judge: fitted only on real images of the replicate; None if none is needed.
        device: device to generate on.

    Raises:
        ValueError: if a judge is needed and None is given.
        SynthesisFailed: if no image is good enough.
    """
    if needs_judge(source, config) and judge is None:
        raise ValueError("judge is None, but must be a classifier, to give labels or to filter.")
    open_places = torch.arange(len(labels))
    pictures, found, selections = [], [], []
    for attempt in range(source.rounds):
        wanted = labels[open_places]
        count = len(wanted) if judge is None else max(len(wanted), MIN_OFFERED)
        candidates = source.offer(attempt, wanted, count, seed=seed, config=config, device=device)
        judgement = _accept_all(candidates) if judge is None else judge.judge(candidates)
        is_good = judgement.is_confident & judgement.is_near
        taken, offered = _fit_in(wanted, judgement.labels, is_good)
        pictures.append(candidates.images[offered])
        found.append(open_places[taken])
        selections.append((len(is_good), int(judgement.is_confident.sum()), int(is_good.sum())))
        open_places = open_places[~torch.isin(torch.arange(len(wanted)), taken)]
        if not len(open_places):
            break
    selection = Selection(*map(sum, zip(*selections, strict=True)))
    order = torch.cat(found)
    if not len(order):
        raise SynthesisFailed(_explain_failure(selection, config))
    missing = _count_by_class(labels[open_places], class_names)
    if missing:
        logger.warning(
            "%d of %d synthetic images are missing, since too few candidates are of these classes and good enough: %s",
            len(open_places),
            len(labels),
            ", ".join(f"{name} {count}" for name, count in missing.items()),
        )
    places, by_place = order.sort()
    provenance = {
        **asdict(config),
        "labels_from": source.kind if source.has_labels else "classifier",
        "seed": seed,
        "selection": selection._asdict(),
        "missing": missing,
    }
    return SyntheticImages(torch.cat(pictures)[by_place].numpy(), labels[places], places, class_names, provenance)


def _count_by_class(labels: Tensor, class_names: Sequence[str]) -> dict[str, int]:
    return {class_names[label]: count for label, count in sorted(Counter(labels.tolist()).items())}


def _accept_all(candidates: Candidates) -> Judgement:
    assert candidates.labels is not None
    accepted = torch.ones(len(candidates.labels), dtype=torch.bool)
    return Judgement(candidates.labels, accepted, accepted)


def _fit_in(wanted: Tensor, labels: Tensor, is_good: Tensor) -> tuple[Tensor, Tensor]:
    """Match images with requested labels: positions in ``wanted``, and of the images that fill them."""
    taken, offered = [], []
    for label in wanted.unique():
        places, images = (wanted == label).nonzero()[:, 0], (is_good & (labels == label)).nonzero()[:, 0]
        count = min(len(places), len(images))
        taken.append(places[:count])
        offered.append(images[:count])
    return torch.cat(taken), torch.cat(offered)


def _explain_failure(selection: Selection, config: SyntheticConfig) -> str:
    offered, confident, near = selection
    if near:
        return (
            f"None of {near:,} candidates is of a class that augmentation.synthetic.balance asks for; change it, or "
            "add images of these classes."
        )
    if confident:
        return (
            f"Of {confident:,} candidates none is as far from the real images as augmentation.synthetic."
            f"distance_quantiles asks for, {list(config.distance_quantiles or ())}; widen them, or take better images."
        )
    return (
        f"Of {offered:,} candidates there is none of which the classifier is {config.min_confidence:.0%} sure; lower "
        "augmentation.synthetic.min_confidence, or take better images."
    )
