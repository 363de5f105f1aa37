from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gan_pipelines.images import BadImage, DatasetConfig
from gan_pipelines.images.decoding import read_picture, to_pixels

COLOUR = DatasetConfig(source="digits", image_size=8, channels=3)
GREY = DatasetConfig(source="digits", image_size=8, channels=1)
ORANGE = (200, 100, 40)


def decode(path, config=COLOUR):
    return to_pixels(read_picture(path, config.image_size), config)


def save(picture, path, **options):
    picture.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("picture", "name", "expected"),
    [
        (Image.new("RGB", (20, 20), ORANGE), "colour.png", ORANGE),
        (Image.new("RGB", (20, 20), ORANGE).convert("CMYK"), "cmyk.tif", ORANGE),
        (Image.new("LAB", (20, 20), (130, 128, 128)), "lab.tif", (121, 121, 121)),
        (Image.new("RGB", (20, 20), ORANGE).quantize(4), "palette.png", ORANGE),
        (Image.new("L", (20, 20), 77), "grey.png", (77, 77, 77)),
        (Image.new("1", (20, 20), 1), "bilevel.png", (255, 255, 255)),
        (Image.new("RGBA", (20, 20), (*ORANGE, 0)), "transparent.png", (255, 255, 255)),
        (Image.new("RGBA", (20, 20), (*ORANGE, 255)), "opaque.png", ORANGE),
        (Image.new("LA", (20, 20), (0, 0)), "grey_alpha.png", (255, 255, 255)),
        (Image.fromarray(np.full((20, 20), 0x9980, np.uint16)), "sixteen_bit.png", (0x99, 0x99, 0x99)),
        (Image.new("RGB", (20, 20), ORANGE), "picture.webp", ORANGE),
        (Image.new("RGB", (20, 20), ORANGE), "picture.gif", ORANGE),
    ],
)
def test_every_mode_becomes_its_colours(tmp_path, picture, name, expected):
    pixels = decode(save(picture, tmp_path / name))
    assert pixels.shape == (3, 8, 8)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.reshape(3, -1).T.astype(int) - expected).max() <= 4


def test_colours_become_grey_by_their_brightness(tmp_path):
    pixels = decode(save(Image.new("RGB", (9, 9), ORANGE), tmp_path / "x.png"), GREY)
    assert pixels.shape == (1, 8, 8)
    assert pixels[0, 0, 0] == pytest.approx(0.299 * 200 + 0.587 * 100 + 0.114 * 40, abs=1)
    pixels = decode(save(Image.new("LAB", (9, 9), (130, 128, 128)), tmp_path / "x.tif"), GREY)
    assert abs(int(pixels[0, 0, 0]) - 121) <= 2


def test_exif_orientation_is_followed(tmp_path):
    picture = Image.new("L", (16, 16), 0)
    picture.paste(255, (0, 0, 16, 8))  # bright above
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to stand upright: bright on the right
    pixels = decode(save(picture, tmp_path / "turned.jpg", exif=exif), GREY)[0]
    assert pixels[:, 5:].min() > 200
    assert pixels[:, :3].max() < 50


def test_of_an_oblong_picture_the_middle_square_stays_in_proportion(tmp_path):
    picture = Image.new("L", (48, 16), 255)
    picture.paste(0, (16, 0, 32, 16))
    assert decode(save(picture, tmp_path / "oblong.png"), GREY).max() < 40


def test_a_huge_jpeg_gives_nearly_the_pixels_of_a_full_decoding(tmp_path):
    rows, columns = np.mgrid[0:1600, 0:1600] / 1600
    waves = (127 + 100 * np.sin(rows * 9) * np.cos(columns * 7)).astype(np.uint8)
    path = save(Image.fromarray(waves), tmp_path / "huge.jpg", quality=95)
    full = Image.open(path).resize((8, 8), Image.Resampling.BICUBIC)
    assert np.abs(decode(path, GREY)[0].astype(int) - np.asarray(full)).max() <= 4


def test_resizing_is_antialiased(tmp_path):
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    pixels = decode(save(Image.fromarray(board), tmp_path / "board.png"), GREY)
    assert np.abs(pixels.astype(int) - 127).max() <= 3


def damaged(path, content):
    path.write_bytes(content)
    return path


def test_files_that_are_no_good_are_named_with_the_reason(tmp_path, monkeypatch):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole = {kind: save(noise, tmp_path / f"whole.{kind}").read_bytes() for kind in ("png", "jpg")}
    cases = {
        damaged(tmp_path / "empty.png", b""): "it is empty; copy it again",
        damaged(tmp_path / "text.png", b"not a picture"): "it is no picture that Pillow can open",
        damaged(tmp_path / "half.png", whole["png"][:5000]): "it is cut off; copy it again",
        damaged(tmp_path / "half.jpg", whole["jpg"][:2000]): "it is cut off; copy it again",
        tmp_path / "missing.png": "there is no such file; put it back",
    }
    for path, reason in cases.items():
        with pytest.raises(BadImage, match=f"{path.name} cannot be used: {reason}"):
            decode(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(BadImage, match="more than 1,000 pixels, as a decompression bomb has"):
        decode(tmp_path / "whole.png")
