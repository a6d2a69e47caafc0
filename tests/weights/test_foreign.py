import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from alexnet.arch import NETS
from alexnet.arch.layers import TORCHVISION_MODULES
from alexnet.errors import WeightsError
from alexnet.interop.protobuf import write_block, write_integer, write_text
from alexnet.interop.torchvision import ROWS
from alexnet.weights import find_weights
from alexnet.weights.catalog import find_header, sniff
from alexnet.weights.foreign import read_foreign
from alexnet.weights.stored import StoredTensors

FOREIGN_KEYS = {ours: theirs for theirs, ours in ROWS.items()}


def save_pth(path: Path, tensors, dtype: str = "float32") -> Path:
    """`tensors`, under our keys, as torchvision's net would save them."""
    torch = pytest.importorskip("torch")
    state = {}
    for key, array in tensors.items():
        row, _, part = key.rpartition(".")
        state[f"{FOREIGN_KEYS[row]}.{part}"] = torch.from_numpy(array).to(getattr(torch, dtype))
    torch.save(state, path)
    return path


def twin(tensors):
    """torchvision's net with the widths of `tensors`, built here from torch's layers alone."""
    from torch import nn

    def conv(row: str, **options: int) -> nn.Conv2d:
        out, inputs, size, _ = tensors[f"{row}.weight"].shape
        return nn.Conv2d(inputs, out, size, **options)

    def linear(row: str) -> nn.Linear:
        out, inputs = tensors[f"{row}.weight"].shape
        return nn.Linear(inputs, out)

    net = nn.Sequential()
    net.features = nn.Sequential(
        *(conv("conv1", stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(conv("conv2", padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(
            conv("conv3", padding=1),
            nn.ReLU(),
            conv("conv4", padding=1),
            nn.ReLU(),
            conv("conv5", padding=1),
            nn.ReLU(),
        ),
        nn.MaxPool2d(3, 2),
    )
    net.avgpool, net.flatten = nn.AdaptiveAvgPool2d(6), nn.Flatten()
    net.classifier = nn.Sequential(
        *(nn.Dropout(), linear("fc6"), nn.ReLU(), nn.Dropout(), linear("fc7"), nn.ReLU(), linear("fc8"))
    )
    return net.eval()


def test_torchvisions_net_gives_torchvisions_logits(tmp_path: Path, random_tensors) -> None:
    torch = pytest.importorskip("torch")
    from alexnet.engines import open_engine

    theirs = twin(random_tensors("one-weird-trick"))
    torch.save(theirs.state_dict(), tmp_path / "alexnet.pth")
    weights = find_weights(tmp_path / "alexnet.pth")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224), dtype=np.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = (torch.from_numpy(images).float() / 255 - mean[:, None, None]) / std[:, None, None]
    with torch.inference_mode():
        expected = theirs(pixels).numpy()
    for engine, package in (("torch", "torch"), ("onnxruntime", "onnxruntime"), ("openvino", "openvino")):
        if find_spec(package):
            found = open_engine(engine, weights, "cpu", "fp32").logits(images)
            np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), err_msg=engine)
    assert np.ptp(expected) > 1e-3  # so that the pictures matter
    assert (weights.preprocessing.resize, weights.preprocessing.interpolation) == (256, "bilinear")


def test_torchvisions_layers_give_what_its_modules_give(tmp_path: Path, random_tensors) -> None:
    torch = pytest.importorskip("torch")
    from alexnet.engines import open_engine
    from alexnet.preprocess import normalize

    theirs = twin(random_tensors("one-weird-trick"))
    outputs = {}
    for name, module in theirs.named_modules():
        module.register_forward_hook(lambda _module, _inputs, output, name=name: outputs.update({name: output}))
    torch.save(theirs.state_dict(), tmp_path / "alexnet.pth")
    weights = find_weights(tmp_path / "alexnet.pth")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224), dtype=np.uint8)
    with torch.inference_mode():
        theirs(torch.from_numpy(normalize(images, weights.preprocessing)))
    layers = list(TORCHVISION_MODULES)
    for engine in ("torch", "onnxruntime"):
        if find_spec(engine):
            found = open_engine(engine, weights, "cpu", "fp32").features(images, layers)
            assert list(found) == layers
            for layer, values in found.items():
                expected = outputs[layer].numpy()
                np.testing.assert_allclose(values, expected, atol=1e-5 * np.abs(expected).max(), err_msg=layer)
    assert found["features.0"].min() < 0  # before the ReLU, as no in-place ReLU has overwritten it
    assert found["classifier.4"].min() < 0


