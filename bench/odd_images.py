"""What becomes of every odd file that people have among their images?

    .venv/bin/python bench/odd_images.py

Makes one of each kind, prepares them with the real command, and prints a table: how far each picture is from its
ordinary twin (mean difference in grey levels; JPEG alone makes about one), or why it was left out.
"""

import io
import os
import platform
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.odd import oddities
from alexnet.data.prepare.report import read_damaged
from alexnet.data.prepare.shrink import Job
from alexnet.data.shards import open_shard
from alexnet.data.trees import Entry

SIDE = 48
QUARTERS = ((200, 60, 40), (60, 160, 70), (50, 80, 190), (220, 215, 205))
Array = NDArray[np.uint8]


def twin() -> Array:
    """Four quarters of one colour each, uint8 (SIDE, SIDE, 3): turned, mirrored or negative, it is not itself."""
    pixels = np.empty((SIDE, SIDE, 3), np.uint8)
    half = SIDE // 2
    for number, color in enumerate(QUARTERS):
        top, left = divmod(number, 2)
        pixels[top * half : (top + 1) * half, left * half : (left + 1) * half] = color
    return pixels


def grey_twin() -> Array:
    return np.asarray(Image.fromarray(twin()).convert("L").convert("RGB"))


def stretched(grey: Array) -> Array:
    """From black to white."""
    low, high = int(grey.min()), int(grey.max())
    return np.rint((grey - float(low)) * 255 / (high - low)).astype(np.uint8)


class Odd(NamedTuple):
    """A file: its bytes, and the picture that a person expects of it; or why there is none."""

    content: bytes
    expected: Array | str


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    """A file; JPEG of a quality that does not blur the quarters."""
    file = io.BytesIO()
    image.save(file, file_format, **{"quality": 95, "subsampling": 0} | options if file_format == "JPEG" else options)
    return file.getvalue()


def png(depth: int, color_type: int, rows: bytes, size: tuple[int, int] = (SIDE, SIDE)) -> bytes:
    """A PNG file that Pillow would not write. `rows` are raw, without filter bytes."""
    stride = len(rows) // size[1] if rows else 0
    filtered = b"".join(b"\0" + rows[start : start + stride] for start in range(0, len(rows), stride or 1))
    header = struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def cmyk_without_adobe() -> bytes:
    """Ink as it is, not inverted, and without the marker that says so."""
    ink = np.asarray(Image.fromarray(twin()).convert("CMYK"))
    inverted = encode(Image.fromarray(255 - ink, "CMYK"), "JPEG")  # Pillow writes all inks inverted
    start = inverted.index(b"\xff\xee")
    return inverted[:start] + inverted[start + 2 + int.from_bytes(inverted[start + 2 : start + 4], "big") :]


