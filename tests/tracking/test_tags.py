from __future__ import annotations

from gan_pipelines.tracking.tags import PARENT, REQUEST, is_part


def test_classifiers_are_parts_of_a_run_and_runs_of_a_sweep_are_whole():
    assert is_part({PARENT: "r"})
    assert not is_part({PARENT: "r", REQUEST: "hash"})
    assert not is_part({})
