from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_pipelines.core.config import ConfigError
from gan_pipelines.execution import ExecutionConfig, run_all, runs_here
from processes import Process
from tasks import describe, fail, sum_images

HERE = ExecutionConfig(engine="process")
POOL = ExecutionConfig(workers=2)
ENGINES = [
    pytest.param(HERE, id="process"),
    pytest.param(POOL, id="pool", marks=pytest.mark.integration),
    pytest.param(ExecutionConfig(engine="ray", workers=2), id="ray", marks=pytest.mark.integration),
]


@pytest.fixture
def _three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("cpus", "gpus", "slots"), [(1, 0, 64), (2, 0, 32), (1, 1, 4), (32, 1, 2), (1, 0.5, 8), (100, 0, 1)]
)
def test_the_scarcest_resource_counts_the_slots(cpus, gpus, slots):
    pytest.importorskip("ray")
    from gan_pipelines.execution.cluster import count_slots  # noqa: PLC0415 (needs Ray)

    config = ExecutionConfig(engine="ray", cpus_per_task=cpus, gpus_per_task=gpus)
    assert count_slots(config, {"CPU": 64.0, "GPU": 4.0}) == slots


@pytest.mark.usefixtures("_three_threads")
@pytest.mark.parametrize("config", ENGINES)
def test_results_come_in_order_and_each_task_has_one_thread(config):
    results = list(run_all([partial(describe, number) for number in range(6)], config))
    assert [number for number, _, _ in results] == list(range(6))
    assert {threads for _, _, threads in results} == {1}
    processes = {process for _, process, _ in results}
    assert (processes == {os.getpid()}) == runs_here(config)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("config", ENGINES)
def test_an_error_of_a_task_keeps_its_kind_and_its_sentence_and_is_not_tried_again(config, tmp_path):
    with pytest.raises(ConfigError, match=r"dataset.path is 3\.") as raised:
        list(run_all([partial(fail, 3, tmp_path)], config))
    assert len([*tmp_path.iterdir()]) == 1
    assert raised.value.path == "dataset.path"


@pytest.mark.integration
def test_large_arrays_are_memory_mapped_by_other_processes():
    images = np.ones((2000, 1, 32, 32), dtype=np.uint8)
    assert list(run_all([partial(sum_images, images)] * 2, POOL)) == [(images.size, "memmap")] * 2


def test_results_are_yielded_before_all_tasks_are_done():
    done = []
    results = run_all([partial(done.append, number) for number in range(3)], HERE)
    next(results)
    assert done == [0]


@pytest.mark.parametrize(
    ("workers", "has_gpu", "is_here"), [(None, False, False), (1, False, True), (None, True, True)]
)
def test_a_pool_has_a_process_for_each_core_and_one_for_a_gpu(monkeypatch, workers, has_gpu, is_here):
    monkeypatch.setattr("joblib.cpu_count", lambda: 5)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert runs_here(ExecutionConfig(workers=workers)) == is_here


@pytest.mark.integration
def test_workers_end_soon_after_a_killed_process():
    tests = Path(__file__).parents[1]
    code = f"import sys; sys.path.append({str(tests)!r}); import tasks; from gan_pipelines import execution; "
    with Process(
        "-c", f"{code} list(execution.run_all([tasks.announce_and_wait] * 2, execution.ExecutionConfig(workers=2)))"
    ) as process:
        process.await_text("working as", times=2)
        workers = [Path("/proc", word) for word in process.stdout.split() if word.isdigit()]
        assert all(worker.exists() for worker in workers)
        process.kill()
        deadline = time.monotonic() + 60
        while any(worker.exists() for worker in workers):
            assert time.monotonic() < deadline
            time.sleep(0.1)
