from __future__ import annotations

import pytest

from gan_pipelines.core.errors import first_line, hide_passwords


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://me:secret@tracking.org/api", "http://***@tracking.org/api"),
        ("http://me:se@cret@tracking.org", "http://***@tracking.org"),
        ("postgresql://me:se/cret@localhost/runs", "postgresql://***@localhost/runs"),
        (
            "postgresql://localhost/runs?user=me&password=secret&ssl=1",
            "postgresql://localhost/runs?user=me&password=***&ssl=1",
        ),
        ("http://tracking.org/me@home", "http://***@home"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("file:///home/me@work", "file:///home/me@work"),
        ("http://tracking.org", "http://tracking.org"),
    ],
)
def test_passwords_of_addresses_are_hidden(address, shown):
    assert hide_passwords(address) == shown
    assert first_line(ValueError(f"request to {address} failed\nbecause")) == f"request to {shown} failed"
