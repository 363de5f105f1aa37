from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError, Version

from comparison_page import make_page, write_runs
from gan_pipelines import datasets, figures
from gan_pipelines.core.config import ConfigError
from gan_pipelines.datasets import CataloguedRun
from gan_pipelines.gan import VARIANTS, PenaltyConfig, train
from gan_pipelines.pipelines.reporting import nodes


def record(fingerprint="f", recipe="r", extractor="x", generator="last", value=1.0, samples=100, seed=0):
    return {
        "metric": "fid",
        "value": value,
        "comparability": {
            "metric": "fid", "samples": samples, "extractor": extractor, "extractor_weights": "w",
            "resize_filter": "bicubic", "reference_split": "train", "reference_hash": "0" * 64,
        },
        "identity": {
            "generator": generator, "weights": "ema", "epoch": 4 if generator == "last" else 2,
            "trained_epochs": 4, "recipe": recipe, "seed": seed,
            "sampling_seed": 0, "data_hash": "d" * 64, "fingerprint": fingerprint, "device": "cpu",
            "mlflow_run_id": "m",
        },
        "extractor": {"heldout_accuracy": 0.9},
        "flags": ["poor"] if value > 1 else [],
    }  # fmt: skip


def run(variant, version, *scores, **entries):
    loaders = {
        "scores": lambda: list(scores),
        "history": lambda: pd.DataFrame({"epoch": [int(version)], "fid_1k": [1.0]}),
    }
    return CataloguedRun(
        variant, version, loaders | {name: lambda value=value: value for name, value in entries.items()}
    )


def epochs_drawn(runs):
    lines = nodes.plot_scores_by_epoch(runs).axes[0].lines
    return {
        line.get_label() if not line.get_label().startswith("_") else "again": list(line.get_xdata()) for line in lines
    }


def test_a_training_that_was_scored_twice_has_one_line_its_newest():
    assert epochs_drawn([run("a", "1", record()), run("a", "2", record())]) == {"a": [2]}


def folder_record(recipe, name, value):
    made = record(recipe=recipe, value=value)
    return made | {
        "identity": {
            "generator": "elsewhere", "weights": "elsewhere", "name": name, "recipe": recipe, "trained_epochs": 0,
            "seed": 0, "sampling_seed": 0, "data_hash": "d" * 64, "device": "cpu",
        }
    }  # fmt: skip


def test_pictures_made_elsewhere_are_a_row_beside_generators_scored_alike():
    runs = [
        run("dcgan", "1", record(value=3.0)),
        CataloguedRun("folder", "2", {"scores": lambda: [folder_record("p", "turbo", 0.5)]}),
        CataloguedRun("folder", "3", {"scores": lambda: [folder_record("q", "flux", 9.0)]}),
    ]
    averages = nodes.average_scores(runs)
    names = nodes._name_recipes(runs)
    (measured,) = nodes._measured(runs, averages)
    (table,) = figures.score_tables.lay_out_scores(measured, names)
    assert [(row.name, row.epochs, row.cells[0].last.value) for row in table.rows] == [
        ("folder (turbo)", 0, 0.5), ("dcgan", 4, 3.0), ("folder (flux)", 0, 9.0),
    ]  # fmt: skip
    assert len(nodes.compare_recipes(runs)) == 0
    assert nodes._list_flags(runs, names) == {"dcgan": ["Seed 0: poor"], "folder (flux)": ["poor"]}
    listed = nodes.list_runs(runs).set_index("run")
    assert listed.loc["2", "fid"] == 0.5
    assert listed.loc["1", "fid_ema"] == 3.0


def test_trainings_scored_with_another_extractor_than_the_newest_are_not_drawn():
    old, new = run("b", "1", record("g", extractor="y")), run("a", "2", record())
    assert epochs_drawn([new, old]) == {"a": [2]}
    fewer_splits = record("h") | {"metric": "is"}
    fewer_splits["comparability"] |= {"metric": "is", "is_splits": 5}
    assert epochs_drawn([new, run("c", "1", record("h"), fewer_splits)]) == {"a": [2]}
    same_but_for_samples = run("a", "1", record(samples=50)), run("b", "2", record("g"))
    assert epochs_drawn(same_but_for_samples) == {"a": [1], "b": [2]}


