from __future__ import annotations

import errno
import os
import pickle
import shutil
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import (
    BadImage,
    DatasetConfig,
    DatasetUnusable,
    bytes_to_prepare,
    open_source,
    prepare,
    prepare_image_set,
    sources,
)

COLOURS = {"red": (220, 20, 20), "green": (20, 220, 20), "blue": (20, 20, 220)}


def fill(folder, counts, shade=0):
    """Write ``counts[name]`` pictures of each colour, each a little different."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            colour = tuple(level + number + shade for level in COLOURS[name])
            Image.new("RGB", (20, 20), colour).save(folder / name / f"{number:04d}.png")
    return folder


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pictures"
    fill(root / "train", {"red": 5, "green": 4, "blue": 3})
    fill(root / "val", {"red": 1, "green": 1, "blue": 1}, shade=10)
    fill(root / "test", {"red": 2, "green": 2, "blue": 2}, shade=20)
    return root


@pytest.fixture
def config(folder):
    return DatasetConfig(source="image_folder", path=str(folder), image_size=8, channels=3)


@pytest.fixture
def store(tmp_path):
    return KeyedStore(tmp_path / "sets")


def test_folders_are_splits_and_classes(config, store):
    image_set = prepare_image_set(store, config)
    assert image_set.split_sizes == {"train": 12, "test": 6, "valid": 3}
    assert image_set.class_names == ("blue", "green", "red")
    for image, label in zip(image_set.images, image_set.labels, strict=True):
        assert ("red", "green", "blue")[image[:, 4, 4].argmax()] == image_set.class_names[label]
    assert image_set.manifest()["class_counts"]["train"] == {"blue": 3, "green": 4, "red": 5}


def test_folders_of_classes_alone_take_the_split_that_is_stated(config, store, folder):
    flat = replace(config, path=str(folder / "train"))
    with pytest.raises(DatasetUnusable, match="if its folders are the classes, set dataset.folder_split: train"):
        prepare_image_set(store, flat)
    assert prepare_image_set(store, replace(flat, folder_split="train")).split_sizes == {"train": 12}


def test_many_processes_give_what_one_gives(tmp_path, config, monkeypatch):
    fill(tmp_path / "pictures/train", {"red": 20, "green": 20, "blue": 20})
    alone = prepare_image_set(KeyedStore(tmp_path / "alone"), config)
    monkeypatch.setattr(prepare, "CHUNK", 7)
    monkeypatch.setattr(prepare.os, "cpu_count", lambda: 2)
    together = prepare_image_set(KeyedStore(tmp_path / "together"), config)
    assert together.content_hash == alone.content_hash
    assert np.array_equal(hash_images(together.images), alone.image_hashes)


def test_a_bad_file_stops_the_preparation_and_leaves_nothing(config, store, folder):
    (folder / "train/red/0002.png").write_bytes(b"")
    with pytest.raises(BadImage, match=r"train/red/0002.png cannot be used: it is empty"):
        prepare_image_set(store, config)
    assert list(store.root.glob("[!.]*")) == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.EIO, os.strerror(errno.EIO)),
            r"cannot be read \(Input/output error\); check the disk, or copy it again",
        ),
        (MemoryError(), "it needs more memory than there is"),
    ],
)
def test_a_picture_is_not_left_out_for_good_because_of_the_machine(config, store, monkeypatch, error, sentence):
    def fail(_):
        raise error

    skipping = replace(config, on_bad_image="skip")
    with monkeypatch.context() as patch:
        patch.setattr("gan_pipelines.images.decoding._load", fail)
        with pytest.raises(BadImage, match=sentence):
            prepare_image_set(store, skipping)
    assert prepare_image_set(store, skipping).skipped == ()


def test_pictures_that_were_left_out_are_read_once_what_reads_them_is_installed(config, store, folder, monkeypatch):
    skipping = replace(config, on_bad_image="skip")
    (folder / "train/red/0002.png").write_bytes(b"not a picture")
    assert prepare_image_set(store, skipping) is not None
    monkeypatch.setattr(prepare, "known_formats", lambda: ("PNG", "HEIF"))
    kept = prepare_image_set(store, skipping).skipped
    assert len(kept) == 1
    assert len([*store.root.glob("[!.]*")]) == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_a_bad_file_can_be_skipped_and_the_manifest_says_so(config, store, folder, monkeypatch, processes):
    monkeypatch.setattr(prepare, "CHUNK", 3)
    monkeypatch.setattr(prepare.os, "cpu_count", lambda: processes)
    (folder / "train/red/0002.png").write_bytes(b"not a picture")
    image_set = prepare_image_set(store, replace(config, on_bad_image="skip"))
    assert image_set.images.shape == (20, 3, 8, 8)
    assert image_set.split_sizes == {"train": 11, "test": 6, "valid": 3}
    assert image_set.labels.tolist().count(2) == 4 + 2 + 1
    assert np.array_equal(hash_images(image_set.images), image_set.image_hashes)
    brightest = image_set.images[:, :, 4, 4].argmax(axis=1)
    assert [("red", "green", "blue")[channel] for channel in brightest] == [
        image_set.class_names[label] for label in image_set.labels
    ]
    (skipped,) = image_set.manifest()["skipped"]
    assert "train/red/0002.png cannot be used" in skipped


def test_a_changed_file_gives_another_set(config, store, folder):
    first = prepare_image_set(store, config)
    Image.new("RGB", (20, 20)).save(folder / "train/red/0001.png")
    assert prepare_image_set(store, config).content_hash != first.content_hash


def swap(first, second):
    """Let two files change places; sizes and times stay."""
    first.rename(first.with_suffix(".old"))
    second.rename(first)
    first.with_suffix(".old").rename(second)


def overwrite(first, second):
    """Write the content of each file into the other, and set the times back."""
    times = [(file.stat().st_atime_ns, file.stat().st_mtime_ns) for file in (first, second)]
    contents = first.read_bytes(), second.read_bytes()
    for file, content, time in zip((first, second), reversed(contents), times, strict=True):
        file.write_bytes(content)
        os.utime(file, ns=time)


@pytest.mark.parametrize("exchange", [swap, overwrite])
def test_pictures_that_change_places_change_their_labels(config, store, folder, exchange):
    red, blue = folder / "train/red/0000.bmp", folder / "train/blue/0000.bmp"
    for file in (red, blue):
        Image.new("RGB", (20, 20), COLOURS[file.parent.name]).save(file)
        os.utime(file, (1e9, 1e9))
    before = prepare_image_set(store, config)
    exchange(red, blue)
    after = prepare_image_set(store, config)
    pictures = [image_set.images[image_set.names.index("train/red/0000.bmp"), :, 4, 4] for image_set in (before, after)]
    assert [("red", "green", "blue")[picture.argmax()] for picture in pictures] == ["red", "blue"]


def test_files_that_are_copied_or_touched_are_not_prepared_again(config, store, folder, monkeypatch):
    first = prepare_image_set(store, config)
    monkeypatch.setattr(prepare, "to_pixels", lambda *_: pytest.fail("decoded again"))
    (folder / "train/red/0001.png").touch()
    assert prepare_image_set(store, config).content_hash == first.content_hash
    shutil.copytree(folder, folder.with_name("copy"))
    copy = replace(config, path=str(folder.with_name("copy")))
    assert prepare_image_set(store, copy).content_hash == first.content_hash


def test_files_are_hashed_once_for_the_check_and_all_runs(config, store, monkeypatch):
    hashed = []
    monkeypatch.setattr(sources, "hash_files", lambda paths: hashed.extend(paths) or (path.name for path in paths))
    assert bytes_to_prepare(store, open_source(config), config) == 21 * 8 * 8 * 3
    for _ in range(2):
        prepare_image_set(store, config)
    assert len(hashed) == 21
    assert bytes_to_prepare(store, open_source(config), config) == 0


def test_files_that_are_no_pictures_by_name_are_left_alone(config, store, folder):
    (folder / "train/red/notes.txt").write_text("notes")
    (folder / "train/red/.hidden.png").write_bytes(b"")
    assert len(prepare_image_set(store, config)) == 21


def empty(folder):
    for file in (folder / "train/red").iterdir():
        file.unlink()


def remove(folder):
    empty(folder)
    (folder / "train/red").rmdir()


def leave_no_class(folder):
    for split in ("train", "val", "test"):
        shutil.rmtree(folder / split)
        (folder / split).mkdir()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (empty, "train/red holds no picture; add some, or remove the folder."),
        (remove, "There is no folder .*train/red: every split needs every class; add it."),
        (leave_no_class, "has no folder of a class; put the pictures of each class into one"),
        (lambda folder: folder.rename(folder.with_name("moved")), "There is no folder .*pictures; set dataset.path"),
    ],
)
def test_a_folder_that_cannot_be_used_is_named_with_the_remedy(config, store, folder, damage, sentence):
    damage(folder)
    with pytest.raises(DatasetUnusable, match=sentence):
        prepare_image_set(store, config)
    assert not store.root.exists()


def test_a_part_of_each_class_is_held_out_of_a_folder_without_splits(config, store, folder):
    classes = replace(config, path=str(folder / "train"), folder_split="train", test_fraction=0.25)
    image_set = prepare_image_set(store, classes)
    assert image_set.split_sizes == {"train": 8, "test": 4}
    assert dict(zip(image_set.class_names, np.bincount(image_set.select("test").labels), strict=True)) == {
        "red": 2, "green": 1, "blue": 1,
    }  # fmt: skip
    assert len({*image_set.names}) == 12
    lonely = fill(folder / "lonely", {"red": 1, "green": 4})
    assert prepare_image_set(store, replace(classes, path=str(lonely))).split_sizes == {"train": 4, "test": 1}
    hundred = replace(classes, path=str(fill(folder / "hundred", {"red": 100})), test_fraction=0.07)
    assert prepare_image_set(store, hundred).split_sizes == {"train": 93, "test": 7}


def test_the_split_of_a_folder_is_part_of_what_its_set_is_kept_under(config, store, folder):
    classes = replace(config, path=str(folder / "train"), folder_split="train")
    assert prepare_image_set(store, classes).split_sizes == {"train": 12}
    assert prepare_image_set(store, replace(classes, folder_split="test")).split_sizes == {"test": 12}


def test_a_source_on_disk_needs_a_path():
    with pytest.raises(ConfigError, match="path is None, but must be the folder of the image_folder images"):
        DatasetConfig(source="image_folder", image_size=8, channels=3)


def test_a_split_of_another_name_is_refused(config):
    with pytest.raises(ConfigError, match="folder_split is 'dev', but must be one of train, test, valid"):
        replace(config, folder_split="dev")


def write_fashion_mnist(root):
    """Torchvision's own files, with six training and four test images in place of 70,000."""
    raw = root / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    draws = np.random.default_rng(0)
    for part, count in {"train": 6, "t10k": 4}.items():
        images, labels = draws.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">iiii", 2051, count, 28, 28) + images.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 2049, count) + labels.tobytes())
        yield images


