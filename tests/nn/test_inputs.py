from itertools import product

import numpy as np
import pytest
import torch

from alexnet.data.color import apply_noise, mix_noise
from alexnet.nn import InputLayer, add_color_noise_
from alexnet.preprocess import Preprocessing, normalize

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY = (122.7, 116.7, 104.0), (1.0, 1.0, 1.0)

# Facts, section 5.3: RGB, grey levels; eigenvectors in columns.
STDEVS = np.array([19.72083, 37.09389, 121.78006])
EIGENVECTORS = np.array(
    [
        [0.41795513, -0.71257945, -0.56351045],
        [-0.81698062, -0.02354167, -0.57618440],
        [0.39731118, 0.70119634, -0.59200296],
    ]
)


def crops(size: int, n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 3, size, size), np.uint8)


def mean_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(90, 130, (3, height, width)).astype(np.float32)


PREPROCESSINGS = [
    Preprocessing(resize=20, crop=15, channel_order=order, scale=scale, mean=mean, std=std)
    for order, (scale, (mean, std)) in product(["RGB", "BGR"], [(1.0, GREY), (1 / 255, IMAGENET)])
] + [
    Preprocessing(resize=resize, crop=crop, channel_order=order, mean_image=mean_image(*canvas))
    for order, (resize, canvas, crop) in product(
        ["RGB", "BGR"], [(20, (20, 20), 14), (20, (20, 20), 15), ((22, 17), (22, 17), 16), (16, (16, 16), 16)]
    )
]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_the_input_layer_equals_normalize(preprocessing, memory_format):
    images = crops(preprocessing.crop)
    found = InputLayer(preprocessing)(torch.from_numpy(images).contiguous(memory_format=memory_format))
    expected = torch.from_numpy(normalize(images, preprocessing))
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)


def test_the_mean_image_is_cropped_at_its_center():
    mean = mean_image(9, 12)
    layer = InputLayer(Preprocessing(resize=(9, 12), crop=6, mean_image=mean))
    found = layer(torch.zeros(1, 3, 6, 6, dtype=torch.uint8))
    assert torch.equal(found[0], torch.from_numpy(-mean[:, 1:7, 3:9]))


def test_bgr_reverses_the_images_but_not_the_mean():
    layer = InputLayer(Preprocessing(crop=1, channel_order="BGR", mean=(1.0, 2.0, 3.0)))
    image = torch.tensor([10, 20, 30], dtype=torch.uint8).view(1, 3, 1, 1)
    assert layer(image).flatten().tolist() == [29, 18, 7]


def test_mean_and_std_are_no_part_of_the_weights():
    """They travel as preprocessing, and move to the device with the layer."""
    layer = InputLayer(PREPROCESSINGS[0])
    assert layer.state_dict() == {}
    assert {name for name, _ in layer.named_buffers()} == {"mean", "std"}


# Facts, section 12.
def test_golden_numbers_of_the_color_noise():
    noise = torch.from_numpy(mix_noise(np.ones((1, 3)), STDEVS, EIGENVECTORS))
    added = add_color_noise_(torch.zeros(1, 3, 1, 1), noise, 0.1).flatten() * 1.1
    torch.testing.assert_close(added, torch.tensor([-8.681426, -8.715256, -3.824875]), rtol=0, atol=2e-6)
    noise = torch.from_numpy(mix_noise(np.array([[0.0, 0.0, 1.0]]), STDEVS, EIGENVECTORS))
    pixel = torch.tensor([100.0, 50.0, -20.0]).view(1, 3, 1, 1)
    golden = torch.tensor([84.670515, 39.075657, -24.735832])
    torch.testing.assert_close(add_color_noise_(pixel, noise, 0.1).flatten(), golden, rtol=0, atol=1e-5)


