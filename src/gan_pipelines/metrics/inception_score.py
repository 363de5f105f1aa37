"""Inception Score (Salimans et al. 2016, section 4), of any classifier's predictions."""

from __future__ import annotations

import torch
from torch import Tensor

COLLAPSED_BELOW = 1.01
"""At a score of 1 every image gets the same prediction; no working pair of generator and classifier comes so near."""


def inception_score(logits: Tensor, splits: int) -> tuple[float, float]:
    """exp(E KL(p(y|x) || p(y))), in equal parts of the images.

    Args:
        logits: (N, classes), N at least ``splits``; the images are independent draws, in any order.
        splits: number of parts.

    Returns:
        mean and standard deviation (N in the denominator, as published) over the parts; from 1 to the number of
        classes.
    """
    log_probabilities = logits.double().log_softmax(dim=1)
    scores = torch.stack([_score(part) for part in log_probabilities.tensor_split(splits)])
    return scores.mean().item(), scores.std(correction=0).item()


def _score(log_probabilities: Tensor) -> Tensor:
    probabilities = log_probabilities.exp()
    divergences = (probabilities * (log_probabilities - probabilities.mean(dim=0).log())).nansum(dim=1)
    return divergences.mean().exp()
