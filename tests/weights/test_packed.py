import lzma
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from alexnet.errors import WeightsError
from alexnet.verify import probe_logits, verify
from alexnet.weights import Weights, find_weights, make_probe
from alexnet.weights.catalog import find_header
from alexnet.weights.files import METADATA_KEY, save_packed, write_metadata
from alexnet.weights.packed import (
    CODES,
    GAPS,
    IMAGE_STEP,
    Coded,
    compress,
    decompress,
    pack,
    pack_image,
    unpack,
    unpack_image,
)

CODEBOOK = np.concatenate([[0], np.linspace(-1, 1, 32)]).astype(np.float16)


def sparse(share: float, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.integers(1, 33, shape) * (rng.random(shape) < share)).astype(np.uint8)


@pytest.mark.parametrize("share", [0, 0.0005, 0.06, 0.5, 1])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (40, 3, 11, 11), (256, 700)])
def test_what_is_packed_comes_back(share: float, shape: tuple[int, ...]) -> None:
    codes = sparse(share, shape)
    found = unpack(*pack(codes), CODEBOOK, shape)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, CODEBOOK.astype(np.float32)[codes])


@pytest.mark.parametrize("gap", [0, 1, 253, 254, 255, 256, 509, 510, 511, 100_000])
def test_gaps_of_any_length_come_back(gap: int) -> None:
    codes = np.zeros(gap + 2, np.uint8)
    codes[gap] = 7
    np.testing.assert_array_equal(np.flatnonzero(unpack(*pack(codes), CODEBOOK, codes.shape)), [gap])


def test_streams_come_near_the_entropy_of_their_symbols() -> None:
    rng = np.random.default_rng(0)
    codes = np.clip(np.rint(np.abs(rng.normal(0, 4, 400_000))) + 1, 1, 31).astype(np.uint8)
    _, counts = np.unique(codes, return_counts=True)
    entropy = -(counts * np.log2(counts / counts.sum())).sum() / 8
    assert len(compress(codes.tobytes())) < 1.05 * entropy