def test_a_pth_file_stays_where_it_is_and_needs_no_torch_to_be_read(
    tmp_path: Path, random_tensors, monkeypatch
) -> None:
    tensors = random_tensors("one-weird-trick")
    path = save_pth(tmp_path / "a.pth", tensors)
    monkeypatch.setitem(sys.modules, "torch", None)
    weights = find_weights(path)
    assert isinstance(weights.tensors, StoredTensors)
    assert list(weights.tensors) == list(tensors)
    for key, array in tensors.items():
        np.testing.assert_array_equal(weights.tensors[key], array)
    assert (weights.spec, weights.errors, weights.probe) == (NETS["one-weird-trick"], (), None)


def test_a_state_dict_of_another_net_is_told_what_it_lacks(tmp_path: Path, random_tensors) -> None:
    torch = pytest.importorskip("torch")
    state = {key: torch.from_numpy(array) for key, array in random_tensors("caffe", 7).items()}
    torch.save(state, tmp_path / "a.pth")
    for read in (find_weights, find_header):
        with pytest.raises(
            WeightsError, match=r"a\.pth: a state dict of caffe or caffenet, without the classes"
        ) as caught:
            read(tmp_path / "a.pth")
        assert str(caught.value).endswith("save_weights, or with alexnet convert")


def test_halves_are_read_as_float32(tmp_path: Path, random_tensors) -> None:
    tensors = random_tensors("one-weird-trick")
    weights = find_weights(save_pth(tmp_path / "a.pth", tensors, "float16"))
    for key, array in tensors.items():
        assert weights.tensors[key].dtype == np.float32
        np.testing.assert_array_equal(weights.tensors[key], array.astype(np.float16))


def test_caffes_net_gives_the_logits_of_its_layers(random_tensors, write_caffemodel) -> None:
    """Of CaffeNet, whose order is conv, relu, pool, norm: computed here on BGR minus the published means."""
    torch = pytest.importorskip("torch")
    import torch.nn.functional as F

    from alexnet.engines import open_engine

    tensors = random_tensors("caffenet")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 227, 227), dtype=np.uint8)
    t = {key: torch.from_numpy(array) for key, array in tensors.items()}

    def conv(x, row: str, **options: int):
        return F.relu(F.conv2d(x, t[f"{row}.weight"], t[f"{row}.bias"], **options))

    x = torch.from_numpy(images[:, ::-1].astype(np.float32))
    x = x - torch.tensor([104.00698793, 116.66876762, 122.67891434])[:, None, None]
    x = F.local_response_norm(F.max_pool2d(conv(x, "conv1", stride=4), 3, 2), 5, 1e-4, 0.75, 1.0)
    x = F.local_response_norm(F.max_pool2d(conv(x, "conv2", padding=2, groups=2), 3, 2), 5, 1e-4, 0.75, 1.0)
    x = conv(conv(conv(x, "conv3", padding=1), "conv4", padding=1, groups=2), "conv5", padding=1, groups=2)
    x = F.max_pool2d(x, 3, 2).flatten(1)
    for row in ("fc6", "fc7"):
        x = F.relu(F.linear(x, t[f"{row}.weight"], t[f"{row}.bias"]))
    expected = F.linear(x, t["fc8.weight"], t["fc8.bias"]).numpy()
    weights = find_weights(write_caffemodel(tensors, "CaffeNet"))
    found = open_engine("torch", weights, "cpu", "fp32").logits(images)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert np.ptp(expected[0] - expected[1]) > 1e-3


