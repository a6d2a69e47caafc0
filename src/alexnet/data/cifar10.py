"""CIFAR-10 by its name: downloaded from its author's page once, then read from the cache folder."""

from collections.abc import Mapping
from dataclasses import replace

from alexnet.data.cache import cache_dir
from alexnet.data.cifar import META, open_batches
from alexnet.data.fetch import Download, fetch, missing_files, unpack
from alexnet.data.splits import DataSet
from alexnet.errors import DataError

# Source: cs.toronto.edu/~kriz/cifar.html, which gives the MD5 sum c58f30108f718f92721af3b95e74349a of the same file.
CIFAR10 = Download(
    name="cifar10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    checksum="sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    num_bytes=170_498_071,
)

# In the archive, with their sizes in bytes.
CIFAR10_FILES = {
    f"cifar-10-batches-py/{META}": 158,
    "cifar-10-batches-py/data_batch_1": 31_035_704,
    "cifar-10-batches-py/data_batch_2": 31_035_320,
    "cifar-10-batches-py/data_batch_3": 31_035_999,
    "cifar-10-batches-py/data_batch_4": 31_035_696,
    "cifar-10-batches-py/data_batch_5": 31_035_623,
    "cifar-10-batches-py/test_batch": 31_035_526,
}


def open_cifar10(download: Download = CIFAR10, files: Mapping[str, int] = CIFAR10_FILES) -> DataSet:
    """60,000 images of 32x32 pixels in ten classes; splits `train` (50,000) and `test` (10,000).

    Raises:
        DownloadError: not or not all in the cache folder, and no way to download it.
        MissingExtraError: the same, and pooch is not installed.
        DataError: a file in the cache folder is damaged.
    """
    folder = cache_dir() / "cifar-10-batches-py"
    if missing_files(folder, files):
        unpack(fetch(download), folder, files)
    try:
        return replace(open_batches(folder), name=download.name)
    except DataError as error:
        raise DataError(f"{error}; delete {folder}: it is fetched again") from None
