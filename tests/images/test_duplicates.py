from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import DatasetConfig, prepare_image_set
from gan_pipelines.images.duplicates import find_conflicts, find_duplicates, find_repeated, make_thumbnails


def picture(seed):
    """Some shapes in strong colours."""
    draws = np.random.default_rng(seed)
    canvas = Image.new("RGB", (64, 64), tuple(draws.integers(0, 256, 3).tolist()))
    for _ in range(6):
        corners = np.sort(draws.integers(0, 64, (2, 2)), axis=0).ravel().tolist()
        ImageDraw.Draw(canvas).ellipse(corners, fill=tuple(draws.integers(0, 256, 3).tolist()))
    return canvas


def recompress(canvas):
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=40)
    return Image.open(buffer)


def darken(canvas):
    return canvas.point(lambda level: level * 0.95)


def mirror(canvas):
    return canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


@pytest.fixture
def find(tmp_path):
    """Write pictures by split and return what the manifest lists."""

    def find_in(**splits):
        for split, pictures in splits.items():
            for number, canvas in enumerate(pictures):
                folder = tmp_path / "pictures" / split / f"class{number % 2}"
                folder.mkdir(parents=True, exist_ok=True)
                canvas.save(folder / f"{number}.png")
        config = DatasetConfig(source="image_folder", path=str(tmp_path / "pictures"), image_size=32, channels=3)
        return prepare_image_set(KeyedStore(tmp_path / "sets"), config).manifest()["duplicates"]

    return find_in


def test_copies_in_another_split_are_listed_and_all_else_is_not(find):
    train = [picture(seed) for seed in range(40)]
    test = [picture(100), train[7], picture(101), picture(102), train[30]]
    assert find(train=train, test=test) == [
        {"image": "test/class0/4.png", "twin": "train/class0/30.png", "correlation": 1.0},
        {"image": "test/class1/1.png", "twin": "train/class1/7.png", "correlation": 1.0},
    ]


@pytest.mark.parametrize("change", [recompress, darken])
def test_what_is_nearly_the_same_is_found(find, change):
    train = [picture(seed) for seed in range(40)]
    (found,) = find(train=train, test=[picture(100), change(train[7])])
    assert (found["image"], found["twin"]) == ("test/class1/1.png", "train/class1/7.png")
    assert 0.95 <= found["correlation"] < 1.0


def test_the_same_blur_under_other_details_is_not(find):
    train = [picture(seed) for seed in range(40)]
    pixels = np.asarray(train[7]).astype(int)
    noisy = (pixels + np.random.default_rng(0).normal(0, 60, pixels.shape)).clip(0, 255).astype(np.uint8)
    assert find(train=train, test=[picture(100), Image.fromarray(noisy)]) == []


def test_another_picture_is_not(find):
    train = [picture(seed) for seed in range(40)]
    assert find(train=train, test=[mirror(train[3]), picture(100), *(picture(seed) for seed in range(200, 240))]) == []


def test_every_pair_of_splits_is_compared_and_no_split_with_itself(find):
    pictures = [picture(seed) for seed in range(6)]
    found = find(train=[*pictures[:3], pictures[0]], test=[pictures[1], pictures[3]], valid=[pictures[3], pictures[2]])
    assert [(each["image"], each["twin"]) for each in found] == [
        ("test/class0/0.png", "train/class1/1.png"),
        ("valid/class0/0.png", "test/class1/1.png"),
        ("valid/class1/1.png", "train/class0/2.png"),
    ]


@pytest.mark.parametrize(("channels", "size"), [(1, 3), (3, 4), (3, 10), (1, 64)])
def test_thumbnails_are_means_of_green_over_equal_parts(channels, size):
    images = np.random.default_rng(0).integers(0, 256, (5, channels, size, size), np.uint8)
    parts = min(4, size)
    slices = [slice(part * size // parts, (part + 1) * size // parts) for part in range(parts)]
    expected = [
        [image[channels // 2, rows, columns].mean() for rows in slices for columns in slices] for image in images
    ]
    assert np.allclose(make_thumbnails(images), expected, rtol=1e-5)


def test_images_of_one_shade_are_duplicates_only_if_equal():
    images = np.full((3, 1, 8, 8), 100, np.uint8)
    images[1] = 101
    (found,) = find_duplicates(
        images, hash_images(images), make_thumbnails(images), {"train": 1, "test": 2}, ["a", "b", "c"]
    )
    assert found == ("c", "a", 1.0)


def arrays(pictures):
    images = np.stack([np.asarray(canvas.convert("RGB")).transpose(2, 0, 1) for canvas in pictures])
    return images, hash_images(images), make_thumbnails(images)


def test_the_same_picture_in_two_classes_is_a_conflict():
    pictures = [picture(seed) for seed in range(12)]
    labels = np.arange(12) % 3
    pictures += [pictures[0], darken(pictures[1]), pictures[5], mirror(pictures[6])]
    labels = np.append(labels, [2, 0, 2, 1])
    found = find_conflicts(*arrays(pictures), labels)
    assert [(row, twin) for row, twin, _ in found] == [(0, 12), (13, 1)]  # 5 and 14 are of one class
    assert found[0].correlation == 1 > found[1].correlation > 0.99


def test_classes_that_look_alike_are_no_conflict():
    other = picture(0)
    ImageDraw.Draw(other).rectangle((0, 0, 7, 7), fill="white")
    twins = [picture(0), other]
    assert not find_conflicts(*arrays(twins), np.array([0, 1]))
    assert find_duplicates(*arrays(twins), {"train": 1, "test": 1}, ["a", "b"])  # but near-duplicates


def test_many_pictures_of_one_class_do_not_hide_a_conflict():
    twins = [picture(0).point(lambda level, shade=shade: level + shade) for shade in range(8)]
    (found,) = find_conflicts(*arrays(twins), np.array([0] * 7 + [1]))[:1]
    assert found.twin == 7


def test_copies_are_listed_with_the_first_of_them():
    images = np.array([1, 2, 1, 1, 2], np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    hashes = hash_images(images)
    assert [(row, first) for row, first, _ in find_repeated(hashes, np.arange(5))] == [(2, 0), (3, 0), (4, 1)]
    assert [(row, first) for row, first, _ in find_repeated(hashes, np.array([1, 2, 3]))] == [(3, 2)]
