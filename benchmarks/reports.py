"""Train and score the five experiments, in full or within some minutes, without Kedro and MLflow.

    python benchmarks/reports.py OUT --data data/01_raw --at-once 4 --minutes 30
    python benchmarks/reports.py OUT --data data/01_raw --only cifar10_64-dcgan playing_cards
    python benchmarks/reports.py OUT --data data/01_raw --only playing_cards-0.1   # two hours of a CPU core
    python benchmarks/reports.py OUT --data data/01_raw --only playing_cards-augmentation-0.1
    python benchmarks/reports.py OUT --data data/01_raw --trial   # minutes, to see that everything runs

Settings are those of the environments in conf/. Trainings begin in order of value, `--at-once` of them beside each
other, each in a process of its own. Where the minutes are over, each stops after its epoch, and what there is is
scored. The same command goes on from the newest checkpoints, and repeats nothing that is finished. A trial has a
folder of its own, OUT/trial. The augmentation experiment of the playing cards comes last, since it takes longest: its
generators, then its classifiers, and verdicts once it has all of them.

DATA has cifar10/{train,test}/<class>/ or torchvision's files of CIFAR-10, torchvision's files of Fashion-MNIST, and
playing-cards/{train,valid,test}/<class>/. OUT gets history/<training>.csv with a row for each epoch,
grids/<training>-<epoch>.png, and scores/<training>.csv: Fréchet distances of a few samples by epoch, and all metrics of
the last generator. The augmentation experiment has its tables, figures and verdicts in augmentation-<fractions>/.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from itertools import product
from pathlib import Path

from gan_pipelines.execution import ExecutionConfig, run_all
from report_augmentation import augment
from report_trainings import Training, fit_extractor, open_images, read_settings, train_and_score

OBJECTIVES = ("minimax", "non_saturating", "least_squares", "wasserstein")
AUGMENTED = Training("playing_cards", "cdcgan")
"""The training whose augmentation experiment is one of the reports."""
TRAININGS = (
    Training("cifar10_32", "wgan_gp"),
    *(Training("cifar10_64", variant) for variant in ("dcgan", "wgan_gp", "wgan", "acgan")),
    *(Training("cifar10_64_attention", variant) for variant in ("dcgan", "sagan")),
    AUGMENTED,
    *(Training("fashion_mnist", *each) for each in product(("mlp_gan", "dcgan"), OBJECTIVES, range(3))),
    AUGMENTED._replace(fraction=0.1),
)
"""In order of value."""


def main() -> None:
    """Train and score what is wanted and not yet done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=[""], help="beginnings of names, such as cifar10_64-dcgan")
    parser.add_argument("--at-once", type=int, default=1, help="number of trainings beside each other")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="when trainings stop; scores take longer")
    parser.add_argument("--trial", action="store_true", help="narrow networks, two epochs, few samples")
    options = parser.parse_args()

    deadline = time.time() + 60 * options.minutes
    out = options.out / "trial" if options.trial else options.out
    begins = tuple(options.only)
    wanted = [each for each in TRAININGS if each.name.startswith(begins)]
    settings = {each: read_settings(each, options.data, options.trial) for each in wanted}
    for each in {each.dataset: each for each in settings.values()}.values():
        open_images(out, each)
    # Extractors are fitted beside the first training, which needs its own in the end only.
    by_extractor = {(each.dataset.path, each.dataset.image_size): each for each in settings.values()}
    fits = [partial(fit_extractor, out, each) for each in by_extractor.values()]
    trainings = [partial(train_and_score, out, each, settings[each], deadline) for each in wanted]
    at_once = ExecutionConfig(workers=options.at_once)
    for sentence in run_all([*trainings[:1], *fits, *trainings[1:]], at_once):
        print(sentence, flush=True)
    experiment = read_settings(AUGMENTED, options.data, options.trial)
    if fractions := [
        fraction
        for fraction in experiment.augmentation.fractions
        if f"{AUGMENTED.environment}-augmentation-{fraction:g}".startswith(begins)
    ]:
        for sentence in augment(out, experiment, fractions, deadline, at_once):
            print(sentence, flush=True)


if __name__ == "__main__":
    main()
