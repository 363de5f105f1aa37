"""Damage pictures, and check that exactly those that Pillow still loads are read, and why the others are not.

    python benchmarks/damaged_pictures.py [FILES] [SEED]

Small files of many formats, modes and depths are damaged: some bytes are flipped, or the file is cut off, or a part is
overwritten with a part of another file, or taken out. Each goes through `read_picture` and `picture_size`, and in
batches, as folders, through ``kedro experiment`` and ``kedro run --pipelines=ingest`` in a copy of the project. Pillow
decides: `PIL.Image.open` and `load`, with room for texts and colour profiles of any size. Three differences are meant:
pictures whose values are infinite or NaN, 16-bit colours in planes, and what another program would draw.

Prints how often each reason was given, every file that was read or refused although Pillow says otherwise, and the
speed. Exits with 1 if there is such a file.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from gan_pipelines.images.config import DatasetConfig
from gan_pipelines.images.decoding import picture_size, read_picture, to_pixels
from gan_pipelines.images.errors import BadImage

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import odd_pictures
from command_line import KEDRO, copy_project

PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 2**40
BATCH = 10_000
"""Files of a folder; the command line takes half a minute, however few there are."""
WHOLE = 100
"""Files of a folder that are not damaged: the check refuses a folder with fewer than 50 training pictures."""
RANGE = (0.0, 65535.0)
MEANT = (
    "values that are infinite or NaN",
    "16-bit colours in separate planes",
    "an EPS or PostScript file",
    "a WMF file",
)
CONFIG = DatasetConfig(source="digits", image_size=16, channels=3, value_range=RANGE)


def make_files(seed: int) -> list[odd_pictures.Odd]:
    """Whole files of all kinds."""
    files = [*odd_pictures.eight_bit(seed).values(), *odd_pictures.several_frames(seed).values()]
    files += odd_pictures.depths(seed, 12).values()
    files += [odd_pictures.Odd(".eps", odd_pictures.encode(odd_pictures.to_bytes(odd_pictures.smooth(seed)), "EPS"))]
    floats = odd_pictures.smooth(seed, 1).astype(np.float32)
    files += [odd_pictures.Odd(".tif", odd_pictures.tiff(floats, packed=packed)) for packed in (False, True)]
    return [file for file in files if len(file.content) < 2**15]


def damage(content: bytes, other: bytes, draws: np.random.Generator) -> bytes:
    """Damage a file in one of four ways."""
    changed = bytearray(content)
    first, second = sorted(draws.integers(0, len(content), 2).tolist())
    match draws.integers(4):
        case 0:
            near = len(content) if draws.integers(2) else min(200, len(content))  # headers are what plugins parse
            for place in draws.integers(0, near, draws.integers(1, 9)):
                changed[place] = draws.integers(256)
        case 1:
            del changed[first:]
        case 2:
            changed[first:second] = other[first:second]
        case 3:
            del changed[first:second]
    return bytes(changed)


def write_folder(folder: Path, count: int, seed: int) -> None:
    """Write a folder of two classes with damaged files, and some whole ones for the check to go on."""
    draws, kinds = np.random.default_rng(seed), make_files(seed)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        odd, other = (kinds[place] for place in draws.integers(len(kinds), size=2))
        content = damage(odd.content, other.content, draws)
        (folder / "ab"[number % 2] / f"{number:06d}{odd.suffix.lower()}").write_bytes(content)
    for number in range(WHOLE):
        values = (odd_pictures.smooth(number, 1) * 65535).astype(np.uint16)
        (folder / "ab"[number % 2] / f"whole{number}.png").write_bytes(odd_pictures.png(values))


def pillow_loads(path: Path) -> bool:
    """Whether Pillow alone opens and decodes a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as picture:
                picture.load()
        except Exception:
            return False
    return True


def why_refused(path: Path) -> str | None:
    """The sentence of a file that is refused, or None; any other error is a finding."""
    picture_size(path)
    try:
        to_pixels(read_picture(path, CONFIG.image_size), CONFIG)
    except BadImage as error:
        return str(error)
    return None


def check_files(folder: Path, sentences: dict[Path, str | None]) -> Iterator[str]:
    """Read the files of a folder, keep what is said of each, and yield a line for each that is not as Pillow says."""
    for path in sorted(folder.rglob("*.*")):
        loads = pillow_loads(path)
        try:
            sentence = sentences[path] = why_refused(path)
        except Exception as error:
            yield f"{path}: {type(error).__name__} ({error}); Pillow {'loads' if loads else 'refuses'} it"
            continue
        if sentence is None and not loads:
            yield f"{path}: read, but Pillow refuses it"
        if sentence is not None and loads and not any(meant in sentence for meant in MEANT):
            yield f"{path}: Pillow loads it, but {sentence}"
        if sentence is not None and not re.fullmatch(r"\S+ cannot be used: [^\n]+[;)][^\n]+\.", sentence):
            yield f"{path}: no sentence with a reason and a remedy: {sentence}"


def check_commands(project: Path, name: str, folder: Path, sentences: dict[Path, str | None]) -> Iterator[str]:
    """Run the command line on a folder, and yield a line for each of its files that is not as read alone."""
    expected = {sentence for sentence in sentences.values() if sentence}
    yield from run(project, "experiment", name, str(folder), "--value-range", *map(str, RANGE))
    yield from run(project, "run", f"--env={name}", "--pipelines=ingest")
    manifests = sorted((project / "data/08_reporting" / name / "manifest.json").glob("*/manifest.json"))
    if not manifests:
        yield f"{folder}: no manifest"
        return
    manifest = json.loads(manifests[-1].read_text())
    if manifest["images"] != len(sentences) - len(expected):
        yield f"{folder}: {manifest['images']} images, but {len(sentences) - len(expected)} files can be read"
    for sentence in expected.symmetric_difference(manifest["skipped"]):
        yield f"in the manifest or alone, but not both: {sentence}"


def group(path: Path, sentence: str | None) -> str:
    """The reason without the file's name and Pillow's own words."""
    reason = "" if sentence is None else sentence.removeprefix(f"{path} cannot be used: ")
    return re.sub(r" \(.*\)", " (...)", reason) or "(read)"


def run(project: Path, *arguments: str) -> Iterator[str]:
    """Run a command of Kedro's; yield its output if it fails."""
    result = subprocess.run([KEDRO, *arguments], cwd=project, capture_output=True, text=True, check=False)
    if result.returncode:
        yield f"kedro {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}"


def main() -> int:
    """Damage, read and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=int, nargs="?", default=2000)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    options = parser.parse_args()
    reasons: Counter[str] = Counter()
    findings, seconds = 0, 0.0
    with tempfile.TemporaryDirectory() as scratch:
        project = copy_project(Path(scratch) / "project")
        for batch, first in enumerate(range(0, options.files, BATCH)):
            folder = Path(scratch) / f"pictures{batch}"
            write_folder(folder, min(BATCH, options.files - first), options.seed + batch)
            started = time.perf_counter()
            sentences: dict[Path, str | None] = {}
            found = list(check_files(folder, sentences))
            seconds += time.perf_counter() - started
            found += check_commands(project, f"damaged{batch}", folder, sentences)
            print(*found, sep="\n", end="\n" * bool(found), flush=True)
            findings += len(found)
            reasons.update(group(path, sentence) for path, sentence in sentences.items())
            shutil.rmtree(folder)
    for reason, count in reasons.most_common():
        print(f"{count:>7,}  {reason}")
    print(
        f"{options.files:,} damaged files, {findings} findings, {sum(reasons.values()) / seconds:,.0f} files a second"
    )
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
