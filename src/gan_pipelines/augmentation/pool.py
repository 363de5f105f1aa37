"""Pictures from elsewhere in the place of generated images: their near-copies of real ones, and draws from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_pipelines.augmentation.config import SyntheticConfig
from gan_pipelines.augmentation.sources import Candidates
from gan_pipelines.augmentation.splits import HeldOutImagesInTraining, ImageSplits
from gan_pipelines.core.hashing import hash_dataset
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import find_twins

OFFERED = 5_000
"""Number of pictures that a pool offers in a round."""
HELD_OUT = ("test", "valid")
"""Splits whose images must not be trained on."""
SPLITS = (*HELD_OUT, "train")
"""Splits in the order in which their near-copies are listed: the most harmful first."""


class NearCopy(NamedTuple):
    """A picture that is a duplicate or near-duplicate of a real image.

    Attributes:
        picture: name of the picture.
        twin: name of the real image most similar to it.
        split: split of the real image.
        correlation: correlation of their pixels; 1.0 only if all pixels are equal.
    """

    picture: str
    twin: str
    split: str
    correlation: float


@dataclass(frozen=True)
class Pool:
    """Pictures that an experiment draws synthetic images from. Each is used at most once in a replicate.

    Attributes:
        pictures: all pictures of a folder, in one split.
        class_names: classes of the real images.
        rows: (N,) ascending, pictures that may be used: no near-copies of held-out images.
        near_copies: all near-copies of real images, by split in the order of `SPLITS`, the most similar first.
        leaked_share: share of the real training images that were left out as near-copies of held-out images: what is
            to be expected of pictures that were made without them.
    """

    pictures: ImageSet
    class_names: tuple[str, ...]
    rows: NDArray[np.intp]
    near_copies: tuple[NearCopy, ...]
    leaked_share: float
    kind: ClassVar[str] = "folder"

    @property
    def has_labels(self) -> bool:
        """Whether the pictures lie in folders of their classes."""
        return self.pictures.class_names == self.class_names

    @property
    def rounds(self) -> int:
        """Number of rounds after which every picture was offered."""
        return math.ceil(len(self.rows) / OFFERED)

    @property
    def origin(self) -> dict[str, Any]:
        """The number of pictures to draw from."""
        return {"pictures": len(self.rows)}

    def identify(self, _: SyntheticConfig) -> str:
        """Hash of pictures and labels, 64 hexadecimal digits."""
        pictures = self.pictures
        return hash_dataset(pictures.image_hashes[self.rows], pictures.labels[self.rows], pictures.class_names)

    def offer(
        self, attempt: int, _wanted: Tensor, _count: int, *, seed: int, config: SyntheticConfig, device: DeviceName
    ) -> Candidates:
        """Offer the next pictures in the order that belongs to a seed."""
        order = np.random.default_rng(seed).permutation(self.rows)
        rows = order[attempt * OFFERED : (attempt + 1) * OFFERED]
        labels = torch.from_numpy(self.pictures.labels[rows]) if self.has_labels else None
        return Candidates(torch.from_numpy(self.pictures.images[rows]), labels)

    def report(self) -> dict[str, Any]:
        """Report the near-copies in plain values.

        Returns:
            ``pictures`` and ``left_out`` (numbers of all pictures, and of near-copies of held-out images),
            ``left_out_share`` and, of real training images, ``real_left_out_share``; of the pictures that may be used
            ``train_share``, the share of near-copies of training images, and ``train_copies``, the number of those that
            equal one in every pixel; and ``near_copies``, the fields of `NearCopy` for each. Shares are from 0 to 1.
        """
        count, usable = len(self.pictures), {self.pictures.names[row] for row in self.rows}
        of_train = [copy for copy in self.near_copies if copy.split == "train" and copy.picture in usable]
        return {
            "pictures": count,
            "left_out": count - len(usable),
            "left_out_share": 1 - len(usable) / count,
            "real_left_out_share": self.leaked_share,
            "train_share": len(of_train) / len(usable),
            "train_copies": sum(copy.correlation == 1 for copy in of_train),
            "near_copies": [copy._asdict() for copy in self.near_copies],
        }


def open_pool(pictures: ImageSet, splits: ImageSplits) -> Pool:
    """Find the pictures that an experiment may use.

    Near-copies of test and validation images are left out. Those of training images are listed and kept.

    Args:
        pictures: in one split, as large as the real images; with the classes of the real images, or with a single one.
        splits: the real images.

    Raises:
        HeldOutImagesInTraining: if no picture is left.
    """
    every = np.arange(len(pictures))
    near_copies, leaks = [], []
    for split in SPLITS:
        real: ImageSet = getattr(splits, split)
        twins = find_twins(pictures.at(every), real.at(np.arange(len(real))))
        near_copies += [
            NearCopy(pictures.names[row], real.names[twin], split, correlation)
            for row, twin, correlation in sorted(twins, key=lambda twin: -twin.correlation)
        ]
        if split in HELD_OUT:
            leaks += [found.row for found in twins]
    rows = np.setdiff1d(every, leaks)
    if not len(rows):
        raise HeldOutImagesInTraining(
            f"All {len(pictures):,} pictures are duplicates or near-duplicates of test or validation images; take "
            "others."
        )
    return Pool(pictures, splits.test.class_names, rows, tuple(near_copies), splits.leaked_share)


def pair_near_copies(pool: Pool, splits: ImageSplits, count: int) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Pair near-copies with the real images that they resemble, the most similar ones of each split first.

    Returns:
        for each split that has some, up to ``count`` pairs of a picture (C, H, W) and a real image (1, C, H, W).
    """
    pairs = {}
    for split in SPLITS:
        real: ImageSet = getattr(splits, split)
        shown = [copy for copy in pool.near_copies if copy.split == split][:count]
        if shown:
            pairs[split] = [(_picture(pool.pictures, each.picture), _picture(real, each.twin)[None]) for each in shown]
    return pairs


def _picture(images: ImageSet, name: str) -> Tensor:
    return torch.from_numpy(images.images[images.names.index(name)])
