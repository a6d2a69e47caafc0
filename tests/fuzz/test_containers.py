"""A part that is changed leaves the rest, and what tells of it is put right."""

import json
from random import Random

import numpy as np
from tests.fuzz.containers import _in_tensor

from alexnet.weights.packed import compress, decompress


def test_a_packed_tensor_is_changed_inside_its_stream() -> None:
    header = {
        "a.codes": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 0]},
    }
    stream = compress(b"codes")
    header["a.codes"] |= {"shape": [len(stream)], "data_offsets": [0, len(stream)]}
    header["b"]["data_offsets"] = [len(stream), len(stream) + 4]
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + stream + np.float32(1).tobytes()
    parts = {}
    for seed in range(60):
        part, rebuild = _in_tensor(content, Random(seed))
        changed = rebuild(part + b"more")
        about = json.loads(changed[8 : (start := 8 + int.from_bytes(changed[:8], "little"))])
        if len(about) < 2:  # sometimes the tensor goes
            continue
        first, last = about["a.codes"]["data_offsets"]
        parts[part] = about["b"]["data_offsets"][1] - about["b"]["data_offsets"][0], changed[start:][first:last]
    assert set(parts) == {b"codes", stream, np.float32(1).tobytes()}
    assert all(size == 4 for size, _ in parts.values())
    assert decompress(parts[b"codes"][1], 100) == b"codesmore"