def test_recipes_of_a_variant_are_drawn_and_named_by_the_settings_in_which_they_differ():
    objectives = {"r": "minimax", "s": "hinge"}
    runs = [
        run(
            "mlp_gan",
            f"{seed}{recipe}",
            record(f"{recipe}{seed}", recipe, value=value + seed, seed=seed),
            config=replace(VARIANTS["mlp_gan"], objective=objective),
            history=pd.DataFrame({"epoch": [1], "fid_1k": [value]}),
        )
        for (recipe, objective), value in zip(objectives.items(), (10.0, 200.0), strict=True)
        for seed in range(3)
    ]
    lines = nodes.plot_scores_by_epoch(runs).axes[0].lines
    labels = [line.get_label() for line in lines if not line.get_label().startswith("_")]
    assert labels == ["mlp_gan (objective minimax)", "mlp_gan (objective hinge)"]
    assert len({line.get_color() for line in lines}) == 2
    (sentence,) = nodes.compare_recipes(runs)["sentence"]
    minimax, hinge = "mlp_gan (objective minimax) after 4 epochs", "mlp_gan (objective hinge) after 4 epochs"
    assert sentence.startswith(f"{minimax} against {hinge}, ema weights: better.")
    assert sentence in page_of(runs)


def test_recipes_with_the_same_settings_are_told_apart_by_their_hash():
    config = VARIANTS["mlp_gan"]
    configs = {"old000": config, "new000": config, "batch0": replace(config, batch_size=32)}
    runs = [
        run("a", str(number), record(recipe, recipe), config=each)
        for number, (recipe, each) in enumerate(configs.items())
    ]
    drawn = {
        f"a (batch_size {config.batch_size}) {recipe}": [number] for number, recipe in enumerate(["old000", "new000"])
    }
    assert epochs_drawn(runs) == {**drawn, "a (batch_size 32)": [2]}
    assert list(epochs_drawn(runs[:2])) == ["a (old000)", "a (new000)"]


def test_runs_are_listed_with_scores_provenance_and_flags():
    table = nodes.list_runs([run("a", "1", record(), record(generator="best", value=2.0))])
    (row,) = table.to_dict("records")
    assert (row["run"], row["variant"], row["fid_ema"], row["best_fid_ema"]) == ("1", "a", 1.0, 2.0)
    assert (row["epochs"], row["best_epoch"], row["mlflow_run"], row["flags"]) == (4, 2, "m", "poor")


def test_a_run_whose_generator_was_scored_alone_has_no_best_epoch():
    (row,) = nodes.list_runs([run("a", "1", record())]).to_dict("records")
    assert (row["epochs"], row["best_epoch"]) == (4, None)


@pytest.fixture
def generators(tiny_gan, tiny_images):
    def make(**changes):
        return list(train(replace(tiny_gan, epochs=1, **changes), tiny_images, device="cpu"))[-1].generator

    return make


def test_settings_that_differ_within_a_variant_are_columns():
    plain = replace(VARIANTS["wgan_gp"], batch_size=8)
    configs = {
        "r": plain,
        "s": replace(plain, batch_size=16),
        "t": replace(plain, seed=5, epochs=7, preview_weights="raw"),
    }
    runs = [
        run("a", str(number), record(recipe=recipe), config=config)
        for number, (recipe, config) in enumerate(configs.items())
    ]
    table = nodes.list_runs(runs)
    assert table["batch_size"].tolist() == ["8", "16", "8"]
    assert list(table.columns[:7]) == ["run", "variant", "seed", "epochs", "recipe", "batch_size", "fid_ema"]
    other_variant = run("b", "1", record(recipe="s"), config=configs["s"])
    assert "batch_size" not in nodes.list_runs([runs[0], other_variant])


def test_a_setting_that_one_recipe_lacks_is_none():
    bound = VARIANTS["wgan_gp"]
    free = replace(bound, penalties=(), objective="hinge")
    runs = [run("a", "1", record(recipe="r"), config=free), run("a", "2", record(recipe="s"), config=bound)]
    assert nodes.list_runs(runs)["penalties"].tolist() == ["none", "line 1 x 10"]


def test_a_recipe_is_named_by_each_of_its_penalties():
    real, lazy = PenaltyConfig(at="real", target_norm=0, weight=0.5, every_steps=16), PenaltyConfig(one_sided=True)
    penalties = {"r": (), "s": (real,), "t": (real, lazy)}
    runs = [
        run("a", recipe, record(recipe=recipe), config=replace(VARIANTS["dcgan"], penalties=each))
        for recipe, each in penalties.items()
    ]
    assert [*nodes._name_recipes(runs).values()] == [
        "a (penalties none)",
        "a (penalties real 0 x 0.5 every 16 steps)",
        "a (penalties real 0 x 0.5 every 16 steps and line 1 one-sided x 10)",
    ]


def broken():
    raise DatasetError("written by an older version")


