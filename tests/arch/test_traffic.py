"""What devices send each other, against counts by hand for net 145 and the paper's argument for its last rows."""

import pytest

from alexnet.arch import NETS, find
from alexnet.arch.traffic import between_machines, of_data_parallel, of_one_weird_trick, of_parts, total

NET = NETS["krizhevsky-145"]
BATCH, BF16 = 128, 2


def test_towers_send_what_the_rows_without_groups_read():
    """Half of the numbers each way, forwards and backwards; logits forwards alone."""
    numbers = {"conv3": 256 * 13 * 13, "fc6": 256 * 6 * 6, "fc7": 4096, "fc8": 4096}
    assert of_parts(NET, 2, BATCH, BF16) == {
        **{row: 2 * count * BATCH * BF16 // 2 for row, count in numbers.items()},
        "prob": 1000 * BATCH * BF16 // 2,
    }


def test_data_parallel_sends_every_weight_whatever_the_batch():
    assert of_data_parallel(NET, 2)["conv1"] == (11 * 11 * 3 * 96 + 96) * 4
    assert total(of_data_parallel(NET, 2)) == 60_965_224 * 4
    assert total(of_data_parallel(NET, 8)) == pytest.approx(2 * 60_965_224 * 4 * 7 / 8, abs=8)


def test_the_weird_trick_sends_little_among_few_devices_and_much_among_many():
    """Gradients of the convolutions are a fraction of all; but what all images have as activations grows with them."""
    shares = {
        devices: total(of_one_weird_trick(NET, devices, BATCH * devices, BF16)) / total(of_data_parallel(NET, devices))
        for devices in (2, 8, 64)
    }
    assert shares[2] < 0.1
    assert shares[8] < 0.25
    assert shares[64] > 1


def test_it_is_the_sum_of_both_ways_for_its_rows():
    sent = of_one_weird_trick(NET, 4, 4 * BATCH, BF16)
    assert {row: sent[row] for row in sent if row.startswith("conv")} == {
        row: count for row, count in of_data_parallel(NET, 4).items() if row.startswith("conv")
    }
    assert sent["fc6"] == 2 * 256 * 6 * 6 * 4 * BATCH * BF16 * 3 // 4
    assert sent["fc7"] == 2 * 4096 * 4 * BATCH * BF16 * 3 // 4


def test_machines_send_each_other_the_gradients_of_one_part():
    """An eighth of those of the fc rows, twice, but for what stays: with many machines less than their activations."""
    sent = between_machines(NET, 4, 8)
    assert sent == {
        "fc6": 2 * 4 * (9216 + 1) * 512 * 3 // 4,
        "fc7": 2 * 4 * (4096 + 1) * 512 * 3 // 4,
        "fc8": 2 * 4 * (4096 + 1) * 125 * 3 // 4,
    }
    assert not between_machines(NET, 1, 8)
    apart = total(of_one_weird_trick(NET, 8, 8 * BATCH, BF16)) + total(between_machines(NET, 16, 8))
    assert apart < total(of_one_weird_trick(NET, 128, 128 * BATCH, BF16)) / 2


@pytest.mark.parametrize("net", ["krizhevsky-145", "one-weird-trick", "cifar-towers"])
def test_one_device_sends_nothing(net):
    spec = find(net)
    assert not of_data_parallel(spec, 1)
    assert not of_parts(spec, 1, BATCH, BF16)
    assert not of_one_weird_trick(spec, 1, BATCH, BF16)
