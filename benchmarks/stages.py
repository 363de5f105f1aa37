"""Seconds and peak memory of each stage of a pipeline run: start-up, then node by node. Linux only.

python benchmarks/stages.py --pipeline train_wgan_gp
"""

from __future__ import annotations

import time

started = time.perf_counter()  # before the imports below, which are part of the start-up

import argparse  # noqa: E402
from pathlib import Path  # noqa: E402

from kedro.framework.hooks import hook_impl  # noqa: E402
from kedro.framework.session import KedroSession  # noqa: E402
from kedro.framework.startup import bootstrap_project  # noqa: E402
from kedro.pipeline.node import Node  # noqa: E402


class StageHooks:
    """Print a line for each stage as soon as it is over."""

    def __init__(self) -> None:
        self.stage_started = started

    def finish(self, stage: str) -> None:
        """Print seconds and peak memory since the last stage."""
        now = time.perf_counter()
        print(f"{stage:<28} {now - self.stage_started:7.1f} s {peak_memory_mib():8.0f} MiB", flush=True)
        self.stage_started = now
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark of memory starts again from here

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """End the start-up."""
        self.finish("start-up")

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """End the saving of what the node before has returned."""
        self.finish("saving and tracking")

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """End a node."""
        self.finish(node.name)


def peak_memory_mib() -> float:
    """High-water mark of resident memory since it was last reset."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Run a pipeline of this project."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default="train_wgan_gp")
    options = parser.parse_args()
    project = Path(__file__).resolve().parents[1]
    bootstrap_project(project)
    with KedroSession.create(project) as session:
        stages = StageHooks()
        session._hook_manager.register(stages)
        session.run(pipeline_names=[options.pipeline])
        stages.finish("saving and tracking")
    print(f"{'all':<28} {time.perf_counter() - started:7.1f} s")


if __name__ == "__main__":
    main()