def test_every_image_gets_its_own_offset_all_over_and_in_place():
    images, noise = torch.randn(2, 3, 4, 5), torch.randn(2, 3)
    found = images.clone()
    assert add_color_noise_(found, noise, 0.3) is found
    for n, c in product(range(2), range(3)):
        torch.testing.assert_close(found[n, c], (images[n, c] + 0.3 * noise[n, c]) / 1.3)
    np.testing.assert_allclose(found, apply_noise(images.numpy(), noise.numpy(), 0.3), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
def test_noise_is_mixed_in_between_mean_and_std(preprocessing):
    """In grey levels and as RGB, whatever the weights' own units and channel order."""
    images, noise = crops(preprocessing.crop), np.random.default_rng(2).normal(0, 50, (3, 3)).astype(np.float32)
    std = np.array(preprocessing.std, np.float32)[:, None, None]
    own = (noise if preprocessing.channel_order == "RGB" else noise[:, ::-1]) * np.float32(preprocessing.scale)
    expected = apply_noise(normalize(images, preprocessing) * std, own, 0.1) / std
    found = InputLayer(preprocessing)(torch.from_numpy(images), torch.from_numpy(noise), 0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("preprocessing", PREPROCESSINGS[:4])
def test_images_and_noise_are_left_alone(preprocessing, dtype):
    images, noise = torch.from_numpy(crops(15)).to(dtype), torch.ones(3, 3)
    before = images.clone()
    InputLayer(preprocessing)(images, noise, 0.1)
    assert torch.equal(images, before)
    assert torch.equal(noise, torch.ones(3, 3))


def test_a_coefficient_of_zero_adds_nothing():
    layer, images = InputLayer(PREPROCESSINGS[0]), torch.from_numpy(crops(15))
    assert torch.equal(layer(images, torch.full((3, 3), 50.0), 0.0), layer(images))


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS)
@pytest.mark.parametrize("coefficient", [0.0, 0.4])
def test_one_pass_gives_what_many_give(preprocessing, coefficient):
    """The kernel is for channels-last memory; in planar memory the same sums are made one by one."""
    images, noise = torch.from_numpy(crops(preprocessing.crop)), torch.randn(3, 3) * 10
    layer = InputLayer(preprocessing)
    planar = layer(images, noise, coefficient)
    found = layer(images.contiguous(memory_format=torch.channels_last), noise, coefficient)
    torch.testing.assert_close(found, planar, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_bf16_is_rounded_once_from_float32(memory_format):
    preprocessing = PREPROCESSINGS[0]
    images = torch.from_numpy(crops(preprocessing.crop)).contiguous(memory_format=memory_format)
    layer = InputLayer(preprocessing)
    found = layer(images, dtype=torch.bfloat16)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, layer(images).bfloat16())


def test_noise_may_be_of_any_dtype_and_one_row_for_all():
    layer, images = InputLayer(PREPROCESSINGS[0]), torch.from_numpy(crops(15))
    noise = torch.randn(1, 3, dtype=torch.float64) * 10
    expected = layer(images, noise, 0.1)
    found = layer(images.contiguous(memory_format=torch.channels_last), noise, 0.1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)


def test_noise_for_another_number_of_images_is_refused():
    images = torch.from_numpy(crops(15)).contiguous(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError):
        InputLayer(PREPROCESSINGS[0])(images, torch.randn(2, 3), 0.1)


def test_a_layer_in_few_bits_computes_with_the_mean_that_it_has():
    layer, images = InputLayer(PREPROCESSINGS[-1]), torch.from_numpy(crops(16))
    layer.bfloat16()
    found = layer(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, layer(images), rtol=1e-6, atol=1e-5)


@pytest.mark.gpu
def test_images_on_another_device_are_refused():
    images = torch.from_numpy(crops(15)).contiguous(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError, match="device"):
        InputLayer(PREPROCESSINGS[0]).cuda()(images)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_smaller_crops_lose_the_mean_image_at_their_size(memory_format):
    """A mean of one colour a half keeps its colours and its halves."""
    mean = np.full((3, 20, 20), 100, np.float32)
    mean[:, :, 10:] = 30
    layer = InputLayer(Preprocessing(resize=20, crop=16, mean_image=mean))
    images = torch.full((2, 3, 8, 8), 120, dtype=torch.uint8).contiguous(memory_format=memory_format)
    found = layer(images)
    assert torch.equal(found[..., :3], torch.full((2, 3, 8, 3), 20.0))
    assert torch.equal(found[..., 5:], torch.full((2, 3, 8, 3), 90.0))
    assert torch.equal(layer(images), found)
    color = InputLayer(Preprocessing(resize=20, crop=16, mean=(120.0, 20.0, 0.0)))(images)
    assert color[0, :, 0, 0].tolist() == [0.0, 100.0, 120.0]