def test_runs_without_a_readable_configuration_show_blanks():
    plain = VARIANTS["wgan_gp"]
    runs = [
        run("a", "1", record(recipe="r"), config=plain),
        run("a", "2", record(recipe="s"), config=replace(plain, batch_size=8)),
        run("a", "3", record(recipe="t")),
        CataloguedRun("a", "4", {"scores": lambda: [record(recipe="u")], "config": broken}),
    ]
    runs = nodes.read_runs(runs)
    table = nodes.list_runs(runs)
    assert table["batch_size"].fillna("").tolist() == ["64", "8", "", ""]
    assert nodes.list_runs(runs[2:])["run"].tolist() == ["3", "4"]
    assert "<dd>4</dd>" in page_of(runs)


def test_only_the_newest_readable_generator_of_each_variant_is_loaded(generators):
    good = generators()
    unread = CataloguedRun("a", "1", {"generator": lambda: pytest.fail("an older generator was loaded")})
    torn = CataloguedRun("a", "3", {"generator": broken, "scores": lambda: [record(recipe="s")]})
    runs = [unread, run("a", "2", record(), generator=good), torn, CataloguedRun("b", "1", {"generator": broken})]
    runs = nodes.read_runs(runs)
    assert list(nodes.interpolate_latents(runs, "cpu")) == ["a 2"]
    assert len(nodes.list_runs(runs[1:3])) == 2


def page_of(runs):
    """The page of some runs."""
    runs = nodes.read_runs(runs)
    averages = nodes.average_scores(runs)
    grid = {"real": np.zeros((8, 8, 3), np.uint8)}
    recipes = nodes.compare_recipes(runs)
    return nodes.render_comparison(runs, averages, recipes, nodes.list_runs(runs), {}, grid, {}, "digits")


def test_losses_are_those_of_the_newest_run_however_it_was_scored():
    runs = [run("a", "1", record("f")), run("a", "2", record("g")), run("a", "3", record("f", extractor="y"))]
    page = page_of([replace(each, loaders=each.loaders | {"history": history}) for each in runs])
    losses = page[page.index('id="losses"') : page.index('id="runs"')]
    assert re.findall(r"<summary><b>a</b> <span[^>]*>(.)</span>", losses) == ["3"]
    assert "Careful" not in page


def history():
    return pd.DataFrame({"epoch": [1, 2], "generator_loss": [1.0, 2.0], "fid_1k": [1.0, 2.0]})


def test_a_run_that_was_only_scored_can_be_compared():
    scored = CataloguedRun("a", "1", {"scores": lambda: [record()]})
    assert "Losses and accuracies" not in page_of([scored])
    assert nodes.plot_scores_by_epoch([scored]).texts


def test_each_variant_shows_its_newest_generator_in_between(generators, monkeypatch):
    old, new = generators(), generators(seed=1)
    runs = [run("a", "1", generator=old), run("a", "2", generator=new), run("b", "1", record())]
    shown = nodes.interpolate_latents(runs, "cpu")
    assert list(shown) == ["a 2"]
    again = nodes.interpolate_latents(runs[1:], "cpu")
    assert np.array_equal(shown["a 2"], again["a 2"])
    assert not np.array_equal(shown["a 2"], nodes.interpolate_latents(runs[:1], "cpu")["a 1"])


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_interpolations_use_the_weights_for_previews(generators, weights):
    generator = generators(preview_weights=weights)
    other = "raw" if weights == "ema" else "ema"
    swapped = replace(generator, weights=generator.weights | {other: generator.weights[weights]})
    shown, same = (nodes.interpolate_latents([run("a", "1", generator=each)], "cpu") for each in (generator, swapped))
    assert np.array_equal(shown["a 1"], same["a 1"])
    blank = {name: tensor * 0 for name, tensor in generator.weights[weights].items()}
    changed = replace(generator, weights=generator.weights | {weights: blank})
    assert not np.array_equal(shown["a 1"], nodes.interpolate_latents([run("a", "1", generator=changed)], "cpu")["a 1"])


