from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gan_pipelines.pipeline_registry import register_pipelines

VARIANTS = {
    "mlp_gan", "dcgan", "cdcgan", "lsgan", "wgan", "wgan_gp", "dragan", "acgan", "sagan", "sngan", "sngan_projection",
    "r3gan", "r3gan_conditional",
}  # fmt: skip


def test_the_pipelines_have_their_names():
    of_variants = {
        f"{verb}_{variant}" for verb in ("train", "evaluate", "sample", "export", "augment") for variant in VARIANTS
    }
    of_folders = {"evaluate_folder", "augment_folder"}
    assert set(register_pipelines()) == {"ingest", "compare", "__default__"} | of_variants | of_folders


def test_training_reads_images_and_writes_all_that_a_run_leaves():
    pipeline = register_pipelines()["train_wgan_gp"]
    assert {name for name in pipeline.inputs() if not name.startswith("params:")} == {
        "image_sets", "extractors", "references", "tracker", "wgan_gp.checkpoints", "wgan_gp.milestones",
    }  # fmt: skip
    assert pipeline.outputs() == {
        "manifest",
        "image_grid",
        *(f"wgan_gp.{kind}" for kind in ("model_summary", "sample_grids", "loss_curves")),
    }
    assert {"wgan_gp.scores", "wgan_gp.score_findings", "wgan_gp.neighbours"} < pipeline.datasets()
    kinds = ("generator", "best_generator", "history", "model")
    assert {"monitor", *(f"wgan_gp.{kind}" for kind in kinds)} < pipeline.datasets()


def test_evaluation_takes_the_generator_from_the_catalog():
    pipeline = register_pipelines()["evaluate_dcgan"]
    assert {"dcgan.generator", "dcgan.best_generator"} < pipeline.inputs()
    assert "train_gan" not in str(pipeline)


def test_the_default_scores_a_conditional_variant_and_then_runs_its_experiment():
    pipelines = register_pipelines()
    default = [node.name for node in pipelines["__default__"].nodes]
    train, augment = ([node.name for node in pipelines[f"{verb}_cdcgan"].nodes] for verb in ("train", "augment"))
    assert {*default} == {*train, *augment}
    scored = max(
        default.index(f"cdcgan.{name}")
        for name in ("score_generators", "show_neighbours", "export_generator", "check_training")
    )
    assert scored < default.index("cdcgan.train_generators")


def test_a_training_is_checked_after_all_else_and_exported_just_before():
    nodes = [node.name for node in register_pipelines()["train_wgan_gp"].nodes]
    assert nodes[-2:] == ["wgan_gp.export_generator", "wgan_gp.check_training"]


def test_the_experiment_takes_images_and_trains_generators_of_its_own():
    pipeline = register_pipelines()["augment_wgan_gp"]
    assert {name for name in pipeline.inputs() if not name.startswith("params:")} == {
        "image_sets", "extractors", "references", "tracker",
        "wgan_gp.replicate_checkpoints", "wgan_gp.synthetic_store", "wgan_gp.fits",
    }  # fmt: skip
    assert "train_gan" not in str(pipeline)
    of_variant = (
        "synthetic_images",
        "comparisons",
        "class_comparisons",
        "simple_scores",
        "verdicts",
        "arms_figure",
        "arm_curves",
    )
    assert {"leaks", *(f"wgan_gp.{kind}" for kind in of_variant)} < pipeline.outputs() | pipeline.datasets()


def test_the_experiment_with_pictures_made_elsewhere_is_the_same_but_trains_no_generator():
    pipelines = register_pipelines()
    pipeline = pipelines["augment_folder"]
    assert {name for name in pipeline.inputs() if not name.startswith("params:")} == {
        "image_sets", "references", "tracker", "folder.synthetic_store", "folder.fits",
    }  # fmt: skip

    def from_replicates_on(name, namespace):
        experiment = pipelines[name].from_inputs(f"{namespace}.replicates")
        return {node.name.removeprefix(f"{namespace}.") for node in experiment.nodes}

    assert from_replicates_on("augment_folder", "folder") == from_replicates_on("augment_wgan_gp", "wgan_gp")
    assert {"folder.near_copies", "folder.near_copies_shown", "folder.verdicts"} < pipeline.datasets()


def test_a_comparison_takes_what_all_runs_have_left():
    pipeline = register_pipelines()["compare"]
    inputs = {name for name in pipeline.inputs() if not name.startswith("params:")}
    assert inputs == {"all_runs", "image_grid", "manifest"}
    assert pipeline.outputs() == {"score_table", "scores_by_epoch", "comparison", "recipe_findings"}


def test_sampling_takes_the_generator_from_the_catalog():
    pipeline = register_pipelines()["sample_acgan"]
    assert pipeline.inputs() == {"acgan.generator", "params:sampling", "params:runtime.device"}
    assert pipeline.outputs() == {"acgan.samples", "acgan.samples_grid"}


def test_an_export_takes_the_generator_from_the_catalog_and_scores_what_it_makes():
    pipelines = register_pipelines()
    pipeline = pipelines["export_acgan"]
    assert {name for name in pipeline.inputs() if not name.startswith("params:")} == {
        "image_sets", "extractors", "references", "acgan.generator", "acgan.scores",
    }  # fmt: skip
    assert {"acgan.model", "acgan.exported_scores"} < pipeline.datasets()
    alone = pipeline.to_outputs("acgan.model")
    assert alone.inputs() == {"acgan.generator", "acgan.scores", "params:export", "params:experiment"}
    assert {node.name for node in alone.nodes} < {node.name for node in pipelines["train_acgan"].nodes}


@pytest.mark.integration
def test_listing_the_pipelines_loads_no_large_package():
    code = (
        "import atexit, sys; from kedro.framework.cli.cli import main; sys.argv = ['kedro', 'registry', 'list']; "
        "large = {'torch', 'mlflow', 'matplotlib.figure', 'onnx', 'onnxruntime', 'pandas', 'sklearn.base', 'ray'}; "
        "atexit.register(lambda: print('loaded', large & sys.modules.keys())); main()"
    )
    root = Path(__file__).parents[2]
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root).stdout
    assert "- train_dcgan\n" in printed
    assert "loaded set()" in printed
