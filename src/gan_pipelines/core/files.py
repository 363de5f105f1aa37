"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Give a path to write a file or a folder to; once the block is done it takes the place of ``target``.

    An exception or a kill at any moment leaves the old file or the new one; of a folder that is replaced, at worst
    neither in its place. One process at a time may replace a target; what a killed one has left beside it is removed by
    the next that replaces the same.

    Raises:
        OSError: if it cannot be written, also where the block made another exception of that.
    """
    unfinished = target.with_name(f".unfinished-{target.name}")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    _remove(unfinished)
    try:
        yield unfinished
        if unfinished.is_file():
            unfinished.chmod(0o666 & ~_umask())  # safetensors writes for its owner alone
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
        if target.is_dir():
            _remove(target)
        unfinished.replace(target)
    except Exception as error:
        number = _error_number(error)
        if number is None or isinstance(error, OSError):
            raise
        raise OSError(number, os.strerror(number), str(target)) from error
    finally:
        _remove(unfinished)


def _error_number(error: BaseException) -> int | None:
    """What is wrong with the disk, if an exception comes of that: libraries that write have kinds of their own."""
    if isinstance(error, OSError):
        return error.errno if error.errno in DISK_ERRORS else None
    if os.strerror(errno.ENOSPC) in str(error):
        return errno.ENOSPC
    return None if error.__context__ is None else _error_number(error.__context__)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
