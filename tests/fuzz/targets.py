"""What is fuzzed: a row for every kind of file that is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from tests.fuzz import caffe_seeds, convnet_seeds, seeds
from tests.fuzz.seeds import Files
from tests.fuzz.text_messages import words_of
from tests.weights.conftest import PUBLISHED, narrow

from alexnet.arch import NETS
from alexnet.data.pickles import load_pickle
from alexnet.errors import InputError
from alexnet.interop.caffe.images import DATA_LAYERS
from alexnet.interop.caffe.prototxt import read_prototxt
from alexnet.interop.caffe.rows import ROWS
from alexnet.interop.caffe.schema import ENUMS, MESSAGES
from alexnet.interop.caffe.v1 import V1_TYPES
from alexnet.interop.cuda_convnet.files import read_net
from alexnet.weights import find_weights
from alexnet.weights.catalog import SUFFIXES, find_header
from alexnet.weights.foreign import COMPRESSED, read_foreign
from alexnet.weights.listing import list_weights

# Functions in the modules of readers that only write: their branches are no reader's.
WRITERS = (
    r"def (write_|_write|save_|pack|compress|split_tensors|serialize|metadata_texts|is_quantized|is_replaced|_varint|"
    r"spec_to_json|_row_fields|_as_written|_padded|_attribute\(|"
    r"_header\(number|_tensor\(name|_value\(value: V|_node\(node: N)"
)

_PICKLES = tuple(f"data.pickles.{name}" for name in ("arrays", "instructions", "machine"))


def set_up() -> None:
    """The published nets with few maps and units, so that files of them are small; for as long as the process lives."""
    NETS.update({name: narrow(NETS[name]) for name in PUBLISHED})  # type: ignore[attr-defined]


def _read_weights(path: Path) -> None:
    dict(find_weights(path).tensors)


def _read_compressed(path: Path) -> None:
    """As the file that is fetched by its name: whatever it begins with, it is to be of this format."""
    read_foreign(path, COMPRESSED)


def _list(path: Path) -> None:
    list_weights([path])


def _read_each(folder: Path) -> None:
    """Every file of weights by itself; all that is refused is told."""
    refused = []
    for path in (path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES.values()):
        try:
            _read_weights(path)
        except InputError as error:
            refused.append(str(error))
    if refused:
        raise InputError("; ".join(refused))


def _read_both(path: Path) -> None:
    read_net(path, path.with_name("params.cfg"))


def _read_spans(path: Path) -> None:
    load_pickle(path, spans=True)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of file. opens: the name of the one that is read, others lie beside it. modules: of `alexnet`, those whose
    branches are counted; elsewhere: functions and questions in these that such files do not come to, as a regular
    expression. reads: what reads it, each with ways of its own to fail. words: to put into texts. limits: of the
    package, by module and name, that no input as small as these could reach, and what they are here.
    """

    opens: str
    modules: tuple[str, ...]
    seeds: Callable[[], list[Files]]
    reads: Sequence[Callable[[Path], object]] = (find_header, _read_weights)
    words: Sequence[str] = ()
    elsewhere: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)

    def lower_limits(self) -> None:
        """For as long as the process lives."""
        for name, limit in self.limits.items():
            module, _, constant = f"alexnet.{name}".rpartition(".")
            if not hasattr(import_module(module), constant):
                raise AttributeError(f"{module} has no {constant}")
            setattr(import_module(module), constant, limit)


_LINES = """
[x] [DEFAULT] [data] type=conv type=local type=fc type=data type=blur type=cost.sum2 type=eltmax gpu=1 groups=2
randSparse=1 coeffs=1,2 inputs=data,data inputs=labels inputs=, a=%(b)s %(a)s dataIdx=2 start=1 weightSource=a
outputsX=3 blocked=1 sharedBiases=0 keep=2 stdev=-1 filterSize=4 pool=x neuron=x superEps=1 filterChannels=2 epsW=nan
schedW=exp[2] schedW=linear[tgtFactor=-1] schedW=jdexp[2,0,3] schedW=dexp[2,0,0.5] schedW=exp[x=1] schedB=exp[]
"""

_CAFFE = (
    *words_of(MESSAGES, ENUMS, "NetParameter"),
    *(
        f"layer {{ type: '{kind}' }}"
        for kind in (*DATA_LAYERS, *ROWS, "Softmax", "SoftmaxWithLoss", "Silence", "Scale")
    ),
    *(f"layers {{ type: {kind} }}" for kind in V1_TYPES),
    *("layer { num_ouput: 1 }", "solver { }", "base_lr: 1", "net: 'a'", "transform_param { mean_value: [1, 2] }"),
)

_CAFFE_IMAGES = [
    word for word in _CAFFE if word.startswith(("input", "transform", "data", "image_data", "memory_data"))
]
_CAFFE_IMAGES += ["input_param { shape { dim: [1, 2, 12, 12] } }", "n01440764", "n01440764 tench"]

