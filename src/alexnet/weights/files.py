"""Weights in safetensors files: all that using them needs travels along, and reading believes nothing.

One metadata key, `alexnet`, holds JSON: {format, spec, classes, preprocessing, recipe, errors, probe}, and `licence`
where there is one. The tensors are the parameters under their rows' names, and `preprocessing.mean_image` likewise.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from alexnet.arch.serial import spec_from_json, spec_to_json
from alexnet.arch.spec import Spec
from alexnet.atomic import write_whole
from alexnet.data.splits import ClassInfo
from alexnet.errors import InputError, MissingExtraError, WeightsError
from alexnet.preprocess import Preprocessing, canvas_size
from alexnet.weights.check import check_shapes, check_tensors, tensor_shapes
from alexnet.weights.checksum import check_checksums
from alexnet.weights.metadata import read_classes, read_errors, read_licence, read_probe, read_recipe
from alexnet.weights.packed import (
    STEPS,
    Coded,
    check_stored,
    is_packed,
    pack_image,
    pack_tensors,
    unpack_image,
    unpack_tensors,
)
from alexnet.weights.stored import MappedFile, StoredTensors

FORMAT = 1
METADATA_KEY = "alexnet"
MEAN_IMAGE = "preprocessing.mean_image"

# The number formats of safetensors that NumPy has too.
_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "U8": "u1"}
_HEADER_LENGTH_BYTES = 8  # the length of the JSON header, little-endian, then the header, then the tensors


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """A trained net, with all it needs to be used and to be repeated.

    `tensors`: key to float32 array; of a file, read when it is asked for. `recipe`: plain JSON of the run, if known.
    `errors`: measured, each {data, split, views, images, top1_error, top5_error}; in older files without `images`.
    `probe`: what `make_probe` gives, to know a good copy by. `licence`: where somebody has published them under one.
    `left_out`: what else stood in the file that they were read from, for people.

    Raises:
        WeightsError: the classes are not the net's.
    """

    spec: Spec
    classes: tuple[ClassInfo, ...]
    preprocessing: Preprocessing
    tensors: Mapping[str, NDArray[np.float32]] = field(repr=False)
    recipe: Mapping[str, Any] | None = None
    errors: tuple[Mapping[str, Any], ...] = ()
    probe: Mapping[str, Any] | None = None
    licence: str | None = None
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if [info.index for info in self.classes] != list(range(self.spec.num_classes)):
            raise WeightsError(
                f"{self.spec.name} tells {self.spec.num_classes} classes apart, "
                f"but {len(self.classes)} are named (indices from 0, in order)"
            )
        crop = self.preprocessing.crop
        if self.spec.input != (3, crop, crop):
            raise WeightsError(f"{self.spec.name} takes images of {self.spec.input}, but crops are 3 x {crop} x {crop}")


def save_weights(path: str | Path, weights: Weights) -> None:
    """Write `weights`, whole or not at all.

    Raises:
        WeightsError: the tensors are not those of the spec, or not finite.
        OSError: the folder is missing or read-only, or the disk is full.
    """
    check_tensors(weights.spec, weights.tensors)
    tensors: dict[str, NDArray[Any]] = dict(weights.tensors)
    if weights.preprocessing.mean_image is not None:
        tensors[MEAN_IMAGE] = weights.preprocessing.mean_image.astype(np.float32, copy=False)
    _write(path, tensors, weights)


def save_packed(path: str | Path, weights: Weights, coded: Mapping[str, Coded | NDArray[np.float32]]) -> None:
    """Write `weights`, whole or not at all, as the codes that `coded` has for their tensors (see `packed.py`).

    Raises:
        OSError: the folder is missing or read-only, or the disk is full.
    """
    stored = pack_tensors(coded)
    if weights.preprocessing.mean_image is not None:
        stored[MEAN_IMAGE + STEPS] = np.frombuffer(pack_image(weights.preprocessing.mean_image), np.uint8)
    _write(path, stored, weights)


def _write(path: str | Path, tensors: Mapping[str, NDArray[Any]], weights: Weights) -> None:
    arrays = {key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()}
    content = save(arrays, {METADATA_KEY: write_metadata(weights)})
    with write_whole(path) as temporary:
        temporary.write_bytes(content)  # the library's own writer makes files that only their owner can read


def read_weights(path: str | Path) -> Weights:
    """The weights in a file of `save_weights`.

    Raises:
        WeightsError: not such a file, a part of one, one of a newer version, or tensors that are not its net's.
    """
    path = Path(path)
    with _opened(path) as (stored, file):
        mapped = MappedFile(path)
        views = _views(mapped.content, file)
        spec = spec_from_json(stored["spec"])
        if is_packed(views):
            return _read_packed(stored, spec, views)
        mean_image = views.pop(MEAN_IMAGE, None)
        check_tensors(spec, views)
        mapped.let_go()
        return read_metadata(stored, StoredTensors(mapped, tensor_shapes(spec), views), mean_image)


def _read_packed(stored: Mapping[str, Any], spec: Spec, views: dict[str, NDArray[Any]]) -> Weights:
    steps, mean_image = views.pop(MEAN_IMAGE + STEPS, None), None
    if steps is not None:
        check_stored(MEAN_IMAGE + STEPS, steps)
        mean_image = unpack_image(steps.tobytes(), (3, *canvas_size(stored["preprocessing"]["resize"])))
    tensors = unpack_tensors(tensor_shapes(spec), views)
    check_tensors(spec, tensors)
    weights = read_metadata(stored, tensors, mean_image)
    image = {} if mean_image is None else {MEAN_IMAGE: mean_image}
    check_checksums(tensors | image, (weights.probe or {}).get("crc32", {}))
    return weights


def write_metadata(weights: Weights) -> str:
    """All of `weights` but tensors, as the text that files keep under `METADATA_KEY`."""
    metadata = {
        "format": FORMAT,
        "spec": spec_to_json(weights.spec),
        "classes": [asdict(info) for info in weights.classes],
        "preprocessing": weights.preprocessing.to_json(),
        "recipe": weights.recipe,
        "errors": list(weights.errors),
        "probe": weights.probe,
    } | ({"licence": weights.licence} if weights.licence else {})
    return json.dumps(metadata, allow_nan=False)


def load_metadata(texts: Mapping[str, str], program: str) -> dict[str, Any]:
    """The JSON that `write_metadata` wrote, from among a file's texts. `program`: whose file it is if that is missing.

    Raises:
        WeightsError: it is missing, or of a newer version.
    """
    if METADATA_KEY not in texts:
        raise WeightsError(
            f"{program} of another program (no {METADATA_KEY!r} metadata); give one that this package wrote"
        )
    stored: dict[str, Any] = json.loads(texts[METADATA_KEY], parse_constant=_refuse_number, parse_float=_finite)
    if stored["format"] != FORMAT:
        raise WeightsError(f"format {stored['format']} is not the {FORMAT} of this version; upgrade alexnet")
    return stored


def _refuse_number(text: str) -> float:
    raise WeightsError(f"damaged metadata ({text} is no number to compute with)")


def _finite(text: str) -> float:
    return number if isfinite(number := float(text)) else _refuse_number(text)


def read_metadata(
    stored: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]], mean_image: NDArray[np.float32] | None
) -> Weights:
    """`tensors` with the metadata that belong to them.

    Raises:
        InputError: a part of the metadata that is not what it should be.
    """
    return Weights(
        spec=spec_from_json(stored["spec"]),
        classes=read_classes(stored["classes"]),
        preprocessing=Preprocessing.from_json(stored["preprocessing"], mean_image),
        tensors=tensors,
        recipe=read_recipe(stored["recipe"]),
        errors=read_errors(stored["errors"]),
        probe=read_probe(stored["probe"]),
        licence=read_licence(stored.get("licence")),
    )


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says of its weights. `licence`: where somebody has published them under one."""

    spec: Spec
    classes: tuple[ClassInfo, ...]
    errors: tuple[Mapping[str, Any], ...]
    licence: str | None


