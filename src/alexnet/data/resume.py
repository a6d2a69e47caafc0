"""A download that goes on where an earlier one was cut: HTTP ranges, RFC 9110 section 14."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import Response

TIMEOUT_SECONDS = 30.0  # without a byte
_CHUNK_BYTES = 1 << 20
_PARTIAL, _NO_SUCH_RANGE = 206, 416


def download(url: str, path: Path, *, progress: Callable[[int], object]) -> None:
    """All of `url` in `path`, which may hold its first bytes already: only the rest is asked for, and added.

    A server that knows no ranges, or gives another one, sends all of it again. Whether first bytes and rest are of one
    file is for a checksum to say. What has come stays in `path` when the connection breaks off or the process is
    killed, but not when the disk is full. `progress` is called with the bytes that there are in all, after each MiB.

    Raises:
        RequestException: no connection, no such page, or a connection that broke off (of requests).
        OSError: the folder cannot be written, the disk is full.
    """
    from requests import RequestException

    done = path.stat().st_size if path.exists() else 0
    try:
        with _ask(url, done) as response:
            is_rest = response.status_code == _PARTIAL
            done = done if is_rest else 0
            with path.open("ab" if is_rest else "wb") as file:
                for chunk in response.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
                    done += len(chunk)
                    progress(done)
    except OSError as error:
        if not isinstance(error, RequestException):
            with suppress(OSError):
                path.unlink()
        raise


def _ask(url: str, start: int) -> "Response":
    """What the server sends from byte `start` on (206), or else all that it has.

    Uncompressed: a part of a compressed body would be no part of the file.
    """
    import requests

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS)
    is_another = response.status_code == _PARTIAL and not _begins_at(response, start)
    if start and (is_another or response.status_code == _NO_SUCH_RANGE):
        response.close()
        return _ask(url, 0)
    response.raise_for_status()
    return response


def _begins_at(response: "Response", start: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
