"""From the report on a folder of pictures to a page."""

from __future__ import annotations

from gan_pipelines.figures import DatasetPage, PagePair, PairList
from gan_pipelines.images import FolderReport
from gan_pipelines.images.folder_report import SHOWN_PAIRS, Pair


def make_dataset_page(name: str, report: FolderReport) -> DatasetPage:
    """Lay out a report as the page of an experiment with this name."""
    left_out = sorted(report.left_out.items(), key=lambda item: (-item[1], item[0]))
    return DatasetPage(
        name=name,
        folder=str(report.dataset.path),
        facts=report.describe_pixels(),
        warnings=[*report.warn()],
        class_counts=report.class_counts,
        sizes=report.sizes,
        image_size=report.dataset.image_size,
        level_counts=report.level_counts,
        images=report.shown,
        pairs=[
            _list_pairs(
                "In two classes",
                "The same picture, or nearly, with two labels. Some classes differ in no more, so look at each pair: "
                "correct the label that is wrong, and remove one of the two.",
                report.conflicts,
                report,
            ),
            _list_pairs(
                "In two splits",
                "They make scores on the other split too good. Remove one of each pair that shows the same.",
                report.duplicates,
                report,
            ),
            _list_pairs(
                "Twice in one split",
                "They count twice in training and scores. Remove one of each pair.",
                report.repeated,
                report,
            ),
        ],
        files={
            "Cannot be used, and left out": report.skipped,
            "Animated or of several pages; only the first is used": report.first_frames,
            "In a folder with the name of another class": report.misplaced,
            "No pictures, or hidden; left out": [f"{suffix or 'no suffix'}: {count:,}" for suffix, count in left_out],
        },
    )


def _list_pairs(title: str, advice: str, pairs: tuple[Pair, ...], report: FolderReport) -> PairList:
    shown = [
        PagePair(
            (report.pair_images[pair.image], report.pair_images[pair.twin]),
            (pair.image, pair.twin),
            pair.classes,
            pair.correlation,
        )
        for pair in pairs[:SHOWN_PAIRS]
    ]
    return PairList(title, advice, len(pairs), shown)
