from __future__ import annotations

import numpy as np

from gan_pipelines.core.hashing import hash_arrays


def test_shape_type_and_order_of_arrays_are_part_of_their_hash():
    zeros = np.zeros((2, 3), np.uint8)
    others = [zeros, zeros.T, zeros.ravel(), zeros.astype(np.int8), zeros[:1]]
    assert len({hash_arrays([each]) for each in others}) == len(others)
    assert hash_arrays([zeros, zeros + 1]) != hash_arrays([zeros + 1, zeros])
    assert hash_arrays([zeros.T]) == hash_arrays([np.ascontiguousarray(zeros.T)])
