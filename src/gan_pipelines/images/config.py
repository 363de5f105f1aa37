"""Settings of the dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, Strict

from gan_pipelines.core.config import Degrees, Real, Share, Switch, Texts, config, require, require_local, split_numbers
from gan_pipelines.core.errors import printable

SourceName = Literal["digits", "image_folder", "cifar10", "fashion_mnist"]
SplitName = Literal["train", "test", "valid"]
OnBadImage = Literal["error", "skip"]
Fit = Literal["crop", "pad", "stretch"]
ResizeFilter = Literal["bicubic", "bilinear", "lanczos", "box"]
ValueRange = Annotated[tuple[Real, Real], BeforeValidator(split_numbers)]


@config
class LabelPreserving:
    """Transforms that do not change the label of an image, as turning a 6 upside down does.

    Attributes:
        horizontal_flip: whether the mirror image has the same label.
        rotation_degrees: maximum angle either way.
    """

    horizontal_flip: Switch = False
    rotation_degrees: Degrees = 0.0


@config
class DatasetConfig:
    """Source of the images, and how they are prepared.

    Attributes:
        source: source of the images, a key of `sources.SOURCES`.
        path: folder of the images, or of torchvision's files; null for sources that need none.
        labels: file with the labels of an image folder, relative to ``path``: ``.csv`` or ``.jsonl``, with the columns
            ``file_name`` and ``label``, and optionally ``split``. It is for the whole folder, or one of this name is in
            the folder of each split. Null takes the names of the folders.
        label_column: the column of the labels in this file.
        folder_split: split of an image folder without splits, as in ``<path>/<class>/*``.
        test_fraction: fraction of each class of such a folder that becomes the test split; 0 makes no test split.
        download: whether torchvision may fetch files that are not under ``path``.
        on_bad_image: what to do with a file that cannot be decoded: ``error`` stops, ``skip`` lists it in the manifest.
        image_size: height and width in pixels after resizing.
        channels: 1 (grey) or 3 (RGB).
        fit: how an oblong picture becomes square: ``crop`` keeps the largest centred square, ``pad`` adds white edges,
            ``stretch`` changes its proportions.
        value_range: values that become black and white, for pictures of more than 8 bits; null finds the bit depth of
            the dataset: 8, 10, 12, 14 or 16. Pictures with floating-point or negative values, or values above 65,535,
            need it.
        resize_filter: Pillow's antialiased filter.
        train_splits: splits that the GAN is trained on.
        label_preserving: transforms that these images allow.
    """

    source: SourceName
    path: str | None = None
    labels: str | None = None
    label_column: str = "label"
    folder_split: SplitName | None = None
    test_fraction: Share = 0.0
    download: Switch = False
    on_bad_image: OnBadImage = "error"
    image_size: Annotated[int, Strict(), Field(ge=1, le=4096)]
    channels: Annotated[int, Strict()]
    fit: Fit = "crop"
    value_range: ValueRange | None = None
    resize_filter: ResizeFilter = "bicubic"
    train_splits: Texts = ("train",)
    label_preserving: LabelPreserving = LabelPreserving()

    def __post_init__(self) -> None:
        may_divide = self.test_fraction == 0 or self.folder_split == "train"
        require(may_divide, "test_fraction", self.test_fraction, "0 unless folder_split is train")
        needs_path = self.source != "digits"
        require(not needs_path or bool(self.path), "path", self.path, f"the folder of the {self.source} images")
        require_local("path", self.path)
        require_local("labels", self.labels)
        has_labels = self.labels is None or self.labels.lower().endswith((".csv", ".jsonl"))
        require(has_labels, "labels", self.labels, "null, or a .csv or .jsonl file")
        may_have_labels = self.labels is None or self.source == "image_folder"
        require(may_have_labels, "labels", self.labels, f"null for the {self.source} images, which have labels")
        may_have_column = self.labels is not None or self.label_column == "label"
        require(may_have_column, "label_column", self.label_column, "label unless labels names a file that has it")
        require(self.channels in (1, 3), "channels", self.channels, "1 or 3")
        has_order = self.value_range is None or self.value_range[0] < self.value_range[1]
        require(has_order, "value_range", self.value_range, "two numbers, the smaller one first")
        require(len(self.train_splits) > 0, "train_splits", self.train_splits, "a list of at least one split")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the prepared images."""
        return self.channels, self.image_size, self.image_size


@config
class FolderConfig:
    """Pictures that another program has made: in folders named by class, or all in one.

    Attributes:
        path: their folder; null in runs that need none.
        name: what made them, in tables and sentences; null takes the name of the folder.
    """

    path: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        require_local("path", self.path)

    @property
    def root(self) -> Path:
        """The folder."""
        return Path(str(self.path))

    @property
    def label(self) -> str:
        """What made the pictures."""
        return self.name or printable(self.root.resolve().name)
