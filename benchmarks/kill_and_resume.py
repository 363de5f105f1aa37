"""Kill training runs at random moments, resume them, and compare the results with those of uninterrupted runs.

    python benchmarks/kill_and_resume.py [RUNS] [--rows FILE]

Each run is a `kedro run` in a copy of the project, killed with SIGKILL up to three times: during training, while a
checkpoint is written, during scoring, or while the catalog saves. Prints a line for each run, and
writes how many gave the same results to FILE, a CSV.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.tracking import MlflowClient
from PIL import Image
from tqdm import tqdm

from catalog import KEDRO, copy_files, find_newest
from gan_pipelines.core.hashing import hash_arrays, hash_values
from gan_pipelines.gan import TrainedGenerator

EPOCHS = 12
SETTINGS = ",".join(
    [
        f"variants.wgan_gp.epochs={EPOCHS}",
        "variants.wgan_gp.networks.width=8",
        "dataset.image_size=16",
        "scoring.samples=2000",
        "scoring.classifier.epochs=1",
        "reporting.grid_every_epochs=5",
    ]
)
CHECKPOINTS = """
"{variant}.checkpoints":
  type: gan_pipelines.datasets.CheckpointStoreDataset
  filepath: data/06_models/${globals:experiment}/{variant}/checkpoints
  interval_seconds: 0.1
"""

Moment = Callable[[Path, subprocess.Popen[str], random.Random], None]
"""Waits for a moment to kill a run, given the project's folder, the run and a source of random numbers."""


def wait_in_training(project: Path, run: subprocess.Popen[str], draws: random.Random) -> None:
    """Wait until up to 4 seconds after the start of the training."""
    _await_line(run, "Running node: train_gan")
    time.sleep(draws.uniform(0, 4))


def wait_for_checkpoint(project: Path, run: subprocess.Popen[str], draws: random.Random) -> None:
    """Wait until the second to seventh checkpoint is being written."""
    _await_line(run, "Running node: train_gan")
    for _ in range(draws.randint(1, 6)):
        _await_file(run, project / "data/06_models", ".unfinished-*.pt")
        time.sleep(0.15)
    _await_file(run, project / "data/06_models", ".unfinished-*.pt")
    time.sleep(draws.uniform(0, 0.004))


def wait_in_scoring(project: Path, run: subprocess.Popen[str], draws: random.Random) -> None:
    """Wait until up to a second after the start of the scoring."""
    _await_line(run, "Running node: score_generators")
    time.sleep(draws.uniform(0, 1))


def wait_for_catalog(project: Path, run: subprocess.Popen[str], draws: random.Random) -> None:
    """Wait until a file of a random catalog entry is being written."""
    entry = draws.choice(["manifest.json", "model_summary.csv", "history.csv", "loss_curves.png", "scores.json"])
    _await_file(run, project / "data/08_reporting", f".unfinished-{entry}")


MOMENTS: dict[str, Moment] = {
    "in training": wait_in_training,
    "in a checkpoint": wait_for_checkpoint,
    "in scoring": wait_in_scoring,
    "in the catalog": wait_for_catalog,
}


def _await_line(run: subprocess.Popen[str], text: str) -> None:
    assert run.stderr is not None
    for line in run.stderr:
        if text in line:
            return


def _await_file(run: subprocess.Popen[str], folder: Path, pattern: str) -> None:
    before = set(folder.rglob(pattern))  # files that earlier kills have left
    while run.poll() is None and not set(folder.rglob(pattern)) - before:
        time.sleep(0.0005)


def start(project: Path, seed: int, settings: str = "") -> subprocess.Popen[str]:
    """Start a run."""
    parameters = f"{SETTINGS},variants.wgan_gp.seed={seed}{settings}"
    command = [KEDRO, "run", "--pipelines=train_wgan_gp", f"--params={parameters}"]
    return subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(run: subprocess.Popen[str]) -> None:
    """Wait for the end of a run; exit with its output if it fails."""
    _, printed = run.communicate()
    if run.returncode:
        raise SystemExit(printed)


