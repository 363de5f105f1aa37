"""Files as real folders hold them: which are read, and as what; which are refused, and why."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import odd_pictures
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import BadImage, DatasetConfig, DatasetUnusable, inspect_folder, prepare_image_set
from gan_pipelines.images.decoding import picture_size, read_picture, to_pixels
from gan_pipelines.images.formats import is_picture
from gan_pipelines.images.value_range import Values, find_range
from odd_pictures import SIZE, Odd, encode, smooth, tiff, to_bytes

READ = odd_pictures.eight_bit() | odd_pictures.several_frames()
REFUSED = odd_pictures.refused()
DEPTHS = {bits: odd_pictures.depths(bits, bits) for bits in (8, 10, 12, 14, 16)}
CONTENT_IS_UNKNOWN = {"TGA", "PCX", "IM", "ICO"}


def write(folder, odd, name="picture", suffix=None):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}{odd.suffix if suffix is None else suffix}"
    path.write_bytes(odd.content)
    return path


def decode(path, channels, fit="crop"):
    """Prepare one file alone."""
    picture = read_picture(path, SIZE)
    value_range = find_range(Values.of(picture, path.name), None)
    config = DatasetConfig(source="digits", image_size=SIZE, channels=channels, value_range=value_range, fit=fit)
    return to_pixels(picture, config).transpose(1, 2, 0).squeeze(), value_range


def assert_levels(path, odd):
    channels = 3 if odd.levels.ndim == 3 else 1
    pixels, value_range = decode(path, channels)
    assert np.abs(pixels - odd.levels).max() <= odd.tolerance
    assert picture_size(path) == (SIZE, SIZE)
    return value_range


@pytest.mark.parametrize("kind", READ)
def test_a_file_is_read_as_its_levels(tmp_path, kind):
    assert_levels(write(tmp_path, READ[kind]), READ[kind])


@pytest.mark.parametrize("kind", DEPTHS[12])
@pytest.mark.parametrize("bits", DEPTHS)
def test_values_of_any_depth_in_16_bits_fill_all_levels(tmp_path, bits, kind):
    odd = DEPTHS[bits][kind]
    assert assert_levels(write(tmp_path, odd), odd) == (0, 2**bits - 1)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_cannot_be_used_is_named_with_its_reason(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("another program was run"))
    path = write(tmp_path, REFUSED[kind])
    with pytest.raises(BadImage) as caught:
        read_picture(path, SIZE)
    assert str(caught.value).startswith(f"{path} cannot be used: {REFUSED[kind].sentence}")
    assert "\n" not in str(caught.value)
    picture_size(path)  # raises nothing


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(BadImage, match="it is no file, but a pipe, device or folder"):
        read_picture(tmp_path / "pipe.png", SIZE)
    os.mkfifo(tmp_path / "pipe")
    assert not is_picture(str(tmp_path / "pipe"))


@pytest.mark.parametrize("kind", READ)
def test_pictures_are_known_by_suffix_and_most_by_content(tmp_path, kind):
    assert is_picture(str(write(tmp_path, READ[kind])))
    assert is_picture(str(write(tmp_path, READ[kind], suffix=""))) == (kind not in CONTENT_IS_UNKNOWN)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"BMW and P10 and GIF"),
        ("labels.csv", b"a,b\n"),
        ("README", b"Pictures of cards"),
        ("paper.pdf", b"%PDF-1.7"),
        ("features.h5", b"\x89HDF\r\n\x1a\n"),
        ("film.mpg", b"\0\0\1\xb3"),
        ("photo.nef", b"MM\0*\0\0\0\x08"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0"),
    ],
)
def test_other_files_are_no_pictures(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert not is_picture(str(tmp_path / name))


# Folders


@pytest.fixture
def folder(tmp_path):
    """Two classes of 40 grey 8-bit JPEG each."""
    for label in range(2):
        for number in range(40):
            odd = Odd(".jpg", encode(to_bytes(smooth(100 * label + number, 1)), "JPEG", quality=95))
            write(tmp_path / "cards" / "ab"[label], odd, f"{number:02d}")
    return tmp_path / "cards"


def prepare(folder, **changes):
    config = DatasetConfig(source="image_folder", path=str(folder), folder_split="train", image_size=SIZE, channels=1)
    return prepare_image_set(KeyedStore(folder.with_name("sets")), replace(config, **changes))


def test_one_range_holds_for_all_deep_pictures_of_a_folder_and_none_for_the_others(folder):
    dark = (smooth(7, 1) * 1000).astype(np.uint16)
    bright = (smooth(8, 1) * 4000).astype(np.uint16)
    write(folder / "a", Odd(".png", odd_pictures.png(dark)), "dark")
    write(folder / "b", Odd(".tif", tiff(bright)), "bright")
    image_set = prepare(folder)
    found = dict(zip(image_set.names, image_set.images[:, 0].astype(float), strict=True))
    assert np.abs(found["a/dark.png"] - dark[:, :, 0] * (255 / 4095)).max() <= 1
    assert np.abs(found["b/bright.tif"] - bright[:, :, 0] * (255 / 4095)).max() <= 1
    assert np.abs(found["a/00.jpg"] - smooth(0, 1)[:, :, 0] * 255).max() <= 16
    assert image_set.manifest()["value_range"] == [0, 4095]
    assert image_set.manifest()["levels"] == [image_set.images.min(), image_set.images.max()]
    stated = prepare(folder, value_range=(0, 1000))
    found = dict(zip(stated.names, stated.images[:, 0].astype(float), strict=True))
    assert np.abs(found["a/dark.png"] - dark[:, :, 0] * (255 / 1000)).max() <= 1
    assert stated.manifest()["value_range"] == [0, 1000]


@pytest.mark.parametrize(
    ("values", "described"),
    [
        (smooth(0, 1).astype(np.float32), "floating-point values from 0 to 1"),
        ((smooth(0, 1) * 1000 - 400).round().astype(np.int16), "values from -400 to 600"),
        ((smooth(0, 1) * 1e5).round().astype(np.int32), "values from 0 to 100000"),
    ],
)
def test_values_without_a_depth_need_a_stated_range(folder, values, described):
    write(folder / "a", Odd(".tif", tiff(values)), "deep")
    sentence = f"Pictures such as a/deep.tif have {described}; set dataset.value_range"
    with pytest.raises(DatasetUnusable, match=sentence):
        prepare(folder, on_bad_image="skip")
    with pytest.raises(DatasetUnusable, match=sentence):
        inspect_folder(folder)
    low, high = float(values.min()), float(values.max())
    image_set = prepare(folder, value_range=(low, high))
    pixels = image_set.images[image_set.names.index("a/deep.tif"), 0].astype(float)
    assert np.abs(pixels - smooth(0, 1)[:, :, 0] * 255).max() <= 1
    report = inspect_folder(folder, value_range=(low, high))
    assert report.dataset.value_range == (low, high)


def test_a_range_for_pictures_of_8_bits_is_refused(folder):
    with pytest.raises(DatasetUnusable, match=r"value_range is \[0.0, 1.0\], but no picture has more than 8 bits"):
        prepare(folder, value_range=(0, 1))


def test_the_check_shows_levels_and_pictures_as_networks_see_them(folder):
    assert "levels: 0 to 255 of 255" in inspect_folder(folder).describe()
    assert {images.shape for images in inspect_folder(folder).shown.values()} == {(8, 3, 16, 16)}
    for path in folder.rglob("*.jpg"):
        values = (np.asarray(Image.open(path)) // 32).astype(np.uint16)[:, :, None]
        write(path.parent, Odd(".png", odd_pictures.png(values)), path.stem)
        path.unlink()
    report = inspect_folder(folder)
    assert "levels: 0 to 7 of 255; in pictures of more than 8 bits 0 is black and 255 white" in report.describe()
    (warning,) = [warning for warning in report.warn() if "levels" in warning]
    assert warning.startswith("the images have only levels 0 to 7, and look as if they had one shade")


def test_pictures_beside_files_of_other_kinds_are_all_counted(folder):
    for number in range(30):
        write(folder / "a", READ["PNG"], f"{number}", suffix="")
        write(folder / "b", REFUSED["HEIC"], f"{number}")
    for name in ("notes.txt", "more.TXT", "paper.pdf", "LICENSE", ".DS_Store"):
        (folder / "a" / name).write_bytes(b"words")
    report = inspect_folder(folder)
    assert sum(report.train_counts.values()) + sum(report.class_counts["test"].values()) == 110
    warnings = list(report.warn())
    assert any(text.startswith("files that cannot be used and are left out: 30.") for text in warnings)
    assert sum("'gan_pipelines[heif]'" in text for text in warnings) == 1
    assert "files that are no pictures, or hidden, and are left out: 4 (.txt 2, no suffix 1, .pdf 1)." in warnings
    manifest = prepare(folder, on_bad_image="skip").manifest()
    assert manifest["left_out"] == {".txt": 2, ".pdf": 1, "": 1}
    assert manifest["images"] == 110
    with pytest.raises(
        BadImage, match=r"0.heic cannot be used: it is a HEIC picture; pip install 'gan_pipelines\[heif"
    ):
        prepare(folder)


def test_a_new_note_is_counted_and_nothing_is_prepared_again(folder):
    prepare(folder)
    (folder / "a/notes.txt").write_text("words")
    assert prepare(folder).manifest()["left_out"] == {".txt": 1}
    assert len(list(folder.with_name("sets").glob("[!.]*"))) == 1


def test_hidden_pictures_are_counted_wherever_they_are(folder):
    for place in (folder / "a", folder / ".5x", folder / ".valid/a"):
        place.mkdir(parents=True, exist_ok=True)
        write(place, READ["PNG"], ".hidden")
    write(folder / "a", READ["PNG"], "._twin")  # what macOS adds has a picture's suffix, but is none
    write(folder / ".5x", READ["PNG"], "shown")
    assert prepare(folder).manifest()["left_out"] == {"hidden pictures": 4}
    assert (
        "files that are no pictures, or hidden, and are left out: 4 (hidden pictures 4)."
        in inspect_folder(folder).warn()
    )


def test_animated_and_multi_page_files_are_counted(folder):
    names = []
    for number, odd in enumerate(odd_pictures.several_frames().values()):
        names.append(f"a/film{number}{odd.suffix}")
        write(folder / "a", odd, f"film{number}")
    assert prepare(folder).manifest()["first_frames"] == names
    (warning,) = [text for text in inspect_folder(folder).warn() if "animated" in text]
    assert warning.startswith("animated or multi-page files, of which only the first frame or page is used: 5 (a/film")


# Fit


def strip(tmp_path):
    """A picture of 24x96: black, dark, bright and white from top to bottom."""
    shades = np.repeat(np.array([0, 80, 170, 255], np.uint8), SIZE)[:, None].repeat(SIZE, axis=1)
    return write(tmp_path, Odd(".png", encode(Image.fromarray(shades), "PNG")))


def test_oblong_pictures_are_cropped_padded_or_stretched(tmp_path):
    path = strip(tmp_path)
    crop, pad, stretch = (decode(path, 1, fit)[0].astype(int) for fit in ("crop", "pad", "stretch"))
    assert set(np.unique(crop[[0, 1, -2, -1]])) <= set(range(70, 180))
    assert crop.min() > 60
    assert crop.max() < 190
    quarter = SIZE // 4
    assert (stretch[0] == 0).all()
    assert (stretch[-1] == 255).all()
    assert np.abs(stretch[quarter + 2 : 2 * quarter - 2] - 80).max() <= 12
    middle = slice((SIZE - quarter) // 2, (SIZE + quarter) // 2)
    assert (np.delete(pad, np.r_[middle], axis=1) == 255).all()
    assert (pad[0, middle] == 0).all()
    colour = decode(path, 3, "pad")[0]
    assert (colour[:, :, 1] == pad).all()


def test_the_check_says_how_much_is_cut_off(folder):
    assert not [text for text in inspect_folder(folder).warn() if "dataset.fit" in text]
    for path in folder.rglob("*.jpg"):
        Image.open(path).resize((32, 128)).save(path)
    report = inspect_folder(folder)
    assert "cut off: 75% of the pixels, outside the largest centred square" in report.describe()
    assert [text for text in report.warn() if "dataset.fit" in text] == [
        "dataset.fit: crop cuts off 75% of the pixels; set it to pad, which adds white edges, or to stretch."
    ]


def test_another_fit_is_another_set(folder):
    for path in folder.rglob("*.jpg"):
        Image.open(path).resize((32, 128)).save(path)
    sets = {fit: prepare(folder, fit=fit) for fit in ("crop", "pad", "stretch")}
    assert len({each.content_hash for each in sets.values()}) == 3
    assert [each.manifest()["fit"] for each in sets.values()] == list(sets)
