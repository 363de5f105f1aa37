from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_pipelines.core.config import ConfigError
from gan_pipelines.execution import count_workers, run_all
from processes import Process
from tasks import describe, fail, sum_images


@pytest.fixture
def _three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_three_threads")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.integration)])
def test_results_come_in_order_and_each_task_has_one_thread(workers):
    results = list(run_all([partial(describe, number) for number in range(6)], workers))
    assert [number for number, _, _ in results] == list(range(6))
    assert {threads for _, _, threads in results} == {1}
    processes = {process for _, process, _ in results}
    assert (processes == {os.getpid()}) == (workers == 1)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.integration)])
def test_an_error_of_a_task_keeps_its_kind_and_its_sentence(workers):
    with pytest.raises(ConfigError, match=r"dataset.path is 3\.") as raised:
        list(run_all([partial(fail, 3)], workers))
    assert raised.value.path == "dataset.path"


@pytest.mark.integration
def test_large_arrays_are_memory_mapped_by_other_processes():
    images = np.ones((2000, 1, 32, 32), dtype=np.uint8)
    assert list(run_all([partial(sum_images, images)] * 2, 2)) == [(images.size, "memmap")] * 2


def test_results_are_yielded_before_all_tasks_are_done():
    done = []
    results = run_all([partial(done.append, number) for number in range(3)], 1)
    next(results)
    assert done == [0]


def test_as_many_workers_as_cores_train_on_a_cpu_and_one_on_a_gpu(monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 5)
    assert count_workers(None, "cpu") == 5
    assert count_workers(2, "cpu") == 2
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert count_workers(None, "auto") == 1


@pytest.mark.integration
def test_workers_end_soon_after_a_killed_process():
    tests = Path(__file__).parents[1]
    code = f"import sys; sys.path.append({str(tests)!r}); import tasks; from gan_pipelines import execution; "
    with Process("-c", f"{code} list(execution.run_all([tasks.announce_and_wait] * 2, 2))") as process:
        process.await_text("working as", times=2)
        workers = [Path("/proc", word) for word in process.stdout.split() if word.isdigit()]
        assert all(worker.exists() for worker in workers)
        process.kill()
        deadline = time.monotonic() + 60
        while any(worker.exists() for worker in workers):
            assert time.monotonic() < deadline
            time.sleep(0.1)
