"""Against a server of our own on this machine, which knows ranges and cuts connections."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alexnet.data.resume import download

requests = pytest.importorskip("requests")

CONTENT = os.urandom(3 << 20)


class Server:
    """Sends CONTENT from where it is asked to, and cuts the connection after `cut` bytes; `shift`: of a wrong range."""

    def __init__(self) -> None:
        self.cut, self.shift, self.wait = len(CONTENT), 0, threading.Event()
        self.ranges: list[str | None] = []
        self.wait.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers["Range"]
                outer.ranges.append(asked)
                start = int(match[1]) if (match := re.fullmatch(r"bytes=(\d+)-", asked or "")) else 0
                if start >= len(CONTENT):
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(len(CONTENT) - start))
                if asked:
                    first = start + outer.shift
                    self.send_header("Content-Range", f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
                self.end_headers()
                with suppress(ConnectionError):  # whoever asked has gone
                    self.wfile.write(CONTENT[start : start + outer.cut])
                    outer.wait.wait(10)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/stars.bin"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.wait.set()
    server.http.shutdown()
    server.http.server_close()


def test_a_cut_download_goes_on_where_it_ended(server: Server, tmp_path: Path) -> None:
    path, seen = tmp_path / "part", list[int]()
    server.cut = 1 << 20
    for _ in range(2):
        with pytest.raises(requests.RequestException):
            download(server.url, path, progress=seen.append)
    download(server.url, path, progress=seen.append)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={1 << 20}-", f"bytes={2 << 20}-"]
    assert seen == [1 << 20, 2 << 20, 3 << 20]


def test_a_killed_download_goes_on_too(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "part"
    server.cut = 2 << 20
    server.wait.clear()
    code = (
        "import sys; from pathlib import Path; from alexnet.data.resume import download; "
        "download(sys.argv[1], Path(sys.argv[2]), progress=print)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, server.url, str(path)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (path.exists() and path.stat().st_size >= 1 << 20) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    child.wait()
    here = path.stat().st_size
    assert 0 < here <= 2 << 20
    server.cut = len(CONTENT)
    server.wait.set()
    download(server.url, path, progress=lambda _: None)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={here}-"]


@pytest.mark.parametrize("start", [len(CONTENT), len(CONTENT) + 5])
def test_a_part_with_no_rest_begins_anew(server: Server, tmp_path: Path, start: int) -> None:
    (tmp_path / "part").write_bytes(bytes(start))
    download(server.url, tmp_path / "part", progress=lambda _: None)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.ranges == [f"bytes={start}-", None]


def test_another_range_than_asked_for_is_not_added(server: Server, tmp_path: Path) -> None:
    server.shift = 7
    (tmp_path / "part").write_bytes(CONTENT[:1000])
    download(server.url, tmp_path / "part", progress=lambda _: None)
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_full_disk_keeps_nothing(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "part").write_bytes(CONTENT[:1000])
    with pytest.raises(OSError, match="No space left"):
        download(server.url, tmp_path / "part", progress=full)
    assert list(tmp_path.iterdir()) == []
