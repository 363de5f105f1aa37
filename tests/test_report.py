from __future__ import annotations

from pathlib import Path

from gan_pipelines.report import summarize_run


def score(metric, value, weights, **extractor):
    return {
        "metric": metric,
        "value": value,
        "comparability": {"samples": 2000, "reference_split": "train", "extractor": "resnet18"},
        "identity": {"weights": weights, "epoch": 100, "generator_version": "2026-01-01"},
        "extractor": extractor,
        "flags": ["Something is odd."] if value == 1.0 else [],
    }


def test_scores_come_with_their_samples_extractor_and_flags():
    scores = [
        score(metric, value, weights, heldout_accuracy=0.981)
        for weights, values in {"ema": (2.714, 8.5, 0.25), "raw": (3.0, 1.0, 0.0)}.items()
        for metric, value in zip(("fid", "is_mean", "is_std"), values, strict=True)
    ]
    lines = summarize_run({}, scores).splitlines()
    assert lines[0] == (
        "ema weights: FID 2.71, IS 8.50 ± 0.25 (2,000 samples against train, resnet18, held-out accuracy 98.1%; "
        "epoch 100 of 2026-01-01)"
    )
    assert lines[1].startswith("raw weights: FID 3.00, IS 1.00 ± 0.00")
    assert lines[2] == "Careful: Something is odd."


def test_files_are_listed_and_of_a_folder_the_last_picture(tmp_path):
    for name in ("epoch-0002.png", "epoch-0010.png"):
        (tmp_path / name).touch()
    lines = summarize_run({"sample_grids": tmp_path, "history": Path("data/history.csv")}, []).splitlines()
    assert lines[0].split() == ["sample", "grids", str(tmp_path / "epoch-0010.png")]
    assert lines[1].split() == ["history", "data/history.csv"]
    assert "make ui" in lines[-1]
    assert "make viz" in lines[-1]
