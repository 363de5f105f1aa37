"""Write pages of docs/results, and the figures of the one on scores, from the rows beside them.

    python benchmarks/pages.py fashion_mnist

A page has a template, benchmarks/templates/<page>.md.jinja, and a function here that computes its numbers from the rows
in docs/results/<page>/. So no number of a page is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from scipy.special import stdtrit

from gan_pipelines.metrics import compare_recipes
from plot_scores import read_tables, write_figures
from scores import FLOORS, RANDOM, STRATIFIED, TEST

RESULTS = Path(__file__).parents[1] / "docs/results"
Numbers = dict[str, Any]


def main() -> None:
    """Write the pages that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", choices=[*PAGES])
    for page in parser.parse_args().pages:
        (RESULTS / f"{page}.md").write_text(render(page))
        if page == "scores":
            write_figures(RESULTS / page)


def render(page: str) -> str:
    """Render a page from its rows."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["fixed"] = lambda number, digits=0: f"{number:,.{digits}f}"
    environment.filters["points"] = lambda share: f"{share * 100:+.1f}"
    environment.filters["spread"] = lambda values, digits=1: f"{values.mean():.{digits}f} ± {values.std():.{digits}f}"
    return environment.get_template(f"{page}.md.jinja").render(PAGES[page](RESULTS / page))


def fashion_mnist(folder: Path) -> Numbers:
    """Losses and accuracies beside the published ones, and the scores of the objectives over three seeds."""
    history, scores = pd.read_csv(folder / "history.csv"), pd.read_csv(folder / "scores.csv", dtype={"seed": str})
    by_run = history.groupby(["variant", "objective", "seed", "precision"])
    batch_accuracies = ["batch_real_accuracy", "batch_fake_accuracy"]
    steps = by_run[batch_accuracies].diff().abs().stack()
    plain = history[(history["objective"] == "non_saturating") & (history["seed"] == 0)]
    plain = plain[plain["precision"] == plain["variant"].map({"mlp_gan": "fp32", "dcgan": "bf16"})]
    runs = scores.set_index([*scores.columns[: scores.columns.get_loc("weights") + 1]])
    fids = runs["fid"].unstack("weights")
    objectives = scores.query("variant == 'mlp_gan' and precision == 'bf16'")
    return {
        "epochs": plain.assign(epoch=plain["epoch"] - 1).set_index(["variant", "epoch"]),
        "largest_step": steps.max(),
        "median_step": steps.median(),
        "by_objective": dict(list(objectives.set_index("weights").groupby("objective"))),
        "fids": fids,
        "single": runs.xs(("non_saturating", "0"), level=("objective", "seed")),
        "raw_ratios": _compare_objectives(objectives[objectives["weights"] == "raw"]),
        "ema_gain": (fids["raw"] / fids["ema"]).loc["mlp_gan"],
        "heldout_accuracy": scores["extractor_heldout_accuracy"].iloc[0],
    }


def _compare_objectives(runs: pd.DataFrame) -> pd.DataFrame:
    """Compare the FIDs of objectives as `compare` does, by the objective with the lower FID and the other."""
    scores: dict[str, list[dict[str, Any]]] = {objective: [] for objective in runs["objective"].unique()}
    for run in runs.to_dict("records"):
        trained = {"recipe": "", "trained_epochs": run["epoch"], "seed": run["seed"], "sampling_seed": 0}
        scores[run["objective"]].append(
            {
                "metric": "fid",
                "value": run["fid"],
                "comparability": {"metric": "fid", "samples": run["samples"]},
                "identity": {"generator": "last", "weights": run["weights"], **trained},
            }
        )
    compared = compare_recipes(scores, {(objective, ""): objective for objective in scores})
    return compared.set_index(["variant", "other_variant"])


def augmentation(folder: Path) -> Numbers:
    """Accuracies, differences and verdicts of the augmentation experiments."""
    scores, comparisons = (pd.read_csv(folder / f"digits_{table}.csv") for table in ("arm_scores", "comparisons"))
    main = scores[scores["is_main"]]
    recalls = pd.read_csv(folder / "digits_class_comparisons.csv").query("is_primary and baseline == 'transformed'")
    return {
        "arms": {str(arm): rows for arm, rows in main.groupby("arm", sort=False)},
        "by_rate": scores.pivot_table("accuracy", "arm", "learning_rate", sort=False),
        "learning_rate": main["learning_rate"].iloc[0],
        "differences": comparisons[comparisons["is_main"]].set_index("arm"),
        "simple": pd.read_csv(folder / "digits_simple_scores.csv").groupby("classifier", sort=False)["accuracy"],
        "most_changed": recalls.loc[recalls["recall_difference"].abs().idxmax()],
        "verdicts": json.loads((folder / "digits_verdicts.json").read_text()),
        "planted": _read_planted(folder / "planted_comparisons.csv"),
        "cards": pd.read_csv(folder / "cards_comparisons.csv").set_index("arm"),
    }


def _read_planted(path: Path) -> list[dict[Hashable, Any]]:
    """The verdicts on images of known effect, if `make measure-planted` has measured them."""
    return pd.read_csv(path).query("is_primary").to_dict("records") if path.exists() else []


def scores(folder: Path) -> Numbers:
    """Variation of FID by seed and number of samples, scores of real images, and responses to damage."""
    chance = pd.concat(read_tables(folder, "chance-"), names=["env", None]).reset_index("env")
    by_seed = chance[chance["what"] == "sampling seeds"]
    tables = read_tables(folder, "floors-")
    damaged = {env: dict(list(table.groupby("damage"))) for env, table in tables.items()}
    undamaged = {env: table.query("damage.str.startswith('noise') and amount == 0") for env, table in tables.items()}
    floors = {env: dict(list(table[table["damage"].isin(FLOORS)].groupby("damage"))) for env, table in tables.items()}
    dropped, repeated = ("dropped classes, share of them", "repeated images, copies of each")
    raw_logs = _by_weights(by_seed[by_seed["sampling_seed"] == 0])["base", "raw"].map(math.log)
    return {
        "sampling": _by_weights(by_seed[by_seed["training_seed"] == 0]),
        "training": _by_weights(by_seed[by_seed["sampling_seed"] == 0]),
        "counts": {
            env: rows.set_index(["training_seed", "samples"])["fid"]
            for env, rows in chance[chance["what"] == "number of samples"].groupby("env")
        },
        "floors": floors,
        "random": RANDOM,
        "stratified": STRATIFIED,
        "test": TEST,
        "part": lambda rows: f"{rows.get('is_part', rows['images']).iloc[0]:,.0f}",
        "raw_log_deviation": raw_logs.std(),
        "raw_ratio": math.exp(1.96 * math.sqrt(2) * raw_logs.std()),
        "raw_ratio_of_three_seeds": math.exp(float(stdtrit(len(raw_logs) - 1, 0.975)) * math.sqrt(2) * raw_logs.std()),
        "dropped": damaged["base"][dropped].iloc[[0, -1]],
        "repeated": damaged["base"][repeated].iloc[[0, -1]],
        "unnoticed": max(
            (rows[["precision", "density"]] - rows[["precision", "density"]].iloc[0])
            .iloc[: -1 if env == "base" else None]
            .abs()
            .max(axis=None)
            for env in damaged
            for rows in (damaged[env][dropped], damaged[env][repeated])
        ),
        "undamaged": undamaged,
        "scores": [("fid", 2), ("kid", 3), ("is", 2), ("precision", 2), ("recall", 2), ("density", 2), ("coverage", 2)],
        "others": [
            ("Fashion-MNIST", "fashion_mnist"),
            ("CIFAR-10, 32x32", "cifar10_32"),
            ("playing cards, 64x64", "playing_cards"),
        ],
        "damages": [
            ("noise, standard deviation in grey levels", ""),
            ("blur, standard deviation in pixels", " (a kernel of 13 pixels, which cuts the 4 off to about 3)"),
            ("dropped classes, share of them", ""),
            ("repeated images, copies of each", ""),
        ],
        "percent": lambda values: f"{values.std() / values.mean():.0%}".replace("%", " %"),
        "percent_of": lambda rows: f"{rows['heldout_accuracy'].iloc[0]:.1%}",
        "sizes": lambda rows: f"{rows['images'].iloc[0]:,} / {rows['reference_images'].iloc[0]:,}",
        "amounts": lambda damage: ", ".join(f"{amount:g}" for amount in damaged["base"][damage]["amount"]),
        "responses": lambda env, damage: "; ".join(f"{fid:,.3g}" for fid in damaged[env][damage]["fid"]),
    }


def _by_weights(rows: pd.DataFrame) -> dict[Hashable, pd.Series[float]]:
    """FIDs by environment and set of weights."""
    return dict(list(rows.groupby(["env", "weights"])["fid"]))


PAGES: dict[str, Callable[[Path], Numbers]] = {
    "augmentation": augmentation,
    "fashion_mnist": fashion_mnist,
    "scores": scores,
}

if __name__ == "__main__":
    main()
