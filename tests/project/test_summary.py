from __future__ import annotations

from pathlib import Path

from gan_pipelines.project.summary import summarize_run


def test_files_are_listed_and_then_the_next_commands():
    files = {"sample_grids": Path("grids/epoch-0010.png"), "history": Path("data/history.csv")}
    lines = summarize_run(files, [], {}).splitlines()
    assert lines[0].split() == ["sample", "grids", "grids/epoch-0010.png"]
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
