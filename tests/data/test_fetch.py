"""Against a server of our own on this machine; nothing here reaches the internet."""

import hashlib
import io
import os
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alexnet.data import fetch as fetch_module
from alexnet.data.cache import cache_dir
from alexnet.data.fetch import Download, fetch, missing_files, unpack
from alexnet.errors import DownloadError, MissingExtraError
from alexnet.lock import LOCK_FILE

pytest.importorskip("pooch")

CONTENT = os.urandom(3 << 20)


class Server:
    """Sends `content` for every path, as `status`, of which it claims `claimed` bytes; knows no ranges."""

    def __init__(self) -> None:
        self.content, self.status, self.claimed = CONTENT, 200, len(CONTENT)
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self.send_response(outer.status)
                self.send_header("Content-Length", str(outer.claimed))
                self.end_headers()
                with suppress(ConnectionError):  # whoever asked has gone
                    self.wfile.write(outer.content)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def download(server: Server) -> Download:
    return Download("stars", f"{server.url}/a/stars.bin", f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", len(CONTENT))


def kept() -> list[str]:
    return sorted(path.name for path in cache_dir().rglob("*") if path.is_file() and path.name != LOCK_FILE)


def test_a_file_comes_once_and_is_then_there_without_the_server(server, download, capsys):
    path = fetch(download)
    assert (path, path.read_bytes()) == (cache_dir() / "downloads" / "stars.bin", CONTENT)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"downloading stars from {download.url}: 1 of 3 MB\n"
    server.close()
    assert fetch(download) == path
    assert capsys.readouterr() == ("", "")
    assert len(server.asked) == 1


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_sums_may_be_of_any_usual_kind(download, algorithm):
    checksum = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    assert fetch(replace(download, checksum=checksum)).read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_taken(server, download):
    download.path.parent.mkdir(parents=True)
    download.path.write_bytes(CONTENT)
    server.close()
    assert fetch(download) == download.path


def test_another_file_in_its_place_is_replaced(server, download):
    download.path.parent.mkdir(parents=True)
    download.path.write_bytes(CONTENT[:-1])
    assert fetch(download).read_bytes() == CONTENT


def test_what_was_not_published_is_not_kept(server, download):
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(DownloadError, match=r"stars: what http.*stars\.bin sent is not the published file") as caught:
        fetch(download)
    assert "\n" not in str(caught.value)
    assert kept() == []


def test_a_body_that_breaks_off_is_kept_as_a_part_and_never_taken_for_the_whole(server, download):
    server.content = CONTENT[: 1 << 20]
    words = (
        r"stars could not be .* \(the connection broke off; the first 1\.0 MB are kept, and the next try goes on .*\)"
    )
    with pytest.raises(DownloadError, match=words) as caught:
        fetch(download)
    assert "\n" not in str(caught.value)
    assert kept() == [".stars.bin.part"]
    server.content = CONTENT  # all of it again: this server knows no ranges
    assert fetch(download).read_bytes() == CONTENT
    assert kept() == ["stars.bin"]


def test_a_part_of_another_file_is_found_by_the_sum_and_thrown_away(server, download):
    download.path.parent.mkdir(parents=True)
    download.part.write_bytes(CONTENT[: 1 << 20])
    server.status, server.content = 206, bytes(2 << 20)
    with pytest.raises(DownloadError):
        fetch(download)
    server.status, server.content = 200, CONTENT
    assert fetch(download).read_bytes() == CONTENT


def test_without_a_published_sum_it_begins_anew(server, download):
    """Nothing would tell whether the rest is of the same file."""
    download = replace(download, checksum=None)
    server.content = CONTENT[: 1 << 20]
    with pytest.raises(DownloadError, match=r"\(the connection broke off\)"):
        fetch(download)
    download.part.write_bytes(b"another file's beginning")
    server.content = CONTENT
    assert fetch(download).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 503])
def test_a_page_that_is_not_there_is_named(server, download, status):
    server.status = status
    with pytest.raises(DownloadError, match=rf"from {download.url} \({status} [\w ]+\); connect, or put the published"):
        fetch(download)
    assert kept() == []


def test_a_slow_download_says_how_far_it_is(download, monkeypatch, capsys):
    monkeypatch.setattr(fetch_module, "_SECONDS_BETWEEN_LINES", 0.0)
    fetch(download)
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == [f"{count} of 3 MB" for count in (1, 2, 3)]


def test_without_a_connection_one_line_says_where_to_put_the_file(server, download, capsys):
    server.close()
    with pytest.raises(DownloadError) as caught:
        fetch(download)
    folder = cache_dir() / "downloads"
    assert str(caught.value) == (
        f"stars could not be downloaded from {download.url} (no connection); "
        f"connect, or put the published stars.bin into {folder}"
    )
    assert capsys.readouterr() == ("", "")


def test_without_a_connection_it_is_said_why_the_file_that_lies_there_is_not_used(server, download):
    download.path.parent.mkdir(parents=True)
    download.path.write_bytes(b"another")
    server.close()
    with pytest.raises(DownloadError) as caught:
        fetch(download)
    found, published = hashlib.sha256(b"another").hexdigest()[:8], hashlib.sha256(CONTENT).hexdigest()[:8]
    assert str(caught.value).endswith(
        f"connect, or put the published file in place of {download.path}, "
        f"whose checksum is sha256:{found}... instead of sha256:{published}..."
    )


