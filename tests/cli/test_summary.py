import pytest

from alexnet.arch import NETS


@pytest.mark.parametrize("net", [*NETS, "krizhevsky-145+no-lrn", "caffe+half+tanh"])
def test_json_has_exactly_the_published_keys(run, net: str) -> None:
    shown = run("summary", net, "--json").json
    assert list(shown) == ["name", "source", "input", "rows", "params", "macs", "neurons"]
    assert shown["name"] == net
    for row in shown["rows"]:
        assert list(row) == [
            *("name", "kind", "inputs", "output"),
            *("kernel_size", "stride", "padding", "groups"),
            *("params", "macs", "neurons"),
        ]
        assert len(row["output"]) == 3
    for key in ("params", "macs", "neurons"):
        assert shown[key] == sum(row[key] for row in shown["rows"])


def test_json_says_what_a_row_reads(run) -> None:
    rows = run("summary", "krizhevsky-145", "--json").json["rows"]
    assert [row["inputs"] for row in rows[:2]] == [["image"], ["conv1"]]


def test_the_table_is_for_the_asked_batch(run) -> None:
    status, shown, errors = run("summary", "digits", "--batch-size", "32")
    assert (status, errors) == (0, "")
    assert "batch of 32" in shown
    assert "181,130" in shown


def test_an_undefined_ablation_is_one_line(run) -> None:
    finished = run("summary", "digits+half")
    assert finished.status == 2
    assert "half is defined for the two-tower nets" in finished.error
    assert "did you mean no-lrn" in run("summary", "caffe+nolrn").error