def hash_results(project: Path) -> dict[str, str]:
    """Hash weights, history, grids and scores of the newest run, without names of runs and speeds."""
    generator = TrainedGenerator.load(find_newest(project, "06_models/digits/wgan_gp/generator.safetensors"))
    history = pd.read_csv(find_newest(project, "08_reporting/digits/wgan_gp/history.csv"))
    scores = json.loads(find_newest(project, "08_reporting/digits/wgan_gp/scores.json").read_text())
    grids = sorted(find_newest(project, "07_model_output/digits/wgan_gp/sample_grids").iterdir())
    weights = [tensor.numpy() for kind in ("ema", "raw") for _, tensor in sorted(generator.weights[kind].items())]
    return {
        "weights": hash_arrays(weights),
        "history": hash_values(history.drop(columns="images_per_second").to_csv()),
        "grids": hash_arrays(np.asarray(Image.open(path)) for path in grids),
        "scores": hash_values([(score["metric"], score["value"]) for score in scores]),
    }


def find_faults(project: Path, statuses: Sequence[str]) -> Iterator[str]:
    """Find wrong records in MLflow and unreadable files in the catalog's folders after a resumed run has finished.

    Args:
        project: the copy of the project.
        statuses: expected status in MLflow of each interrupted run, the latest first.
    """
    client = MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    found = [run.info.status for run in runs[: len(statuses) + 1]]
    if found != ["FINISHED", *statuses]:
        yield f"statuses {found}"
    logged = [point.step for point in client.get_metric_history(runs[0].info.run_id, "train/generator_loss")]
    if logged != list(range(1, EPOCHS + 1)):
        yield f"history {logged}"
    if "training" in runs[1].data.tags and runs[0].data.tags.get("continues_run") != runs[1].info.run_id:
        yield "no link to the interrupted run"
    readers: dict[str, Callable[[Path], Any]] = {
        "*/*.json/*/[!.]*.json": lambda path: json.loads(path.read_text()),
        "*/*/*/*.csv/*/[!.]*.csv": pd.read_csv,
        "*/*/*/*.png/*/[!.]*.png": lambda path: Image.open(path).load(),
        "*/*/*/*.safetensors/*/[!.]*.safetensors": TrainedGenerator.load,
    }
    for pattern, read in readers.items():
        for path in project.glob(f"data/{pattern}"):
            try:
                read(path)
            except Exception as error:
                yield f"{path}: {error}"


def copy_project() -> Path:
    """Copy the project to a temporary folder, with checkpoints every 0.1 seconds."""
    project = copy_files(Path(tempfile.mkdtemp(prefix="kill_and_resume_")))
    (project / "conf/local/catalog.yml").write_text(CHECKPOINTS)
    return project


def main() -> None:
    """Print a line for each run, and how many gave the same results as uninterrupted runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=int, nargs="?", default=20)
    parser.add_argument("--rows", type=Path, help="CSV file for the number of runs that gave the same results")
    options = parser.parse_args()
    runs = options.runs
    project = copy_project()
    names = list(MOMENTS)
    same = kills = 0
    for seed in tqdm(range(runs), disable=None):
        draws = random.Random(seed)
        moments = [names[seed % len(names)], *draws.choices(names, k=draws.randint(0, 2))]
        statuses = []
        for moment in moments:
            run = start(project, seed)
            MOMENTS[moment](project, run, draws)
            run.kill()
            run.communicate()
            statuses.insert(0, "FINISHED" if run.returncode == 0 else "KILLED")
        finish(start(project, seed))
        faults = list(find_faults(project, statuses))
        resumed = hash_results(project)
        finish(start(project, seed, ",runtime.fresh=true"))
        faults += [f"other {name}" for name, value in hash_results(project).items() if resumed[name] != value]
        same += not faults
        kills += statuses.count("KILLED")
        print(f"{seed:>3}  {', '.join(moments):<60}  {faults or 'same'}", flush=True)
    if options.rows:
        row = {"measured": date.today(), "runs": runs, "same": same, "kills": kills}
        pd.DataFrame([row]).to_csv(options.rows, index=False)
    print(f"{same} of {runs} the same as an uninterrupted run after {kills} kills; {project} can be removed")


if __name__ == "__main__":
    main()
