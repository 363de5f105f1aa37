"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a path to write a file or a folder to; once the block is done it takes the place of ``target``.

    An exception or a kill at any moment leaves what was there before. One process at a time may replace a target; what
    a killed one has left is removed by the next.
    """
    unfinished = target.with_name(f".unfinished-{target.name}")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    _remove(unfinished)
    try:
        yield unfinished
        if unfinished.is_file():
            unfinished.chmod(0o644)  # safetensors writes for its owner alone
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
        if target.is_dir():
            _remove(target)
        unfinished.replace(target)
    finally:
        _remove(unfinished)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
