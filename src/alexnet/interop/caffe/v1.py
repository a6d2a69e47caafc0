"""What layers were called until 2014, when their types were numbers with names in capitals.

Source: BVLC/caffe, src/caffe/proto/caffe.proto (V1LayerParameter) and src/caffe/util/upgrade_proto.cpp.
"""

from collections.abc import Mapping
from typing import NamedTuple


class V1Type(NamedTuple):
    """A type of layers: its number in files until 2014, and the name that it has had since."""

    number: int
    name: str


# What old files call types of layers.
V1_TYPES: Mapping[str, V1Type] = {
    "NONE": V1Type(0, "None"),
    "ACCURACY": V1Type(1, "Accuracy"),
    "BNLL": V1Type(2, "BNLL"),
    "CONCAT": V1Type(3, "Concat"),
    "CONVOLUTION": V1Type(4, "Convolution"),
    "DATA": V1Type(5, "Data"),
    "DROPOUT": V1Type(6, "Dropout"),
    "EUCLIDEAN_LOSS": V1Type(7, "EuclideanLoss"),
    "FLATTEN": V1Type(8, "Flatten"),
    "HDF5_DATA": V1Type(9, "HDF5Data"),
    "HDF5_OUTPUT": V1Type(10, "HDF5Output"),
    "IM2COL": V1Type(11, "Im2col"),
    "IMAGE_DATA": V1Type(12, "ImageData"),
    "INFOGAIN_LOSS": V1Type(13, "InfogainLoss"),
    "INNER_PRODUCT": V1Type(14, "InnerProduct"),
    "LRN": V1Type(15, "LRN"),
    "MULTINOMIAL_LOGISTIC_LOSS": V1Type(16, "MultinomialLogisticLoss"),
    "POOLING": V1Type(17, "Pooling"),
    "RELU": V1Type(18, "ReLU"),
    "SIGMOID": V1Type(19, "Sigmoid"),
    "SOFTMAX": V1Type(20, "Softmax"),
    "SOFTMAX_LOSS": V1Type(21, "SoftmaxWithLoss"),
    "SPLIT": V1Type(22, "Split"),
    "TANH": V1Type(23, "TanH"),
    "WINDOW_DATA": V1Type(24, "WindowData"),
    "ELTWISE": V1Type(25, "Eltwise"),
    "POWER": V1Type(26, "Power"),
    "SIGMOID_CROSS_ENTROPY_LOSS": V1Type(27, "SigmoidCrossEntropyLoss"),
    "HINGE_LOSS": V1Type(28, "HingeLoss"),
    "MEMORY_DATA": V1Type(29, "MemoryData"),
    "ARGMAX": V1Type(30, "ArgMax"),
    "THRESHOLD": V1Type(31, "Threshold"),
    "DUMMY_DATA": V1Type(32, "DummyData"),
    "SLICE": V1Type(33, "Slice"),
    "MVN": V1Type(34, "MVN"),
    "ABSVAL": V1Type(35, "AbsVal"),
    "SILENCE": V1Type(36, "Silence"),
    "CONTRASTIVE_LOSS": V1Type(37, "ContrastiveLoss"),
    "EXP": V1Type(38, "Exp"),
    "DECONVOLUTION": V1Type(39, "Deconvolution"),
}
