"""The files of the configuration: folders and archives of them, and mistakes in one, each with its file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gan_pipelines import settings
from gan_pipelines.core.config import ConfigError
from gan_pipelines.project.config_loader import lay_over

CONF = Path(__file__).parents[2] / "conf"


def load(conf, key="parameters", env=None, **parameters):
    arguments = settings.CONFIG_LOADER_ARGS
    return settings.CONFIG_LOADER_CLASS(str(conf), env=env, runtime_params=parameters, **arguments)[key]


@pytest.fixture
def conf(tmp_path):
    """A configuration of a few settings, with an environment and nothing in local."""
    for env, path in {"base": "a", "cards": "b"}.items():
        (tmp_path / "conf" / env).mkdir(parents=True)
        (tmp_path / "conf" / env / "parameters.yml").write_text(f"dataset:\n  path: {path}\n")
        (tmp_path / "conf" / env / "globals.yml").write_text(f"experiment: {env}\n")
    (tmp_path / "conf/local").mkdir()
    return tmp_path / "conf"


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "bztar", "xztar"])
@pytest.mark.parametrize("env", [None, "cifar10_32"])
def test_an_archive_is_as_good_as_the_folder(tmp_path, kind, env):
    archive = shutil.make_archive(str(tmp_path / "conf"), kind, CONF.parent, "conf")
    assert [load(archive, key, env) for key in ("parameters", "catalog")] == [
        load(CONF, key, env) for key in ("parameters", "catalog")
    ]


def test_without_a_folder_local_nothing_of_base_is_lost(conf):
    assert load(conf) == {"dataset": {"path": "a"}}
    (conf / "local").rmdir()
    assert load(conf) == {"dataset": {"path": "a"}}
    assert load(conf, "globals") == {"experiment": "base"}
    assert load(conf, env="cards") == {"dataset": {"path": "b"}}


@pytest.mark.parametrize(
    ("content", "rest"),
    [
        (b"dataset:\n\tpath: x", ", line 2: here is a tab, and YAML is indented by spaces."),
        (b"dataset:\n  path: x\ndataset: 3", ", line 3: dataset is there twice; remove one."),
        (b"a:\n  b: 1\n  c: 2\n  b: 3", ", line 4: b is there twice; remove one."),
        (b"a: 1\nb: [1\n", ", line 2: this is no YAML (did not find expected ',' or ']')."),
        (b"a: *b", ", line 1: this is no YAML (found undefined alias)."),
        (b"a: b: c", ", line 1: this is no YAML (mapping values are not allowed in this context)."),
        (
            b"a: 1\nb: !!python/object/apply:os.mkdir [made]",
            ", line 2: this is no YAML (could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.mkdir').",
        ),
        (
            b"caf\xe9: 1",
            " cannot be read: 'utf-8' codec can't decode byte 0xe9 in position 3: invalid continuation byte.",
        ),
        (b"a: \x00", " cannot be read: unacceptable character #x0000: control characters are not allowed."),
        (b"- 1", " must be a mapping whose names are texts."),
    ],
)
@pytest.mark.parametrize("env", ["base", "local", "cards"])
def test_a_file_that_cannot_be_read_is_named_with_its_line(conf, monkeypatch, content, rest, env):
    monkeypatch.chdir(conf.parent)
    (conf / env / "catalog_more.yml").write_bytes(content)
    (conf / "base/catalog.yml").write_text("manifest: {type: MemoryDataset}")
    with pytest.raises(ConfigError) as caught:
        load(conf, "catalog", env if env == "cards" else None)
    assert str(caught.value) == f"{conf}/{env}/catalog_more.yml{rest}"
    assert not (conf.parent / "made").exists()
    load(conf)  # other files can be


def test_a_mistake_in_an_archive_and_in_the_globals_is_named(conf):
    (conf / "cards/globals.yml").write_text("a: 1\na: 2")
    archive = shutil.make_archive(str(conf), "zip", conf.parent, "conf")
    with pytest.raises(
        ConfigError, match=rf"^{archive}: conf/cards/globals.yml, line 2: a is there twice; remove one\.$"
    ):
        load(archive, env="cards")
    load(archive)


@pytest.mark.parametrize(
    ("content", "line", "name", "problem"),
    [
        ("\ndataset:\n  path: ${nothing}", 3, "dataset.path", "Interpolation key 'nothing' not found"),
        ("dataset:\n- ${nothing}", 2, "dataset[0]", "Interpolation key 'nothing' not found"),
        ("dataset:\n  path: ${", 2, "dataset.path", "no viable alternative at input '${'"),
        (
            "dataset:\n  path: ${globals:nothing}",
            2,
            "dataset.path",
            "Globals key 'nothing' not found and no default value provided.",
        ),
    ],
)
def test_a_setting_that_stands_for_another_is_named_with_its_line(conf, content, line, name, problem):
    (conf / "local/parameters.yml").write_text(content)
    with pytest.raises(ConfigError) as caught:
        load(conf)
    assert str(caught.value) == (
        f"{conf}/local/parameters.yml, line {line}: {name} has ${{...}}, which stands for another setting ({problem}); "
        "name one that exists, or write \\${ for the text itself."
    )


@pytest.mark.parametrize("parameters", [{"scoring": {"seed": "${nothing}"}}, {"dataset": {"path": "${nothing}"}}])
@pytest.mark.parametrize("path", ["a", "${oc.env:HOME}"])
def test_a_parameter_of_the_command_line_is_not_blamed_on_a_file(conf, parameters, path):
    (conf / "base/parameters.yml").write_text(f"dataset: {{path: '{path}'}}\n")
    with pytest.raises(ConfigError, match=r"^--params: (scoring.seed|dataset.path) has \$\{\.\.\.\}"):
        load(conf, **parameters)


@pytest.mark.parametrize(("env", "wrong"), [("art", "art"), ("cards", "base")])
def test_the_file_with_the_mistake_is_blamed_whatever_it_is_called(conf, env, wrong):
    shutil.copytree(conf / "cards", conf / "art")
    (conf / wrong / "parameters.yml").write_text("dataset: {path: '${nothing}'}\n")
    with pytest.raises(ConfigError, match=f"^{conf}/{wrong}/parameters.yml, line 1: dataset.path has"):
        load(conf, env=env)


def test_a_parameter_changes_only_itself_in_a_section_that_the_environment_does_not_state(conf):
    (conf / "base/parameters_runtime.yml").write_text("runtime: {device: cpu, fresh: false}\nseed: 1\n")
    assert load(conf, env="cards", runtime={"fresh": True}) == {
        "dataset": {"path": "b"}, "runtime": {"device": "cpu", "fresh": True}, "seed": 1,
    }  # fmt: skip
    (conf / "base/parameters.yml").write_text("dataset: {path: a, size: 3}\n")
    assert load(conf, env="cards", dataset={"path": "c"})["dataset"] == {
        "path": "c"
    }  # the section is the environment's
    (conf / "base/parameters_linked.yml").write_text("linked: {size: '${dataset.size}'}\n")
    assert load(conf, env="cards")["linked"] == load(conf)["linked"] == {"size": 3}  # of base, as everything there
    (conf / "local/parameters.yml").write_text("dataset: {path: d}\n")
    assert load(conf, runtime={"fresh": True}) == {
        "dataset": {"path": "d", "size": 3}, "linked": {"size": 3}, "seed": 1,
        "runtime": {"device": "cpu", "fresh": True},
    }  # fmt: skip
    assert load(CONF, env="cifar10_32", runtime={"fresh": True})["runtime"] == {
        **load(CONF, env="cifar10_32")["runtime"], "fresh": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("conf_source", "sentence"),
    [
        ("flat.zip", "flat.zip has no folder base; --conf-source is a folder such as conf, or its archive."),
        ("torn.zip", "torn.zip cannot be read (File is not a zip file); make the archive again."),
        ("torn.tar.gz", "torn.tar.gz cannot be read (Not a gzipped file (b'to')); make the archive again."),
        ("conf.yml", "conf.yml has no folder base; --conf-source is a folder such as conf, or its archive."),
        ("conf/base", "conf/base has no folder base; --conf-source is a folder such as conf, or its archive."),
    ],
)
def test_a_source_without_a_configuration_is_named(conf, monkeypatch, conf_source, sentence):
    monkeypatch.chdir(conf.parent)
    shutil.make_archive("flat", "zip", conf / "cards", ".")
    for name in ("torn.zip", "torn.tar.gz", "conf.yml"):
        Path(name).write_bytes(b"torn")
    with pytest.raises(ConfigError) as caught:
        load(conf_source)
    assert str(caught.value).startswith(sentence)


def test_the_remedy_for_a_dollar_sign_helps(conf):
    (conf / "cards/parameters.yml").write_text("dataset: {path: '/a/\\${home}'}\n")
    assert load(conf, env="cards")["dataset"]["path"] == "/a/${home}"


@pytest.mark.parametrize("key", ["parameters", "globals", "catalog"])
@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:builtins.print [constructed]",
        "!!python/object/new:pathlib.Path [constructed]",
        "!!python/name:builtins.print",
        "!!python/module:os",
    ],
)
def test_yaml_constructs_no_objects(conf, key, value, capsys):
    (conf / f"cards/{key}.yml").write_text(f"dataset: {value}\n")
    with pytest.raises(ConfigError, match="could not determine a constructor for the tag"):
        load(conf, key, "cards")
    assert "constructed" not in capsys.readouterr().out


@pytest.mark.parametrize("resolver", ["eval", "python", "hydra"])
def test_only_the_resolvers_of_the_project_are_known(conf, resolver):
    (conf / "cards/parameters.yml").write_text(f"dataset: ${{{resolver}:1}}\n")
    with pytest.raises(ConfigError, match=f"Unsupported interpolation type {resolver}"):
        load(conf, env="cards")


def test_a_loader_reads_its_own_globals_while_there_is_another(conf):
    for env in ("base", "cards"):
        (conf / env / "parameters.yml").write_text("experiment: ${globals:experiment}\n")
    arguments = settings.CONFIG_LOADER_ARGS
    own, other = (settings.CONFIG_LOADER_CLASS(str(conf), env=env, **arguments) for env in (None, "cards"))
    assert [each["parameters"]["experiment"] for each in (own, other, own)] == ["base", "cards", "base"]


def with_shares(**shares):
    return {"augmentation": {"synthetic": {"balance": shares}}}


def test_shares_of_classes_on_the_command_line_replace_those_of_the_files(conf):
    base = "augmentation:\n  replicates: 3\n  synthetic:\n    weights: raw\n    balance: {king: 2, 10: 1}\n"
    (conf / "base/parameters.yml").write_text(base)
    assert load(conf)["augmentation"]["synthetic"]["balance"] == {"king": 2, 10: 1}
    loaded = load(conf, **with_shares(queen=1))["augmentation"]
    assert loaded == {"replicates": 3, "synthetic": {"weights": "raw", "balance": {"queen": 1}}}
    assert load(conf, **with_shares(**{"10": 3}))["augmentation"]["synthetic"]["balance"] == {"10": 3}
    linked = load(conf, **with_shares(queen=1), dataset={"path": "${augmentation.replicates}"})
    assert linked["dataset"] == {"path": 3}
    assert linked["augmentation"]["synthetic"]["balance"] == {"queen": 1}
    assert load(conf, augmentation={"synthetic": {"balance": "uniform"}})["augmentation"]["synthetic"] == {
        "weights": "raw", "balance": "uniform",
    }  # fmt: skip
    assert load(conf, env="cards", **with_shares(queen=1))["augmentation"]["synthetic"]["balance"] == {"queen": 1}


def test_shares_of_a_grid_replace_those_of_the_command_line():
    laid = lay_over(with_shares(king=2) | {"dataset": {"path": "a"}}, with_shares(queen=1))
    assert laid == with_shares(queen=1) | {"dataset": {"path": "a"}}
    assert lay_over(with_shares(king=2), {"dataset": {"path": "a"}}) == with_shares(king=2) | {"dataset": {"path": "a"}}


def test_a_list_of_base_is_not_changed_in_part_by_local(conf):
    (conf / "base/parameters.yml").write_text("variants:\n  dcgan:\n    penalties: [{at: real}]\n")
    (conf / "local/parameters.yml").write_text("variants:\n  dcgan:\n    penalties: {weight: 5}\n")
    with pytest.raises(ConfigError, match=r"local/parameters.yml: variants.dcgan.penalties is a list in .*base/param"):
        load(conf)
    (conf / "local/parameters.yml").write_text("variants:\n  dcgan:\n    penalties: [{weight: 5}]\n")
    assert load(conf) == {"variants": {"dcgan": {"penalties": [{"weight": 5}]}}}
