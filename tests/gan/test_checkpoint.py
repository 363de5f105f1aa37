from __future__ import annotations

import pickle
import subprocess
import sys
import time

import pytest
import torch

from gan_pipelines.gan import CheckpointStore

WRITER = """
import sys
from pathlib import Path
import torch
from gan_pipelines.gan import CheckpointStore

store = CheckpointStore(Path(sys.argv[1]))
for number in range(1_000_000):
    store.save("run", {"epoch": number, "weights": torch.full((300_000,), float(number))})
    print(number, flush=True)
"""


def test_a_state_survives_as_it_is(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    state = {"epoch": 3, "parts": {"weights": torch.randn(5)}, "random": {"cpu": torch.get_rng_state()}}
    store.save("run", state)
    loaded = store.load("run")
    assert loaded["epoch"] == 3
    assert torch.equal(loaded["parts"]["weights"], state["parts"]["weights"])
    assert torch.equal(loaded["random"]["cpu"], state["random"]["cpu"])
    with pytest.raises(FileNotFoundError):
        store.load("another run")


def test_states_are_due_at_intervals(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    store, eager = CheckpointStore(tmp_path, min_interval_seconds=10), CheckpointStore(tmp_path)
    assert store.is_due
    store.save("run", {})
    eager.save("run", {})
    assert eager.is_due
    for now, due in {105.0: False, 109.9: False, 110.0: True}.items():
        clock[0] = now
        assert store.is_due == due


@pytest.mark.parametrize("delay", [0.001, 0.004, 0.007])
def test_a_kill_at_any_moment_leaves_a_whole_state(tmp_path, delay):
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        process.stdout.readline()
    time.sleep(delay)
    process.kill()
    process.wait()
    state = CheckpointStore(tmp_path).load("run")
    assert state["epoch"] >= 2
    assert torch.equal(state["weights"], torch.full((300_000,), float(state["epoch"])))


class Bomb:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_arbitrary_objects_are_never_unpickled(tmp_path, capsys):
    store = CheckpointStore(tmp_path)
    torch.save({"epoch": Bomb()}, store.path("run"))
    with pytest.raises(pickle.UnpicklingError):
        store.load("run")
    assert "unpickled" not in capsys.readouterr().out


def test_a_save_that_fails_keeps_the_state_before_it(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save("run", {"epoch": 1})
    with pytest.raises(AttributeError):
        store.save("run", {"epoch": lambda: None})
    assert store.load("run") == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]
