from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.metrics import FeatureExtractor, FeaturesUnusable, Radii, open_reference

CPU = torch.device("cpu")


class Sums(nn.Module):
    """Takes sums of rows as features and records its calls."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, images):
        self.calls.append(len(images))
        features = images.float().sum(dim=3).flatten(1)
        return Prediction(features, features[:, :2])


PROVENANCE = {"name": "sums", "weights_hash": "0123"}


def changed_pixel(images):
    pixels = images.images.copy()
    pixels[0, 0, 0, 0] ^= 1
    return replace(images, images=pixels, image_hashes=hash_images(pixels))


def test_features_and_statistics_are_correct_and_computed_once(striped_images, tmp_path, monkeypatch):
    monkeypatch.setattr(FeatureExtractor, "to", lambda self, _: self)  # otherwise a copy would record the calls
    store, extractor = KeyedStore(tmp_path), FeatureExtractor(Sums(), PROVENANCE)
    first = open_reference(store, striped_images, extractor, "cpu")
    assert sum(extractor.network.calls) == 70
    again = open_reference(store, striped_images, extractor, "cpu")
    assert sum(extractor.network.calls) == 70
    features = striped_images.images.astype(np.float64).sum(axis=3).reshape(70, -1)
    for reference in (first, again):
        np.testing.assert_array_equal(reference.features.numpy(), features)
        np.testing.assert_allclose(reference.moments.covariance.numpy(), np.cov(features, rowvar=False), rtol=1e-9)
        np.testing.assert_allclose(reference.moments.mean.numpy(), features.mean(0), rtol=1e-12)
    expected = Radii.of(torch.from_numpy(features))
    for name in ("first", "third", "fifth"):
        assert torch.equal(getattr(first.radii(CPU), name), getattr(expected, name))
    (tmp_path / f"{first.key}-radii" / "radii.npz").unlink()
    with pytest.raises(FileNotFoundError):  # since the stored file would be read
        again.radii(CPU)


@pytest.mark.parametrize(
    "change",
    [
        lambda images, extractor: (changed_pixel(images), extractor),
        lambda images, extractor: (replace(images, labels=1 - images.labels), extractor),
        lambda images, extractor: (images.select("train"), extractor),
        lambda images, extractor: (replace(images, resize_filter="box"), extractor),
        lambda images, extractor: (images, FeatureExtractor(extractor.network, {**PROVENANCE, "name": "other"})),
        lambda images, extractor: (images, FeatureExtractor(extractor.network, {**PROVENANCE, "weights_hash": "45"})),
    ],
    ids=["pixel", "labels", "split", "resize filter", "extractor", "weights"],
)
def test_every_changed_input_gives_another_reference(striped_images, tmp_path, change):
    store, extractor = KeyedStore(tmp_path), FeatureExtractor(Sums(), PROVENANCE)
    first = open_reference(store, striped_images, extractor, "cpu")
    other = open_reference(store, *change(striped_images, extractor), "cpu")
    assert other.key != first.key
    assert {first.key, other.key} <= {path.name for path in tmp_path.iterdir()}


def test_images_from_0_to_1_are_refused_and_nothing_is_stored(striped_images, tmp_path):
    dark = replace(striped_images, images=(striped_images.images > 127).astype(np.uint8))
    with pytest.raises(ConfigError, match="brightest pixel of the reference images is 1, but must be above 1"):
        open_reference(KeyedStore(tmp_path), dark, FeatureExtractor(Sums(), PROVENANCE), "cpu")
    assert not list(tmp_path.glob("[!.]*"))


def test_features_that_are_not_finite_are_refused_and_nothing_is_stored(striped_images, tmp_path):
    class Broken(Sums):
        def forward(self, images):
            return Prediction(*(part / 0 for part in super().forward(images)))

    for provenance, remedy in ((PROVENANCE, "check its weights"), (PROVENANCE | {"fitted_on": "a"}, "fit it anew")):
        with pytest.raises(
            FeaturesUnusable, match=f"sums gives features of the real images that are infinite or NaN; {remedy}"
        ):
            open_reference(KeyedStore(tmp_path), striped_images, FeatureExtractor(Broken(), provenance), "cpu")
    assert not list(tmp_path.glob("[!.]*"))


def test_too_few_images_for_neighbours_are_refused(striped_images, tmp_path):
    few = replace(
        striped_images,
        images=striped_images.images[:5],
        image_hashes=striped_images.image_hashes[:5],
        labels=striped_images.labels[:5],
        split_sizes={"train": 5},
    )
    reference = open_reference(KeyedStore(tmp_path), few, FeatureExtractor(Sums(), PROVENANCE), "cpu")
    with pytest.raises(ConfigError, match="number of reference images is 5, but must be 6 or more"):
        reference.radii(CPU)


@pytest.mark.parametrize("images", [torch.rand(2, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)])
def test_an_extractor_takes_only_uint8_images(images):
    with pytest.raises(ConfigError, match=r"images is .* but must be \(N, 1 or 3, H, W\) uint8, from 0 to 255"):
        FeatureExtractor(Sums(), PROVENANCE)(images)
