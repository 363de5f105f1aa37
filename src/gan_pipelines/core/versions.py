"""Kedro's versions, which are times."""

from __future__ import annotations

from datetime import UTC, datetime

FORMAT = "%Y-%m-%dT%H.%M.%S.%fZ"


def parse_version(text: str) -> datetime | None:
    """The time of a version, in UTC; None if it has another form."""
    try:
        return datetime.strptime(text, FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
