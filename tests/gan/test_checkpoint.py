from __future__ import annotations

import logging
import resource
import signal
import time

import pytest
import torch

from gan_pipelines.core.config import ConfigError
from gan_pipelines.gan import CheckpointStore, CheckpointUnusable, TrainingLocked
from gan_pipelines.gan.checkpoint import FORMAT
from processes import Process

WRITER = """
import sys
from pathlib import Path
import torch
from gan_pipelines.gan import CheckpointStore

with CheckpointStore(Path(sys.argv[1])).open("run") as checkpoints:
    for number in range(1_000_000):
        checkpoints.save(number, {"number": number, "weights": torch.full((300_000,), float(number))})
        print(number, flush=True)
"""


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints")


def test_a_state_survives_as_it_is(store):
    state = {"epoch": 3, "parts": {"weights": torch.randn(5)}, "samples": {10: torch.ones(2)}, "current": None}
    with store.open("run") as checkpoints:
        assert checkpoints.load_newest() is None
        checkpoints.save(100, state)
    with store.open("run") as checkpoints:
        loaded = checkpoints.load_newest()
    assert loaded["epoch"] == 3
    assert loaded["current"] is None
    assert torch.equal(loaded["parts"]["weights"], state["parts"]["weights"])
    assert torch.equal(loaded["samples"][10], torch.ones(2))
    with store.open("another run") as checkpoints:
        assert checkpoints.load_newest() is None


@pytest.mark.parametrize("keep", [1, 3])
def test_only_the_newest_are_kept(tmp_path, keep):
    with CheckpointStore(tmp_path, keep=keep).open("run") as checkpoints:
        for number in (900, 1000, 20_000, 100_000):
            checkpoints.save(number, {"number": number})
        assert [int(path.stem) for path in checkpoints.paths] == [900, 1000, 20_000, 100_000][-keep:]
        assert checkpoints.load_newest()["number"] == 100_000


def test_states_are_due_at_intervals(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with CheckpointStore(tmp_path, interval_seconds=10).open("run") as checkpoints:
        for now, due in {100.0: False, 109.9: False, 110.0: True}.items():
            clock[0] = now
            assert checkpoints.is_due == due
        checkpoints.save(1, {})
        assert not checkpoints.is_due
        clock[0] = 120.0
        assert checkpoints.is_due


@pytest.mark.parametrize("delay", [0.001, 0.004, 0.007])
@pytest.mark.integration
def test_a_kill_at_any_moment_leaves_a_whole_state(tmp_path, delay, caplog):
    with Process("-c", WRITER, tmp_path) as process:
        process.await_text("\n", times=3)
        time.sleep(delay)
    with CheckpointStore(tmp_path).open("run") as checkpoints:
        state = checkpoints.load_newest()
        assert state["number"] >= 2
        assert torch.equal(state["weights"], torch.full((300_000,), float(state["number"])))
        assert not caplog.text
        checkpoints.save(state["number"] + 1, state)
        assert {path.suffix for path in checkpoints.folder.iterdir()} == {".pt", ""}


@pytest.mark.integration
def test_a_process_that_holds_a_training_keeps_others_out_until_it_is_killed(tmp_path):
    store = CheckpointStore(tmp_path)
    with Process("-c", WRITER, tmp_path) as process:
        process.await_text("\n")
        with pytest.raises(TrainingLocked, match=f"it holds {tmp_path}/run"), store.open("run"):
            pass
    with store.open("run") as checkpoints:
        assert checkpoints.paths


class Bomb:
    def __reduce__(self):
        return (print, ("unpickled",))


def tear(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"\x00\x00\xc8\x42" * 8)] ^= 1  # within the hundreds, each a float of four bytes
    path.write_bytes(content)


def save(**changes):
    content = {"format": FORMAT, "fingerprint": "run", "state": {"number": 9}} | changes
    return lambda path: torch.save(content, path)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (tear, "is torn, or no checkpoint."),
        (flip_a_bit, "is torn, or no checkpoint."),
        (lambda path: path.write_bytes(b""), "is torn, or no checkpoint."),
        (lambda path: path.write_text("not a checkpoint"), "is torn, or no checkpoint."),
        (lambda path: torch.save([1, 2], path), "is torn, or no checkpoint."),
        (save(state=Bomb()), "is torn, or no checkpoint."),
        (save(fingerprint="walk"), "belongs to another training."),
        (save(format=FORMAT + 1), f"has format {FORMAT + 1}, but this version of the project reads {FORMAT}."),
    ],
)
def test_a_file_that_is_no_state_of_this_training_is_named_and_the_one_before_it_used(
    store, damage, sentence, caplog, capsys
):
    with store.open("run") as checkpoints:
        for number in (50, 100):
            checkpoints.save(number, {"number": number, "weights": torch.full((1000,), 100.0)})
        damage(checkpoints.paths[-1])
        with caplog.at_level(logging.WARNING):
            assert checkpoints.load_newest()["number"] == 50
        assert f"{checkpoints.paths[-1]} {sentence} The one before it is tried." in caplog.text
        damage(checkpoints.paths[0])
        with pytest.raises(CheckpointUnusable, match="None of the checkpoints in .* or start over with"):
            checkpoints.load_newest()
    assert "unpickled" not in capsys.readouterr().out


