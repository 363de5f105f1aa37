from __future__ import annotations

import pandas as pd
import pytest

from gan_pipelines.augmentation import summarize_experiment


def test_an_experiment_is_told_by_mean_accuracies_differences_and_verdicts():
    arm_scores = pd.DataFrame(
        {
            "arm": ["real", "real", "added_3x", "added_3x"],
            "fraction": [0.1] * 4,
            "seed": [0, 1, 0, 0],
            "learning_rate": [0.02, 0.02, 0.02, 0.05],
            "accuracy": [0.5, 0.7, 0.9, 0.1],
            "is_main": [True, True, True, False],
        }
    )
    comparisons = pd.DataFrame(
        {"arm": ["added_3x"] * 2, "fraction": [0.1] * 2, "difference": [0.3, 0.4], "is_main": [True, False]}
    )
    verdicts = [{"fraction": 0.1, "verdict": "helps", "sentence": "10% of the real images (100): helps."}]
    findings = summarize_experiment(arm_scores, comparisons, verdicts)
    expected = {
        "accuracy_real_0.1": 0.6, "accuracy_added_3x_0.1": 0.9, "difference_added_3x_0.1": 0.3,
        "learning_rate_0.1": 0.02,
    }  # fmt: skip
    assert findings.metrics == pytest.approx(expected)
    assert findings.tags == {"verdict": "10% of the real images (100): helps."}
    assert findings.sentences == ("Augmentation with 10% of the real images (100): helps.",)