def test_a_server_that_never_answers_is_given_up(server, download, monkeypatch):
    monkeypatch.setattr("alexnet.data.resume.TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr("http.server.BaseHTTPRequestHandler.send_response", lambda *_: threading.Event().wait(0.3))
    with pytest.raises(DownloadError, match="no answer in time"):
        fetch(download)


def test_the_proxy_of_the_environment_is_used(server, download, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, server.url)
    far = replace(download, url="http://nowhere.invalid/stars.bin")
    assert fetch(far).read_bytes() == CONTENT
    assert server.asked == [far.url]


def test_without_pooch_the_extra_is_named(download, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError, match=r"alexnet\[download\]"):
        fetch(download)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interruption_and_a_full_disk_leave_nothing(download, monkeypatch, failure):
    def write(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("requests.Response.iter_content", write)
    with pytest.raises(type(failure)) as caught:
        fetch(download)
    assert caught.value is failure
    assert [path for path in cache_dir().rglob("*") if path.is_file() and path.stat().st_size] == []


def test_several_at_once_all_end_with_the_whole_file_that_one_has_fetched(server, download):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(download), range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert kept() == ["stars.bin"]
    assert len(server.asked) == 1


FILES = {"set/a": b"first", "set/b": b"second" * 1000}
SIZES = {"set/a": 5, "set/b": 6000}


def packed(path: Path, *odd: tarfile.TarInfo, files: dict[str, bytes] = FILES) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in odd:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def odd_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, size
    return member


def test_only_the_named_files_are_unpacked(tmp_path):
    archive = packed(
        tmp_path / "x.tar.gz",
        odd_member("set/readme"),
        odd_member("../outside"),
        odd_member("/tmp/absolute"),
        odd_member("set/link", tarfile.SYMTYPE, "/etc/passwd"),
        odd_member("set/device", tarfile.CHRTYPE),
    )
    unpack(archive, tmp_path / "new" / "set", SIZES)
    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "set").iterdir()} == {
        "a": FILES["set/a"],
        "b": FILES["set/b"],
    }
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "new", "set", "x.tar.gz"]


@pytest.mark.parametrize(
    "odd",
    [
        odd_member("set/a", tarfile.SYMTYPE, "/etc/passwd"),
        odd_member("set/a", tarfile.LNKTYPE, "/etc/passwd"),
        odd_member("set/a", tarfile.CHRTYPE),
        odd_member("set/a", tarfile.FIFOTYPE),
        odd_member("set/a", size=4),
        odd_member("set/a", size=6001),
        odd_member("set/bomb", size=6001),
    ],
    ids=["link", "hard link", "device", "pipe", "cut", "too large", "bomb"],
)
def test_what_stands_in_place_of_a_file_is_refused(tmp_path, odd):
    with pytest.raises(DownloadError, match=rf"x.tar.gz: '{odd.name}' is not what was published"):
        unpack(packed(tmp_path / "x.tar.gz", odd), tmp_path / "set", SIZES)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.tar.gz"]


def test_a_missing_file_and_a_cut_archive_leave_no_part_of_a_file(tmp_path):
    archive = packed(tmp_path / "x.tar.gz", files={"set/a": b"first"})
    with pytest.raises(DownloadError, match=r"x.tar.gz: no set/b in it"):
        unpack(archive, tmp_path / "set", SIZES)
    whole = packed(archive).read_bytes()
    for size in (0, 1, 15, len(whole) // 2):
        archive.write_bytes(whole[:size])
        with pytest.raises(DownloadError, match=r"x\.tar\.gz: no whole tar archive; delete it and try again"):
            unpack(archive, tmp_path / "set", SIZES)
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == {"a": FILES["set/a"]}


def test_several_that_unpack_at_once_do_not_disturb_each_other(tmp_path):
    archive, folder = packed(tmp_path / "x.tar.gz"), tmp_path / "set"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: unpack(archive, folder, SIZES), range(4)))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a": FILES["set/a"], "b": FILES["set/b"]}


def test_only_missing_and_cut_files_are_unpacked(tmp_path):
    archive, folder = packed(tmp_path / "x.tar.gz"), tmp_path / "set"
    folder.mkdir()
    (folder / "a").write_bytes(b"other")
    (folder / "b").write_bytes(FILES["set/b"][:-1])
    assert missing_files(folder, SIZES) == {"set/b"}
    unpack(archive, folder, SIZES)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a": b"other", "b": FILES["set/b"]}


def test_what_killed_processes_left_long_ago_is_removed(tmp_path, download):
    folder = download.path.parent
    folder.mkdir(parents=True)
    (folder / "temporary").touch()
    for name in ("tmp0a_b9zqx", ".a.0123abcd.tmp", ".0.part", "other"):
        for age, days in (("", 2), ("new", 0.5)):
            path = folder / f"{age}{name}" if name == "other" else folder / name.replace("0", "1" if age else "0")
            path.touch()
            os.utime(path, (time.time() - days * 86400,) * 2)
    fetch(download)
    young = [".a.1123abcd.tmp", ".1.part", "tmp1a_b9zqx"]
    assert kept() == sorted([*young, "newother", "other", "stars.bin", "temporary"])
    os.utime(folder / young[0], (0, 0))
    unpack(packed(tmp_path / "x.tar.gz"), folder, SIZES)
    assert young[0] not in kept()


def test_an_interrupted_unpacking_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack(packed(tmp_path / "x.tar.gz"), tmp_path / "set", SIZES)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.tar.gz"]
