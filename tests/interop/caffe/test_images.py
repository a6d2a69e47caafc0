"""What definitions say of images, and what they are then."""

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.interop.caffe.deploy import images_to_settings
from alexnet.interop.caffe.images import IMAGENET_MEAN, Images, images_of_layer
from alexnet.interop.caffe.layers import TEST, parse_layers
from alexnet.preprocess import Preprocessing

pytest.importorskip("google.protobuf")


def images(said: str, kind: str = "Data") -> Images:
    text = f"layer {{ name: 'd' type: '{kind}' {said} include {{ phase: TEST }} }}"
    return images_of_layer(parse_layers(text, "n").layers[TEST][0])


def test_caffe_multiplies_after_the_mean_and_we_before() -> None:
    said = images("transform_param { crop_size: 227 scale: 0.5 mean_value: 10 mean_value: 20 mean_value: 30 }")
    assert said.preprocessing() == Preprocessing(
        resize=(256, 256), crop=227, channel_order="BGR", scale=0.5, mean=(5.0, 10.0, 15.0)
    )


def test_what_nothing_is_said_of_is_imagenets() -> None:
    assert Images(shape=(3, 227, 227)).preprocessing().mean == IMAGENET_MEAN
    assert Images(shape=(3, 32, 32)).preprocessing().resize == (32, 32)
    assert images("transform_param { crop_size: 28 }").preprocessing().mean == (0.0, 0.0, 0.0)
    assert images("transform_param { crop_size: 28 mean_value: 7 }").mean == (7.0, 7.0, 7.0)


def test_every_data_layer_says_its_sizes() -> None:
    assert images("image_data_param { new_height: 9 new_width: 8 }", "ImageData").shape == (3, 9, 8)
    said = images("transform_param { crop_size: 5 } image_data_param { new_height: 9 new_width: 8 }", "ImageData")
    assert (said.shape, said.canvas) == ((3, 5, 5), (9, 8))
    assert images("memory_data_param { channels: 1 height: 4 width: 6 }", "MemoryData").shape == (1, 4, 6)
    assert images("input_param { shape { dim: [1, 3, 4, 5] } }", "Input").shape == (3, 4, 5)


@pytest.mark.parametrize("resize", [256, (256, 300)])
def test_an_input_layer_says_all_of_it_again(resize) -> None:
    wanted = Preprocessing(resize=resize, crop=227, channel_order="BGR", scale=0.25, mean=(1.0, 2.0, 3.0))
    said = images_to_settings(wanted, "m.binaryproto")
    transform = " ".join(f"mean_value: {mean}" for mean in said["transform_param"]["mean_value"])
    canvas = " ".join(f"{key}: {value}" for key, value in said["image_data_param"].items())
    text = f"transform_param {{ scale: 0.25 {transform} }} image_data_param {{ {canvas} }}"
    assert images(f"{text} input_param {{ shape {{ dim: [1, 3, 227, 227] }} }}", "Input").preprocessing() == wanted


def test_a_mean_image_is_as_large_as_the_canvas() -> None:
    image = np.full((3, 40, 50), 2.0, np.float32)
    found = Images(shape=(3, 32, 32), scale=0.5).preprocessing(image)
    assert found.resize == (40, 50)
    np.testing.assert_array_equal(found.mean_image, image / 2)
    with pytest.raises(InputError, match=r"the mean image is \(3, 40, 50\), the canvas needs \(3, 64, 64\)"):
        Images(shape=(3, 32, 32), canvas=(64, 64)).preprocessing(image)
    with pytest.raises(InputError, match="a crop of 64 does not fit the canvas of 40 x 50"):
        Images(shape=(3, 64, 64)).preprocessing(image)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("transform_param { crop_size: 8 force_gray: true }", "transform_param.force_gray: pictures of one channel"),
        (
            "image_data_param { is_color: false } transform_param { crop_size: 8 }",
            "is_color: False: pictures of",
        ),
        ("transform_param { crop_size: 8 scale: 0 }", "transform_param.scale: must be above zero"),
        ("transform_param { crop_size: 8 mean_value: 1 mean_value: 2 }", "mean_value: 2 of them for 3 channels"),
        ("transform_param { crop_size: 8 mean_value: nan }", "mean_value: nan is no number"),
        ("transform_param { crop_size: 8 mean_value: 1 mean_file: 'm' }", "mean_value: beside mean_file"),
    ],
)
def test_what_caffe_would_refuse_is_refused(said: str, words: str) -> None:
    with pytest.raises(InputError, match=f"n, layer d, .*{words}"):
        images(said)


@pytest.mark.parametrize("changed", [{"channel_order": "RGB"}, {"std": (2.0, 2.0, 2.0)}])
def test_images_that_caffe_has_no_words_for_are_refused(changed) -> None:
    with pytest.raises(InputError, match="Caffe takes images blue first and divides them by nothing"):
        images_to_settings(Preprocessing(**{"channel_order": "BGR"} | changed), "m")