AUGMENTED = {
    "arm_scores": pd.DataFrame({"fraction": [0.1], "arm": ["added"], "accuracy": [0.9]}),
    "comparisons": pd.DataFrame(
        {
            "fraction": [0.1], "arm": ["added"], "baseline": ["real"], "is_primary": [True], "verdict": ["helps"],
            "difference": [0.1], "interval_low": [0.05], "interval_high": [0.2],
        }
    ),
    "verdicts": [{"sentence": "Images help.", "verdict": "helps", "fraction": 0.1, "baseline": "real"}],
}  # fmt: skip
FILES = {
    "scores": ("JSONDataset", "scores.json"),
    "config": ("GanConfigDataset", "config.json"),
    "history": ("CSVDataset", "history.csv"),
    "arm_scores": ("CSVDataset", "arm_scores.csv"),
    "comparisons": ("CSVDataset", "comparisons.csv"),
    "verdicts": ("JSONDataset", "verdicts.json"),
    "generator": ("GeneratorDataset", "generator.safetensors"),
    "sample_grids": ("PicturesDataset", "sample_grids"),
    "neighbours": ("PicturesDataset", "neighbours"),
}
DAMAGES = {
    "removed": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 3]),
    "zeroed": lambda path: path.write_bytes(b"\0" * path.stat().st_size),
    "text": lambda path: path.write_text("junk"),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
    "a number": lambda path: path.write_text("3"),
    "a list": lambda path: path.write_text("[]"),
    "a list of mappings": lambda path: path.write_text("[{}]"),
    "a mapping": lambda path: path.write_text("{}"),
}


@pytest.fixture
def saved_runs(tmp_path, generators):
    """Files of three runs, each saved by its dataset: two of one variant, and one of another."""
    generator = generators()
    for seed, (variant, version) in enumerate([("a", "2026-1"), ("a", "2026-2"), ("b", "2026-3")]):
        data = {
            "scores": [record(f"f{seed}", variant, seed=seed)],
            "config": generator.config,
            "history": history(),
            **AUGMENTED,
            "verdicts": [{"sentence": f"Images help {variant} {version}."}],
            "generator": generator,
            "sample_grids": {"epoch-0001": np.zeros((8, 8, 3), np.uint8)},
            "neighbours": {"neighbours": np.zeros((8, 8, 3), np.uint8)},
        }
        for entry, (kind, name) in FILES.items():
            arguments = {"save_args": {"index": False}} if kind == "CSVDataset" else {}
            path = str(tmp_path / variant / name)
            getattr(datasets, kind)(filepath=path, version=Version(None, version), **arguments).save(data[entry])
    entries = {
        entry: {"type": f"gan_pipelines.datasets.{kind}", "filepath": f"{tmp_path}/{{variant}}/{name}"}
        for entry, (kind, name) in FILES.items()
    }
    return datasets.RunsDataset(entries=entries)


@pytest.mark.parametrize("entry", FILES)
def test_a_torn_file_of_one_run_is_named_and_takes_nothing_from_the_others(saved_runs, tmp_path, entry, caplog):
    (damaged,) = (tmp_path / "a" / FILES[entry][1] / "2026-2").iterdir()
    damaged = next(damaged.iterdir()) if damaged.is_dir() else damaged
    whole = damaged.read_bytes()
    for damage in DAMAGES.values():
        damage(damaged)
        caplog.clear()
        read = nodes.read_runs(saved_runs.load())
        lines = [
            message for message in caplog.messages if f"{entry} of a 2026-2 cannot be used and is left out: " in message
        ]
        assert len(lines) == (damaged.exists() or entry in ("sample_grids", "neighbours"))
        assert len(caplog.messages) == len(lines)
        assert {(run.variant, run.version, name) for run in read for name in FILES if name not in run} == {
            ("a", "2026-2", entry)
        }
        damaged.write_bytes(whole)
    assert all(entry in run for entry in FILES for run in nodes.read_runs(saved_runs.load()))


@pytest.mark.parametrize("entry", ["scores", "history", "comparisons", "generator"])
def test_the_page_shows_what_a_torn_file_leaves(saved_runs, tmp_path, entry):
    for path in [*(tmp_path / "a" / FILES[entry][1] / "2026-2").rglob("*.*")]:
        if path.is_file():
            path.write_bytes(b"")
    runs = nodes.read_runs(saved_runs.load())
    interpolations = nodes.interpolate_latents(runs, "cpu")
    assert list(interpolations) == ["a 2026-1" if entry == "generator" else "a 2026-2", "b 2026-3"]
    assert nodes.list_runs(runs)["run"].tolist() == [
        version for version in ("2026-1", "2026-2", "2026-3") if entry != "scores" or version != "2026-2"
    ]
    page = page_of(saved_runs.load())
    helps = "2026-1" if entry in ("arm_scores", "comparisons", "verdicts") else "2026-2"
    assert f"Images help a {helps}." in page
    assert "Images help b 2026-3." in page


def test_if_neither_scores_nor_verdicts_can_be_read_a_sentence_says_so(saved_runs, tmp_path):
    for path in [*tmp_path.rglob("scores.json/*/scores.json"), *tmp_path.rglob("verdicts.json/*/verdicts.json")]:
        path.write_bytes(b"")
    sentence = "There is nothing to compare: no run has scores or verdicts that can be read."
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        nodes.read_runs(saved_runs.load())


