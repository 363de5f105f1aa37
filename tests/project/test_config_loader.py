"""Texts of the configuration that mean something else, and configurations from strangers."""

from __future__ import annotations

import re

import pytest

from gan_pipelines import settings
from gan_pipelines.core.config import ConfigError


@pytest.fixture
def conf(tmp_path):
    for name in ("base", "local", "cards"):
        (tmp_path / name).mkdir()
    return tmp_path


def load(conf, text, section="parameters", env="cards"):
    (conf / env / f"{section}.yml").write_text(text)
    return settings.CONFIG_LOADER_CLASS(str(conf), env=env, **settings.CONFIG_LOADER_ARGS)[section]


@pytest.mark.parametrize("env", ["base", "local", "cards"])
@pytest.mark.parametrize(
    ("path", "reason"), [("/a/${home}", "Interpolation key 'home' not found"), ("/a/${", "no viable alternative")]
)
def test_a_text_with_the_sign_of_another_setting_is_named_with_the_remedy(conf, env, path, reason):
    sentence = (
        rf"has \$\{{...\}}, which stands for another setting \({reason}.*\); name one that exists, or write \\\$\{{"
    )
    with pytest.raises(ConfigError, match=sentence) as caught:
        load(conf, f"dataset: {{path: '{path}'}}\n", env=env)
    assert "\n" not in str(caught.value)


def test_the_remedy_helps(conf):
    assert load(conf, "dataset: {path: '/a/\\${home}'}\n")["dataset"]["path"] == "/a/${home}"


@pytest.mark.parametrize("section", ["parameters", "globals", "catalog"])
@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:builtins.print [constructed]",
        "!!python/object/new:pathlib.Path [constructed]",
        "!!python/name:builtins.print",
        "!!python/module:os",
    ],
)
def test_yaml_constructs_no_objects(conf, section, value, capsys):
    with pytest.raises(Exception, match=re.escape("could not determine a constructor for the tag")):
        load(conf, f"dataset: {value}\n", section)
    assert "constructed" not in capsys.readouterr().out


@pytest.mark.parametrize("resolver", ["eval", "python", "oc.decode", "hydra"])
def test_only_the_resolvers_of_the_project_are_known(conf, resolver):
    with pytest.raises(Exception, match="Unsupported interpolation type|not|resolver"):
        load(conf, f"dataset: ${{{resolver}:print(1)}}\n")
