"""Exported generators: their samples, their scores, and their card."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gan_pipelines.core.config import ConfigError
from gan_pipelines.metrics.averages import hash_key
from gan_pipelines.serving import ExportConfig, ExportedGenerator, compare_scores, export_generator
from random_generators import make_generator

VERSION = "2026-01-01T00.00.00.000Z"


def score(metric="fid", value=3.25, generator="last", version=VERSION, weights="ema", flags=(), **key):
    """A record as scores.json has them."""
    identity = {"generator": generator, "generator_version": version, "weights": weights, "seed": 7}
    return {
        "metric": metric,
        "value": value,
        "spread": 0.1,
        "comparability": {"metric": metric, "samples": 40, "extractor": "resnet8", "reference_split": "train"} | key,
        "identity": {**identity, "trained_epochs": 3, "epoch": 3},
        "extractor": {"heldout_accuracy": 0.987},
        "flags": flags,
        "notes": (),
    }


VALUES = {
    "ema": {"fid": 3.25, "is": 8.5, "kid": 0.012, "precision": 0.5, "recall": 0.25},
    "raw": {"fid": 4.5, "is": 8.0, "kid": 0.02, "precision": 0.4, "recall": 0.2},
}
FLAG = "FID of few images."
SCORES = [
    score(metric, value, weights=weights, flags=(FLAG,) if weights == "raw" else ())
    for weights, values in VALUES.items()
    for metric, value in values.items()
]


@pytest.fixture(scope="module")
def generator():
    return replace(make_generator("cdcgan"), version=VERSION)


@pytest.fixture(scope="module")
def exported(generator):
    others = [score(value=99.0, generator="best"), score(value=98.0, version="2025-01-01T00.00.00.000Z")]
    config = ExportConfig(licence="CC BY 4.0", intended_use="Tests.", known_failures=("Kings have no crown.",))
    return export_generator(generator, [*SCORES, *others], config, "cards")


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_its_samples_are_those_of_the_generator(generator, exported, weights):
    options = {"seed": 4, "weights": weights, "truncation": 1.5, "labels": torch.arange(9) % 3}
    difference = exported.sample(9, **options).int() - generator.sample(9, **options).int()
    assert difference.abs().max() <= 1


def test_it_is_read_from_the_files_that_it_lists(exported, tmp_path):
    for name, content in exported.list_files().items():
        (tmp_path / name).write_bytes(content)
    assert {path.name for path in tmp_path.iterdir()} == {"ema.onnx", "raw.onnx", "description.json"}
    read = ExportedGenerator.read(tmp_path, exported.card)
    assert (read.config, read.image_shape, read.class_names) == (exported.config, (3, 16, 16), ("ace", "king", "queen"))
    assert (read.training, read.version, read.networks) == (exported.training, VERSION, exported.networks)
    assert read.findings.metrics == exported.findings.metrics


def test_it_has_the_scores_of_its_generator_and_of_no_other(exported):
    assert [each["value"] for each in exported.scores] == [each["value"] for each in SCORES]
    assert exported.findings.metrics["fid"] == 3.25


def test_the_card_states_data_scores_with_keys_flags_licence_use_and_failures(exported):
    lines = exported.card.splitlines()
    for line in (
        "# Generator of cards",
        "- images: 16x16, 3 channels, uint8",
        "- classes: ace, king, queen",
        "- trained: epoch 3, 48 images, seed 7",
        f"- version in the catalog: {VERSION}",
        f"- hash of the training images: `{'ab' * 32}`",
        "40 samples against train, resnet8, held-out accuracy 98.7%.",
        f"| ema | fid | 3.25 | `{hash_key(SCORES[0])[:8]}` |",
        f"| raw | fid | 4.5 | `{hash_key(SCORES[5])[:8]}` |",
        "- licence: CC BY 4.0",
        "- intended use: Tests.",
        f"- {FLAG}",
        "- Kings have no crown.",
    ):
        assert line in lines
    assert "99" not in exported.card


def test_without_scores_and_of_a_failed_training_it_says_so(generator, exported, monkeypatch, caplog):
    monkeypatch.setattr("gan_pipelines.serving.exported_generator.to_onnx", lambda _: exported.networks)  # the same
    failed = replace(generator, training={**generator.training, "failure": "a loss became nan."})
    model = export_generator(failed, [score(version="2025-01-01T00.00.00.000Z")], ExportConfig(), "cards")
    assert model.findings is None
    assert f"There are no scores of version {VERSION}" in caplog.text
    lines = model.card.splitlines()
    assert "None were measured of this version." in lines
    assert "- The training has failed: a loss became nan." in lines
    assert "- licence: not stated" in lines


def test_scores_of_the_files_are_compared_where_they_may_be(exported):
    again = [score(value=3.5, generator="exported"), score(value=9.0, generator="exported", weights="raw", samples=50)]
    findings = compare_scores(again, exported)
    assert findings.metrics == {"exported/ema_fid": 3.5, "exported/raw_fid": 9.0}
    assert findings.sentences == (
        "exported, ema weights: FID 3.50 of 40 samples; the generator itself has 3.25",
        "exported, raw weights: FID 9.00 of 50 samples; the generator itself has no such score",
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"registered_model_name": "a/b"},
            "^registered_model_name is 'a/b', but must be a name without the characters",
        ),
        ({"registered_model_name": " "}, "^registered_model_name is ' ', but must be"),
        ({"champion": True}, "^champion is True, but must be false without a registered_model_name"),
    ],
)
def test_settings_that_mlflow_would_refuse(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ExportConfig(**settings)
