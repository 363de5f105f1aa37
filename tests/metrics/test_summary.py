from __future__ import annotations

from gan_pipelines.metrics import summarize_scores


def score(generator, weights, metric, value, spread=None, **key):
    return {
        "metric": metric,
        "value": value,
        "spread": spread,
        "comparability": {"samples": 2000, "reference_split": "train", "extractor": "resnet18", **key},
        "identity": {"generator": generator, "weights": weights, "epoch": 100, "generator_version": "2026-01-01"},
        "extractor": {"heldout_accuracy": 0.981},
        "flags": ["Something is odd."] if value == 1.0 else [],
        "notes": ["Another score is missing."],
    }


def scores_of(generator, weights, fid, inception_score):
    others = {
        "kid": 0.12345,
        "precision": 0.91,
        "recall": 0.5,
        "density": 0.9,
        "coverage": 0.8,
        "authenticity": 0.7,
        "heldout_authenticity": 0.75,
        "copies": 0.012,
    }
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
    findings = summarize_scores(scores)
    assert findings.sentences[0] == (
        "last epoch, ema weights: FID 2.71, IS 8.50 ± 0.25, KID 0.1235, precision 0.91, recall 0.50, authenticity "
        "0.70 (held-out images 0.75), copies 1.2% (2,000 samples against train, resnet18, held-out accuracy 98.1%; "
        "epoch 100 of 2026-01-01)"
    )
    assert findings.sentences[1].startswith("last epoch, raw weights: FID 3.00, IS 1.00 ± 0.25")
    assert findings.sentences[2].startswith("best epoch, ema weights: FID 2.00")
    assert findings.sentences[3:] == ("Another score is missing.", "Careful: Something is odd.")
    assert findings.tags == {"flags": "Something is odd."}


def test_metrics_are_named_by_generator_and_weights_without_those_of_single_classes():
    scores = [
        *scores_of("last", "raw", 3.0, 2.0),
        *scores_of("best", "ema", 2.0, 9.0),
        score("last", "raw", "class_kid", 5.0, **{"class": "seven"}),
    ]
    metrics = summarize_scores(scores).metrics
    assert metrics["fid_raw"] == 3.0
    assert metrics["best/fid_ema"] == 2.0
    assert len(metrics) == 20
    assert summarize_scores(scores).tags == {}
