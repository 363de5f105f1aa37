from __future__ import annotations

import errno
import os
import resource
import shutil
import stat

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gan_pipelines.core.files import DELETED, atomic_write, count_bytes, delete


@pytest.mark.parametrize("is_new", [True, False])
def test_a_folder_takes_the_place_of_what_was_there(tmp_path, is_new):
    target = tmp_path / "deep/target"
    if not is_new:
        target.mkdir(parents=True)
        (target / "old.txt").write_text("old")
    with atomic_write(target) as unfinished:
        unfinished.mkdir()
        (unfinished / "new.txt").write_text("new")
        assert target.exists() != is_new
    assert [path.name for path in target.iterdir()] == ["new.txt"]
    assert list(target.parent.iterdir()) == [target]


def test_a_file_takes_the_place_of_what_was_there(tmp_path):
    (tmp_path / "target").write_text("old")
    with atomic_write(tmp_path / "target") as unfinished:
        unfinished.write_text("new")
        assert (tmp_path / "target").read_text() == "old"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("target", "new")]


def test_a_file_may_be_read_by_all(tmp_path):
    with atomic_write(tmp_path / "file") as unfinished:
        unfinished.touch(mode=0o600)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_an_exception_leaves_what_was_there(tmp_path):
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(target) as unfinished:
        unfinished.write_text("half")
        1 / 0  # noqa: B018
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("target", "old")]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path):
    (tmp_path / ".unfinished-target").mkdir()
    (tmp_path / ".unfinished-target/half").touch()
    with atomic_write(tmp_path / "target") as unfinished:
        unfinished.write_text("new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("target", "new")]


def hide(error):
    """Raise another exception because of one, as libraries do."""
    try:
        raise error
    except OSError:
        raise RuntimeError("writing failed")  # noqa: B904


@pytest.mark.parametrize(
    ("cause", "number"),
    [
        (lambda: hide(OSError(errno.ENOSPC, "No space left on device")), errno.ENOSPC),
        (lambda: hide(OSError(errno.EFBIG, "File too large")), errno.EFBIG),
        (lambda: hide(OSError(f"{2**20} requested and {2**10} written")), errno.ENOSPC),
    ],
)
def test_what_the_system_said_is_told_whatever_a_library_makes_of_it(tmp_path, cause, number):
    with pytest.raises(OSError) as caught, atomic_write(tmp_path / "target"):
        cause()
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / "target"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS])
def test_a_disk_error_that_a_library_only_speaks_of_is_one(tmp_path, number):
    with pytest.raises(OSError, match=os.strerror(number)) as caught, atomic_write(tmp_path / "target"):
        raise RuntimeError(f"I/O error: something (os error {number})")
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / "target"))


def save_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(2**18))


@pytest.mark.parametrize("save", [save_array, lambda path: save_file({"weights": torch.zeros(2**19)}, path)])
def test_a_file_that_becomes_too_large_in_the_midst_is_told_by_its_name(tmp_path, save):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left|File too large") as caught, atomic_write(tmp_path / "target"):
            save(tmp_path / ".unfinished-target")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path / "target")
    assert not [*tmp_path.iterdir()]


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="something else"), atomic_write(tmp_path / "target"):
        raise RuntimeError("something else")


def test_a_deletion_that_is_interrupted_leaves_nothing_of_that_name_and_the_next_one_the_rest(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("four")
    assert count_bytes(target) == count_bytes(target / "file") == 4

    def interrupt(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", interrupt)
        delete(target)
    (rest,) = tmp_path.iterdir()
    assert rest.name == f"{DELETED}target"
    delete(rest)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        delete(target)
