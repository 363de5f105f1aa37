"""Time the same commands on every engine, and compare the numbers that they leave.

    python benchmarks/engines.py ROWS [ROUNDS]

Each is a `kedro` command in a new copy of the project, with nothing in the stores; engines alternate. ``pool`` and
``ray`` have two processes, and ``cluster`` is a Ray cluster of three nodes with one core each on this machine, whose
start is not counted. Adds a row to ROWS, a CSV, after each command.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from kill_and_resume import copy_project
from on_ray import WORKLOADS, log_of, read_numbers, start, three_nodes

ENGINES: Mapping[str, Mapping[str, Any]] = {
    "process": {"engine": "process"},
    "pool": {"engine": "pool", "workers": 2},
    "ray": {"engine": "ray", "workers": 2},
    "cluster": {"engine": "ray"},
}
"""Settings of ``runtime`` by the name in the rows; the first engine's numbers are those to compare with."""


@contextmanager
def open_engine(engine: str) -> Iterator[Mapping[str, Any]]:
    """The settings of an engine, whose cluster, if it has one, is at work until the block ends."""
    if engine != "cluster":
        yield ENGINES[engine]
        return
    with three_nodes() as cluster:
        yield ENGINES[engine] | {"address": cluster.address}


def measure(name: str, engine: str) -> tuple[float, pd.DataFrame]:
    """Run a workload; return its seconds and its numbers."""
    project = copy_project()
    with open_engine(engine) as runtime:
        started = time.monotonic()
        code = start(WORKLOADS[name], project, runtime).wait()
        seconds = time.monotonic() - started
    if code:
        raise SystemExit(log_of(project).read_text())
    numbers = read_numbers(name, project)
    shutil.rmtree(project)
    return seconds, numbers


def main() -> None:
    """Run both workloads on all engines, round by round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    options = parser.parse_args()
    numbers: dict[str, pd.DataFrame] = {}
    for number in range(options.rounds):
        for name in WORKLOADS:
            for engine in ENGINES:
                seconds, found = measure(name, engine)
                row = {
                    "measured": date.today(),
                    "round": number + 1,
                    "workload": name,
                    "engine": engine,
                    "seconds": round(seconds, 1),
                    "same": numbers.setdefault(name, found).equals(found),
                }
                pd.DataFrame([row]).to_csv(options.rows, mode="a", index=False, header=not options.rows.exists())
                print("  ".join(map(str, row.values())), flush=True)


if __name__ == "__main__":
    main()
