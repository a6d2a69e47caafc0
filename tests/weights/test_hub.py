"""Against a stand-in for the library, and where that is installed, the library against a server of our own."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from alexnet.errors import DownloadError, MissingExtraError, WeightsError
from alexnet.weights import Weights, find_weights, save_weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., str]], None]:
    """Has `huggingface_hub.hf_hub_download` be a function."""

    def put(function: Callable[..., str]) -> None:
        module = ModuleType("huggingface_hub")
        module.hf_hub_download = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "huggingface_hub", module)

    return put


def kinds(*names: str, base: type[Exception] = Exception) -> type[Exception]:
    """An error of the name `names[0]`, a kind of an error of the next, and so on."""
    for name in reversed(names):
        base = type(name, (base,), {})
    return base


@pytest.mark.parametrize(("suffix", "revision"), [("", None), ("@main", "main"), ("@refs/pr/3", "refs/pr/3")])
def test_a_repository_is_asked_for_its_one_file(
    tmp_path: Path, tiny_weights: Weights, stand_in, suffix: str, revision: str | None
) -> None:
    asked = []

    def download(name: str, file: str, *, revision: str | None, library_name: str) -> str:
        asked.append((name, file, revision, library_name))
        save_weights(tmp_path / file, tiny_weights)
        return str(tmp_path / file)

    stand_in(download)
    assert find_weights(f"hf:some-one/alex.net_1{suffix}").spec == tiny_weights.spec
    assert asked == [("some-one/alex.net_1", "model.safetensors", revision, "alexnet")]


@pytest.mark.parametrize("where", ["hf:", "hf:name", "hf:a/b/c", "hf:a/b@", "hf:../b c", "hf:a/b@x y"])
def test_other_forms_are_refused(where: str) -> None:
    with pytest.raises(WeightsError, match=r"weights on the Hub are hf:OWNER/NAME or hf:OWNER/NAME@REVISION"):
        find_weights(where)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"huggingface_hub is needed .*alexnet\[huggingface\]"):
        find_weights("hf:owner/name")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (kinds("GatedRepoError", "RepositoryNotFoundError", "HfHubHTTPError", base=OSError), "lets only some in"),
        (kinds("RepositoryNotFoundError", "HfHubHTTPError", base=OSError), "no such repository, or a private one"),
        (kinds("RevisionNotFoundError", "HfHubHTTPError", base=OSError), "it has no such revision"),
        (kinds("LocalEntryNotFoundError", "EntryNotFoundError"), "no connection, and it is not in the cache"),
        (kinds("RemoteEntryNotFoundError", "EntryNotFoundError"), "holds no weights of this package"),
        (kinds("HFValidationError", base=ValueError), "cannot be called so"),
        (kinds("ReadTimeout", "HTTPError"), "500 of the server"),
        (ConnectionError, "500 of the server"),
    ],
)
def test_what_goes_wrong_there_is_one_line(stand_in, kind: type[Exception], words: str) -> None:
    def download(*_: object, **__: object) -> str:
        raise kind("500 of\n\nthe server")

    stand_in(download)
    with pytest.raises(
        DownloadError, match=rf"^hf:o/n could not be fetched from the Hugging Face Hub \(.*{words}"
    ) as e:
        find_weights("hf:o/n")
    assert "\n" not in str(e.value)


def test_a_full_disk_is_said_as_such(stand_in) -> None:
    def download(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    stand_in(download)
    with pytest.raises(OSError, match="No space left"):
        find_weights("hf:o/n")


def test_a_repository_of_another_program_is_one_line(tmp_path: Path, stand_in) -> None:
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    stand_in(lambda *_, **__: str(tmp_path / "model.safetensors"))
    with pytest.raises(WeightsError, match="a safetensors file of another program") as caught:
        find_weights("hf:o/n")
    assert "\n" not in str(caught.value)


def test_a_path_of_that_name_wins(tmp_path: Path, tiny_weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hf:owner").mkdir()
    save_weights("hf:owner/name", tiny_weights)
    assert find_weights("hf:owner/name").spec == tiny_weights.spec


@pytest.mark.skipif(find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed")
def test_the_library_itself_fetches_once_and_then_works_offline(tmp_path: Path, tiny_weights: Weights) -> None:
    save_weights(tmp_path / "w", tiny_weights)
    content = (tmp_path / "w").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            known = self.path in (f"/owner/net/resolve/{name}/model.safetensors" for name in ("main", COMMIT))
            self.send_response(200 if known else 404)
            if known:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
            else:
                kind = "RevisionNotFound" if "/owner/net/" in self.path else "RepoNotFound"
                kind = "EntryNotFound" if "/owner/empty/" in self.path else kind
                self.send_header("X-Error-Code", kind)
            self.send_header("Content-Length", str(len(content) if known else 0))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    code = (
        "import sys, time; from alexnet.errors import DownloadError; from alexnet.weights import find_weights\n"
        "time.sleep = lambda seconds: None  # between tries, 23 seconds in all\n"
        "for where in sys.argv[1:]:\n"
        "    try: print(find_weights(where).spec.name)\n"
        "    except DownloadError as error: print(error)"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{http.server_port}",
        "HF_HOME": str(tmp_path / "hf"),
        "NO_PROXY": "127.0.0.1",
    }

    def found(*names: str) -> list[str]:
        command = [sys.executable, "-c", code, *names]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    wrong = {
        "hf:owner/net@nowhere": "it has no such revision",
        "hf:nobody/net": "no such repository",
        "hf:owner/empty": "holds no weights of this package",
        "hf:owner/--.git": "cannot be called so",
    }
    *errors, name = found(*wrong, "hf:owner/net")
    assert all(words in error for words, error in zip(wrong.values(), errors, strict=True)), errors
    assert name == "tiny"
    http.shutdown()
    http.server_close()
    name, error = found("hf:owner/net", "hf:owner/other")
    assert name == "tiny"
    assert "no connection, and it is not in the cache" in error
