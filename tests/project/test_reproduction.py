"""The same run again: what MLflow has of it is read, and what differs is said."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from kedro.pipeline import Pipeline, node
from mlflow.utils.validation import _validate_param_name

from command_line import git, kedro
from gan_pipelines import settings
from gan_pipelines.augmentation.config import AugmentationConfig, SyntheticConfig
from gan_pipelines.core.config import ConfigError, flatten, parse
from gan_pipelines.gan import VARIANTS, CheckpointStore
from gan_pipelines.gan.config import SamplingConfig
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.project import reproduction
from gan_pipelines.project.parameters import ReportingConfig, parse_parameters
from gan_pipelines.project.reproduction import (
    ReproducingSession,
    compare_metrics,
    compare_origins,
    find_reproductions,
    read_parameters,
    read_request,
)
from gan_pipelines.project.session import ProjectSession
from gan_pipelines.tracking.hooks import _to_plain
from gan_pipelines.tracking.provenance import list_versions
from gan_pipelines.tracking.tracker import MAX_PARAM_LENGTH
from processes import ONE_THREAD

CONF = Path(__file__).parents[2] / "conf"
SAMPLE = register_pipelines()["sample_wgan"]
SETTINGS = SamplingConfig(count=3, classes=("3", "seven"), seed=5)


def logged(**sections):
    """What MLflow has of settings."""
    return {
        f"{section}.{name}": str(list(value) if isinstance(value, tuple) else value)
        for section, settings in sections.items()
        for name, value in flatten(settings).items()
    }


def test_settings_come_back_as_they_were():
    texts = logged(sampling=asdict(SETTINGS), runtime={"device": "cpu", "fresh": True, "workers": None})
    read = read_parameters("a", texts, SAMPLE)
    assert read["runtime"] == {"device": "cpu", "fresh": False, "restart_epoch": None}
    parsed = parse_parameters({"experiment": "digits", **read}, SAMPLE.inputs() - {"wgan.generator"})
    assert parsed.sampling == SETTINGS


def test_a_run_that_is_done_again_leaves_the_milestones_of_its_training_alone():
    pipeline = Pipeline([node(lambda settings: None, "params:reporting", None, name="train")])
    texts = {"reporting.grid_every_epochs": "2", "reporting.grid_at_epochs": "[0.5]"}
    texts |= {"reporting.milestone_every_epochs": "10", "reporting.restartable_milestones": "True"}
    read = parse(ReportingConfig, read_parameters("a", texts, pipeline)["reporting"], "reporting")
    assert read == ReportingConfig(grid_every_epochs=2, grid_at_epochs=[0.5])


def test_what_the_run_lacks_does_not_come_from_the_environment(monkeypatch):
    recorded = {"sampling": {"count": 3}, "variants": {"wgan": {"epochs": 2}}, "runtime": {"device": "cpu"}}
    recorded["export"] = {"registered_model_name": "cards", "champion": True, "licence": "MIT"}
    recorded["dataset"] = {"path": "cards/${b}/c"}  # a folder of this name
    stated, loader = (
        settings.CONFIG_LOADER_CLASS(str(CONF), runtime_params=params, **settings.CONFIG_LOADER_ARGS)
        for params in ({"runtime": {"device": "cpu"}}, recorded)
    )
    stated = stated["parameters"]
    monkeypatch.setattr(ProjectSession, "_get_config_loader", lambda _: loader)
    session = object.__new__(ReproducingSession)
    session.reproduced = "0123"
    assert session._get_config_loader()["parameters"] == {
        **stated,
        "sampling": {"count": 3},
        "dataset": {"path": "cards/${b}/c"},
        "variants": stated["variants"] | {"wgan": {"epochs": 2}},
        "export": {"registered_model_name": None, "champion": False, "licence": "MIT"},
    }
    assert len(stated["sampling"]) > 1
    assert len(stated["variants"]["wgan"]) > 1
    assert stated["runtime"]["device"] == "cpu"


def test_the_settings_of_a_variant_come_back_from_beside_those_of_sections():
    variant = {name: str(value) for name, value in flatten(asdict(VARIANTS["wgan_gp"])).items()}
    pipeline = register_pipelines()["augment_wgan_gp"].filter(to_nodes=["wgan_gp.resolve_config"])
    texts = variant | {"dataset.source": "digits", "experiment": "digits", "runtime.device": "cpu"}
    read = read_parameters("a", texts, pipeline)
    assert {*read} == {"variants", "runtime"}
    raw = {"experiment": "digits", **read}
    assert parse_parameters(raw, ["params:variants.wgan_gp"]).variants["wgan_gp"] == VARIANTS["wgan_gp"]


def test_of_a_slice_the_settings_of_its_nodes_are_read(monkeypatch):
    monkeypatch.setattr(reproduction, "pipelines", register_pipelines())
    tags = {"pipeline_names": "['train_wgan']", "node_names": "['wgan.score_generators']"}
    params = {"scoring.samples": "100", "runtime.device": "cpu"}
    run = SimpleNamespace(info=SimpleNamespace(run_id="a"), data=SimpleNamespace(tags=tags, params=params))
    request = read_request(run)
    assert request.arguments == {"pipeline_names": ["train_wgan"], "node_names": ["wgan.score_generators"]}
    assert {*request.parameters} == {"scoring", "runtime"}


def test_a_run_of_an_earlier_version_lacks_the_settings_of_exports():
    pipeline = register_pipelines()["export_wgan"].to_outputs("wgan.model")
    assert read_parameters("a", {"experiment": "digits"}, pipeline) == {}
    assert read_parameters("a", {"export.champion": "False"}, pipeline) == {"export": {"champion": False}}


def test_lists_come_back_in_their_order():
    pipeline = register_pipelines()["augment_wgan_gp"].filter(to_nodes=["wgan_gp.resolve_config"])
    texts = {f"penalties.{place}.weight": str(place + 1.0) for place in (10, *range(10))} | {"runtime.device": "cpu"}
    penalties = read_parameters("a", texts, pipeline)["variants"]["wgan_gp"]["penalties"]
    assert penalties == [{"weight": weight + 1.0} for weight in range(11)]


@pytest.mark.parametrize("balance", ["fill", {0: 2, 1: 1}, {3: 2, 7: 1}, {"a & b": 1, "St. Ives [1]": 0.5}])
def test_the_balance_of_classes_comes_back_whatever_their_names(balance):
    settings = AugmentationConfig(synthetic=SyntheticConfig(balance=balance))
    texts = {name: str(value) for name, value in flatten({"augmentation": _to_plain(settings)}).items()}
    for name in texts:
        _validate_param_name(name)
    pipeline = Pipeline([node(lambda settings: None, "params:augmentation", None, name="augment")])
    read = read_parameters("a", texts, pipeline)
    assert parse(AugmentationConfig, read["augmentation"], "augmentation") == settings


def test_the_balance_of_an_earlier_version_is_no_list():
    pipeline = Pipeline([node(lambda settings: None, "params:augmentation", None, name="augment")])
    texts = {"augmentation.synthetic.balance.3": "2", "augmentation.synthetic.balance.7": "1"}
    assert read_parameters("a", texts, pipeline)["augmentation"]["synthetic"]["balance"] == {"3": 2, "7": 1}


def test_the_penalty_of_an_earlier_version_has_its_present_name():
    pipeline = register_pipelines()["augment_wgan_gp"].filter(to_nodes=["wgan_gp.resolve_config"])
    texts = {"penalty.at": "real", "penalty.weight": "2.0", "epochs": "3", "runtime.device": "cpu"}
    variants = read_parameters("a", texts, pipeline)["variants"]
    assert variants == {"wgan_gp": {"penalties": [{"at": "real", "weight": 2.0}], "epochs": 3}}


@pytest.mark.parametrize("value", [None, "x" * MAX_PARAM_LENGTH])
def test_settings_that_are_missing_or_cut_off_are_refused(value):
    texts = {"runtime.device": "cpu"} | ({"sampling.count": value} if value else {})
    with pytest.raises(ConfigError, match="run another"):
        read_parameters("a", texts, SAMPLE)


def test_metrics_that_differ_are_named_and_those_of_the_machine_are_not():
    before = {"fid": 2.0, "is": 3.0, "kid": float("nan"), "train/images_per_second": 9.0, "old": 1.0}
    after = {"fid": 2.5, "is": 3.0, "kid": float("nan"), "train/images_per_second": 8.0}
    assert compare_metrics("a", before, after) == [
        "Of 3 metrics, 2 are the same as in run a.",
        "  fid: 2, now 2.5 (+0.5)",
        "Only one of the two runs has old.",
    ]


def test_another_commit_and_other_versions_are_told(tmp_path):
    git(tmp_path, "init", "--quiet")
    commit = ["-c", "user.name=N", "-c", "user.email=n@localhost", "commit", "--quiet", "--allow-empty", "--message=A"]
    git(tmp_path, *commit)
    tags = {"mlflow.source.git.commit": git(tmp_path, "rev-parse", "HEAD"), "versions": list_versions()}
    run = SimpleNamespace(data=SimpleNamespace(tags=tags))
    assert list(compare_origins(run, tmp_path)) == []
    tags["versions"] = tags["versions"].replace("python ", "python 2.")
    tags["mlflow.source.git.commit"] = "0" * 40
    code, packages = compare_origins(run, tmp_path)
    assert code.startswith("The run was of commit 00000000, and this is ")
    assert packages.startswith("Versions differ: the run had python 2.3.")


@pytest.mark.integration
def test_a_run_is_reproduced_from_the_beginning_to_the_same_metrics(small_project):
    checkpoints = CheckpointStore(small_project / "data/06_models/digits/cdcgan/checkpoints")
    before = checkpoints.list_trainings()
    ids = kedro(small_project, "reproduce", "nothing", code=1).stderr
    assert "MLflow has no run nothing" in ids
    folders = (small_project / "mlruns/artifacts/digits").iterdir()
    run_id = min(folders, key=lambda folder: folder.stat().st_ctime).name
    result = kedro(small_project, "reproduce", run_id, env=ONE_THREAD | {"KEDRO_ENV": "cifar10_quick"})
    assert "epoch 1/2" in result.stderr
    count = int(result.stdout.rpartition("Of ")[2].split()[0])
    assert count > 20
    assert f"Of {count} metrics, {count} are the same as in run {run_id}.\n" in result.stdout
    assert checkpoints.list_trainings() == before
    assert find_reproductions(checkpoints.root) == []
