"""Measure time and peak memory of each stage of a pipeline run: start-up, nodes, saving and tracking. Linux only.

Run it as ``python benchmarks/stages.py --pipeline train_wgan_gp``.
"""

from __future__ import annotations

import time

started = time.perf_counter()  # the imports below are part of the start-up

import argparse  # noqa: E402
from pathlib import Path  # noqa: E402

from kedro.framework.hooks import hook_impl  # noqa: E402
from kedro.framework.session import KedroSession  # noqa: E402
from kedro.framework.startup import bootstrap_project  # noqa: E402
from kedro.pipeline.node import Node  # noqa: E402


class StageHooks:
    """Kedro hooks that print a line at the end of each stage."""

    def __init__(self) -> None:
        self.stage_started = started

    def finish(self, stage: str) -> None:
        """Print the time and peak memory of the stage that ends now."""
        now = time.perf_counter()
        print(f"{stage:<28} {now - self.stage_started:7.1f} s {read_peak_memory():8.0f} MiB", flush=True)
        self.stage_started = now
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Finish the start-up."""
        self.finish("start-up")

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Finish the saving of the previous node's outputs."""
        self.finish("saving and tracking")

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Finish a node."""
        self.finish(node.name)


def read_peak_memory() -> float:
    """Read the peak of resident memory in MiB since the last reset."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Run a pipeline of this project with the hooks."""
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
