"""What a person sees while a training runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tqdm import tqdm

logger = logging.getLogger(__name__)

LINES_PER_TRAINING = 20
"""Where there is no terminal, this many lines are written, whatever the number of epochs."""


class TrainingProgress:
    """One bar over the images of a training on a terminal; plain lines elsewhere."""

    def __init__(self, epochs: int, images_per_epoch: int) -> None:
        self.epochs = epochs
        self.total = epochs * images_per_epoch
        self.interactive = sys.stderr.isatty()
        self.bar = tqdm(total=self.total, unit="img", unit_scale=True, disable=not self.interactive, dynamic_ncols=True)
        self.bar.set_description(f"epoch 1/{epochs}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.close()

    def on_step(self, images_seen: int) -> None:
        """Move the bar to the number of images seen since the start."""
        self.bar.update(images_seen - self.bar.n)

    def on_epoch(self, number: int, images_seen: int, metrics: Mapping[str, float]) -> None:
        """Show the losses of an epoch that is done."""
        losses = f"D {metrics['discriminator_loss']:.3f} G {metrics['generator_loss']:.3f}"
        if self.interactive:
            self.bar.set_description(f"epoch {min(number + 1, self.epochs)}/{self.epochs}", refresh=False)
            self.bar.set_postfix_str(losses)
        elif (
            number == 1 or number * LINES_PER_TRAINING // self.epochs > (number - 1) * LINES_PER_TRAINING // self.epochs
        ):
            speed = metrics["images_per_second"]
            left = (self.total - images_seen) / speed
            logger.info(
                "epoch %d/%d  %s  %.0f img/s  %s left",
                number,
                self.epochs,
                losses,
                speed,
                tqdm.format_interval(left),
            )
