from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gan_pipelines.classifier import ClassifierConfig, LabelledImages, fit_classifier, fit_selected, fitting
from gan_pipelines.classifier.fitting import steps_per_epoch
from gan_pipelines.gan.config import TransformConfig

CONFIG = ClassifierConfig(network="resnet8", epochs=5, batch_size=8, learning_rate=0.02)


@pytest.fixture
def train(striped_images):
    images = striped_images.select("train")
    return LabelledImages(torch.from_numpy(images.images), torch.from_numpy(images.labels))


@pytest.fixture
def valid(striped_images):
    images = striped_images.select("valid")
    return LabelledImages(torch.from_numpy(images.images), torch.from_numpy(images.labels))


def test_the_best_epoch_on_the_validation_split_is_kept(train, valid):
    fit = fit_selected(train, valid, 2, CONFIG, steps=20, device="cpu")
    assert [row["epoch"] for row in fit.history] == [1, 2, 3, 4, 5]
    ranks = [(row["valid_accuracy"], -row["valid_loss"]) for row in fit.history]
    assert fit.best_epoch == ranks.index(max(ranks)) + 1
    logits = fit.classifier.predict(valid.images)
    best = fit.history[fit.best_epoch - 1]
    assert (logits.argmax(1) == valid.labels).float().mean().item() == best["valid_accuracy"]
    assert F.cross_entropy(logits, valid.labels).item() == pytest.approx(best["valid_loss"], rel=1e-5)


def test_curves_on_the_test_split_choose_nothing(train, valid):
    test = LabelledImages(train.images, 1 - train.labels)  # the better the classifier, the worse
    plain, fit = (fit_selected(train, valid, 2, CONFIG, steps=20, test=each, device="cpu") for each in (None, test))
    split = {"test_loss", "test_accuracy"}
    assert [{name: row[name] for name in row.keys() - split} for row in fit.history] == plain.history
    assert fit.best_epoch == plain.best_epoch
    logits = fit.classifier.predict(test.images)
    best = fit.history[fit.best_epoch - 1]
    assert (logits.argmax(1) == test.labels).float().mean().item() == best["test_accuracy"]
    assert F.cross_entropy(logits, test.labels).item() == pytest.approx(best["test_loss"], rel=1e-5)


def test_an_early_epoch_can_be_the_best(train, valid):
    swapped_labels = LabelledImages(valid.images, 1 - valid.labels)  # learning makes validation worse
    fit = fit_selected(train, swapped_labels, 2, CONFIG, steps=30, device="cpu")
    assert fit.best_epoch < 5
    assert fit.history[-1]["train_loss"] < fit.history[0]["train_loss"]


@pytest.mark.parametrize(("steps", "parts"), [(5, [1, 1, 1, 1, 1]), (13, [2, 3, 2, 3, 3]), (30, [6] * 5)])
def test_the_steps_are_divided_evenly_between_the_epochs(train, valid, monkeypatch, steps, parts):
    taken = []
    monkeypatch.setattr(fitting._Fitting, "_step", lambda *_: taken.append(1) or {"loss": torch.tensor(0.0)})
    seen = []
    monkeypatch.setattr(
        fitting.Classifier, "predict", lambda self, images: seen.append(len(taken)) or torch.zeros(len(images), 2)
    )
    fit_selected(train, valid, 2, CONFIG, steps=steps, device="cpu")
    assert [last - first for first, last in zip([0, *seen], seen, strict=False)] == parts


def test_the_learning_rate_follows_the_schedule(train, monkeypatch):
    rates = []
    step = fitting._Fitting._step

    def spy(self, *arguments):
        rates.append(self.optimizer.param_groups[0]["lr"])
        return step(self, *arguments)

    monkeypatch.setattr(fitting._Fitting, "_step", spy)
    config = replace(CONFIG, epochs=2, batch_size=40)
    fit_classifier(*train, 2, config, device="cpu")
    fit_classifier(*train, 2, replace(config, schedule="constant"), device="cpu")
    assert rates == pytest.approx([0.02, 0.01, 0.02, 0.02])  # half a cosine is one half in the middle


@pytest.mark.parametrize(("count", "size"), [(40, 16), (17, 8), (16, 8), (5, 8), (1, 4)])
def test_every_batch_is_full_and_every_pass_has_each_image_once(train, monkeypatch, count, size):
    batches = []
    monkeypatch.setattr(
        fitting._Fitting, "_step", lambda self, _, batch: batches.append(batch) or {"loss": torch.tensor(0.0)}
    )
    config = replace(CONFIG, batch_size=size, epochs=6)
    fit_classifier(train.images[:count], train.labels[:count], 2, config, device="cpu")
    assert [len(batch) for batch in batches] == [size] * 6 * -(-count // size)
    passes = torch.cat(batches).split(count)
    assert len(passes) >= 6
    for each in passes[:6]:
        assert sorted(each.tolist()) == list(range(count))
    assert count < 5 or len({tuple(each.tolist()) for each in passes[:6]}) == 6  # each in an order of its own


def test_an_epoch_takes_each_image_at_least_once():
    assert [steps_per_epoch(count, 8) for count in (16, 17, 18, 7, 1)] == [2, 3, 3, 1, 1]


def test_transforms_are_applied_to_training_images_only(train, valid, monkeypatch):
    seen = []

    def spy(images, config):
        seen.append(config)
        return images

    monkeypatch.setattr(fitting, "apply_transforms", spy)
    flips = TransformConfig(horizontal_flip=True)
    fit_selected(train, valid, 2, replace(CONFIG, epochs=1), steps=3, transforms=flips, device="cpu")
    assert seen == [flips] * 3
    fit_selected(train, valid, 2, replace(CONFIG, epochs=1), steps=3, device="cpu")
    assert seen[3:] == [TransformConfig()] * 3