def test_a_save_that_fails_keeps_the_state_before_it(store):
    with store.open("run") as checkpoints:
        checkpoints.save(1, {"epoch": 1})
        with pytest.raises(AttributeError):
            checkpoints.save(2, {"epoch": lambda: None})
        assert checkpoints.load_newest() == {"epoch": 1}
        assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["000000000001.pt", "lock"]


def test_discarded_states_are_gone(store):
    with store.open("run") as checkpoints:
        checkpoints.save(1, {"epoch": 1})
        with pytest.raises(TrainingLocked):
            store.discard("run")
    store.discard("run")
    with store.open("run") as checkpoints:
        assert checkpoints.load_newest() is None


def test_at_least_one_state_is_kept(tmp_path):
    with pytest.raises(ConfigError, match="keep is 0, but must be 1 or more"):
        CheckpointStore(tmp_path, keep=0)
    with pytest.raises(ConfigError, match="interval_seconds is -1, but must be 0 or more"):
        CheckpointStore(tmp_path, interval_seconds=-1)


def test_a_kill_in_the_first_save_of_all_is_as_if_there_had_been_none(store):
    with store.open("run") as checkpoints:
        leftover = checkpoints.folder / ".unfinished-000000000100.pt"
    leftover.write_bytes(b"half")
    with store.open("run") as checkpoints:
        assert checkpoints.paths == []
        assert checkpoints.load_newest() is None
        checkpoints.save(200, {"number": 200})
    assert not leftover.exists()


@pytest.mark.parametrize("limit", [1000, 100_000])
def test_a_file_that_cannot_grow_is_an_oserror(tmp_path, limit):
    """PyTorch makes a RuntimeError of what the system says."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with CheckpointStore(tmp_path).open("run") as checkpoints, pytest.raises(OSError, match="File too large"):
            checkpoints.save(1, {"weights": torch.zeros(300_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, before)


def fill(store, epochs):
    """States of five images an epoch, those of even epochs kept for good."""
    with store.open("run") as checkpoints:
        for epoch in epochs:
            if epoch % 2 == 0:
                store.keep_epoch("run", epoch, 5 * epoch, {"epoch": epoch})
            checkpoints.save(5 * epoch + 1, {"epoch": epoch + 0.5})


def test_states_of_chosen_epochs_stay_beside_the_newest(store):
    fill(store, range(1, 8))
    assert store.list_epochs("run") == [2, 4, 6]
    names = [path.stem for path in CheckpointStore(store.root).root.glob("run/*.pt")]
    assert sorted(names) == [
        "000000000010-epoch-0002", "000000000020-epoch-0004", "000000000030-epoch-0006",
        "000000000031", "000000000036",
    ]  # fmt: skip
    with store.open("run") as checkpoints:
        assert checkpoints.load_newest() == {"epoch": 7.5}
    store.discard("run")
    assert store.list_epochs("run") == []


def test_going_back_leaves_the_state_of_that_epoch_as_the_newest(store):
    fill(store, range(1, 8))
    store.go_back("run", 4)
    assert store.list_epochs("run") == [2, 4]
    with store.open("run") as checkpoints:
        assert checkpoints.load_newest() == {"epoch": 4}


def test_going_back_to_what_is_not_there_or_is_torn_deletes_nothing(store):
    fill(store, range(1, 8))
    with pytest.raises(
        ConfigError, match="restart_epoch is 3, but must be an epoch whose state is kept of this tr.*: 2, 4"
    ):
        store.go_back("run", 3)
    with pytest.raises(ConfigError, match="this training: none"):
        store.go_back("other", 3)
    (path,) = store.root.glob("run/*-epoch-0004.pt")
    path.write_bytes(b"")
    with pytest.raises(CheckpointUnusable, match="is torn, or no checkpoint. Put back a copy, or restart from another"):
        store.go_back("run", 4)
    with store.open("run") as checkpoints:
        with pytest.raises(TrainingLocked):
            store.go_back("run", 2)
        assert checkpoints.load_newest() == {"epoch": 7.5}