TARGETS: Mapping[str, Target] = {
    "cuda-convnet definition": Target(
        modules=tuple(
            f"interop.cuda_convnet.{name}"
            for name in ("config", "definition", "draft", "weighted", "layers", "parameters", "files")
        ),
        opens="net.cfg",
        seeds=convnet_seeds.definitions,
        reads=(read_net, _read_both),
        words=[*_LINES.split(), "\0", "%%", "inputs=labels,fc", "schedW=linear[1,2,x=3]", " 1,2,3,4,5,6,7,8,9" * 20],
        limits={
            "interop.cuda_convnet.config._LONGEST": 1 << 6,
            "interop.cuda_convnet.config._MOST_GROWN": 1 << 11,
            "interop.cuda_convnet.definition.MOST_ROWS": 40,
            "interop.cuda_convnet.draft.MOST_ROWS": 60,
            "interop.cuda_convnet.weighted.MOST_CONNECTIONS": 40,
        },
    ),
    "cuda-convnet checkpoint": Target(
        modules=(
            "interop.cuda_convnet.checkpoint",
            "interop.cuda_convnet.trained",
            "weights.cuda_convnet",
            "weights.towers",
        ),
        opens="net.1",
        seeds=convnet_seeds.checkpoints,
        words=[
            "gpu",
            "coeffs",
            "neuron",
            "weights",
            "biases",
            "filterConns",
            "conv",
            "local",
            "fc",
            "rnorm",
            "model_state",
        ],
        limits={
            "interop.cuda_convnet.checkpoint.MOST_ROWS": 30,
            "interop.cuda_convnet.checkpoint.MAX_INSTRUCTIONS": 3000,
            "interop.cuda_convnet.trained.MOST_ROWS": 30,
        },
    ),
    "batches as pickles": Target(
        opens="batch", modules=_PICKLES, seeds=seeds.pickles, reads=(load_pickle, _read_spans)
    ),
    ".caffemodel": Target(
        modules=("interop.caffe.model", "interop.caffe.blob", "interop.protobuf", "weights.foreign"),
        elsewhere=r"def (_open_pth|_open_compressed|_compressed_shapes|is_deep_compression|floats)",
        opens="net.caffemodel",
        seeds=caffe_seeds.caffemodel,
        words=("LRN", "Pooling", "AlexNet", "CaffeNet"),
    ),
    "Caffe's four files": Target(
        modules=("weights.caffe", "interop.caffe.mean", "interop.caffe.images"),
        opens="net.caffemodel",
        seeds=caffe_seeds.caffe_files,
        words=_CAFFE_IMAGES,
    ),
    ".prototxt": Target(
        modules=tuple(f"interop.caffe.{name}" for name in ("draft", "keys", "layers", "norms", "prototxt", "rows")),
        opens="net.prototxt",
        seeds=caffe_seeds.prototxts,
        reads=(read_prototxt,),
        words=_CAFFE,
    ),
    "Deep Compression": Target(
        opens="small.net",
        modules=("interop.deep_compression",),
        seeds=seeds.compressed,
        reads=(find_header, _read_weights, _read_compressed),
    ),
    ".pth": Target(
        opens="net.pth",
        modules=("interop.pth", "interop.torchvision", "data.zip_index", "weights.pth"),
        seeds=seeds.pth,
        limits={"interop.pth.MAX_INSTRUCTIONS": 2000},
    ),
    "safetensors": Target(
        modules=("weights.files", "weights.metadata", "arch.serial"),
        opens="tiny.safetensors",
        seeds=seeds.safetensors,
        words=('"dtype":"F16"', '"dtype":"I64"', '"shape":[]', '"data_offsets":[0,0]', "NaN", "1e999"),
    ),
    "packed safetensors": Target(
        opens="small.safetensors",
        modules=("weights.packed",),
        seeds=seeds.packed,
        limits={"weights.packed.MOST_WEIGHTS": 400},
    ),
    "folders of weights": Target(
        opens=".",
        modules=("weights.catalog", "weights.listing"),
        elsewhere=r"if named and|if is_on_hub|def (_named|list_named)|if not place\.exists",  # names, the Hub, nothing
        seeds=seeds.folders,
        reads=(_read_weights, _read_each, _list),
    ),
    "ONNX": Target(
        opens="net.onnx",
        modules=("weights.onnx", "weights.stored", "interop.onnx"),
        elsewhere=r"def where_they_lie",  # engines ask, of weights that were read
        seeds=seeds.onnx,
        words=("conv1.weight", "fc3.bias"),
    ),
    "OpenVINO": Target(
        modules=("weights.openvino",),
        opens="net.xml",
        seeds=seeds.openvino,
        words=('<layer type="Const">', "</layer>", 'element_type="i64"', 'shape=""', "fc3.weight.tower0"),
    ),
}
