"""CIFAR-10 by its name: downloaded from its author's page once, then read from the cache folder."""

from dataclasses import replace

from alexnet.data.cache import cache_dir
from alexnet.data.cifar import META, open_batches
from alexnet.data.fetch import Download, fetch, unpack
from alexnet.data.splits import DataSet

# Source: cs.toronto.edu/~kriz/cifar.html, which gives the MD5 sum c58f30108f718f92721af3b95e74349a of the same file.
CIFAR10 = Download(
    name="cifar10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    checksum="sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    num_bytes=170_498_071,
)

_FOLDER = "cifar-10-batches-py"
_FILES = (META, *(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
_MAX_BYTES = 32 << 20  # a batch has 31,035,000 bytes, give or take a thousand


def open_cifar10(download: Download = CIFAR10) -> DataSet:
    """60,000 images of 32x32 pixels in ten classes; splits `train` (50,000) and `test` (10,000).

    Raises:
        DownloadError: not in the cache folder, and no way to download it.
        MissingExtraError: the same, and pooch is not installed.
    """
    folder = cache_dir() / _FOLDER
    if not folder.is_dir():
        unpack(fetch(download), folder, [f"{_FOLDER}/{name}" for name in _FILES], max_bytes=_MAX_BYTES)
    return replace(open_batches(folder), name=download.name)