def test_fashion_mnist_is_read_from_torchvisions_files(tmp_path, store):
    train, test = write_fashion_mnist(tmp_path)
    config = DatasetConfig(source="fashion_mnist", path=str(tmp_path), image_size=28, channels=1)
    image_set = prepare_image_set(store, config)
    assert image_set.split_sizes == {"train": 6, "test": 4}
    assert np.array_equal(image_set.images[:, 0], np.concatenate([train, test]))
    assert image_set.labels.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    assert image_set.class_names[9] == "Ankle boot"


class Bomb:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_torchvisions_files_from_a_stranger_run_no_code(tmp_path, capsys):
    (tmp_path / "cifar-10-batches-py").mkdir()
    for name in ("batches.meta", "test_batch", *(f"data_batch_{number}" for number in range(1, 6))):
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DatasetUnusable, match="CIFAR10 is not in"):
        open_source(DatasetConfig(source="cifar10", path=str(tmp_path), image_size=32, channels=3))
    assert "unpickled" not in capsys.readouterr().out


def test_torchvisions_files_that_are_not_there_are_named_with_the_remedy(tmp_path):
    config = DatasetConfig(source="cifar10", path=str(tmp_path), image_size=32, channels=3)
    with pytest.raises(DatasetUnusable, match="CIFAR10 is not in .*set dataset.download: true"):
        open_source(config)
