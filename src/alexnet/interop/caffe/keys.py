"""Whether the keys of a definition are Caffe's own. A mistyped one would be passed over, and another net read.

Keys that are known here are of two kinds: those of the schema, which are read, and those that say nothing about a net
that is only to answer: of learning, of speed, and of layers whose types are refused.

Source: BVLC/caffe, src/caffe/proto/caffe.proto.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from alexnet.errors import InputError
from alexnet.interop.caffe.schema import MESSAGES, message_in

# Message to keys, of which nothing is read, nor anything in them.
_UNREAD: Mapping[str, frozenset[str]] = {
    message: frozenset(keys.split())
    for message, keys in {
        "NetParameter": "force_backward state debug_info",
        "LayerParameter": "phase loss_weight blobs propagate_down loss_param accuracy_param argmax_param "
        "batch_norm_param bias_param clip_param contrastive_loss_param crop_param "
        "dummy_data_param elu_param embed_param exp_param hdf5_data_param hdf5_output_param "
        "hinge_loss_param infogain_loss_param log_param mvn_param parameter_param prelu_param "
        "python_param recurrent_param reduction_param reshape_param scale_param sigmoid_param "
        "spp_param swish_param tanh_param threshold_param tile_param window_data_param",
        "V1LayerParameter": "blobs param blob_share_mode loss_weight loss_param accuracy_param argmax_param "
        "contrastive_loss_param dummy_data_param exp_param hdf5_data_param hdf5_output_param "
        "hinge_loss_param infogain_loss_param mvn_param sigmoid_param tanh_param "
        "threshold_param window_data_param",
        "ParamSpec": "share_mode",
        "TransformationParameter": "force_color",
        "DataParameter": "source rand_skip backend force_encoded_color prefetch",
        "ImageDataParameter": "source rand_skip shuffle root_folder",
        "FillerParameter": "min max",
        "ConvolutionParameter": "engine force_nd_im2col",
        "PoolingParameter": "engine",
        "LRNParameter": "engine",
        "ReLUParameter": "engine",
        "SoftmaxParameter": "engine",
        "EltwiseParameter": "stable_prod_grad",
    }.items()
}
_ANY = frozenset({"V0LayerParameter"})  # refused as a whole, with another reason
_LAYERS = ("layer", "layers")

# Keys by which a solver's file is known, and the one in it that is wanted.
_OF_SOLVERS = frozenset(
    {
        *("net", "net_param", "train_net", "train_net_param", "test_net", "test_net_param", "test_iter"),
        *("test_interval", "base_lr", "lr_policy", "max_iter", "momentum", "weight_decay", "snapshot", "solver_mode"),
    }
)
_NET_OF_SOLVER = re.compile(r"""\b(?:train_)?net\s*:\s*["']([^"'\n]+)""")

_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[][{}<>:,;]|[^][\s{}<>:,;#"']+""")


class _Message(NamedTuple):
    """A message that is open: what it is, None where nothing in it is read, and its key."""

    kind: str | None
    key: str
    is_list: bool = False


class _Unknown(NamedTuple):
    """A key that Caffe has not: where it begins in the text, the keys that lead to it, and the number of its layer."""

    start: int
    path: tuple[str, ...]
    kind: str
    layer: int


def check_keys(text: str, file: str, layers: Sequence[str]) -> None:
    """Refuse a text that the protobuf library takes, but for keys that it does not know. layers: their names, in order.

    Raises:
        InputError: it has a key that is none of Caffe's, or is a solver's; names file, line, layer and key.
    """
    found = next(_unknown_keys(text), None)
    if found is None:
        return
    *outer, key = found.path
    if not layers and not outer and key in _OF_SOLVERS:
        net = _NET_OF_SOLVER.search(text)
        raise InputError(f"{file} is a solver's, not a net's; give the net that it names{f', {net[1]}' if net else ''}")
    where = [file, f"line {text.count(chr(10), 0, found.start) + 1}"]
    if outer and outer[0] in _LAYERS and found.layer < len(layers):
        where.append(f"layer {layers[found.layer]}")
        outer = outer[1:]
    near = get_close_matches(key, _known(found.kind), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{', '.join(where)}, {'.'.join([*outer, key])}: Caffe has no such key here{hint}")


def _unknown_keys(text: str) -> Iterator[_Unknown]:
    """One pass over the words of a text, in order. A word is a key where none is waiting for its value."""
    opened, key, waits, num_layers = [_Message("NetParameter", "")], "", False, 0
    for word in _TOKEN.finditer(text):
        message = opened[-1]
        match word[0]:
            case "{" | "<":
                num_layers += len(opened) == 1 and key in _LAYERS
                kind = message.kind if message.is_list else _message_in(message.kind, key)
                opened.append(_Message(kind, "" if message.is_list else key))
                waits = False
            case "[":  # of values, or around the name of an extension, which only what is not read may have
                opened.append(_Message(_message_in(message.kind, key) if waits else None, key, is_list=True))
            case "}" | ">" | "]":
                opened, waits = opened[:-1] if len(opened) > 1 else opened, False
            case ":" | "," | ";":
                pass
            case said if said[0] in "#\"'":
                waits = waits and said[0] == "#"
            case _ if waits or message.is_list:
                waits = False
            case key:
                waits = True
                if message.kind and message.kind not in _ANY and key not in _known(message.kind):
                    path = (*(each.key for each in opened if each.key), key)
                    yield _Unknown(word.start(), path, message.kind, num_layers - 1)


def _message_in(kind: str | None, key: str) -> str | None:
    return message_in(kind, key) if kind else None


@cache
def _known(kind: str) -> frozenset[str]:
    return _UNREAD.get(kind, frozenset()) | MESSAGES[kind].keys()
