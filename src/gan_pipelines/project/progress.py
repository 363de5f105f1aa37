"""What a person sees while a training runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tqdm import tqdm

logger = logging.getLogger(__name__)


class TrainingProgress:
    """One bar over the images of a training on a terminal; elsewhere plain lines, some 20 whatever the epochs.

    With 0 lines nothing is shown, for trainings in several processes.
    """

    def __init__(self, epochs: int, images_per_epoch: int, lines: int = 20) -> None:
        self.lines = lines
        self.epochs = epochs
        self.images_per_epoch = images_per_epoch
        self.total = epochs * images_per_epoch
        self.has_begun = self.has_line = False
        self.interactive = sys.stderr.isatty() and lines > 0
        self.bar = tqdm(total=self.total, unit="img", unit_scale=True, disable=not self.interactive, dynamic_ncols=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.close()

    def on_step(self, images_seen: int) -> None:
        """Move the bar to the number of images seen since the start of the training."""
        if not self.has_begun:
            self.has_begun = True
            self.bar.initial = images_seen  # what was done before an interruption does not count for the speed
            self.bar.set_description(
                f"epoch {min(images_seen // self.images_per_epoch + 1, self.epochs)}/{self.epochs}"
            )
        self.bar.update(images_seen - self.bar.n)

    def on_epoch(self, number: int, images_seen: int, metrics: Mapping[str, float]) -> None:
        """Show the losses of an epoch that is done."""
        self.on_step(images_seen)
        losses = f"D {metrics['discriminator_loss']:.3f} G {metrics['generator_loss']:.3f}"
        if self.interactive:
            self.bar.set_description(f"epoch {min(number + 1, self.epochs)}/{self.epochs}", refresh=False)
            self.bar.set_postfix_str(losses)
        elif self.lines and self._deserves_line(number):
            self.has_line = True
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

    def _deserves_line(self, number: int) -> bool:
        """Whether an epoch is the first that is seen here, or one of some at equal distances."""
        parts = [each * self.lines // self.epochs for each in (number - 1, number)]
        return not self.has_line or parts[0] < parts[1]
