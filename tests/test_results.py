"""The pages of docs/results say what the rows beside them say."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
import torch
import yaml

import augmentation
import ingestion
import pages
import precisions
from scores import RANDOM, STRATIFIED, choose_images, stratified_order


def test_floors_of_conditional_generators_have_the_class_frequencies_of_the_reference():
    labels = torch.tensor([0] * 40 + [1] * 20 + [2] * 20)
    first, second = (stratified_order(labels, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert first.sort().values.tolist() == list(range(80))
    assert not torch.equal(first, second)
    for start in range(0, 80, 8):
        assert torch.bincount(labels[first[start : start + 8]]).tolist() == [4, 2, 2]


def test_fewer_classes_are_left_and_images_are_repeated():
    labels = torch.arange(640) % 10
    chosen = {(damage.split(",")[0], amount): rows for damage, amount, rows in choose_images(labels)}
    left = {
        amount: len(labels[rows].unique()) for (damage, amount), rows in chosen.items() if damage.startswith("drop")
    }
    assert left == {0: 10, 0.1: 9, 0.2: 8, 0.5: 5, 0.8: 2}
    for copies in (1, 2, 4, 16, 64):
        assert torch.bincount(chosen["repeated images", copies]).tolist() == [copies] * (640 // copies)


def test_the_overview_states_the_factor_of_the_page_on_scores():
    numbers = pages.PAGES["scores"](pages.RESULTS / "scores")
    text = (pages.RESULTS / "README.md").read_text()
    assert f"more than {numbers['raw_ratio_of_three_seeds']:.1f} times the other" in text
    assert f"a factor of {numbers['raw_ratio']:.1f}, if the spread of three seeds were that of all" in text


def test_the_page_on_metrics_states_numbers_of_the_page_on_scores():
    numbers = pages.PAGES["scores"](pages.RESULTS / "scores")
    text = (pages.RESULTS.parent / "metrics.md").read_text()
    few, many = (numbers["counts"]["base"].xs(count, level="samples") for count in (500, 50_000))
    more = [f"{100 * excess:.0f}" for excess in sorted(few / many - 1)]
    assert f"500 samples gave {more[0]} to {more[-1]} % more than 50,000" in text
    fid, kid = ([numbers["floors"]["base"][kind][score] for kind in (STRATIFIED, RANDOM)] for score in ("fid", "kid"))
    assert f"have [{kid[0].mean():.3f} where" in text
    assert f"and {kid[1].mean():.3f} in random" in text
    assert f"FID of {fid[0].mean():.2f} ± {fid[0].std():.2f} if" in text
    assert f"and of {fid[1].mean():.2f} ± {fid[1].std():.2f} in random splits" in text
    assert f"the raw weights by {numbers['percent'](numbers['training']['base', 'raw'])}; on" in text


def test_the_page_on_metrics_states_numbers_of_the_five_experiments():
    objectives = pages.PAGES["experiments"](pages.RESULTS / "experiments")["objectives"]
    text = " ".join((pages.RESULTS.parent / "metrics.md").read_text().split())
    ratios, spreads = {"mlp_gan": [], "dcgan": []}, []
    for (variant, objective, weights), runs in objectives.items():
        if weights == "raw":
            averaged = objectives[variant, objective, "ema"].set_index("seed")["fid"]
            ratios[variant] += (runs.set_index("seed")["fid"] / averaged).tolist()
            spreads.append(100 * runs["fid"].std() / runs["fid"].mean())
    by_mlp, lower = ratios["mlp_gan"], sum(ratio > 1 for ratio in ratios["dcgan"])
    assert min(by_mlp) > 1
    assert f"by a factor of {min(by_mlp):.0f} to {max(by_mlp):.0f}, and in {lower} of 12 of `dcgan`" in text
    assert f"(experiments.md#objectives) by {min(spreads):.0f} to {max(spreads):.0f} %." in text


@pytest.mark.parametrize("page", pages.PAGES)
def test_a_page_is_what_its_rows_give(page):
    assert pages.locate(page).read_text() == pages.render(page)


def test_the_scores_of_both_precisions_are_written_as_the_page_reads_them():
    rows = pd.DataFrame(
        {"precision": ["fp32", "fp32"], "fid_ema": [3.0, 4.0], "fid_raw": [8.0, 8.0], "is_ema": [9.0, 9.0]}
    )

    table = precisions.summarize(rows)

    assert [table.index.name, *table.columns] == [*pd.read_csv(pages.RESULTS / "speed/bf16.csv").columns]
    assert table.loc["fp32", "fid_ema_mean"] == 3.5


def test_measuring_a_folder_again_replaces_its_rows_alone(tmp_path):
    path, speeds = tmp_path / "ingestion.csv", pd.read_csv(pages.RESULTS / "robustness/ingestion.csv")
    speeds.to_csv(path, index=False)
    title = speeds["folder"].iloc[0]

    ingestion.write_rows(path, title, speeds[speeds["folder"] == title].drop(columns="folder").assign(seconds=0.0))

    written = pd.read_csv(path)
    assert (written["seconds"] == 0.0).tolist() == (written["folder"] == title).tolist()
    assert sorted(written["folder"]) == sorted(speeds["folder"])


def test_the_rows_of_the_augmentation_experiment_are_the_newest_of_the_catalog(tmp_path):
    for entry in augmentation.ENTRIES:
        for version in ("2026-01-01", "2026-01-02"):
            path = tmp_path / "data/08_reporting/digits/cdcgan" / entry / version / entry
            path.parent.mkdir(parents=True)
            path.write_text(version)

    augmentation.copy_results(tmp_path, tmp_path)

    copied = sorted(tmp_path.glob("digits_*"))
    assert [path.name for path in copied] == sorted(path.name for path in pages.RESULTS.glob("augmentation/digits_*"))
    assert {path.read_text() for path in copied} == {"2026-01-02"}


def test_the_class_whose_recall_changes_most_may_be_one_whose_recall_rises(tmp_path):
    shutil.copytree(pages.RESULTS / "augmentation", tmp_path, dirs_exist_ok=True)
    table = pd.read_csv(tmp_path / "digits_class_comparisons.csv", dtype={"class": str})
    rows = (table["class"] == "4") & (table["baseline"] == "transformed")
    table.loc[rows, "recall_difference"] = 0.5
    table.to_csv(tmp_path / "digits_class_comparisons.csv", index=False)
    assert str(pages.PAGES["augmentation"](tmp_path)["most_changed"]["class"]) == "4"


def test_objectives_are_compared_by_the_same_classifier_alone():
    rows = pd.DataFrame(
        {
            "objective": objective,
            "seed": seed,
            "epoch": 40,
            "samples": 100,
            "weights": "raw",
            "fid": fid * (1 + seed / 9),
        }
        for objective, fid in (("minimax", 3.0), ("wasserstein", 9.0))
        for seed in range(3)
    )
    compared = pages.fashion_mnist.compare_objectives(rows.assign(heldout_accuracy=0.9))
    assert compared["ratio"].tolist() == pytest.approx([1 / 3])
    apart = rows.assign(heldout_accuracy=rows["objective"].map({"minimax": 0.9, "wasserstein": 0.8}))
    assert len(pages.fashion_mnist.compare_objectives(apart)) == 0


def test_the_choices_that_the_page_on_the_experiments_declares_are_those_of_the_configuration():
    choices = pd.read_csv(pages.RESULTS / "experiments/choices.csv").to_dict("records")
    assert len(choices) >= 15
    for choice in choices:
        assert pages.experiments.read(choice["experiment"], choice["setting"]) == yaml.safe_load(choice["value"]), (
            choice
        )
