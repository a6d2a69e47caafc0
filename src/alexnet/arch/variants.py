"""The ImageNet nets, one table each. Widths are of both towers together; `groups=2` marks what one tower alone sees.

Sources are named on each Spec. Net 145 is the run behind the paper's tables (its parameter count and its recorded
errors are the paper's); `paper-2012` is what the prose says. Standard library only.
"""

from dataclasses import replace

from alexnet.arch.rows import AdaptiveAvgPool, Conv, Dropout, Fc, Lrn, MaxPool, Relu, SameMapNorm, Softmax
from alexnet.arch.spec import Spec

# Net 145: LRN acts on signed values in layer 1, conv3 to conv5 start at 0.03, a same-map norm follows norm2.
KRIZHEVSKY_145 = Spec(
    name="krizhevsky-145",
    source="2012 release, layers-145.cfg and layer-params-145.cfg: the run behind tables 1 and 2",
    published_error="40.7 / 18.2 % (ILSVRC-2012 val, ten views)",
    input=(3, 224, 224),
    rows=(
        Conv("conv1", 96, 11, stride=4, rounding="ceil", weight_std=0.01, bias_init=0.0),
        Lrn("norm1", size=5, alpha=1e-4, beta=0.75, k=2.0, groups=2),
        MaxPool("pool1", 3, 2),
        Relu("relu1"),
        Conv("conv2", 256, 5, padding=2, groups=2, weight_std=0.01, bias_init=1.0),
        Relu("relu2"),
        Lrn("norm2", size=5, alpha=1e-4, beta=0.75, k=2.0, groups=2),
        SameMapNorm("rnorm2", size=5, alpha=1e-3, beta=0.75),
        MaxPool("pool2", 3, 2),
        Conv("conv3", 384, 3, padding=1, weight_std=0.03, bias_init=0.0),
        Relu("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, weight_std=0.03, bias_init=1.0),
        Relu("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, weight_std=0.03, bias_init=1.0),
        MaxPool("pool5", 3, 2),
        Relu("relu5"),
        Fc("fc6", 4096, weight_std=0.01, bias_init=1.0),
        Relu("relu6"),
        Dropout("drop6", 0.5),
        Fc("fc7", 4096, weight_std=0.01, bias_init=1.0),
        Relu("relu7"),
        Dropout("drop7", 0.5),
        Fc("fc8", 1000, weight_std=0.01, bias_init=0.0),
        Softmax("prob"),
    ),
)

# The prose: 0.01 everywhere, ReLU before LRN, alpha times the plain sum of squares.
PAPER_2012 = Spec(
    name="paper-2012",
    source="Krizhevsky, Sutskever, Hinton 2012, sec. 3.1 to 3.5 and 5, read literally",
    published_error="the paper's numbers come from net 145",
    input=(3, 224, 224),
    rows=(
        Conv("conv1", 96, 11, stride=4, rounding="ceil", weight_std=0.01, bias_init=0.0),
        Relu("relu1"),
        Lrn("norm1", size=5, alpha=1e-4, beta=0.75, k=2.0, alpha_over_size=False, groups=2),
        MaxPool("pool1", 3, 2),
        Conv("conv2", 256, 5, padding=2, groups=2, weight_std=0.01, bias_init=1.0),
        Relu("relu2"),
        Lrn("norm2", size=5, alpha=1e-4, beta=0.75, k=2.0, alpha_over_size=False, groups=2),
        MaxPool("pool2", 3, 2),
        Conv("conv3", 384, 3, padding=1, weight_std=0.01, bias_init=0.0),
        Relu("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, weight_std=0.01, bias_init=1.0),
        Relu("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, weight_std=0.01, bias_init=1.0),
        Relu("relu5"),
        MaxPool("pool5", 3, 2),
        Fc("fc6", 4096, weight_std=0.01, bias_init=1.0),
        Relu("relu6"),
        Dropout("drop6", 0.5),
        Fc("fc7", 4096, weight_std=0.01, bias_init=1.0),
        Relu("relu7"),
        Dropout("drop7", 0.5),
        Fc("fc8", 1000, weight_std=0.01, bias_init=0.0),
        Softmax("prob"),
    ),
)

# Caffe's reading of the paper: real 227 crops, k = 1, windows across the towers, bias 0.1 because 1 gave a flat loss.
CAFFE = Spec(
    name="caffe",
    source="BVLC/caffe models/bvlc_alexnet; the layer table of Arm's guide",
    published_error="42.9 / 19.8 % (ILSVRC-2012 val, centre)",
    input=(3, 227, 227),
    rows=(
        Conv("conv1", 96, 11, stride=4, weight_std=0.01, bias_init=0.0),
        Relu("relu1"),
        Lrn("norm1", size=5, alpha=1e-4, beta=0.75, k=1.0),
        MaxPool("pool1", 3, 2),
        Conv("conv2", 256, 5, padding=2, groups=2, weight_std=0.01, bias_init=0.1),
        Relu("relu2"),
        Lrn("norm2", size=5, alpha=1e-4, beta=0.75, k=1.0),
        MaxPool("pool2", 3, 2),
        Conv("conv3", 384, 3, padding=1, weight_std=0.01, bias_init=0.0),
        Relu("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, weight_std=0.01, bias_init=0.1),
        Relu("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, weight_std=0.01, bias_init=0.1),
        Relu("relu5"),
        MaxPool("pool5", 3, 2),
        Fc("fc6", 4096, weight_std=0.005, bias_init=0.1),
        Relu("relu6"),
        Dropout("drop6", 0.5, scale_at="train"),
        Fc("fc7", 4096, weight_std=0.005, bias_init=0.1),
        Relu("relu7"),
        Dropout("drop7", 0.5, scale_at="train"),
        Fc("fc8", 1000, weight_std=0.01, bias_init=0.0),
        Softmax("prob"),
    ),
)


def _caffenet() -> Spec:
    """CaffeNet is `caffe` with pooling before normalization and biases of 1."""
    biases = {
        name: replace(CAFFE[name], bias_init=1.0)  # type: ignore[call-arg]
        for name in ("conv2", "conv4", "conv5", "fc6", "fc7")
    }
    swapped = {"norm1": CAFFE["pool1"], "pool1": CAFFE["norm1"], "norm2": CAFFE["pool2"], "pool2": CAFFE["norm2"]}
    return replace(
        CAFFE.with_rows(biases | swapped),
        name="caffenet",
        source="BVLC/caffe models/bvlc_reference_caffenet",
        published_error="42.6 / 19.6 % (ILSVRC-2012 val, centre)",
    )


CAFFENET = _caffenet()

# The 2014 one-tower design as torchvision ships it: no LRN, dropout in front of fc6 and fc7, PyTorch's initial values.
ONE_WEIRD_TRICK = Spec(
    name="one-weird-trick",
    source="torchvision models/alexnet.py, after Krizhevsky 2014, arXiv 1404.5997",
    published_error="43.5 / 20.9 % (ILSVRC-2012 val, centre)",
    input=(3, 224, 224),
    rows=(
        Conv("conv1", 64, 11, stride=4, padding=2),
        Relu("relu1"),
        MaxPool("pool1", 3, 2, rounding="floor"),
        Conv("conv2", 192, 5, padding=2),
        Relu("relu2"),
        MaxPool("pool2", 3, 2, rounding="floor"),
        Conv("conv3", 384, 3, padding=1),
        Relu("relu3"),
        Conv("conv4", 256, 3, padding=1),
        Relu("relu4"),
        Conv("conv5", 256, 3, padding=1),
        Relu("relu5"),
        MaxPool("pool5", 3, 2, rounding="floor"),
        AdaptiveAvgPool("avgpool", 6),
        Dropout("drop5", 0.5, scale_at="train"),
        Fc("fc6", 4096),
        Relu("relu6"),
        Dropout("drop6", 0.5, scale_at="train"),
        Fc("fc7", 4096),
        Relu("relu7"),
        Fc("fc8", 1000),
        Softmax("prob"),
    ),
)

IMAGENET_NETS = (KRIZHEVSKY_145, PAPER_2012, CAFFE, CAFFENET, ONE_WEIRD_TRICK)