def half_transparent() -> tuple[Image.Image, Array]:
    """Its right half is clear, so white is expected there."""
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    alpha[:, SIDE // 2 :] = 0
    expected = twin()
    expected[alpha == 0] = 255
    return Image.fromarray(np.dstack([twin(), alpha])), expected


def animation() -> tuple[Image.Image, dict[str, object]]:
    return Image.fromarray(twin()), {"save_all": True, "append_images": [Image.fromarray(255 - twin())]}


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def files() -> Mapping[str | bytes, Odd]:
    """File name to content and expectation."""
    picture, grey = Image.fromarray(twin()), grey_twin()
    jpeg = encode(picture, "JPEG")
    layered, on_white = half_transparent()
    first, frames = animation()
    deep = (twin().astype(np.uint16) * 257).astype(">u2").tobytes()
    deep_grey = (grey[..., 0].astype(np.uint16) * 257).astype(">u2").tobytes()
    noise = encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)), "JPEG")
    wide = np.tile(twin(), (1, 417, 1))  # 20,016 x 48; an odd number, so that one twin is in the middle
    made: dict[str | bytes, Odd] = {
        "ordinary.jpg": Odd(jpeg, twin()),
        "cmyk.jpg": Odd(encode(picture.convert("CMYK"), "JPEG"), twin()),
        "cmyk-no-adobe.jpg": Odd(cmyk_without_adobe(), twin()),
        "grayscale.jpg": Odd(encode(picture.convert("L"), "JPEG"), grey),
        "16-bit-grey.png": Odd(png(16, 0, deep_grey), grey),
        "deep-grey.pgm": Odd(b"P5 %d %d 65535\n" % (SIDE, SIDE) + deep_grey, grey),
        "32-bit.tiff": Odd(encode(Image.fromarray(grey[..., 0].astype(np.int32) * 10**6), "TIFF"), stretched(grey)),
        "float.tiff": Odd(encode(Image.fromarray(100 + grey[..., 0] / np.float32(255)), "TIFF"), stretched(grey)),
        "16-bit-rgb.png": Odd(png(16, 2, deep), twin()),
        "palette.png": Odd(encode(picture.quantize(8), "PNG"), twin()),
        "palette-clear.gif": Odd(encode(layered, "GIF"), on_white),
        "rgba.png": Odd(encode(layered, "PNG"), on_white),
        "grey-alpha.png": Odd(encode(layered.convert("LA"), "PNG"), np.where(on_white == 255, 255, grey)),
        "exif-turned.jpg": Odd(encode(picture.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif(6)), twin()),
        "exif-broken.jpg": Odd(encode(picture, "JPEG", exif=b"Exif\0\0neither MM nor II"), twin()),
        "animated.gif": Odd(encode(first, "GIF", **frames), twin()),
        "moving.webp": Odd(encode(first, "WEBP", lossless=True, **frames), twin()),
        "pages.tiff": Odd(encode(first, "TIFF", **frames), twin()),
        "really-a-png.JPEG": Odd(encode(picture, "PNG"), twin()),
        "sliver.png": Odd(encode(Image.fromarray(wide), "PNG"), twin()),
        "truncated.jpg": Odd(noise[: len(noise) // 2], "truncated"),
        "empty.jpg": Odd(b"", "empty"),
        "text.jpg": Odd(b"These are notes, not pixels.\n", "not-an-image"),
        "error-page.jpg": Odd(b"<!DOCTYPE html><title>404 Not Found</title>", "not-an-image"),
        "bomb.png": Odd(png(8, 2, b"", (100_000, 100_000)), "too-large"),
    }
    names: tuple[str | bytes, ...] = ("a  name with spaces.jpg", "new\nline.jpg", "dots.in.it.jpg", "ä" * 100 + ".jpg")
    made |= {name: Odd(jpeg, twin()) for name in (*names, b"caf\xe9.jpg")}
    return made


NOT_SEEN = (".hidden.jpg", "__MACOSX/._ordinary.jpg", ".DS_Store", "Thumbs.db", "notes.txt", "folder.jpg/.x.png")


def write(folder: Path) -> Mapping[str, Odd]:
    """Write all into two class folders, and give what is expected by path. Names a file system refuses are left out."""
    written = {}
    jpeg = files()["ordinary.jpg"].content
    for name, odd in files().items():
        path = folder / "odd" / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError, UnicodeError):
            path.write_bytes(odd.content)
            written[f"odd/{path.name}"] = odd
    for name in NOT_SEEN:
        (folder / "odd" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "odd" / name).write_bytes(b"x")
    (folder / "odd" / "folder.jpg" / "inside.jpg").write_bytes(jpeg)
    written["odd/folder.jpg/inside.jpg"] = Odd(jpeg, twin())
    (folder / "plain").mkdir()
    (folder / "plain" / "fine.jpg").write_bytes(jpeg)
    written["plain/fine.jpg"] = Odd(jpeg, twin())
    with suppress(OSError):  # not everybody may make links
        (folder / "odd" / "broken-link.jpg").symlink_to("nowhere.jpg")
        written["odd/broken-link.jpg"] = Odd(b"", "unreadable")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "odd" / "pipe.jpg")
        written["odd/pipe.jpg"] = Odd(b"", "unreadable")
    if hasattr(os, "geteuid") and os.geteuid() != 0:  # root may read everything
        (folder / "odd" / "forbidden.jpg").write_bytes(jpeg)
        (folder / "odd" / "forbidden.jpg").chmod(0)
        written["odd/forbidden.jpg"] = Odd(b"", "unreadable")
    return written


def pictures(prepared: Path) -> Iterator[tuple[str, Array]]:
    """Name within the shard and pixels of every prepared image."""
    for path in sorted(prepared.glob("*.tar")):
        shard = open_shard(path)
        for index, name in enumerate(shard.index.names):
            yield name, np.asarray(Image.open(io.BytesIO(shard.read(index))))


def key_ending(path: str) -> str:
    """What the key of a prepared image ends with."""
    return Job("", 0, Entry(path)).key


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source, prepared = Path(scratch, "photos"), Path(scratch, "prepared")
        expected = write(source)
        options = ["--size", str(SIDE), "--max-damaged", "1"]
        command = [sys.executable, "-m", "alexnet", "prepare", str(source), str(prepared), *options]
        subprocess.run(command, check=True, capture_output=True)
        found = {name.rpartition(".")[0]: pixels for name, pixels in pictures(prepared)}
        reasons = {each.path: f"left out, {each.kind}: {each.reason}" for each in read_damaged(prepared)}
        print(f"Python {platform.python_version()}, Pillow {PIL.__version__}, {SIDE} pixels, quality 95")
        print(f"{'file':32} {'counted as':28} what becomes of it")
        for path, odd in expected.items():
            name = path.rpartition("/")[2]
            shown = name if len(name) < 32 and name.isprintable() and name.isascii() else ascii(name)[:28] + "..."
            result = reasons.get(path)
            if result is None:
                pixels = next(pixels for key, pixels in found.items() if key.endswith(key_ending(path)))
                assert not isinstance(odd.expected, str)
                away = np.abs(pixels.astype(int) - odd.expected).mean()
                result = f"prepared, {away:.1f} grey levels from its twin"
            print(f"{shown:32} {', '.join(oddities(odd.content, name)) or '-':28} {result}")
        print(f"not looked at: {', '.join(NOT_SEEN)}")


if __name__ == "__main__":
    main()
