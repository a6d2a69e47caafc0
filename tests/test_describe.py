import alexnet
from alexnet.arch import NETS, find
from alexnet.describe import layer_table, net_json, totals


def test_the_table_of_the_2012_net_has_the_published_numbers() -> None:
    table = alexnet.summary("krizhevsky-145")
    assert "60,965,224  724,406,816  659,272" in table.splitlines()[-3]
    [conv2] = [line.split() for line in table.splitlines() if line.startswith("conv2")]
    assert " ".join(conv2) == "conv2 conv 256x27x27 5 1 2 2 307,456 223,948,800 186,624 91.1 MiB"


def test_memory_grows_with_the_batch() -> None:
    spec = find("krizhevsky-145")
    assert layer_table(spec).splitlines()[-3].endswith(" 907.4 MiB")
    assert layer_table(spec, batch_size=256).splitlines()[-3].endswith(" 1,814.8 MiB")


def test_every_net_can_be_described() -> None:
    for name, spec in NETS.items():
        assert alexnet.summary(name) == layer_table(spec)
        assert totals(spec)["params"] == sum(row["params"] for row in net_json(spec)["rows"])


def test_what_a_row_has_no_setting_for_is_none() -> None:
    rows = {row["name"]: row for row in net_json(find("krizhevsky-145"))["rows"]}
    settings = ("kernel_size", "stride", "padding", "groups")
    assert [rows["conv2"][key] for key in settings] == [5, 1, 2, 2]
    assert [rows["pool1"][key] for key in settings] == [3, 2, None, None]
    assert [rows["relu1"][key] for key in settings] == [None] * 4
    assert rows["fc8"]["output"] == [1000, 1, 1]
    assert rows["norm1"]["neurons"] == rows["pool1"]["neurons"] == 0
