from __future__ import annotations

import pytest
from mlflow.tracking import MlflowClient

import processes
from command_line import KEDRO, check, copy_project, kedro, small
from gan_pipelines.core.config import ConfigError
from gan_pipelines.project.sweep import Combination, RunIdentity, combine, parse_grid, parse_seeds, take_turns
from processes import Process


@pytest.mark.parametrize(("text", "seeds"), [("3", [3]), ("0-2", [0, 1, 2]), ("4, 0-1,1", [4, 0, 1])])
def test_seeds_are_numbers_and_ranges(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "0:4", "-1"])
def test_other_seeds_are_refused(text):
    with pytest.raises(ConfigError, match=f"--seeds is {text}, but must be numbers and ranges, such as 0-4"):
        parse_seeds(text)


def test_values_of_a_grid_are_read_as_those_of_params():
    grid = parse_grid(
        [
            "variants.dcgan.batch_size=64;128",
            "variants.dcgan.penalties=[]; [{at: real}]",
            "variants.dcgan.a.rate=1e-3;2e-4",
        ]
    )
    assert grid == {
        "variants.dcgan.batch_size": [64, 128],
        "variants.dcgan.penalties": [[], [{"at": "real"}]],
        "variants.dcgan.a.rate": [1e-3, 2e-4],
    }


@pytest.mark.parametrize(
    "text", ["variants.dcgan.batch_size", "a=", "=1", "a={1", "runtime.device=cpu", "variants.dcgan.seed=1"]
)
def test_a_grid_that_cannot_be_read_is_refused(text):
    with pytest.raises(ConfigError, match="--grid"):
        parse_grid([text])


def test_all_combinations_are_listed_and_settings_of_other_variants_do_not_multiply_them():
    grid = {"variants.dcgan.batch_size": [64, 128], "scoring.samples": [100, 200]}
    combined = combine(["train_dcgan", "train_wgan"], [0, 1], grid)
    assert [each.pipeline for each in combined] == ["train_dcgan"] * 8 + ["train_wgan"] * 4
    assert len({each.name for each in combined}) == 12
    assert combined[0].name == "train_dcgan seed 0 variants.dcgan.batch_size=64 scoring.samples=100"
    assert combined[0].parameters == {
        "variants": {"dcgan": {"seed": 0, "batch_size": 64}},
        "scoring": {"samples": 100},
        "runtime": {"engine": "process"},
    }
    assert Combination("augment_wgan_gp", 0, {}).variant == "wgan_gp"


def test_an_augmentation_experiment_has_seeds_of_its_own():
    grid = parse_grid(["augmentation.seed=0;10"])
    combined = combine(["train_dcgan", "augment_wgan"], [3, 4], {"scoring.samples": [100], **grid})
    assert [each.name for each in combined if each.kind == "augment"] == [
        "augment_wgan scoring.samples=100 augmentation.seed=0",
        "augment_wgan scoring.samples=100 augmentation.seed=10",
    ]
    assert combined[-1].parameters["variants"] == {"wgan": {}}
    assert len(combined) == 6
    with pytest.raises(ConfigError, match="--seeds are those of trainings, and concern no run of --pipelines"):
        combine(["augment_wgan"], [5], {})
    assert [each.seed for each in combine(["augment_wgan", "train_wgan"], None, {})] == [None, 0]


def test_runs_of_the_same_training_take_turns_with_fewer_epochs_first():
    asked = [("a", "x", 50), ("b", "y", 10), ("c", "x", 20), ("d", "xy", 50), ("e", "yz", 60), ("f", "z", 10)]
    runs = [RunIdentity(key, frozenset(trainings), epochs) for key, trainings, epochs in asked]
    assert take_turns(runs) == [["b", "f", "c"], ["a"], ["d"], ["e"]]
    assert take_turns(runs[:2]) == [["b", "a"]]


def test_each_combination_is_listed_once():
    assert len(combine(["train_dcgan", "train_dcgan"], [0, 0], {"scoring.samples": [100, 100]})) == 1


def test_a_setting_that_concerns_no_run_is_refused():
    with pytest.raises(ConfigError, match=r"--grid has variants\.dcgn\.batch_size, which concerns no run"):
        combine(["train_dcgan"], [0], {"variants.dcgn.batch_size": [1]})