def with_layers(path: Path, types: str, v1: bool = False) -> Path:
    """A .caffemodel with layers without weights at its end: p pools, n norms, - anything else."""
    for number, what in enumerate(types):
        named = write_text(4 if v1 else 1, f"layer{number}")
        a_type = write_integer(5, {"p": 17, "n": 15, "-": 18}[what]) if v1 else b""
        a_type = a_type or write_text(2, {"p": "Pooling", "n": "LRN", "-": "ReLU"}[what])
        block = write_block(2 if v1 else 100, [named, a_type])
        path.write_bytes(path.read_bytes() + b"".join(map(bytes, block)))
    return path


@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize("name", ["FlickrStyle", "AlexNet", "CaffeNet", ""])
def test_a_caffemodel_is_the_net_whose_layers_it_has_whatever_its_name(
    random_tensors, write_caffemodel, name: str, v1: bool
) -> None:
    for types, net in (("-np-np---p", "caffe"), ("-pn-pn---p", "caffenet")):
        path = with_layers(write_caffemodel(random_tensors(net, 20), name), types, v1)
        assert find_weights(path).spec == find_header(path).spec == NETS[net].with_classes(20)


def test_a_caffemodel_that_may_be_either_net_is_refused(random_tensors, write_caffemodel) -> None:
    tensors = random_tensors("caffe", 20)
    for name, types, words in (
        ("FlickrStyle", "", "neither its layers nor its name tell which"),
        ("", "---", "neither its layers nor its name tell which"),
        ("AlexNet", "-p-p---p", r"its norms and pools \(Pooling, Pooling, Pooling\) are not in the order of caffe,"),
        ("CaffeNet", "-np-pn---p", r"\(LRN, Pooling, Pooling, LRN and 1 more\) are not in the order of caffe, nor of"),
    ):
        path = with_layers(write_caffemodel(tensors, name), types)
        for read in (find_weights, find_header):
            with pytest.raises(WeightsError, match=rf"net.caffemodel: .*{words}") as caught:
                read(path)
            assert "\n" not in str(caught.value)
        assert read_foreign(path, "caffemodel", "caffenet").spec.name == "caffenet"  # which is known beforehand


def test_another_net_without_a_known_name_is_refused_for_its_shapes(random_tensors, write_caffemodel) -> None:
    tensors = random_tensors("caffe") | {"conv1.bias": np.zeros(5, np.float32)}
    with pytest.raises(WeightsError, match=r"not weights of caffe: of another shape conv1\.bias"):
        find_weights(write_caffemodel(tensors, "VGG"))


@pytest.mark.parametrize(("name", "net"), [("My AlexNet", "caffe"), ("FlickrStyleCaffeNet", "caffenet")])
def test_a_caffemodel_of_weights_alone_is_the_net_that_it_is_named_after(
    random_tensors, write_caffemodel, name: str, net: str
) -> None:
    tensors = random_tensors(net)
    weights = find_weights(write_caffemodel(tensors, name))
    assert weights.spec == NETS[net]
    assert list(weights.tensors) == list(tensors)
    for key, array in tensors.items():
        np.testing.assert_array_equal(weights.tensors[key], array)
    preprocessing = weights.preprocessing
    assert (preprocessing.resize, preprocessing.crop, preprocessing.channel_order) == ((256, 256), 227, "BGR")
    assert preprocessing.mean == (104.00698793, 116.66876762, 122.67891434)
    assert read_foreign(write_caffemodel(tensors, name), "caffemodel", "caffenet").spec.name == "caffenet"


def test_what_lies_across_addresses_is_copied(random_tensors, write_caffemodel) -> None:
    """Wherever the name of the net has moved it: no runtime gets floats that begin at an odd byte."""
    for length in range(1, 5):
        held = find_weights(write_caffemodel(random_tensors("caffe"), "AlexNet" + "n" * length)).tensors
        arrays = held.views if isinstance(held, StoredTensors) else held
        assert all(array.flags.aligned for array in arrays.values())


def test_deep_compressions_file_is_known_by_its_length(small_nets, write_compressed) -> None:
    path = write_compressed()
    assert sniff(path) == "deep-compression"
    weights = find_weights(path)
    assert weights.spec == NETS["caffe"]
    assert (weights.tensors["fc8.weight"] == 0.5).all()
    path.write_bytes(path.read_bytes() + b"\0")
    assert sniff(path) != "deep-compression"
    with pytest.raises(WeightsError, match=r"small.net: not whole: .* bytes, where its header means"):
        read_foreign(path, "deep-compression")


