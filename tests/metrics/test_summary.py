from __future__ import annotations

from gan_pipelines.metrics import summarize_scores
from gan_pipelines.metrics.averages import KEY_DIGITS, list_scores


def score(generator, weights, metric, value, spread=None, **key):
    return {
        "metric": metric,
        "value": value,
        "spread": spread,
        "comparability": {"samples": 2000, "reference_split": "train", "extractor": "resnet18", **key},
        "identity": {
            "generator": generator,
            "weights": weights,
            "epoch": 100,
            "trained_epochs": 100,
            "seed": 3,
            "sampling_seed": 0,
            "recipe": "r",
            "generator_version": "2026-01-01",
        },
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
    assert findings.sentences[3:] == (
        "Another score is missing.",
        "Careful, last epoch, raw weights: Something is odd.",
    )
    assert findings.tags["flags"] == "Something is odd."


def test_a_flag_of_all_generators_names_none_of_them():
    scores = [*scores_of("last", "ema", 2.7, 1.0), *scores_of("last", "raw", 3.0, 1.0)]
    assert summarize_scores(scores).sentences[-1] == "Careful: Something is odd."
    scores += [*scores_of("best", "ema", 2.0, 9.0)]
    assert summarize_scores(scores).sentences[-1] == (
        "Careful, last epoch, ema weights and last epoch, raw weights: Something is odd."
    )


def test_a_sentence_names_no_inception_score_where_there_is_none():
    scores = [each for each in scores_of("last", "ema", 2.714, 8.5) if each["metric"] != "is"]
    assert summarize_scores(scores).sentences[0].startswith("last epoch, ema weights: FID 2.71, KID 0.1235, precision")


def test_the_last_epoch_with_ema_weights_stands_at_the_top_and_the_rest_in_sections():
    scores = [
        *scores_of("last", "raw", 3.0, 2.0),
        *scores_of("last", "ema", 2.5, 9.0),
        *scores_of("best", "raw", 4.0, 2.0),
        *scores_of("best", "ema", 2.0, 9.0),
        score("last", "ema", "class_kid", 5.0, **{"class": "seven"}),
    ]
    metrics = summarize_scores(scores).metrics
    top = dict(list(metrics.items())[:6])
    assert top == {"fid": 2.5, "is": 9.0, "kid": 0.12345, "precision": 0.91, "recall": 0.5, "copies": 0.012}
    assert (metrics["raw/fid"], metrics["best/fid"], metrics["scores/density"]) == (3.0, 2.0, 0.9)
    assert len(metrics) == 30


def test_tags_say_what_was_scored_and_with_what_it_may_be_compared():
    scores = [*scores_of("last", "raw", 3.0, 2.0), *scores_of("last", "ema", 2.5, 9.0)]
    tags = summarize_scores(scores).tags
    key = list_scores({"dcgan": scores})["key"].iloc[0][:KEY_DIGITS]
    assert tags == {"weights": "ema", "seed": "3", "epochs": "100", "score_key": key}
    others = [{**each, "comparability": {**each["comparability"], "samples": 50}} for each in scores]
    assert summarize_scores(others).tags["score_key"] != key


def test_scores_of_a_milestone_have_a_section_of_their_own_and_state_its_epoch():
    scores = [*scores_of("milestone", "ema", 2.5, 9.0), *scores_of("milestone", "raw", 3.0, 2.0)]
    for each in scores:
        each["identity"] |= {"epoch": 10, "trained_epochs": 10, "images_seen": 12480}
    findings = summarize_scores(scores)
    assert findings.metrics["milestone/fid"] == 2.5
    assert findings.metrics["milestone/raw/fid"] == 3.0
    assert {name.partition("/")[0] for name in findings.metrics} == {"milestone"}
    assert findings.tags["epochs"] == "10"
    assert findings.sentences[0].startswith("milestone of epoch 10 (12,480 images), ema weights: FID 2.50, IS 9.00")


def test_scores_of_images_made_elsewhere_stand_for_their_run():
    scores = scores_of("elsewhere", "elsewhere", 2.0, 8.5)
    for each in scores:
        each["identity"]["name"] = "turbo"
    findings = summarize_scores(scores)
    assert findings.metrics["fid"] == 2.0
    assert findings.metrics["scores/density"] == 0.9
    assert [*findings.tags] == ["score_key"]
    assert findings.sentences[0] == (
        "turbo, made elsewhere: FID 2.00, IS 8.50 ± 0.25, KID 0.1235, precision 0.91, recall 0.50, authenticity 0.70 "
        "(held-out images 0.75), copies 1.2% (2,000 samples against train, resnet18, held-out accuracy 98.1%)"
    )
