from __future__ import annotations

import io
import logging
import re
import sys

from gan_pipelines.project.progress import TrainingProgress

METRICS = {"discriminator_loss": -1.25, "generator_loss": 0.5, "images_per_second": 50.0}


def train(epochs, first=1):
    with TrainingProgress(epochs, images_per_epoch=100) as progress:
        for number in range(first, epochs + 1):
            for step in range(1, 11):
                progress.on_step((number - 1) * 100 + step * 10)
            progress.on_epoch(number, number * 100, METRICS)
    return progress


def test_without_a_terminal_there_are_few_plain_lines(caplog):
    caplog.set_level(logging.INFO, logger="gan_pipelines")
    train(200)
    assert len(caplog.messages) == 21
    assert caplog.messages[0] == "epoch 1/200  D -1.250 G 0.500  50 img/s  06:38 left"
    assert caplog.messages[-1] == "epoch 200/200  D -1.250 G 0.500  50 img/s  00:00 left"


def test_a_short_training_says_each_epoch_once(caplog):
    caplog.set_level(logging.INFO, logger="gan_pipelines")
    train(3)
    assert [message.split("  ")[0] for message in caplog.messages] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_one_bar_with_losses_and_no_lines(monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="gan_pipelines")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = train(3)
    last = terminal.getvalue().split("\r")[-1]
    assert re.search(r"epoch 3/3: 100%.*300/300.*img/s.*D -1.250 G 0.500", last)
    assert progress.bar.n == 300
    assert caplog.messages == []


def test_a_resumed_training_says_its_first_epoch_and_counts_speed_from_there(monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="gan_pipelines")
    train(200, first=53)
    assert caplog.messages[0].startswith("epoch 53/200")
    assert len(caplog.messages) == 16
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = train(200, first=53)
    assert "epoch 53/200" in terminal.getvalue()
    assert progress.bar.format_dict["initial"] == 5210


def test_a_finished_training_is_a_full_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with TrainingProgress(3, images_per_epoch=100) as progress:
        progress.on_epoch(3, 300, METRICS)
    assert progress.bar.n == 300