def test_an_experiment_with_augmentation_results_alone_has_a_page(tmp_path):
    experiment = CataloguedRun("a", "1", {name: lambda part=part: part for name, part in AUGMENTED.items()})
    runs = nodes.read_runs([experiment])
    tables = [nodes.average_scores(runs), nodes.compare_recipes(runs), nodes.list_runs(runs)]
    for number, table in enumerate(tables):
        saved = datasets.CSVDataset(filepath=str(tmp_path / f"{number}.csv"), save_args={"index": False})
        saved.save(table)
        tables[number] = saved.load()
    assert nodes.plot_scores_by_epoch(runs).texts
    grid = {"real": np.zeros((8, 8, 3), np.uint8)}
    page = nodes.render_comparison(runs, *tables, nodes.interpolate_latents(runs, "cpu"), grid, {}, "digits")
    assert re.findall(r'<section id="(\w+)"', page) == ["images", "help"]
    assert "Images help." in page


def test_the_page_shows_grids_of_whole_epochs_and_of_parts_in_their_order(saved_runs, tmp_path):
    grids = dict.fromkeys(["epoch-0010", "epoch-0002.5", "epoch-0002"], np.zeros((8, 8, 3), np.uint8))
    path = str(tmp_path / "a" / FILES["sample_grids"][1])
    datasets.PicturesDataset(filepath=path, version=Version(None, "2026-4")).save(grids)
    assert re.findall(r'data-epoch="([^"]*)" alt="a,', page_of(saved_runs.load())) == ["2", "2.5", "10"]


def test_a_milestone_has_rows_and_columns_of_its_own():
    milestone = record(generator="milestone", value=1.75)
    milestone["identity"] |= {"epoch": 2, "trained_epochs": 2}
    runs = [run("a", "1", record(value=0.5)), run("a", "2", milestone)]
    listed = nodes.list_runs(runs).set_index("run")
    assert listed["fid_ema"].dropna().to_dict() == {"1": 0.5}
    assert listed["milestone_fid_ema"].dropna().to_dict() == {"2": 1.75}
    averages = nodes.average_scores(runs)
    assert averages.set_index("generator")["mean"].to_dict() == {"last": 0.5, "milestone": 1.75}
    page = page_of(runs)
    assert '<td data-value="a, milestone">' in page
    assert "Seed 0, milestone of epoch 2: poor" in page
    of_milestone, of_last = re.findall('<details class="run"><summary>(.*)</summary>', page)
    assert re.findall(">([^<]+)<", of_milestone)[:4] == ["a, milestone", "0", "2", "1.75"]
    assert re.findall(">([^<]+)<", of_last)[:4] == ["a", "0", "4", "0.5"]


def test_scores_measured_like_those_of_the_newest_run_come_first():
    old, new = run("b", "1", record("g", "s", extractor="old")), run("a", "2", record(extractor="new"))
    page = page_of([new, old])
    assert page.index("against train, new") < page.index("against train, old")


def test_best_and_last_are_merged_where_they_are_the_same():
    last, best = record(value=0.5), record(value=0.5, generator="best")
    assert "best 0.5" not in page_of([run("a", "1", last, best)])
    assert "best 0.25" in page_of([run("a", "1", last, best | {"value": 0.25})])


def test_lines_and_warnings_name_their_seed():
    page = page_of([run("a", "1", record("f", value=2.0, seed=3))])
    assert 'data-label="a" data-detail="seed 3"' in page
    assert "Seed 3: poor" in page


@pytest.mark.integration
def test_made_up_runs_have_a_row_for_each_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_runs(2 * len(VARIANTS) + 1)
    page = make_page()
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    assert table.count("<tr>") == 2 * len(VARIANTS)  # two recipes of each
    assert page.count('<details class="run">') == 2 * len(VARIANTS) + 1


def test_the_page_shows_the_newest_experiment_of_each_folder_of_pictures_by_its_name():
    def experiment(version, name):
        verdict = AUGMENTED["verdicts"][0] | {"name": name, "sentence": f"Images help {name} {version}."}
        parts = {**AUGMENTED, "verdicts": [verdict]}
        return CataloguedRun("folder", version, {entry: lambda part=part: part for entry, part in parts.items()})

    page = page_of([experiment("1", "sd_turbo"), experiment("2", "noise"), experiment("3", "sd_turbo")])
    assert re.findall(r"Images help (\w+ \d)\.", page) == ["sd_turbo 3", "noise 2"]
    assert "Do images of folder (sd_turbo) help?" in page
    assert "Do images of folder (noise) help?" in page
