from __future__ import annotations

import pandas as pd
import pytest

from gan_pipelines.augmentation import summarize_experiment


def test_an_experiment_is_told_by_mean_accuracies_differences_and_verdicts():
    arm_scores = pd.DataFrame(
        {
            "arm": ["real_longer", "real_longer", "added_3x", "added_3x"],
            "fraction": [0.1] * 4,
            "seed": [0, 1, 0, 0],
            "learning_rate": [0.02, 0.02, 0.02, 0.05],
            "accuracy": [0.5, 0.7, 0.9, 0.1],
            "is_main": [True, True, True, False],
        }
    )
    comparisons = pd.DataFrame(
        {
            "arm": ["added_1x", "added_3x", "added_3x"],
            "baseline": ["real_longer"] * 3,
            "fraction": [0.1] * 3,
            "difference": [0.2, 0.3, 0.4],
            "is_main": [True, True, False],
            "is_primary": [False, True, True],
        }
    )
    verdicts = [{"fraction": 0.1, "verdict": "helps", "sentence": "10% of the real images (100): helps."}]
    findings = summarize_experiment(arm_scores, comparisons, verdicts)
    expected = {
        "accuracy_real": 0.6, "accuracy_with_generated": 0.9,
        "augmentation/accuracy_real_longer_0.1": 0.6, "augmentation/accuracy_added_3x_0.1": 0.9,
        "augmentation/difference_added_1x_0.1": 0.2, "augmentation/difference_added_3x_0.1": 0.3,
        "augmentation/learning_rate_0.1": 0.02,
    }  # fmt: skip
    assert findings.metrics == pytest.approx(expected)
    assert findings.tags == {"verdict": "10% of the real images (100): helps."}
    assert findings.sentences == ("Augmentation with 10% of the real images (100): helps.",)
