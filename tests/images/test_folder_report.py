from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from gan_pipelines.images import DatasetUnusable, inspect_folder

NOISE = np.random.default_rng(0)


def fill(folder, count, size=(40, 48), mode="RGB"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = NOISE.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(mode).convert("RGB").save(folder / f"{number:03d}.png")


@pytest.fixture
def folder(tmp_path):
    """Two classes, 40 and 60 pictures for training, six for testing of each."""
    for split, (aces, kings) in {"train": (40, 60), "test": (6, 6)}.items():
        fill(tmp_path / "cards" / split / "ace", aces)
        fill(tmp_path / "cards" / split / "king", kings)
    return tmp_path / "cards"


def warnings_about(folder, words):
    return [warning for warning in inspect_folder(folder).warn() if words in warning]


def test_a_folder_is_described(folder):
    report = inspect_folder(folder)
    assert report.class_counts == {"train": {"ace": 40, "king": 60}, "test": {"ace": 6, "king": 6}}
    assert (report.dataset.image_size, report.dataset.channels, report.dataset.on_bad_image) == (32, 3, "error")
    assert (report.dataset.folder_split, report.dataset.test_fraction) == (None, 0)
    assert report.describe() == [
        "2 classes: ace, king",
        "train      100 pictures, 40 to 60 a class",
        "test        12 pictures, 6 to 6 a class",
        "pixels: 40x48 to 40x48, median 40x48, in colour",
        "levels: 0 to 255 of 255",
        "cut off: 17% of the pixels, outside the largest centred square",
    ]
    assert [warning.split(";")[0] for warning in report.warn()] == [
        "100 training pictures are few, and may be memorised"
    ]


def test_pictures_whose_channels_are_the_same_are_grey(tmp_path):
    for name in ("ace", "king"):
        fill(tmp_path / name, 40, mode="L")
    assert inspect_folder(tmp_path).dataset.channels == 1
    fill(tmp_path / "king", 1)
    assert inspect_folder(tmp_path).dataset.channels == 3


@pytest.mark.parametrize(
    ("side", "largest", "expected"), [(100, 64, 64), (100, 32, 32), (64, 64, 64), (63, 64, 32), (9, 64, 16)]
)
def test_images_are_no_larger_than_pictures(tmp_path, side, largest, expected):
    for name in ("ace", "king"):
        fill(tmp_path / name, 40, size=(side, side + 10))
    assert inspect_folder(tmp_path, largest).dataset.image_size == expected


def test_a_few_small_pictures_do_not_make_all_images_small(folder):
    fill(folder / "train/ace", 3, size=(20, 90))
    assert inspect_folder(folder).dataset.image_size == 32
    assert warnings_about(folder, "fewer than 32 pixels a side, which are enlarged: 3")


def test_folders_of_classes_alone_get_a_test_split(folder):
    report = inspect_folder(folder / "train")
    assert (report.dataset.folder_split, report.dataset.test_fraction) == ("train", 0.2)
    assert report.class_counts == {"train": {"ace": 32, "king": 48}, "test": {"ace": 8, "king": 12}}
    assert warnings_about(folder / "train", "20% of each class become the test split")


def test_classes_that_are_named_like_splits_are_pointed_out(tmp_path):
    for name in ("invalid", "valid"):
        fill(tmp_path / name, 40)
    assert inspect_folder(tmp_path).train_counts == {"invalid": 32, "valid": 32}
    assert warnings_about(tmp_path, "named like splits are read as classes: valid; if they are splits")


def test_files_that_cannot_be_used_are_named_and_left_out(folder):
    (folder / "train/ace/005.png").write_bytes(b"")
    report = inspect_folder(folder)
    assert report.train_counts["ace"] == 39
    assert report.dataset.on_bad_image == "skip"
    (warning,) = warnings_about(folder, "cannot be used and are left out: 1.")
    assert "train/ace/005.png cannot be used: it is empty; copy it again." in warning


def test_pictures_that_stand_twice_are_named(folder):
    shutil.copy(folder / "train/ace/001.png", folder / "train/king/100.png")
    shutil.copy(folder / "train/ace/002.png", folder / "test/ace/100.png")
    assert warnings_about(folder, "twice in one split: 1 (train/ace/001.png and train/king/100.png)")
    assert warnings_about(folder, "make scores too good: 1 (test/ace/100.png and train/ace/002.png)")


def test_the_same_picture_in_two_classes_is_named_and_shown(folder):
    shutil.copy(folder / "train/ace/001.png", folder / "train/king/100.png")
    brighter = Image.open(folder / "train/ace/002.png").point(lambda level: level + 2)
    brighter.save(folder / "test/king/100.png")
    report = inspect_folder(folder)
    assert [(pair.image, pair.twin, pair.classes) for pair in report.conflicts] == [
        ("train/ace/001.png", "train/king/100.png", ("ace", "king")),
        ("train/ace/002.png", "test/king/100.png", ("ace", "king")),
    ]
    exact, near = (pair.correlation for pair in report.conflicts)
    assert exact == 1 > near > 0.99
    names = {name for pair in report.conflicts for name in pair[:2]}
    assert report.pair_images.keys() == names
    assert np.array_equal(*(report.pair_images[name] for name in report.conflicts[0][:2]))
    assert warnings_about(folder, "in two classes: 2 (train/ace/001.png and train/king/100.png, train/ace/002.png and")


def test_a_report_shows_a_few_images_of_each_class_and_counts_all_levels(folder):
    report = inspect_folder(folder)
    assert {name: images.shape for name, images in report.shown.items()} == dict.fromkeys(
        ("ace", "king"), (8, 3, 32, 32)
    )
    assert report.level_counts.sum() == 112 * 3 * 32 * 32


def test_small_and_uneven_classes_are_warned_of(folder):
    for number in range(5, 40):
        (folder / f"train/ace/{number:03d}.png").unlink()
    fill(folder / "train/king", 70)
    assert warnings_about(folder, "fewer than 20 training pictures: 1 (ace 5)")
    assert warnings_about(folder, "king has 70 training pictures, and ace 5; add some")


def test_pictures_of_one_class_are_welcome(tmp_path):
    fill(tmp_path / "all", 80)
    assert inspect_folder(tmp_path).describe()[0] == "1 class: all"


def test_pictures_without_a_folder_of_a_class_are_told_where_to_go(tmp_path):
    fill(tmp_path, 3)
    with pytest.raises(DatasetUnusable, match=r"move it into one \(all into the same, if there are no classes: dcgan"):
        inspect_folder(tmp_path)
