"""Published files: fetched once, checked against their sums, kept in the cache folder, unpacked with care."""

import gzip
import shutil
import sys
import tarfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from time import monotonic, sleep, time
from typing import TYPE_CHECKING

from alexnet.atomic import write_whole
from alexnet.data import resume
from alexnet.data.cache import cache_dir
from alexnet.errors import DownloadError, InputError, MissingExtraError
from alexnet.lock import hold

if TYPE_CHECKING:
    from requests import RequestException

_CHUNK_BYTES = 1 << 20
_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_LOOKS = 0.2  # at whether another process is done
_SECONDS_IN_USE = 24 * 3600.0  # ours; a download of CIFAR-10 takes minutes


@dataclass(frozen=True)
class Download:
    """A file that someone publishes: what people call it, where it is, and its sum as `sha256:...` or `md5:...`.

    checksum: None where none was published.
    """

    name: str
    url: str
    checksum: str | None
    num_bytes: int

    @property
    def path(self) -> Path:
        """Where it is kept, and may be put by hand."""
        return cache_dir() / "downloads" / self.url.rpartition("/")[2]

    @property
    def part(self) -> Path:
        """Where its first bytes are kept until it is whole."""
        return self.path.with_name(f".{self.path.name}.part")

    @property
    def is_here(self) -> bool:
        """Whether the published file is in the cache folder; where no sum was published, any file is taken for it."""
        return self.path.is_file() and (not self.checksum or _sum_like(self.checksum, self.path) == self.checksum)


class _Lines:
    """A line on stderr as soon as bytes come, then one every ten seconds."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._next_line = 0.0

    def show(self, num_bytes: int) -> None:
        """Say that so many bytes are here, if it is time."""
        if monotonic() >= self._next_line:
            self._next_line = monotonic() + _SECONDS_BETWEEN_LINES
            done, size = (f"{count / 1e6:,.0f}" for count in (num_bytes, self._download.num_bytes))
            line = f"downloading {self._download.name} from {self._download.url}: {done} of {size} MB"
            print(line, file=sys.stderr, flush=True)


def fetch(download: Download) -> Path:
    """The file in the cache folder, downloaded if it is not there or not as published.

    What came before a download was cut is kept for a day beside it, and the next one goes on from there, if there is a
    published sum to know the whole by. Several processes may ask at once: one downloads, the others wait. Proxies are
    those of the environment (`HTTPS_PROXY`).

    Raises:
        DownloadError: no connection, no such page, or another file than the published one.
        MissingExtraError: pooch is not installed.
        OSError: the cache folder cannot be written, the disk is full.
    """
    try:
        import pooch  # type: ignore[import-untyped]
        from requests import RequestException
    except ImportError:
        raise MissingExtraError("pooch", "download") from None

    pooch.get_logger().setLevel("WARNING")  # it tells people what to do with our sums
    path, url = download.path, download.url
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        _wait_for(stack, path.parent)
        _remove_old_temporaries(path.parent)
        try:
            pooch.retrieve(url, download.checksum, fname=path.name, path=path.parent, downloader=_downloader(download))
        except RequestException as error:
            raise DownloadError(
                f"{download.name} could not be downloaded from {url} ({_reason(error)}{_kept(download)}); "
                f"{_remedy(download)}"
            ) from None
        except ValueError:  # pooch has deleted it
            raise DownloadError(
                f"{download.name}: what {url} sent is not the published file, its checksum is another; "
                f"it was deleted: try again, or put the published {path.name} into {path.parent}"
            ) from None
    return path


def _wait_for(stack: ExitStack, folder: Path) -> None:
    """Hold `folder` as long as `stack` is open, once no other process does."""
    while True:
        try:
            stack.enter_context(hold(folder))
            return
        except InputError:
            sleep(_SECONDS_BETWEEN_LOOKS)


def _downloader(download: Download) -> Callable[[str, str, object], None]:
    """What pooch calls with an address and the temporary file to fill."""

    def fill(url: str, temporary: str, _: object) -> None:
        part = download.part
        if download.checksum is None:
            part.unlink(missing_ok=True)
        resume.download(url, part, progress=_Lines(download).show)
        part.replace(temporary)

    return fill


def _kept(download: Download) -> str:
    """What there is to go on from, for people."""
    part = download.part
    size = part.stat().st_size if download.checksum and part.is_file() else 0
    return f"; the first {size / 1e6:,.1f} MB are kept, and the next try goes on from there" if size else ""


def _remedy(download: Download) -> str:
    """What to do where it cannot be downloaded."""
    path, published = download.path, download.checksum
    if not published or not path.is_file():
        return f"connect, or put the published {path.name} into {path.parent}"
    found, published = _short(_sum_like(published, path)), _short(published)
    return f"connect, or put the published file in place of {path}, whose checksum is {found} instead of {published}"


def _sum_like(checksum: str, path: Path) -> str:
    """The sum of a file, of the kind of another sum."""
    algorithm = checksum.partition(":")[0]
    with path.open("rb") as file:
        return f"{algorithm}:{file_digest(file, algorithm).hexdigest()}"


def _short(checksum: str) -> str:
    """Its kind and first eight digits."""
    algorithm, _, digest = checksum.partition(":")
    return f"{algorithm}:{digest[:8]}..."


def _reason(error: "RequestException") -> str:
    import requests

    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    reasons = {
        requests.exceptions.SSLError: "its certificate is not trusted here",
        requests.exceptions.ProxyError: "no way through the proxy",
        requests.exceptions.Timeout: "no answer in time",
        requests.exceptions.ConnectionError: "no connection",
        requests.exceptions.ChunkedEncodingError: "the connection broke off",
    }
    return next((reason for kind, reason in reasons.items() if isinstance(error, kind)), type(error).__name__)


def missing_files(folder: Path, files: Mapping[str, int]) -> set[str]:
    """Those of `files`, names in an archive with sizes in bytes, that are not in `folder` or not of that size."""
    return {name for name, size in files.items() if not _has_size(folder / Path(name).name, size)}


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def unpack(archive: Path, folder: Path, files: Mapping[str, int]) -> None:
    """What `folder` misses of `files`, out of a tar and side by side, each whole or not at all; nothing else of it.

    `files` has the names in the archive with their sizes in bytes. Several processes may do this at once.

    Raises:
        DownloadError: a damaged archive, one without these files, with links or devices in their place, or with a
            file of another size.
        OSError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_old_temporaries(folder)
    missing = missing_files(folder, files)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.size > max(files.values()) or (
                    member.name in files and not (member.isreg() and member.size == files[member.name])
                ):
                    raise DownloadError(f"{archive}: {member.name!r} is not what was published; delete the archive")
                if member.name in missing and (source := tar.extractfile(member)):
                    missing.remove(member.name)
                    with write_whole(folder / Path(member.name).name) as temporary, temporary.open("wb") as file:
                        shutil.copyfileobj(source, file, _CHUNK_BYTES)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError):
        raise DownloadError(f"{archive}: no whole tar archive; delete it and try again") from None
    if missing:
        raise DownloadError(f"{archive}: no {min(missing)} in it; delete it and try again")


def _remove_old_temporaries(folder: Path) -> None:
    """Those of processes that were killed; one changed since yesterday may belong to another that is at work."""
    for pattern in ("tmp????????", ".*.tmp", ".*.part"):  # pooch's, those of `write_whole`, and parts of downloads
        for path in folder.glob(pattern):
            with suppress(OSError):  # another process was faster
                if time() - path.stat().st_mtime > _SECONDS_IN_USE:
                    path.unlink()
