"""Classes in another order: every image gets the same answers by name."""

from dataclasses import replace

import numpy as np
import pytest

from alexnet.data.ilsvrc import class_info, imagenet_classes
from alexnet.errors import InputError
from alexnet.verify import probe_logits
from alexnet.weights import Weights, make_probe
from alexnet.weights.class_order import in_class_order, knows_ilsvrc
from alexnet.weights.probe import changed_parts


@pytest.fixture
def named(probed_weights: Weights) -> Weights:
    """Classes of ILSVRC in the order of their WordNet ids, which is not that of the development kit."""
    wnids = sorted(
        sorted(imagenet_classes())[:: 1000 // probed_weights.spec.num_classes][: probed_weights.spec.num_classes]
    )
    weights = replace(probed_weights, classes=tuple(class_info(index, wnid) for index, wnid in enumerate(wnids)))
    return replace(weights, probe=make_probe(weights, probe_logits(weights)))


def test_answers_go_with_their_names(named: Weights) -> None:
    child = in_class_order(named, "devkit")
    ids = [imagenet_classes()[info.wnid].ilsvrc_id for info in child.classes]
    assert ids == sorted(ids)
    assert [info.index for info in child.classes] == list(range(len(ids)))
    before, after = (
        {info.wnid: logit for info, logit in zip(weights.classes, probe_logits(weights), strict=True)}
        for weights in (named, child)
    )
    assert [info.wnid for info in named.classes] != [info.wnid for info in child.classes]
    assert after == pytest.approx(before)
    np.testing.assert_allclose(child.probe["logits"], probe_logits(child), rtol=1e-5)
    assert changed_parts(child) == {}


def test_there_and_back_nothing_is_changed(named: Weights) -> None:
    back = in_class_order(in_class_order(named, "devkit"), "sorted")
    assert back.classes == named.classes
    assert all(np.array_equal(back.tensors[key], tensor) for key, tensor in named.tensors.items())
    assert in_class_order(named, "sorted") is named


def test_classes_that_the_kit_does_not_know_are_refused(probed_weights: Weights) -> None:
    with pytest.raises(InputError, match=r"these weights: .* is none of ILSVRC's 1,000 classes"):
        in_class_order(probed_weights, "devkit")


def test_ilsvrc_is_all_of_its_classes(named: Weights) -> None:
    assert not knows_ilsvrc(named)
