import hashlib
from dataclasses import replace

import numpy as np

from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights, make_probe, probe_image, probe_view
from alexnet.weights.probe import changed_parts, with_errors


def test_the_probe_image_is_the_same_everywhere() -> None:
    """Published weights store its logits: not one pixel may ever change."""
    image = probe_image((256, 256))
    assert image.dtype == np.uint8
    assert image.shape == (3, 256, 256)
    assert (
        hashlib.sha256(image.tobytes()).hexdigest()
        == "b52354fa57469fa4aca1aeeff88e4d07a94d4ad50bde2ced200e6e9065525a21"
    )


def test_the_probe_image_differs_under_every_usual_mistake() -> None:
    image = probe_image((64, 64)).astype(int)
    mistakes = (image[::-1], image.transpose(0, 2, 1), image[..., ::-1], image[:, ::-1], np.full_like(image, 128))
    for mistaken in mistakes:
        assert np.abs(image - mistaken).mean() > 20


def test_the_probe_view_is_the_centre_of_the_canvas() -> None:
    view = probe_view(Preprocessing(resize=16, crop=12))
    np.testing.assert_array_equal(view, probe_image((16, 16))[None, :, 2:14, 2:14])


def test_canvases_need_not_be_square() -> None:
    assert probe_image((8, 20)).shape == (3, 8, 20)


def test_a_probe_knows_which_part_has_changed(tiny_weights: Weights) -> None:
    weights = replace(tiny_weights, probe=make_probe(tiny_weights, np.zeros(6, np.float32)))
    assert changed_parts(weights) == {}
    weights.tensors["fc3.bias"][7] = np.nextafter(weights.tensors["fc3.bias"][7], np.float32(1))
    assert list(changed_parts(weights)) == ["fc3.bias"]
    classes = (replace(weights.classes[0], name="scarlet"), *weights.classes[1:])
    plain = Preprocessing(resize=16, crop=12)
    others = replace(weights, classes=classes, preprocessing=plain)
    assert list(changed_parts(others)) == ["fc3.bias", "preprocessing.mean_image", "classes", "preprocessing"]


def test_errors_may_come_after_the_probe(tiny_weights: Weights) -> None:
    weights = replace(tiny_weights, probe=make_probe(tiny_weights, np.zeros(6, np.float32)))
    measured = [{"top1_error": 0.25}]
    assert changed_parts(with_errors(weights, measured)) == {}
    assert list(changed_parts(replace(weights, errors=tuple(measured)))) == ["errors"]
    assert with_errors(tiny_weights, measured).probe is None


def test_weights_without_checksums_have_no_changed_parts(tiny_weights: Weights) -> None:
    assert changed_parts(tiny_weights) == changed_parts(replace(tiny_weights, probe={"logits": [0.0]})) == {}
