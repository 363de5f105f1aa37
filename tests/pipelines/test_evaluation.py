from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

from gan_pipelines import metrics
from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.metrics import FeatureExtractor, ScoringConfig
from gan_pipelines.pipelines.evaluation import nodes


class Flat(nn.Module):
    def forward(self, images):
        features = images.float().flatten(1)
        return Prediction(features, features)


@pytest.mark.parametrize(
    ("splits", "reference", "heldout"),
    [
        (["train", "test", "valid"], "train", "test"),
        (["train", "test", "valid"], "test", "valid"),
        (["train", "valid"], "train", "valid"),
        (["train"], "train", None),
        (["train", "test", "valid"], ["test", "train"], "valid"),
        (["train", "test"], ["test", "train"], None),
    ],
)
def test_held_out_images_are_those_of_test_or_else_of_valid(striped_images, tmp_path, splits, reference, heldout):
    extractor = FeatureExtractor(Flat(), {"name": "flat", "weights_hash": "0"})
    images, scoring = striped_images.select(*splits), ScoringConfig(reference_split=reference)
    opened = nodes.open_reference(KeyedStore(tmp_path), images, extractor, scoring, "cpu")
    assert opened.images.content_hash == images.select(*scoring.reference_split).content_hash
    expected = heldout and images.select(heldout).content_hash
    assert (opened.heldout and opened.heldout.images.content_hash) == expected


@dataclass(frozen=True)
class Made:
    identity: dict


@pytest.mark.parametrize(
    ("best_version", "best_epoch", "scored"),
    [
        ("1", 2, [("last", 4), ("best", 2)]),
        ("1", 4, [("last", 4), ("best", 4)]),
        ("2", 2, [("last", 4)]),
        (None, 2, [("last", 4)]),
    ],
)
def test_a_generator_is_scored_beside_the_best_one_of_its_own_run(
    monkeypatch, caplog, best_version, best_epoch, scored
):
    monkeypatch.setattr(metrics, "score_generator", lambda each, *_: [Made({"epoch": each.training["epoch"]})])
    last, best = (
        SimpleNamespace(version=version, training={"epoch": epoch}, is_milestone=False)
        for version, epoch in (("1", 4), (best_version, best_epoch))
    )
    records = nodes.score_generators(last, best, None, None, None, "cpu")
    assert [(each["identity"]["generator"], each["identity"]["epoch"]) for each in records] == scored
    assert {each["identity"]["trained_epochs"] for each in records} == {4}
    is_alone = "The run of generator 1 has left no best generator; it is scored alone." in caplog.text
    assert is_alone == (len(scored) == 1)


def test_a_split_that_is_part_of_the_reference_gives_way_to_the_next(striped_images, tmp_path):
    rows, sizes = striped_images.rows("train"), {"train": 20, "test": 10, "valid": 10}
    images = striped_images._take(np.concatenate([rows[:20], rows[:10], rows[20:30]]), sizes)
    extractor = FeatureExtractor(Flat(), {"name": "flat", "weights_hash": "0"})
    opened = nodes.open_reference(KeyedStore(tmp_path), images, extractor, ScoringConfig(), "cpu")
    assert opened.heldout.images.content_hash == images.select("valid").content_hash


def test_a_split_of_very_few_images_is_not_used(striped_images, tmp_path):
    few = striped_images._take(striped_images.rows("train")[:25], {"train": 20, "test": 5})
    extractor = FeatureExtractor(Flat(), {"name": "flat", "weights_hash": "0"})
    assert nodes.open_reference(KeyedStore(tmp_path), few, extractor, ScoringConfig(), "cpu").heldout is None
