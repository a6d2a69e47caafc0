"""Where computed things are kept between runs, and how they are found again by content."""

import hashlib
import os
from pathlib import Path
from tempfile import gettempdir


def cache_dir() -> Path:
    """The folder of computed and downloaded files: $ALEXNET_CACHE, else alexnet in $XDG_CACHE_HOME or ~/.cache.

    It may not exist. Users without a home, as in some containers, share the system's folder of temporary files.
    """
    if own := os.environ.get("ALEXNET_CACHE"):
        return Path(own).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "alexnet"
    try:
        return Path.home() / ".cache" / "alexnet"
    except RuntimeError:
        return Path(gettempdir()) / "alexnet"


_SAMPLES, _SAMPLE_BYTES = 16, 1 << 14  # 256 KiB in all: a fraction of a millisecond from a warm disk


def sampled_digest(path: Path) -> str:
    """A name for the content of a large file without reading all of it: size, and bytes from its start to its end.

    The end of a gzip file is the checksum of its whole content. Of other files this may miss a change that keeps the
    size; add the time of change where that matters.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for sample in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:32]
