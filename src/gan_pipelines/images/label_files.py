"""Files of labels: CSV or JSON Lines with a line for each picture, as Hugging Face's imagefolder has them."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from gan_pipelines.images.errors import DatasetUnusable

METADATA_FILES: Final = ("metadata.csv", "metadata.jsonl")
"""Names that Hugging Face's imagefolder looks for."""
FILE_COLUMNS: Final = ("file_name", "filename", "filepath", "path")
"""Columns of the path of a picture; the first that exists is read."""
SPLIT_COLUMN: Final = "split"


class LabelLine(NamedTuple):
    """A line of a file of labels.

    Attributes:
        file: composed path of the picture, with forward slashes, relative to the folder that is labelled.
        label: composed name of its class.
        split: the column ``split``, or None without one.
        place: file and number of the line, with which a sentence begins.
    """

    file: str
    label: str
    split: str | None
    place: str


def read_label_file(path: Path, label_column: str) -> list[LabelLine]:
    """Read a ``.csv`` with a header, or a ``.jsonl`` with an object in each line; both in UTF-8.

    Args:
        path: path of the file.
        label_column: name of the column of the labels, which are texts or whole numbers.

    Raises:
        DatasetUnusable: if the file cannot be read or has no line, a column is missing or a value empty, or a picture
            lies outside of the folder or is listed twice.
    """
    rows = [*_read_rows(path)]
    if not rows:
        raise DatasetUnusable(f"{path} has no line about a picture; add a line for each.")
    columns = rows[0].values
    file_column = next((name for name in FILE_COLUMNS if name in columns), FILE_COLUMNS[0])
    for column, what in ((file_column, "paths of the pictures"), (label_column, "labels")):
        if column not in columns:
            change = ", or set dataset.label_column" if column == label_column else ""
            raise DatasetUnusable(
                f"{path} has no column {column} (it has {', '.join(columns)}); rename the column of the {what}{change}."
            )
    lines = [_parse(row, file_column, label_column) for row in rows]
    _require_distinct(lines)
    return lines


def list_columns(path: Path) -> list[str]:
    """Columns of a file, of a JSON Lines file those of its first line. Raises what `read_label_file` raises."""
    first = next(_read_rows(path), None)
    return [] if first is None else [*first.values]


def sort_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names of classes: by number if all are whole numbers, else as texts."""
    distinct = sorted(set(names))
    are_numbers = all(re.fullmatch("-?[0-9]+", name) for name in distinct)
    return tuple(sorted(distinct, key=int) if are_numbers else distinct)


def compose(name: str) -> str:
    """A name in Unicode's composed form: macOS decomposes what other systems compose."""
    return unicodedata.normalize("NFC", name)


class _Row(NamedTuple):
    place: str
    values: Mapping[str, Any]


def _read_rows(path: Path) -> Iterator[_Row]:
    try:
        text = path.read_bytes().decode("utf-8-sig")  # spreadsheets write a byte order mark
    except UnicodeDecodeError as error:
        raise DatasetUnusable(f"{path} is not UTF-8; save it as UTF-8.") from error
    except PermissionError as error:
        raise DatasetUnusable(f"{path} may not be read; change its permissions.") from error
    return _read_json_lines(path, text) if path.suffix.lower() == ".jsonl" else _read_csv(path, text)


def _read_csv(path: Path, text: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = next(reader, [])
        for fields in filter(None, reader):
            place = f"{path}, line {reader.line_num}"
            if len(fields) != len(header):
                raise DatasetUnusable(
                    f"{place}: the number of values is {len(fields)}, but that of the columns {len(header)}; put "
                    "values that have commas in quotes."
                )
            yield _Row(place, dict(zip(header, fields, strict=True)))
    except csv.Error as error:
        raise DatasetUnusable(f"{path}, line {reader.line_num}: this is no CSV ({error}); mend it.") from error


def _read_json_lines(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), 1):
        place = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:  # the latter for thousands of brackets
            raise DatasetUnusable(f"{place}: this is no JSON; mend it.") from error
        if not isinstance(values, dict):
            raise DatasetUnusable(f'{place}: this is no JSON object; write one such as {{"file_name": ..., ...}}.')
        yield _Row(place, values)


def _parse(row: _Row, file_column: str, label_column: str) -> LabelLine:
    file = PurePosixPath(compose(_text(row, file_column)))
    if file.is_absolute() or ".." in file.parts:
        raise DatasetUnusable(f"{row.place}: {file} leads out of the folder; write a path within it.")
    label = compose(_text(row, label_column).strip())
    split = _text(row, SPLIT_COLUMN) if SPLIT_COLUMN in row.values else None
    return LabelLine(file.as_posix(), label, split, row.place)


def _text(row: _Row, column: str) -> str:
    """The value of a column: a text, or a whole number as a text."""
    value = row.values.get(column)
    if value is None or not str(value).strip():
        raise DatasetUnusable(f"{row.place}: {column} is empty; fill it in, or remove the line and its picture.")
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    # JSON can write half of a character, which no name of a file and no terminal takes.
    if not is_whole and (not isinstance(value, str) or re.search("[\ud800-\udfff]", value)):
        raise DatasetUnusable(f"{row.place}: {column} is {value!r}, but must be a text or a whole number.")
    return str(value)


def _require_distinct(lines: Iterable[LabelLine]) -> None:
    seen: dict[str, LabelLine] = {}
    for line in lines:
        first = seen.setdefault(line.file, line)
        if first is not line:
            number = first.place.rpartition(" ")[2]
            problem = (
                f"is in line {number} as well; remove one of them"
                if (first.label, first.split) == (line.label, line.split)
                else f"is {_describe(line)} here, and {_describe(first)} in line {number}; keep the line that is right"
            )
            raise DatasetUnusable(f"{line.place}: {line.file} {problem}.")


def _describe(line: LabelLine) -> str:
    return line.label if line.split is None else f"{line.label} in {line.split}"
