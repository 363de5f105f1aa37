"""The numbers of the page on the five experiments: what was published, what is measured, and what was chosen."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

import pandas as pd
import yaml
from matplotlib.figure import Figure

from gan_pipelines.augmentation.config import AugmentationConfig
from gan_pipelines.core.config import parse
from gan_pipelines.figures import plot_scores_by_epoch
from gan_pipelines.figures.curves import plot_panels
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.gan.variants import parse_variant
from gan_pipelines.images.config import DatasetConfig
from gan_pipelines.metrics.config import ScoringConfig
from pages.fashion_mnist import compare_objectives

CONF = Path(__file__).parents[2] / "conf"
IMAGES = {
    "cifar10_64": 60_000,
    "cifar10_64_attention": 50_000,
    "playing_cards": 7_624,
    "cifar10_32": 50_000,
    "fashion_mnist": 60_000,
}
"""Number of training images, by experiment."""
ATTENTION = {"DCGAN": "cifar10_64_attention-dcgan-0", "SAGAN": "cifar10_64_attention-sagan-0"}
"""Trainings of `cifar10_64_attention`, by the name of their line in the figure."""
CARDS = "playing_cards-0.1-cdcgan-0"
"""The training of `playing_cards` on a tenth of the images."""
FASHION_MNIST = r"^fashion_mnist-(?P<variant>\w+)-(?P<objective>\w+)-(?P<seed>\d)$"
"""Parts of the name of a training of `fashion_mnist`."""
JUDGEMENTS = ["discriminator_loss", "generator_loss", "real_accuracy", "fake_accuracy"]
"""What its report states by epoch."""
RATES = ("speed/rates.jsonl", "gpu/recorded.jsonl")
"""Rows of `training_speed.py` on a CPU and on a GPU."""
COLLAPSE_PANELS = {"Diversity of samples, 1 for real images": "sample_diversity", "FID, 1k samples": "fid_1k"}
CARDS_PANELS = {
    "FID, 5k samples": "fid_5k",
    "IS, 5k samples": "is_5k",
    "Spread of IS over parts": "spread_of_is_5k",
}
"""Columns, by the titles of their panels."""
SECTIONS = {"augmentation": AugmentationConfig, "dataset": DatasetConfig, "scoring": ScoringConfig}


class Duration(NamedTuple):
    """How long a training takes.

    Attributes:
        images: real images that the discriminator sees.
        cpu: images per second on two cores; None if not measured.
        gpu: the same on an H100.
    """

    images: int
    cpu: float | None
    gpu: float | None


def compute(folder: Path) -> dict[str, Any]:
    """Published figures beside ours, durations, and choices with the values that the configuration has."""
    published = pd.read_csv(folder / "published.csv", dtype={"epoch": "Int64"})
    choices = pd.read_csv(folder / "choices.csv")
    history, scores, on_cpu = (pd.read_csv(folder / f"{name}.csv") for name in ("history", "scores", "cpu"))
    last, last_on_cpu = find_last_scores(scores), find_last_scores(on_cpu)
    return {
        "published": dict(list(published.groupby("experiment", sort=False))),
        "durations": {pair: estimate(folder, *pair) for pair in list_variants()},
        "choices": [
            row | {"value": show(read(row["experiment"], row["setting"]))} for row in choices.to_dict("records")
        ],
        "last": last,
        "last_on_cpu": last_on_cpu,
        "cards": tabulate_by_epoch(on_cpu, CARDS),
        "by_epoch": scores[scores["metric"] == "fid_5k"].set_index(["training", "epoch"])["value"],
        "diversity": history.set_index(["training", "epoch"])["sample_diversity"],
        "attention": ATTENTION,
        "collapse": pd.read_csv(folder / "collapse.csv").set_index(["training", "epoch"]),
        "judgements": average_judgements(history),
        "objectives_on_gpu": compute_objectives(last)["objectives"],
        **compute_objectives(pd.concat([last.drop(last_on_cpu.index, errors="ignore"), last_on_cpu])),
    }


def find_last_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of each training's last generator, in a column each, by training and set of weights."""
    of_last = scores[scores["samples"].notna()]
    common = of_last.groupby(["training", "weights"])[["epoch", "epochs", "samples", "heldout_accuracy"]].first()
    return common.join(of_last.pivot(index=["training", "weights"], columns="metric", values="value"))