@pytest.mark.parametrize("name", ["compare", "train_dcgann", "ingest", "evaluate_dcgan", ""])
def test_a_pipeline_that_trains_nothing_is_refused(name):
    with pytest.raises(ConfigError, match=f"--pipelines has '{name}', which a sweep cannot run; "):
        combine([name], [0], {})


TINY = ",".join({**dict.fromkeys(small("dcgan", 1).split(",")), **dict.fromkeys(small("wgan", 1).split(","))})
SWEEP = ["sweep", "--pipelines=train_dcgan,train_wgan", "--seeds=0", "--grid=variants.wgan.batch_size=32;5000"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("clone") / "project")


IDENTIFY = """
import sys
from pathlib import Path
from kedro.framework.startup import bootstrap_project
from gan_pipelines.project.sweep import _identify, combine, parse_grid

bootstrap_project(Path.cwd())
for each in combine(sys.argv[1].split(","), None, parse_grid(sys.argv[2:])):
    print(*sorted(_identify(Path.cwd(), None, each, {}).trainings), sep=",")
"""


@pytest.mark.integration
def test_runs_share_a_training_if_what_they_train_is_the_same(project):
    def list_trainings(*arguments):
        printed = check(processes.run("-c", IDENTIFY, *arguments, folder=project), 0).stdout
        return [{*line.split(",")} for line in printed.splitlines()]

    first, same, wider = list_trainings("train_dcgan,train_wgan", "scoring.samples=100;200")[:2] + list_trainings(
        "train_dcgan", "variants.dcgan.networks.width=8"
    )
    assert first == same
    assert first.isdisjoint(wider)
    seeds = list_trainings("augment_dcgan", "augmentation.seed=0;3;20", "augmentation.replicates=5")
    assert len(seeds[0]) == 5
    assert len(seeds[0] & seeds[1]) == 2
    assert seeds[0].isdisjoint(seeds[2])
    assert first.isdisjoint(seeds[0])
    # The epochs of the generators count, not those of the variant, on which a linear schedule depends.
    grid = "variants.dcgan.epochs=3;4", "variants.dcgan.schedule.kind=linear", "augmentation.generator_epochs=9"
    short, long = list_trainings("augment_dcgan", *grid)
    assert short == long
    shares = list_trainings("augment_dcgan", "augmentation.synthetic.balance={king: 2, 10: 1}")
    assert len(shares) == 1


@pytest.mark.integration
def test_a_wrong_setting_of_one_run_is_refused_before_the_first(project):
    printed = kedro(project, *SWEEP, "--grid=variants.wgan.epoch=1", code=1)
    assert "Error: variants.wgan.epoch is not a setting; did you mean epochs?" in printed.stderr
    assert "finished" not in printed.stdout


@pytest.mark.integration
def test_a_sweep_that_is_killed_goes_on_and_one_failing_run_does_not_stop_the_others(project):
    with Process(KEDRO, *SWEEP, f"--params={TINY},runtime.engine=process", folder=project) as process:
        process.await_text("train_dcgan seed 0: finished in")
        process.kill()
    printed = kedro(project, *SWEEP, f"--params={TINY},runtime.workers=2", code=1).stdout
    assert "3 runs, 1 of them finished before; " in printed
    lines = printed.partition("In the end:\n")[2].splitlines()[:3]
    assert [line.partition(" in ")[0] for line in lines] == [
        "train_dcgan seed 0: was finished",
        "train_wgan seed 0 variants.wgan.batch_size=32: finished",
        "train_wgan seed 0 variants.wgan.batch_size=5000: failed: "
        "variants.wgan.batch_size is 5000, but must be at most the 1257 images.",
    ]
    client = MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    (parent,) = [run for run in runs if "sweep" in run.data.tags]
    assert parent.info.status == "FAILED"
    assert parent.data.tags["mlflow.note.content"].splitlines() == lines
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    finished = [run for run in children if run.info.status == "FINISHED"]
    assert sorted((run.data.tags["variant"], run.data.tags["seed"]) for run in finished) == [
        ("dcgan", "0"),
        ("wgan", "0"),
    ]
    assert len({run.data.tags["catalog_version"] for run in children}) == len(children)
    assert [*(project / "data/08_reporting/digits").rglob("comparison.html")]
