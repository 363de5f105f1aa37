"""Hashes by which data, weights and settings are told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def hash_arrays(arrays: Iterable[NDArray[Any]]) -> str:
    """SHA-256 over the shapes, types and values of arrays, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def hash_values(*values: Any) -> str:
    """SHA-256 over values that JSON can hold, 16 hexadecimal digits: short enough for a folder's name."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
