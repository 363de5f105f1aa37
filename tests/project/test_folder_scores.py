from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.linalg import sqrtm
from torch_fidelity import calculate_metrics

from fidelity_inputs import Clip
from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.metrics import ScoringConfig, open_pretrained
from gan_pipelines.project.folder_scores import describe_scores, score_folder

SIZE = 16


@pytest.fixture
def scoring(tmp_path):
    path = tmp_path / "clip.safetensors"
    save_file(Clip("clip-vit-b-32").state_dict(), path)
    return ScoringConfig(extractor="clip-vit-b-32", extractor_weights=str(path))


@pytest.fixture
def stores(tmp_path):
    return KeyedStore(tmp_path / "image_sets"), KeyedStore(tmp_path / "references")


def write_folder(folder, count, seed, classes=(), brightest=256):
    """Pictures of noise, and their pixels by name."""
    noise, pixels = np.random.default_rng(seed), {}
    for number in range(count):
        path = folder / (classes[number % len(classes)] if classes else "") / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels[path] = noise.integers(0, brightest, (SIZE, SIZE, 3), np.uint8)
        Image.fromarray(pixels[path]).save(path)
    return np.stack(list(pixels.values())).transpose(0, 3, 1, 2)


def test_photographs_are_decoded_at_their_own_size(tmp_path, scoring, stores):
    """Photographs against the same pixels as PNG files."""
    pixels = write_folder(tmp_path / "real", 60, 0)
    (tmp_path / "made").mkdir()
    for number, image in enumerate(pixels.transpose(0, 2, 3, 1)):
        path = tmp_path / f"made/{number:03}.jpg"
        Image.fromarray(image).resize((64, 64)).save(path)
        Image.open(path).save(tmp_path / f"real/{number:03}.png")
    scores = by_name(score_folder(tmp_path / "made", tmp_path / "real", scoring, *stores, device="cpu"))
    assert scores["fid", None] == pytest.approx(0, abs=1e-6)


def test_deep_pictures_have_the_range_of_the_reference(tmp_path, scoring, stores):
    """The same pictures, of which the brightest is in the reference only."""
    deep = np.random.default_rng(0).integers(0, 1000, (60, SIZE, SIZE), np.uint16)
    for folder, brightest in (("made", 1000), ("real", 4000)):
        (tmp_path / folder).mkdir()
        for number, values in enumerate(deep):
            values[0, 0] = brightest if number == 0 else 0
            Image.fromarray(values).save(tmp_path / f"{folder}/{number:03}.png")
    scores = by_name(score_folder(tmp_path / "made", tmp_path / "real", scoring, *stores, device="cpu"))
    assert scores["fid", None] == pytest.approx(0, abs=1e-3)


def by_name(scores):
    return {(score.metric, score.comparability.get("class")): score.value for score in scores}


def test_scores_of_two_folders_equal_torch_fidelity_and_the_formula_of_pytorch_fid(
    tmp_path, scoring, stores, monkeypatch
):
    made, real = write_folder(tmp_path / "made", 90, 0, brightest=200), write_folder(tmp_path / "real", 120, 1)
    scores = by_name(score_folder(tmp_path / "made", tmp_path / "real", scoring, *stores, device="cpu"))

    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: Clip("clip-vit-b-32"))
    oracle = calculate_metrics(
        input1=str(tmp_path / "made"), input2=str(tmp_path / "real"),
        feature_extractor="clip-vit-b-32", feature_extractor_weights_path="any",
        cuda=False, fid=True, kid=True, prc=True, verbose=False, cache=False,
        samples_shuffle=False, kid_subset_size=80, prc_neighborhood=3,
    )  # fmt: skip
    extractor = open_pretrained(scoring.extractor, scoring.extractor_weights)
    features = [extractor(torch.from_numpy(pixels)).features.double().numpy() for pixels in (made, real)]
    means, covariances = ([f(each) for each in features] for f in (lambda x: x.mean(0), lambda x: np.cov(x.T)))
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    tolerance = 1e-6 * np.trace(covariances[0] + covariances[1])
    assert scores["fid", None] == pytest.approx(oracle["frechet_inception_distance"], abs=tolerance)
    assert scores["fid", None] == pytest.approx(expected, abs=tolerance)
    found = scores["precision", None], scores["recall", None]
    assert found == pytest.approx((oracle["precision"], oracle["recall"]))
    assert scores["fid", None] > 1


def test_a_folder_has_no_distance_from_itself_however_it_is_laid_out(tmp_path, scoring, stores):
    write_folder(tmp_path / "flat", 60, 0)
    write_folder(tmp_path / "classes", 60, 0, ["ace", "king"])
    scores = by_name(score_folder(tmp_path / "flat", tmp_path / "classes", scoring, *stores, device="cpu"))
    assert scores["fid", None] == pytest.approx(0, abs=1e-6)
    assert scores["precision", None] == scores["recall", None] == 1
    assert not any(name for _, name in scores)


def test_classes_that_both_folders_have_are_scored(tmp_path, scoring, stores):
    write_folder(tmp_path / "made", 120, 0, ["ace", "king"])
    write_folder(tmp_path / "real", 120, 1, ["ace", "king"])
    scores = by_name(score_folder(tmp_path / "made", tmp_path / "real", scoring, *stores, device="cpu"))
    assert {name for metric, name in scores if metric == "class_kid"} == {"ace", "king"}


def test_pictures_of_several_sizes_are_scored_at_one_that_is_stated(tmp_path, scoring, stores):
    write_folder(tmp_path / "real", 20, 0)
    write_folder(tmp_path / "made", 20, 1)
    Image.new("RGB", (30, 20)).save(tmp_path / "made/odd.png")
    scores = score_folder(tmp_path / "made", tmp_path / "real", scoring, *stores, size=12, device="cpu")
    assert scores[0].comparability["samples"] == 21


def test_too_few_pictures_are_refused_before_they_are_read(tmp_path, scoring, stores):
    write_folder(tmp_path / "real", 20, 0)
    write_folder(tmp_path / "made", 8, 1)
    write_folder(tmp_path / "few", 5, 2)
    for made, real, sentence in (
        ("made", "real", "made is 8, but must be 10 or more"),
        ("real", "few", "few is 5, but must be 6"),
    ):
        with pytest.raises(ConfigError, match=f"number of pictures in .*/{sentence}"):
            score_folder(tmp_path / made, tmp_path / real, scoring, *stores, device="cpu")
    assert not any(store.root.exists() for store in stores)


def test_scores_are_described_with_what_they_are_worth(tmp_path, scoring, stores):
    write_folder(tmp_path / "real", 30, 0)
    scores = score_folder(tmp_path / "real", tmp_path / "real", scoring, *stores, device="cpu")
    lines = list(describe_scores(scores))
    assert lines[0].startswith("30 pictures, clip-vit-b-32 (")
    assert any(line.split()[:2] == ["precision", "1"] for line in lines)
    assert "The Inception Score is left out: the feature extractor does not classify." in lines
    assert any(line.startswith("Careful: FID of 30 images in 48 dimensions") for line in lines)
    assert not any("trained on" in line for line in lines)
