"""Summary that is printed at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def summarize_run(
    files: Mapping[str, Path], sentences: Sequence[str], addresses: Mapping[str, str], env: str | None = None
) -> str:
    """Summarize a run in a few lines: results, files, and the next commands.

    Args:
        files: files of the run, by kind of entry.
        sentences: results in words.
        addresses: views of the results in MLflow, by name.
        env: Kedro's environment of the run, or None.
    """
    lines = list(sentences)
    width = max(map(len, files), default=0)
    for kind, path in files.items():
        lines.append(f"{kind.replace('_', ' '):<{width}} {path}")
    compare = f"kedro run {f'--env={env} ' if env else ''}--pipelines=compare"
    lines.append(f"Compare runs: {compare} (one page), or make ui (MLflow). See the DAG: make viz.")
    lines += [f"{name} in MLflow, after make ui: {address}" for name, address in addresses.items()]
    return "\n".join(lines)
