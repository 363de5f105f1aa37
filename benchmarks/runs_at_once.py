"""Start several runs at once on a fresh copy of the project, again and again, and count how many finish.

    python benchmarks/runs_at_once.py [ROUNDS] [RUNS]

Each round copies the project anew, so that its runs make MLflow's database and the experiment at the same time. Prints
the number of runs that have finished, after each round and in all, and what the others have printed last.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from mlflow.tracking import MlflowClient

from catalog import KEDRO, copy_files

COMMAND = [KEDRO, "run", "--pipelines=ingest"]


def main() -> None:
    """Print a line for each round; exit with 1 unless all runs have finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", type=int, nargs="?", default=10)
    parser.add_argument("runs", type=int, nargs="?", default=10)
    options = parser.parse_args()
    finished = 0
    for number in range(1, options.rounds + 1):
        with tempfile.TemporaryDirectory(prefix="runs_at_once_") as folder:
            finished_now = run_at_once(copy_files(Path(folder) / "project"), options.runs)
        print(f"round {number:>3}: {finished_now} of {options.runs} finished", flush=True)
        finished += finished_now
    print(f"{finished} of {options.rounds * options.runs} finished")
    sys.exit(finished < options.rounds * options.runs)


def run_at_once(project: Path, count: int) -> int:
    """Start runs at once.

    Returns:
        how many end well and are FINISHED in MLflow.
    """
    started = [
        subprocess.Popen(COMMAND, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for run in started:
        _, printed = run.communicate()
        if run.returncode:
            print("\n".join(printed.splitlines()[-5:]), flush=True)
    client = MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return min(sum(run.returncode == 0 for run in started), sum(run.info.status == "FINISHED" for run in runs))


if __name__ == "__main__":
    main()