def test_damaged_streams_are_refused() -> None:
    gaps, codes = pack(sparse(0.1, (64, 64)))
    for spoiled in (
        (gaps[:-3], codes),
        (gaps, codes[: len(codes) // 2]),
        (gaps, b""),
        (codes, gaps),
        (b"\xff" * 20, codes),
        (*pack(sparse(0.2, (64, 64), seed=1))[:1], codes),
    ):
        with pytest.raises(WeightsError):
            unpack(*spoiled, CODEBOOK, (64, 64))
    with pytest.raises(WeightsError, match="codes that its codebook has not"):
        unpack(gaps, codes, CODEBOOK[:8], (64, 64))
    with pytest.raises(WeightsError):
        unpack(gaps, codes, CODEBOOK, (64, 32))
    with pytest.raises(WeightsError, match="too long"):
        decompress(codes + b"more", 64 * 64)


def test_a_bomb_is_not_unpacked() -> None:
    """A stream may claim far more than its tensor has room for: no more than that is ever made."""
    bomb = compress(bytes(50_000_000))
    assert len(bomb) < 50_000
    with pytest.raises(WeightsError, match="too long"):
        decompress(bomb, 1000)


def test_settings_are_ours_and_not_the_streams() -> None:
    """Raw streams carry no filters: what a file says of itself cannot ask for memory."""
    with pytest.raises(WeightsError):
        decompress(lzma.compress(b"content"), 100)


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 33, 7), (1, 1, 1)])
def test_a_mean_image_comes_back_to_a_step(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    found = unpack_image(pack_image(image), shape)
    assert (found.dtype, found.shape) == (np.float32, shape)
    assert np.abs(found - image).max() <= IMAGE_STEP / 2
    np.testing.assert_array_equal(unpack_image(pack_image(found), shape), found)
    with pytest.raises(WeightsError):
        unpack_image(pack_image(image), (*shape[:2], shape[2] + 1))


@pytest.fixture
def packed(tmp_path: Path, tiny_weights: Weights) -> tuple[Path, Weights]:
    """A packed file, and what is in it."""
    coded = {
        key: Coded(sparse(0.4, tensor.shape), CODEBOOK) if tensor.ndim > 1 else tensor.astype(np.float16)
        for key, tensor in tiny_weights.tensors.items()
    }
    tensors = {key: each.values if isinstance(each, Coded) else each.astype(np.float32) for key, each in coded.items()}
    image = tiny_weights.preprocessing.mean_image
    assert image is not None
    preprocessing = replace(tiny_weights.preprocessing, mean_image=unpack_image(pack_image(image), image.shape))
    weights = replace(tiny_weights, tensors=tensors, preprocessing=preprocessing)
    weights = replace(weights, probe=make_probe(weights, probe_logits(weights)))
    save_packed(tmp_path / "small.safetensors", weights, coded)
    return tmp_path / "small.safetensors", weights


def test_a_packed_file_is_weights(packed: tuple[Path, Weights]) -> None:
    path, weights = packed
    found = find_weights(path)
    assert found.spec == weights.spec
    assert found.classes == weights.classes
    for key, tensor in weights.tensors.items():
        np.testing.assert_array_equal(found.tensors[key], tensor, key)
    assert verify(path).checksummed
    assert find_header(path).spec == weights.spec


@pytest.mark.parametrize("part", [CODES, GAPS])
def test_missing_and_damaged_parts_are_named(part: str, packed: tuple[Path, Weights]) -> None:
    path, weights = packed
    arrays, metadata = load_file(path), {METADATA_KEY: write_metadata(weights)}
    key = f"fc3.weight{part}"
    save_file({name: array for name, array in arrays.items() if name != key}, path, metadata)
    with pytest.raises(WeightsError, match=rf"small\.safetensors: missing {key}"):
        find_weights(path)
    save_file(arrays | {key: arrays[key][:-4]}, path, metadata)
    with pytest.raises(WeightsError, match=r"small\.safetensors: .*copy the file again"):
        find_weights(path)


@pytest.mark.parametrize("name", ["fc9.weight.codes", "conv1.bias.codebook", "conv1.weight", "fc3.weight.steps"])
def test_what_is_unknown_is_refused(name: str, packed: tuple[Path, Weights]) -> None:
    path, weights = packed
    arrays = load_file(path) | {name: np.zeros(3, np.float16)}
    save_file(arrays, path, {METADATA_KEY: write_metadata(weights)})
    with pytest.raises(WeightsError, match="unknown "):
        find_weights(path)


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        ("fc3.weight.codebook", lambda array: array[0], "float16 ()"),
        ("fc3.weight.codebook", lambda array: array[None], "float16 (1, 33)"),
        ("fc3.weight.codebook", lambda array: array.astype(np.float64), "float64 (33,)"),
        ("fc3.weight.codebook", lambda array: array.astype(np.int64), "int64 (33,)"),
        ("fc3.weight.codebook", lambda array: np.resize(array, 257), "float16 (257,)"),
        ("fc3.weight.codes", lambda array: array[None], "uint8 (1,"),
        ("fc3.weight.gaps", lambda array: array.astype(np.int8), "int8 ("),
        ("fc3.bias", lambda array: array.astype(np.float64), "float64 (16,)"),
        ("preprocessing.mean_image.steps", lambda array: array.astype(np.int16), "int16 ("),
    ],
)
def test_other_numbers_and_axes_are_refused(
    name: str, change: Callable[[np.ndarray], np.ndarray], found: str, packed: tuple[Path, Weights]
) -> None:
    path, weights = packed
    arrays = load_file(path)
    save_file(arrays | {name: np.asarray(change(arrays[name]))}, path, {METADATA_KEY: write_metadata(weights)})
    with pytest.raises(WeightsError, match=rf"small\.safetensors: damaged, {name} cannot be {re.escape(found)}"):
        find_weights(path)


def test_one_other_weight_is_noticed_where_there_are_checksums(packed: tuple[Path, Weights]) -> None:
    """A flipped bit of a stream may well be another number of the codebook, and no error of LZMA."""
    path, weights = packed
    arrays = load_file(path)
    arrays["fc3.weight.codebook"][5] += np.float16(0.25)
    save_file(arrays, path, {METADATA_KEY: write_metadata(weights)})
    with pytest.raises(WeightsError, match=r"fc3\.weight not as saved"):
        find_weights(path)
    save_file(arrays, path, {METADATA_KEY: write_metadata(replace(weights, probe=None))})
    assert find_weights(path).probe is None


def test_a_small_file_cannot_ask_for_all_memory(packed: tuple[Path, Weights]) -> None:
    path, weights = packed
    metadata = write_metadata(weights).replace('"out_features": 16', '"out_features": 1000000000')
    assert "1000000000" in metadata
    save_file(load_file(path), path, {METADATA_KEY: metadata})
    with pytest.raises(WeightsError, match="over 268,435,456 weights"):
        find_weights(path)
