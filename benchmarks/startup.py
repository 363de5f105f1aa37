"""Seconds from `kedro run` to the first step of a training, by what the log says on the way.

    python benchmarks/startup.py OUT ROUNDS

Everything that is made once (images, extractor, features of real images) is there from a run before. Each round starts
a training of one epoch of one step anew, and notes when lines of the log appear; OUT/startup.csv has a row for each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

COMMAND = [
    "kedro", "run", "--pipelines=train_cdcgan",
    "--params=runtime.fresh=true,variants.cdcgan.epochs=1,variants.cdcgan.batch_size=1257,scoring.samples=100",
]  # fmt: skip
LANDMARKS = {"first node": "Running node", "first step": "Training on"}


def main() -> None:
    """Start trainings, one after the other."""
    out, rounds = Path(sys.argv[1]), int(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run(COMMAND, check=True, capture_output=True)
    rows = pd.DataFrame([measure() for _ in range(rounds)])
    rows.to_csv(out / "startup.csv", index=False)
    print(rows.median().round(2).to_string())


def measure() -> dict[str, float]:
    """Seconds until each landmark."""
    started, found = time.perf_counter(), {}
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            for name, words in LANDMARKS.items():
                if words in line:
                    found.setdefault(name, time.perf_counter() - started)
    if process.returncode:
        raise RuntimeError("The training failed.")
    return {**found, "end": time.perf_counter() - started}


if __name__ == "__main__":
    main()
