"""The messages of Caffe that definitions of nets are written in, as far as they are read or written here.

A table, of which the protobuf library makes its classes when the first definition is read. Where Caffe has float32 it
is double here: what stands as 0.01 in a file is to stay 0.01. Fields of Caffe's that are not in the table say nothing
about a net that is only to answer: `keys.py` knows their names.

Source: BVLC/caffe, src/caffe/proto/caffe.proto.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from alexnet.errors import MissingExtraError
from alexnet.interop.caffe.v1 import V1_TYPES

_PACKAGE = "caffe"

# Field to (number, type); a type ends in * where the field is repeated, in =VALUE where it has a default.
_Fields = Mapping[str, tuple[int, str]]

_LAYER_SETTINGS = {  # with their numbers in a present layer, and in one of V1
    "transform_param": ("TransformationParameter", 100, 36),
    "concat_param": ("ConcatParameter", 104, 9),
    "convolution_param": ("ConvolutionParameter", 106, 10),
    "data_param": ("DataParameter", 107, 11),
    "dropout_param": ("DropoutParameter", 108, 12),
    "eltwise_param": ("EltwiseParameter", 110, 24),
    "image_data_param": ("ImageDataParameter", 115, 15),
    "inner_product_param": ("InnerProductParameter", 117, 17),
    "lrn_param": ("LRNParameter", 118, 18),
    "memory_data_param": ("MemoryDataParameter", 119, 22),
    "pooling_param": ("PoolingParameter", 121, 19),
    "power_param": ("PowerParameter", 122, 21),
    "relu_param": ("ReLUParameter", 123, 30),
    "slice_param": ("SliceParameter", 126, 31),
    "softmax_param": ("SoftmaxParameter", 125, 39),
}

MESSAGES: Mapping[str, _Fields] = {
    "NetParameter": {
        "name": (1, "string"),
        "layers": (2, "V1LayerParameter*"),
        "input": (3, "string*"),
        "input_dim": (4, "int32*"),
        "input_shape": (8, "BlobShape*"),
        "layer": (100, "LayerParameter*"),
    },
    "LayerParameter": {
        "name": (1, "string"),
        "type": (2, "string"),
        "bottom": (3, "string*"),
        "top": (4, "string*"),
        "param": (6, "ParamSpec*"),
        "include": (8, "NetStateRule*"),
        "exclude": (9, "NetStateRule*"),
        **{key: (present, kind) for key, (kind, present, _) in _LAYER_SETTINGS.items()},
        "flatten_param": (135, "FlattenParameter"),
        "input_param": (143, "InputParameter"),
    },
    "V1LayerParameter": {
        "layer": (1, "V0LayerParameter"),
        "bottom": (2, "string*"),
        "top": (3, "string*"),
        "name": (4, "string"),
        "type": (5, "LayerType"),
        "blobs_lr": (7, "double*"),
        "weight_decay": (8, "double*"),
        "include": (32, "NetStateRule*"),
        "exclude": (33, "NetStateRule*"),
        **{key: (v1, kind) for key, (kind, _, v1) in _LAYER_SETTINGS.items()},
    },
    "V0LayerParameter": {"name": (1, "string")},
    "BlobShape": {"dim": (1, "int64*")},
    "InputParameter": {"shape": (1, "BlobShape*")},
    "ParamSpec": {"name": (1, "string"), "lr_mult": (3, "double=1"), "decay_mult": (4, "double=1")},
    "NetStateRule": {
        "phase": (1, "Phase"),
        "min_level": (2, "int32"),
        "max_level": (3, "int32"),
        "stage": (4, "string*"),
        "not_stage": (5, "string*"),
    },
    "TransformationParameter": {
        "scale": (1, "double=1"),
        "mirror": (2, "bool=false"),
        "crop_size": (3, "uint32=0"),
        "mean_file": (4, "string"),
        "mean_value": (5, "double*"),
        "force_gray": (7, "bool=false"),
    },
    "DataParameter": {
        "scale": (2, "double=1"),
        "mean_file": (3, "string"),
        "batch_size": (4, "uint32"),
        "crop_size": (5, "uint32=0"),
        "mirror": (6, "bool=false"),
    },
    "ImageDataParameter": {
        "scale": (2, "double=1"),
        "mean_file": (3, "string"),
        "batch_size": (4, "uint32"),
        "crop_size": (5, "uint32=0"),
        "mirror": (6, "bool=false"),
        "new_height": (9, "uint32=0"),
        "new_width": (10, "uint32=0"),
        "is_color": (11, "bool=true"),
    },
    "MemoryDataParameter": {"batch_size": (1, "uint32"), "channels": (2, "uint32"), "height": (3, "uint32"),
                            "width": (4, "uint32")},
    "FillerParameter": {
        "type": (1, "string=constant"),
        "value": (2, "double=0"),
        "mean": (5, "double=0"),
        "std": (6, "double=1"),
        "sparse": (7, "int32=-1"),
        "variance_norm": (8, "VarianceNorm=FAN_IN"),
    },
    "ConvolutionParameter": {
        "num_output": (1, "uint32"),
        "bias_term": (2, "bool=true"),
        "pad": (3, "uint32*"),
        "kernel_size": (4, "uint32*"),
        "group": (5, "uint32=1"),
        "stride": (6, "uint32*"),
        "weight_filler": (7, "FillerParameter"),
        "bias_filler": (8, "FillerParameter"),
        "pad_h": (9, "uint32=0"),
        "pad_w": (10, "uint32=0"),
        "kernel_h": (11, "uint32"),
        "kernel_w": (12, "uint32"),
        "stride_h": (13, "uint32"),
        "stride_w": (14, "uint32"),
        "axis": (16, "int32=1"),
        "dilation": (18, "uint32*"),
    },
    "InnerProductParameter": {
        "num_output": (1, "uint32"),
        "bias_term": (2, "bool=true"),
        "weight_filler": (3, "FillerParameter"),
        "bias_filler": (4, "FillerParameter"),
        "axis": (5, "int32=1"),
        "transpose": (6, "bool=false"),
    },
    "PoolingParameter": {
        "pool": (1, "PoolMethod=MAX"),
        "kernel_size": (2, "uint32"),
        "stride": (3, "uint32=1"),
        "pad": (4, "uint32=0"),
        "kernel_h": (5, "uint32"),
        "kernel_w": (6, "uint32"),
        "stride_h": (7, "uint32"),
        "stride_w": (8, "uint32"),
        "pad_h": (9, "uint32=0"),
        "pad_w": (10, "uint32=0"),
        "global_pooling": (12, "bool=false"),
        "round_mode": (13, "RoundMode=CEIL"),
    },
    "LRNParameter": {
        "local_size": (1, "uint32=5"),
        "alpha": (2, "double=1"),
        "beta": (3, "double=0.75"),
        "norm_region": (4, "NormRegion=ACROSS_CHANNELS"),
        "k": (5, "double=1"),
    },
    "DropoutParameter": {"dropout_ratio": (1, "double=0.5")},
    "ReLUParameter": {"negative_slope": (1, "double=0")},
    "PowerParameter": {"power": (1, "double=1"), "scale": (2, "double=1"), "shift": (3, "double=0")},
    "EltwiseParameter": {"operation": (1, "EltwiseOp=SUM"), "coeff": (2, "double*")},
    "ConcatParameter": {"concat_dim": (1, "uint32=1"), "axis": (2, "int32=1")},
    "FlattenParameter": {"axis": (1, "int32=1"), "end_axis": (2, "int32=-1")},
    "SoftmaxParameter": {"axis": (2, "int32=1")},
    "SliceParameter": {"slice_dim": (1, "uint32=1"), "slice_point": (2, "uint32*"), "axis": (3, "int32=1")},
}  # fmt: skip


ENUMS: Mapping[str, Mapping[str, int]] = {
    "LayerType": {name: known.number for name, known in V1_TYPES.items()},
    "Phase": {"TRAIN": 0, "TEST": 1},
    "VarianceNorm": {"FAN_IN": 0, "FAN_OUT": 1, "AVERAGE": 2},
    "PoolMethod": {"MAX": 0, "AVE": 1, "STOCHASTIC": 2},
    "RoundMode": {"CEIL": 0, "FLOOR": 1},
    "NormRegion": {"ACROSS_CHANNELS": 0, "WITHIN_CHANNEL": 1},
    "EltwiseOp": {"PROD": 0, "SUM": 1, "MAX": 2},
}


@cache
def net_message() -> Any:
    """The class of NetParameter, whose fields lead to all others.

    Raises:
        MissingExtraError: the protobuf library is not installed.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ModuleNotFoundError:
        raise MissingExtraError("The protobuf library", "caffe") from None

    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package=_PACKAGE, syntax="proto2")
    for name, values in ENUMS.items():
        # Values of an enum are named in what it stands in, and NONE is not to be taken twice: each has a message.
        enum = file.message_type.add(name=f"{name}Enum").enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for key, (number, kind) in fields.items():
            _add_field(message, key, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.NetParameter"))


def enum_name(message: Any, key: str) -> str:
    """The name of the value that an enum field has."""
    name: str = message.DESCRIPTOR.fields_by_name[key].enum_type.values_by_number[getattr(message, key)].name
    return name


def is_repeated(message: Any, key: str) -> bool:
    """Whether a field may stand several times."""
    _, kind = MESSAGES[message.DESCRIPTOR.name][key]
    return kind.endswith("*")


def message_in(message: str, key: str) -> str | None:
    """The message that a field of another is, if the field is in the table and is one."""
    _, kind = MESSAGES[message].get(key, (0, ""))
    kind = kind.rstrip("*")
    return kind if kind in MESSAGES else None


def _add_field(message: Any, key: str, number: int, kind: str) -> None:
    kind, _, default = kind.partition("=")
    field = message.field.add(name=key, number=number)
    field.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
    kind = kind.rstrip("*")
    if default:
        field.default_value = default
    if kind in ENUMS:
        field.type, field.type_name = field.TYPE_ENUM, f".{_PACKAGE}.{kind}Enum.{kind}"
    elif kind in MESSAGES:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = field.Type.Value(f"TYPE_{kind.upper()}")
