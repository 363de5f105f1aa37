"""Inception Score (Salimans et al. 2016, section 4) from the predictions of any classifier."""

from __future__ import annotations

import torch
from torch import Tensor

MIN_INCEPTION_SCORE = 1.01
"""Inception Score below which all images get nearly the same prediction."""


def inception_score(logits: Tensor, splits: int) -> tuple[float, float]:
    """Compute exp(E KL(p(y|x) || p(y))) for equal parts of the images.

    Args:
        logits: (N, classes), N at least ``splits``.
        splits: number of parts; the images are not shuffled.

    Returns:
        mean over the parts, from 1 to the number of classes; and standard deviation over the parts, with their number
        in the denominator, as published.
    """
    log_probabilities = logits.double().log_softmax(dim=1)
    scores = torch.stack([_score(part) for part in log_probabilities.tensor_split(splits)])
    return scores.mean().item(), scores.std(correction=0).item()


def _score(log_probabilities: Tensor) -> Tensor:
    probabilities = log_probabilities.exp()
    divergences = (probabilities * (log_probabilities - probabilities.mean(dim=0).log())).nansum(dim=1)
    return divergences.mean().exp()