def test_a_thousand_classes_are_imagenets_by_wordnet_id_and_others_have_numbers(
    random_tensors, write_caffemodel
) -> None:
    weights = find_weights(write_caffemodel(random_tensors("caffe"), "AlexNet"))
    assert [info.wnid for info in weights.classes[:2]] == ["n01440764", "n01443537"]
    assert weights.classes[0].name == "tench, Tinca tinca"
    assert weights.classes[999].wnid == "n15075141"
    weights = find_weights(write_caffemodel(random_tensors("caffe", 7), "AlexNet"))
    assert [info.name for info in weights.classes] == list("0123456")
    assert weights.spec.num_classes == 7


def test_headers_are_read_without_the_numbers(
    tmp_path: Path, random_tensors, write_caffemodel, write_compressed
) -> None:
    tensors = random_tensors("caffe", 7)
    tensors["conv1.bias"][0] = np.nan
    for path, classes in ((write_caffemodel(tensors, "AlexNet"), 7), (write_compressed(), 1000)):
        header = find_header(path)
        assert (header.spec.name, len(header.classes), header.errors, header.licence) == ("caffe", classes, (), None)
    tensors = random_tensors("one-weird-trick", 3)
    path = with_a_flipped_bit(save_pth(tmp_path / "a.pth", tensors), tensors["fc6.weight"])
    assert find_header(path).spec == NETS["one-weird-trick"].with_classes(3)


def test_a_flipped_bit_in_a_pth_file_is_found(tmp_path: Path, random_tensors) -> None:
    tensors = random_tensors("one-weird-trick")
    path = save_pth(tmp_path / "a.pth", tensors)
    find_weights(path)
    with pytest.raises(WeightsError, match=r"a.pth: damaged \('a/data/.*' has another CRC-32") as caught:
        find_weights(with_a_flipped_bit(path, tensors["fc6.weight"]))
    assert "\n" not in str(caught.value)


def with_a_flipped_bit(path: Path, array: np.ndarray) -> Path:
    """The file with the lowest bit of the first number of `array`, which lies in it, turned."""
    content = bytearray(path.read_bytes())
    content[content.index(array.tobytes())] ^= 1
    path.write_bytes(content)
    return path


def test_other_tensors_are_named_in_one_line(tmp_path: Path, random_tensors, write_caffemodel) -> None:
    tensors = random_tensors("caffe")
    for change, words in (
        ({"conv1.bias": np.full(4, np.nan, np.float32)}, "caffe are damaged: NaN or infinity in conv1.bias"),
        ({"conv1.bias": np.zeros(5, np.float32)}, r"of another shape conv1.bias is \(5,\), not \(4,\)"),
        (
            {"fc8_flickr.weight": np.zeros(4, np.float32), "fc8_flickr.bias": np.zeros(4, np.float32)},
            "unknown fc8_flickr",
        ),
    ):
        with pytest.raises(WeightsError, match=rf"net.caffemodel: .*{words}") as caught:
            find_weights(write_caffemodel(tensors | change, "AlexNet"))
        assert "\n" not in str(caught.value)
    tensors = random_tensors("one-weird-trick")
    del tensors["fc8.bias"]
    with pytest.raises(WeightsError, match=r"a.pth: not weights of one-weird-trick: missing fc8.bias"):
        find_weights(save_pth(tmp_path / "a.pth", tensors))


def test_what_is_cut_off_is_refused(tmp_path: Path, random_tensors, write_caffemodel) -> None:
    for path in (
        save_pth(tmp_path / "a.pth", random_tensors("one-weird-trick")),
        write_caffemodel(random_tensors("caffe"), "AlexNet"),
    ):
        whole = path.read_bytes()
        for share in (0.1, 0.5, 0.999):
            path.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(WeightsError, match=r"damaged|cut short") as caught:
                find_weights(path)
            assert str(caught.value).startswith(str(path))
