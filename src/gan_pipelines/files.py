"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL_BELOW_BYTES = 2**16


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a path to write a file or a folder to; once the block is done it takes the place of ``target``.

    An exception or a kill at any moment leaves what was there before. One process at a time may replace a target; what
    a killed one has left is removed by the next.

    Raises:
        OSError: if the disk is full, also where the block raised something else because of that.
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
    except Exception as error:
        if _means_disk_full(error, target.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
        raise
    finally:
        _remove(unfinished)


def _means_disk_full(error: Exception, folder: Path) -> bool:
    """Whether an exception comes of a full disk: libraries that write by themselves have kinds of their own for it."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    return os.strerror(errno.ENOSPC) in str(error) or shutil.disk_usage(folder).free < FULL_BELOW_BYTES


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