def average_judgements(history: pd.DataFrame) -> pd.DataFrame:
    """Losses and accuracies of Fashion-MNIST's networks with their own objective: means over seeds, by epoch from 0."""
    rows = history.join(history["training"].str.extract(FASHION_MNIST)).query("objective == 'non_saturating'")
    return rows.assign(epoch=rows["epoch"] - 1).groupby(["variant", "epoch"])[JUDGEMENTS].mean()


def compute_objectives(last: pd.DataFrame) -> dict[str, Any]:
    """Scores of Fashion-MNIST's objectives by networks, objective and weights, and the differences that they show."""
    runs = last.reset_index()
    runs = runs.join(runs["training"].str.extract(FASHION_MNIST)).dropna(subset="seed")
    compared = {key: compare_objectives(rows) for key, rows in runs.groupby(["variant", "weights"])}
    return {"objectives": dict(list(runs.groupby(["variant", "objective", "weights"]))), "compared": compared}


def write_figures(folder: Path) -> None:
    """Write figures over epochs from their rows: attention.png, collapse.png and cards.png."""
    scores, on_cpu = (pd.read_csv(folder / name) for name in ("scores.csv", "cpu.csv"))
    fids = scores.query("metric == 'fid_5k'").rename(columns={"value": "fid_5k"})
    histories = {label: [fids.loc[fids["training"] == name, ["epoch", "fid_5k"]]] for label, name in ATTENTION.items()}
    plot_scores_by_epoch(histories).savefig(folder / "attention.png")
    plot(pd.read_csv(folder / "collapse.csv"), COLLAPSE_PANELS).savefig(folder / "collapse.png")
    cards = tabulate_by_epoch(on_cpu, CARDS).reset_index().assign(training="cdcgan")
    plot(cards, CARDS_PANELS).savefig(folder / "cards.png")


def plot(rows: pd.DataFrame, columns: dict[str, str]) -> Figure:
    """Plot columns over epochs, a line for each training: the columns by the titles of their panels."""
    trainings = {str(name): each.set_index("epoch") for name, each in rows.groupby("training", sort=False)}
    return plot_panels(
        {title: {name: [each[column]] for name, each in trainings.items()} for title, column in columns.items()}
    )


def tabulate_by_epoch(scores: pd.DataFrame, training: str) -> pd.DataFrame:
    """The scores of few samples during a training, in a column each, by epoch."""
    during = scores[(scores["training"] == training) & scores["samples"].isna()]
    return during.pivot(index="epoch", columns="metric", values="value")


def list_variants() -> list[tuple[str, str]]:
    """The variants of each experiment."""
    return [(experiment, variant) for experiment in IMAGES for variant in load(experiment)["variants"]]


def load(experiment: str) -> dict[str, Any]:
    """The parameters of an experiment, as its file states them."""
    parameters: dict[str, Any] = yaml.safe_load((CONF / experiment / "parameters.yml").read_text())
    return parameters


def configure(experiment: str, variant: str) -> GanConfig:
    """The settings of a variant in an experiment."""
    return parse_variant(variant, load(experiment)["variants"][variant])


def read(experiment: str, setting: str) -> Any:
    """The value of a setting, such as ``variants.wgan.discriminator_steps``, stated or a default, or of a constant."""
    section, *names = setting.split(".")
    if section == "gan_pipelines":
        return resolve_name(setting)
    if section == "variants":
        value: Any = asdict(configure(experiment, names.pop(0)))
    else:
        value = asdict(parse(SECTIONS[section], load(experiment)[section], section))
    for name in names:
        value = value[name]
    return [*value] if isinstance(value, tuple) else value


def show(value: Any) -> str:
    """A value as it stands in a file of settings."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)
    return text.splitlines()[0]


def estimate(folder: Path, experiment: str, variant: str) -> Duration:
    """Count the images of a training, and look up how fast they are seen."""
    config, parameters = configure(experiment, variant), load(experiment)
    workload = f"{variant} {parameters['dataset']['image_size']}"
    rates = [read_rate(folder.parent / path, workload, config.precision) for path in RATES]
    return Duration(config.epochs * config.images_per_epoch(IMAGES[experiment]), *rates)


def read_rate(path: Path, workload: str, precision: str) -> float | None:
    """Median speed of this project in a workload of `training_speed.py`; None if it was not measured."""
    rows = pd.read_json(path, lines=True)
    of_workload = rows[(rows["workload"] == workload) & (rows["contender"] == f"ours {precision}")]
    return of_workload["images_per_second"].median() if len(of_workload) else None
