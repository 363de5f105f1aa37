from __future__ import annotations

from pathlib import Path

from gan_pipelines.project.summary import summarize_run


def score(generator, weights, metric, value, spread=None):
    return {
        "metric": metric,
        "value": value,
        "spread": spread,
        "comparability": {"samples": 2000, "reference_split": "train", "extractor": "resnet18"},
        "identity": {"generator": generator, "weights": weights, "epoch": 100, "generator_version": "2026-01-01"},
        "extractor": {"heldout_accuracy": 0.981},
        "flags": ["Something is odd."] if value == 1.0 else [],
    }


def scores_of(generator, weights, fid, inception_score):
    others = {"kid": 0.12345, "precision": 0.91, "recall": 0.5, "density": 0.9, "coverage": 0.8}
    return [
        score(generator, weights, "fid", fid),
        score(generator, weights, "is", inception_score, 0.25),
        *(score(generator, weights, metric, value) for metric, value in others.items()),
    ]


def test_scores_come_with_their_samples_extractor_and_flags():
    scores = [
        *scores_of("last", "ema", 2.714, 8.5),
        *scores_of("last", "raw", 3.0, 1.0),
        *scores_of("best", "ema", 2, 9),
    ]
    lines = summarize_run({}, scores).splitlines()
    assert lines[0] == (
        "last epoch, ema weights: FID 2.71, IS 8.50 ± 0.25, KID 0.1235, precision 0.91, recall 0.50 (2,000 samples "
        "against train, resnet18, held-out accuracy 98.1%; epoch 100 of 2026-01-01)"
    )
    assert lines[1].startswith("last epoch, raw weights: FID 3.00, IS 1.00 ± 0.25")
    assert lines[2].startswith("best epoch, ema weights: FID 2.00")
    assert lines[3] == "Careful: Something is odd."


def test_files_are_listed_and_of_a_folder_the_last_picture(tmp_path):
    for name in ("epoch-0002.png", "epoch-0010.png"):
        (tmp_path / name).touch()
    lines = summarize_run({"sample_grids": tmp_path, "history": Path("data/history.csv")}, []).splitlines()
    assert lines[0].split() == ["sample", "grids", str(tmp_path / "epoch-0010.png")]
    assert lines[1].split() == ["history", "data/history.csv"]
    assert "make ui" in lines[-1]
    assert "make viz" in lines[-1]


def test_the_next_command_is_for_the_same_environment():
    assert "kedro run --pipelines=compare " in summarize_run({}, [])
    assert "kedro run --env=cards --pipelines=compare " in summarize_run({}, [], env="cards")


def test_a_verdict_is_said_before_the_files():
    verdicts = [{"fraction": 0.1, "verdict": "helps", "sentence": "10% of the real images (100): helps."}]
    lines = summarize_run({"verdicts": Path("verdicts.json")}, [], verdicts).splitlines()
    assert lines[0] == "Augmentation with 10% of the real images (100): helps."
    assert lines[1].endswith("verdicts.json")
