"""The small nets: those that cuda-convnet shipped for CIFAR-10, our plain ReLU net, and the one for handwritten digits.

Sources: cuda-convnet's example-layers (facts in its layers-*.cfg and layer-params-*.cfg), named on each Spec.
Standard library only.
"""

from dataclasses import replace

from alexnet.arch.rows import AvgPool, Conv, Dropout, Fc, Local, Lrn, MaxPool, Relu, SameMapNorm, Softmax
from alexnet.arch.spec import Spec

CIFAR_80SEC = Spec(
    name="cifar-80sec",
    source="cuda-convnet, layers-80sec.cfg",
    published_error="26 % in 80 seconds of 2011 (CIFAR-10 test)",
    input=(3, 32, 32),
    rows=(
        Conv("conv1", 32, 5, padding=2, weight_std=1e-4, bias_init=0.0),
        Relu("relu1"),
        MaxPool("pool1", 3, 2),
        Conv("conv2", 32, 5, padding=2, weight_std=0.01, bias_init=0.0),
        Relu("relu2"),
        AvgPool("pool2", 3, 2),
        Conv("conv3", 64, 5, padding=2, weight_std=0.01, bias_init=0.0),
        Relu("relu3"),
        AvgPool("pool3", 3, 2),
        Fc("fc64", 64, weight_std=0.1, bias_init=0.0),
        Relu("relu4"),
        Fc("fc10", 10, weight_std=0.1, bias_init=0.0),
        Softmax("prob"),
    ),
)

CIFAR_18PCT = Spec(
    name="cifar-18pct",
    source="cuda-convnet, layers-18pct.cfg",
    published_error="18 % (CIFAR-10 test, no translations)",
    input=(3, 32, 32),
    rows=(
        Conv("conv1", 32, 5, padding=2, weight_std=1e-4, bias_init=0.0),
        MaxPool("pool1", 3, 2),
        Relu("relu1"),
        SameMapNorm("rnorm1", size=3, alpha=5e-5, beta=0.75),
        Conv("conv2", 32, 5, padding=2, weight_std=0.01, bias_init=0.0),
        Relu("relu2"),
        AvgPool("pool2", 3, 2),
        SameMapNorm("rnorm2", size=3, alpha=5e-5, beta=0.75),
        Conv("conv3", 64, 5, padding=2, weight_std=0.01, bias_init=0.0),
        Relu("relu3"),
        AvgPool("pool3", 3, 2),
        Fc("fc10", 10, weight_std=0.01, bias_init=0.0),
        Softmax("prob"),
    ),
)

CIFAR_13PCT = Spec(
    name="cifar-13pct",
    source="cuda-convnet, layers-conv-local-13pct.cfg",
    published_error="13 % (CIFAR-10 test, 24-pixel crops, nine views)",
    input=(3, 32, 32),
    rows=(
        Conv("conv1", 64, 5, padding=2, weight_std=1e-4, bias_init=0.0),
        Relu("relu1"),
        MaxPool("pool1", 3, 2),
        Conv("conv2", 64, 5, padding=2, weight_std=0.01, bias_init=0.0),
        Relu("relu2"),
        MaxPool("pool2", 3, 2),
        Local("local3", 32, 3, padding=1, weight_std=0.04, bias_init=0.0),
        Relu("relu3"),
        Local("local4", 32, 3, padding=1, weight_std=0.04, bias_init=0.0),
        Relu("relu4"),
        Fc("fc10", 10, weight_std=0.01, bias_init=0.0),
        Softmax("prob"),
    ),
)

# 13pct plus cross-map normalization, and twice the filters in local3: not a clean ablation of LRN.
CIFAR_11PCT = Spec(
    name="cifar-11pct",
    source="cuda-convnet, layers-conv-local-11pct.cfg",
    published_error="11 % (CIFAR-10 test, 24-pixel crops, nine views)",
    input=(3, 24, 24),
    rows=(
        Conv("conv1", 64, 5, padding=2, weight_std=1e-4, bias_init=0.0),
        Relu("relu1"),
        MaxPool("pool1", 3, 2),
        Lrn("norm1", size=9, alpha=1e-3, beta=0.75, k=1.0),
        Conv("conv2", 64, 5, padding=2, weight_std=0.01, bias_init=0.0),
        Relu("relu2"),
        Lrn("norm2", size=9, alpha=1e-3, beta=0.75, k=1.0),
        MaxPool("pool2", 3, 2),
        Local("local3", 64, 3, padding=1, weight_std=0.04, bias_init=0.0),
        Relu("relu3"),
        Local("local4", 32, 3, padding=1, weight_std=0.04, bias_init=0.0),
        Relu("relu4"),
        Fc("fc10", 10, weight_std=0.01, bias_init=0.0),
        Softmax("prob"),
    ),
)

# Ours: a four-layer net without regularization for figure 1. Its twin with saturating units is `cifar-relu+tanh`.
CIFAR_RELU = replace(
    CIFAR_18PCT.without_rows({"rnorm1", "rnorm2"}),
    name="cifar-relu",
    source="ours: cifar-18pct without norms, for figure 1",
    published_error="25 % training error 6 times sooner than with tanh (figure 1)",
)

# Ours: two towers that see each other from conv3 on, as in net 145, for the claim about every run.
CIFAR_TOWERS = replace(
    CIFAR_18PCT.with_rows(
        {
            "conv1": Conv("conv1", 64, 5, padding=2, weight_std=1e-4, bias_init=0.0),
            "conv2": Conv("conv2", 64, 5, padding=2, groups=2, weight_std=0.01, bias_init=0.0),
        }
    ),
    name="cifar-towers",
    source="ours: cifar-18pct with twice the filters in conv1 and conv2, in two towers",
    published_error="",
)

# Ours: every idea of the paper (ReLU, LRN, overlapping pooling, dropout) in a net that trains in seconds.
DIGITS = Spec(
    name="digits",
    source="ours: the paper's row kinds at the size of scikit-learn's digits",
    input=(3, 16, 16),
    rows=(
        Conv("conv1", 32, 5, padding=2, weight_std=0.001, bias_init=0.0),
        Relu("relu1"),
        Lrn("norm1"),
        MaxPool("pool1", 3, 2),
        Conv("conv2", 64, 3, padding=1, groups=2, weight_std=0.03, bias_init=0.0),
        Relu("relu2"),
        Lrn("norm2", groups=2),
        MaxPool("pool2", 3, 2),
        Conv("conv3", 64, 3, padding=1, weight_std=0.03, bias_init=0.0),
        Relu("relu3"),
        Fc("fc4", 128, weight_std=0.03, bias_init=0.0),
        Relu("relu4"),
        Dropout("drop4", 0.5),
        Fc("fc5", 10, weight_std=0.03, bias_init=0.0),
        Softmax("prob"),
    ),
)

SMALL_NETS = (CIFAR_80SEC, CIFAR_18PCT, CIFAR_13PCT, CIFAR_11PCT, CIFAR_RELU, CIFAR_TOWERS, DIGITS)
