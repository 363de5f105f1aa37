"""Kill runs at random moments, start them again until they are done, and compare them with runs that were let be.

    python benchmarks/kill_and_resume.py [RUNS]

Each run is the real command line in a copy of the project, killed with SIGKILL once or more: in training, while a
checkpoint is written, while scores are computed, or while the catalog saves. Prints a line for each.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.tracking import MlflowClient
from PIL import Image
from tqdm import tqdm

from gan_pipelines.core.hashing import hash_arrays, hash_values
from gan_pipelines.gan import TrainedGenerator

PROJECT = Path(__file__).parents[1]
KEDRO = Path(sys.executable).with_name("kedro")
EPOCHS = 12
SETTINGS = f"variants.wgan_gp.epochs={EPOCHS},variants.wgan_gp.networks.width=8,dataset.image_size=16," + ",".join(
    ["scoring.samples=2000", "scoring.classifier.epochs=1", "reporting.grid_every_epochs=5"]
)
CHECKPOINTS = """
"{variant}.checkpoints":
  type: gan_pipelines.datasets.CheckpointStoreDataset
  filepath: data/06_models/${globals:experiment}/{variant}/checkpoints
  interval_seconds: 0.1
"""

Moment = Callable[[Path, subprocess.Popen[str], random.Random], None]


def in_training(project: Path, run: subprocess.Popen[str], draws: random.Random) -> None:
    """Wait for some time of the training."""
    _await_line(run, "Running node: train_gan")
    time.sleep(draws.uniform(0, 4))


def in_a_checkpoint(project: Path, run: subprocess.Popen[str], draws: random.Random) -> None:
    """Wait until a checkpoint is being written, for the n-th time."""
    _await_line(run, "Running node: train_gan")
    for _ in range(draws.randint(1, 6)):
        _await_file(run, project / "data/06_models", ".unfinished-*.pt")
        time.sleep(0.15)
    _await_file(run, project / "data/06_models", ".unfinished-*.pt")
    time.sleep(draws.uniform(0, 0.004))


def in_the_scores(project: Path, run: subprocess.Popen[str], draws: random.Random) -> None:
    """Wait for some time of the scoring."""
    _await_line(run, "Running node: score_generators")
    time.sleep(draws.uniform(0, 1))


def in_the_catalog(project: Path, run: subprocess.Popen[str], draws: random.Random) -> None:
    """Wait until a file of the catalog is being written."""
    entry = draws.choice(["manifest.json", "model_summary.csv", "history.csv", "loss_curves.png", "scores.json"])
    _await_file(run, project / "data/08_reporting", f".unfinished-{entry}")


MOMENTS: tuple[Moment, ...] = (in_training, in_a_checkpoint, in_the_scores, in_the_catalog)


def _await_line(run: subprocess.Popen[str], text: str) -> None:
    assert run.stderr is not None
    for line in run.stderr:
        if text in line:
            return


def _await_file(run: subprocess.Popen[str], folder: Path, pattern: str) -> None:
    before = set(folder.rglob(pattern))  # what other kills have left
    while run.poll() is None and not set(folder.rglob(pattern)) - before:
        time.sleep(0.0005)


def start(project: Path, seed: int, settings: str = "") -> subprocess.Popen[str]:
    """Start the command of a run."""
    parameters = f"{SETTINGS},variants.wgan_gp.seed={seed}{settings}"
    command = [KEDRO, "run", "--pipelines=train_wgan_gp", f"--params={parameters}"]
    return subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(run: subprocess.Popen[str]) -> None:
    """Wait for the end of a run, which must be a good one."""
    _, printed = run.communicate()
    if run.returncode:
        raise SystemExit(printed)


def newest(project: Path, entry: str) -> Path:
    """The file or folder of the newest version of a catalog entry."""
    return max((project / "data" / entry).glob(f"*/{Path(entry).name}"))


def result(project: Path) -> dict[str, str]:
    """Hashes of all that a run leaves, but for names of runs and speeds."""
    generator = TrainedGenerator.load(newest(project, "06_models/digits/wgan_gp/generator.safetensors"))
    history = pd.read_csv(newest(project, "08_reporting/digits/wgan_gp/history.csv"))
    scores = json.loads(newest(project, "08_reporting/digits/wgan_gp/scores.json").read_text())
    grids = sorted(newest(project, "07_model_output/digits/wgan_gp/sample_grids").iterdir())
    weights = [tensor.numpy() for kind in ("ema", "raw") for _, tensor in sorted(generator.weights[kind].items())]
    return {
        "weights": hash_arrays(weights),
        "history": hash_values(history.drop(columns="images_per_second").to_csv()),
        "grids": hash_arrays(np.asarray(Image.open(path)) for path in grids),
        "scores": hash_values([(score["metric"], score["value"]) for score in scores]),
    }


def faults(project: Path, ends: Sequence[str]) -> Iterator[str]:
    """What MLflow and the folders of the catalog get wrong about the run that is done and those before it.

    Args:
        project: the copy of the project.
        ends: how the runs before it ended, the last first.
    """
    client = MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    statuses = [run.info.status for run in runs[: len(ends) + 1]]
    if statuses != ["FINISHED", *ends]:
        yield f"statuses {statuses}"
    logged = [point.step for point in client.get_metric_history(runs[0].info.run_id, "generator_loss")]
    if logged != list(range(1, EPOCHS + 1)):
        yield f"history {logged}"
    if "training" in runs[1].data.tags and runs[0].data.tags.get("continues_run") != runs[1].info.run_id:
        yield "not linked"
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


def main(runs: int) -> None:
    """Print a line for each run, and how many were the same as the ones that were let be."""
    project = Path(tempfile.mkdtemp(prefix="kill_and_resume_"))
    files = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, project / name)
    (project / "conf/local/catalog.yml").write_text(CHECKPOINTS)
    good = kills = 0
    for seed in tqdm(range(runs), disable=None):
        draws = random.Random(seed)
        moments = [MOMENTS[seed % len(MOMENTS)], *draws.choices(MOMENTS, k=draws.randint(0, 2))]
        ends = []
        for moment in moments:
            run = start(project, seed)
            moment(project, run, draws)
            run.kill()
            run.communicate()
            ends.insert(0, "FINISHED" if run.returncode == 0 else "KILLED")
        finish(start(project, seed))
        found = list(faults(project, ends))
        resumed = result(project)
        finish(start(project, seed, ",runtime.fresh=true"))
        found += [f"other {name}" for name, value in result(project).items() if resumed[name] != value]
        good += not found
        kills += ends.count("KILLED")
        print(f"{seed:>3}  {', '.join(moment.__name__ for moment in moments):<60}  {found or 'same'}", flush=True)
    print(f"{good} of {runs} the same as an uninterrupted run after {kills} kills; {project} can be removed")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
