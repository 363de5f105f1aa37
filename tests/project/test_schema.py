"""conf/parameters.schema.json, which editors use to complete parameters.yml."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from command_line import PROJECT
from gan_pipelines.project.schema import parameters_schema

SCHEMA = json.loads((PROJECT / "conf/parameters.schema.json").read_text())
FILES = sorted((PROJECT / "conf").glob("*/parameters.yml"))


def test_the_file_is_up_to_date():
    assert parameters_schema() == SCHEMA, "run make schema"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_environment_points_editors_to_it_and_fits(file):
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=../parameters.schema.json\n")
    jsonschema.validate(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"datasets": {}}, ""),
        ({"dataset": {"image_sise": 32}}, "dataset"),
        ({"dataset": {"image_size": "large"}}, "dataset.image_size"),
        ({"variants": {"cdcgan": {"epochs": 0}}}, "variants.cdcgan.epochs"),
        ({"variants": {"cdcgan": {"penalties": [{"at": "nowhere"}]}}}, "variants.cdcgan.penalties.0.at"),
        ({"variants": {"cdgan": {}}}, "variants"),
        ({"runtime": {"fresh": "yes"}}, "runtime.fresh"),
    ],
)
def test_mistakes_are_marked(parameters, place):
    with pytest.raises(jsonschema.ValidationError) as caught:
        jsonschema.validate(parameters, SCHEMA)
    assert ".".join(map(str, caught.value.absolute_path)) == place


@pytest.mark.parametrize(
    "parameters",
    [
        {"dataset": {"image_size": "${globals:size}"}, "runtime": {"device": "${oc.env:DEVICE,auto}"}},
        {"variants": {"dcgan": None, "wgan": {"networks": {"width": 8}}}},
        {"sampling": {"classes": [3, "seven"], "truncation": None}},
    ],
)
def test_a_part_of_the_settings_interpolations_and_nulls_are_right(parameters):
    jsonschema.validate(parameters, SCHEMA)


def test_settings_are_described():
    described = SCHEMA["$defs"]["OptimizerConfig"]["properties"]["learning_rate"]
    assert described["description"] == "before any schedule."
    assert described["anyOf"][0] == {"type": "number", "exclusiveMinimum": 0}
    inherited = SCHEMA["$defs"]["ArmClassifierConfig"]["properties"]
    assert inherited["momentum"]["description"] == "of SGD."
    assert inherited["epochs"]["description"].startswith("number of epochs; the best one")
