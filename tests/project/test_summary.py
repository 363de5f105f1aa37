from __future__ import annotations

from pathlib import Path

from gan_pipelines.project.summary import summarize_run


def test_files_are_listed_and_of_a_folder_the_last_picture(tmp_path):
    for name in ("epoch-0002.png", "epoch-0010.png"):
        (tmp_path / name).touch()
    lines = summarize_run({"sample_grids": tmp_path, "history": Path("data/history.csv")}, [], {}).splitlines()
    assert lines[0].split() == ["sample", "grids", str(tmp_path / "epoch-0010.png")]
    assert lines[1].split() == ["history", "data/history.csv"]
    assert "make ui" in lines[-1]
    assert "make viz" in lines[-1]


def test_the_next_command_is_for_the_same_environment():
    assert "kedro run --pipelines=compare " in summarize_run({}, [], {})
    assert "kedro run --env=cards --pipelines=compare " in summarize_run({}, [], {}, env="cards")


def test_results_come_before_the_files():
    lines = summarize_run({"verdicts": Path("verdicts.json")}, ["FID 2.71", "It helps."], {}).splitlines()
    assert lines[:2] == ["FID 2.71", "It helps."]
    assert lines[2].endswith("verdicts.json")
