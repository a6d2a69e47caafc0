import hashlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.datasets import open_data
from alexnet.data.subset import choose
from alexnet.errors import DownloadError, MissingExtraError, WeightsError
from alexnet.evaluate import evaluate
from alexnet.predict import load
from alexnet.verify import verify
from alexnet.weights import Weights, find_weights, named, save_weights
from alexnet.weights.catalog import find_header
from alexnet.weights.named import NAMED, NamedWeights

OFFICIAL = [row for row in NAMED.values() if row.download]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def published(random_tensors, write_caffemodel, monkeypatch: pytest.MonkeyPatch) -> Iterator[NamedWeights]:
    """The row `caffe`, of a small file that a server on this machine publishes."""
    content = write_caffemodel(random_tensors("caffe"), "AlexNet").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    row = NAMED["caffe"]
    assert row.download is not None
    download = replace(
        row.download,
        url=f"http://127.0.0.1:{http.server_port}/bvlc_alexnet.caffemodel",
        checksum=f"sha1:{hashlib.sha1(content).hexdigest()}",
    )
    monkeypatch.setitem(NAMED, "caffe", replace(row, download=download))
    yield NAMED["caffe"]
    http.shutdown()
    http.server_close()


def test_a_name_is_fetched_once_and_then_needs_neither_server_nor_pooch(published, monkeypatch, capsys) -> None:
    pytest.importorskip("pooch")
    weights = find_weights("caffe")
    assert "downloading caffe from http://127.0.0.1" in capsys.readouterr().err
    assert (weights.spec.name, weights.probe, weights.errors) == ("caffe", None, published.errors)
    monkeypatch.setitem(sys.modules, "pooch", None)
    again = find_weights("caffe")
    np.testing.assert_array_equal(again.tensors["fc8.bias"], weights.tensors["fc8.bias"])
    assert capsys.readouterr() == ("", "")


def test_another_file_in_the_cache_is_replaced(published) -> None:
    pytest.importorskip("pooch")
    published.path.parent.mkdir(parents=True)
    published.path.write_bytes(b"something else")
    assert find_weights("caffe").spec.name == "caffe"


def test_a_path_wins_over_a_name(published, tiny_weights: Weights, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_weights("caffe", tiny_weights)
    assert find_weights("caffe").spec.name == "tiny"


def test_offline_one_line_says_what_to_do(published, monkeypatch) -> None:
    pytest.importorskip("pooch")
    far = replace(published.download, url="http://127.0.0.1:9/bvlc_alexnet.caffemodel")
    monkeypatch.setitem(NAMED, "caffe", replace(published, download=far))
    with pytest.raises(DownloadError, match=r"^caffe could not be downloaded from .*; connect, or put the published"):
        find_weights("caffe")


def test_without_pooch_the_extra_is_named(published, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError, match=r"alexnet\[download\]"):
        find_weights("caffe")


def test_a_file_without_a_published_sum_is_judged_by_its_length(small_nets, write_compressed, monkeypatch) -> None:
    row = NAMED["deep-compression"]
    monkeypatch.setitem(sys.modules, "pooch", None)  # so that what is there is taken
    row.path.parent.mkdir(parents=True)
    content = write_compressed().read_bytes()
    row.path.write_bytes(content)
    assert find_weights("deep-compression").errors == row.errors
    row.path.write_bytes(content[:-1])
    with pytest.raises(WeightsError, match=r"not whole: .*; delete it: it is fetched again$") as caught:
        find_weights("deep-compression")
    assert str(caught.value).startswith(str(row.path))


def test_shipped_weights_are_read_and_a_damaged_install_says_so(
    tiny_weights: Weights, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(named, "SHIPPED", tmp_path)
    path = tmp_path / "tiny-imagenet-200.safetensors"
    errors = ({"data": "x", "split": "val", "views": "center", "top1_error": 0.5, "top5_error": 0.25},)
    save_weights(path, replace(tiny_weights, errors=errors))
    assert find_weights("tiny-imagenet-200").errors == errors
    whole = path.read_bytes()
    for spoil in (lambda: path.write_bytes(whole[:-1]), path.unlink):
        spoil()
        with pytest.raises(WeightsError, match=r"; install alexnet again: these weights come with it$") as caught:
            find_weights("tiny-imagenet-200")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("row", OFFICIAL, ids=lambda row: row.name)
def test_official_rows_say_all_that_is_published(row: NamedWeights) -> None:
    assert row.download is not None
    assert row.name == row.download.name
    assert row.net
    assert row.licence
    [errors] = row.errors
    assert (errors["data"], errors["split"], errors["views"]) == ("ILSVRC-2012", "val", "center")
    assert 0.42 < errors["top1_error"] < 0.44
    assert 0.19 < errors["top5_error"] < 0.21


def test_errors_are_those_of_the_nets_where_both_are_published() -> None:
    """The table of nets rounds to a tenth of a percent."""
    from alexnet.arch import find

    for row in OFFICIAL:
        if row.name != "deep-compression":  # whose weights are not those of the net's row
            [errors] = row.errors
            words = f"{100 * errors['top1_error']:.1f} / {100 * errors['top5_error']:.1f} %"
            assert find(str(row.net)).published_error.startswith(words)


@pytest.mark.network
@pytest.mark.parametrize("row", OFFICIAL, ids=lambda row: row.name)
def test_the_published_file_is_where_it_was(row: NamedWeights) -> None:
    weights = find_weights(row.name)
    assert (weights.spec.name, weights.spec.num_classes) == (row.net, 1000)


def test_the_shipped_file_is_whole_small_and_says_what_it_is() -> None:
    """Its probe's logits come out again, it is at most 8 MiB, and its errors have a protocol."""
    row = NAMED["tiny-imagenet-200"]
    assert row.path.stat().st_size <= 8 << 20
    assert verify(row.path).checksummed
    header = find_header(row.path)
    assert (header.spec.name, len(header.classes), header.licence) == ("krizhevsky-145", 200, "MIT")
    assert all(info.wnid for info in header.classes)
    assert {error["views"] for error in header.errors} >= {"center"}
    assert all(error["split"] == "val" for error in header.errors)


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_the_shipped_file_has_the_errors_that_it_says(test_data: Path, count: int) -> None:
    """On the first images of the validation shard: within the four standard errors that so few allow."""
    classifier, dataset = load("tiny-imagenet-200"), open_data(test_data / "tiny-imagenet/val-000.tar.gz")
    some = choose(dataset.split("val"), np.arange(count))
    found = evaluate([classifier], some, dataset.classes)
    [stored] = [error for error in classifier.weights.errors if error["views"] == "center"]
    error = stored["top1_error"]
    assert found.top1_error == pytest.approx(error, abs=4 * (error * (1 - error) / count) ** 0.5)
