"""Ray's own test cluster of several nodes. What Ray on this machine does is tested beside the other engines."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gan_pipelines.core.config import ConfigError
from gan_pipelines.execution import EngineUnavailable, ExecutionConfig, check_engine, run_all
from tasks import describe_slowly, kill_itself_once, see_gpus

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster():
    """Three nodes of one core each."""
    import ray  # noqa: PLC0415 (not for other tests)
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def config(cluster):
    return ExecutionConfig(engine="ray", address=cluster.address)


def test_a_task_whose_process_is_lost_is_tried_again(config, tmp_path):
    assert list(run_all([partial(kill_itself_once, tmp_path)], config)) == [1]


def test_tasks_run_on_all_nodes_and_come_in_order(config):
    numbers, processes, threads = zip(
        *run_all([partial(describe_slowly, number) for number in range(9)], config), strict=True
    )
    assert numbers == tuple(range(9))
    assert len({*processes}) > 1
    assert {*threads} == {1}


def test_a_cluster_that_can_run_the_tasks_passes(config, tmp_path):
    check_engine(config, tmp_path / "new")
    assert not [*(tmp_path / "new").iterdir()]


def test_a_task_that_reserves_no_gpu_sees_none(config, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert list(run_all([see_gpus], config)) == [""]


@pytest.mark.parametrize(("setting", "value"), [("cpus_per_task", 2.0), ("gpus_per_task", 0.5)])
def test_what_no_machine_has_is_refused(cluster, tmp_path, setting, value):
    config = ExecutionConfig(engine="ray", address=cluster.address, **{setting: value})
    with pytest.raises(ConfigError, match=rf"runtime\.{setting} is {value}, but must be at most [01], as the largest"):
        check_engine(config, tmp_path)


def test_another_address_than_that_of_the_cluster_that_was_joined_is_refused(config, tmp_path):
    check_engine(config, tmp_path)
    with pytest.raises(EngineUnavailable, match=r"has joined another Ray cluster than runtime\.address null"):
        check_engine(replace(config, address=None), tmp_path)


def test_a_cluster_that_is_not_there_is_named(cluster, tmp_path):
    import ray  # noqa: PLC0415

    ray.shutdown()
    config = ExecutionConfig(engine="ray", address="127.0.0.1:1")
    with pytest.raises(EngineUnavailable, match=r"There is no Ray cluster at runtime\.address 127\.0\.0\.1:1"):
        check_engine(config, tmp_path)
