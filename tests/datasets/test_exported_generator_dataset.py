from __future__ import annotations

import json
from dataclasses import replace

import mlflow
import pytest
import yaml
from kedro.io import DatasetError, Version

from gan_pipelines.datasets import ExportedGeneratorDataset
from gan_pipelines.gan import VARIANTS
from gan_pipelines.serving import ExportConfig, export_generator
from random_generators import make_generator


@pytest.fixture(scope="module")
def exported():
    return export_generator(make_generator("mlp_gan", size=8), [], ExportConfig(), "cards")


@pytest.fixture(scope="module")
def saved(exported, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    ExportedGeneratorDataset(filepath=str(path)).save(exported)
    return path


def test_what_is_saved_is_loaded(exported, saved):
    loaded = ExportedGeneratorDataset(filepath=str(saved)).load()
    assert (loaded.networks, loaded.card, loaded.config) == (exported.networks, exported.card, exported.config)


def test_the_folder_is_a_model_of_mlflow_with_everything_that_it_needs(saved):
    description = yaml.safe_load((saved / "MLmodel").read_text())
    assert not list(saved.rglob("*.pkl"))
    requirements = {line.partition("==")[0] for line in (saved / "requirements.txt").read_text().splitlines()}
    assert requirements == {"mlflow-skinny", "numpy", "onnxruntime", "pandas", "pillow", "pydantic"}
    (inputs,) = json.loads(description["signature"]["inputs"])
    assert set(inputs["properties"]) == {"count", "classes", "seed", "truncation", "weights", "latents", "format"}
    assert not any(each["required"] for each in inputs["properties"].values())
    (outputs,) = json.loads(description["signature"]["outputs"])
    assert set(outputs["properties"]) == {"seed", "classes", "images", "arrays"}
    example = json.loads((saved / "serving_input_example.json").read_text())
    (answer,) = mlflow.pyfunc.load_model(str(saved)).predict(example["inputs"])
    assert (answer.seed, len(answer.images)) == (0, 1)


def test_the_example_of_a_conditional_generator_is_of_one_class(exported):
    """All of them may be more images than a request may ask for."""
    asked = {"count": 1, "seed": 0}
    assert exported.input_example == [asked]
    labelled = replace(exported, config=VARIANTS["cdcgan"], class_names=("ace", "king"))
    assert labelled.input_example == [{**asked, "classes": ["ace"]}]


def test_versions_and_a_save_that_fails(exported, tmp_path):
    path, version = str(tmp_path / "model"), Version(None, "2026-01-01T00.00.00.000Z")
    dataset = ExportedGeneratorDataset(filepath=path, version=version)
    with pytest.raises(DatasetError):
        dataset.save("no generator")
    assert not list(tmp_path.rglob("*.onnx"))
    dataset.save(exported)
    assert ExportedGeneratorDataset(filepath=path, version=Version(None, None)).load().card == exported.card
    with pytest.raises(DatasetError):
        ExportedGeneratorDataset(filepath=str(tmp_path / "none"), version=Version(None, None)).load()
