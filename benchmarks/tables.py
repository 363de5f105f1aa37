"""Tables that other processes may read while they are written."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from gan_pipelines.core.files import atomic_write


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV, complete or not at all, even if the process is killed."""
    with atomic_write(path) as unfinished:
        table.to_csv(unfinished, index=False)