def read_header(path: str | Path) -> Header:
    """What a file says of its weights, read without them: the same for a small net and a large one.

    Raises:
        WeightsError: as `read_weights`, but for numbers, which it does not look at.
    """
    with _opened(Path(path)) as (stored, file):
        keys = set(file.keys()) - {MEAN_IMAGE}
        if not is_packed(keys):
            check_shapes(spec_from_json(stored["spec"]), {key: tuple(file.get_slice(key).get_shape()) for key in keys})
        return header_of(stored)


def header_of(stored: Mapping[str, Any]) -> Header:
    """The header in a file's metadata.

    Raises:
        InputError: a part of it that is not what it should be.
    """
    return Header(
        spec=spec_from_json(stored["spec"]),
        classes=read_classes(stored["classes"]),
        errors=read_errors(stored["errors"]),
        licence=read_licence(stored.get("licence")),
    )


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Whatever turns out to be wrong with what a file says becomes one line with its path."""
    try:
        yield
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a whole safetensors file, copy it again ({error})") from None
    except MissingExtraError:
        raise
    except InputError as error:
        raise WeightsError(f"{path}: {error}") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error})") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged metadata ({type(error).__name__}: {error})") from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    """(metadata, tensors to be had by key) of a file of safetensors."""
    with named_in_errors(path), safe_open(path, framework="np") as file:
        yield load_metadata(file.metadata() or {}, "a safetensors file"), file


def _views(content: memoryview, file: Any) -> dict[str, NDArray[Any]]:
    """The tensors where they lie in the content of a file that the library has found whole."""
    start = _HEADER_LENGTH_BYTES + int.from_bytes(content[:_HEADER_LENGTH_BYTES], "little")
    header = json.loads(bytes(content[_HEADER_LENGTH_BYTES:start]))
    views: dict[str, NDArray[Any]] = {}
    for key in file.keys():  # noqa: SIM118
        about = header[key]
        if about["dtype"] not in _DTYPES:
            raise WeightsError(f"cannot be read ({key} is {about['dtype']}, which NumPy lacks)")
        first, last = (start + offset for offset in about["data_offsets"])
        views[key] = np.frombuffer(content[first:last], _DTYPES[about["dtype"]]).reshape(about["shape"])
    return views
