"""The named recipes, one table each. Sources are named on each. Standard library only."""

from dataclasses import replace

from alexnet.recipes.recipe import DExp, Linear, Plateau, Poly, Rates, Recipe, Steps

# The run behind the paper, from the comments of layer-params-145.cfg: 91 epochs, every change made by hand at the
# epoch given here. Biases keep their 0.02; the first layer is slowed, then frozen; colour noise ends with the slowing.
KRIZHEVSKY_145 = Recipe(
    name="krizhevsky-145",
    source="2012 release, layer-params-145.cfg and its log; data: convdata_jpeg.py",
    epochs=91,
    rates=Rates(
        weights=Steps(0.01, ((25 / 91, 0.001), (51 / 91, 0.0001), (79 / 91, 0.00001))),
        biases=Steps(0.02),
    ),
    row_rates={
        "conv1": Rates(
            weights=Steps(0.01, ((25 / 91, 0.001), (51 / 91, 0.0001), (67 / 91, 0.00001), (72 / 91, 0.0))),
            biases=Steps(0.02, ((72 / 91, 0.0),)),
        )
    },
    hold_steps=10_000,  # one epoch of ImageNet, a tenth of what the 2012 run gave its first rate
    crops="chunk",
    color_noise=Steps(0.1, ((67 / 91, 0.0),)),
)

# The prose: one rate for all, divided by 10 when validation error stops improving, three times; a crop an image.
PAPER = Recipe(
    name="paper",
    source="Krizhevsky et al. 2012, sec. 4.1 and 5; colour noise as coded; the patience is ours",
    epochs=90,
    rates=Rates(weights=Plateau(0.01), biases=Plateau(0.01)),
    color_noise=Steps(0.1),
)

# The best of the author's automatic schedules (net 170): four rates over a factor of 250, biases two over 10.
DEXP = replace(
    KRIZHEVSKY_145,
    name="dexp",
    source="2013 runs of the release, layer-params-170.cfg: 40.5 / 18.0 % with ten views",
    epochs=90,
    rates=Rates(weights=DExp(0.01, 250, 4), biases=DExp(0.02, 10, 2)),
    row_rates={
        # Frozen for the last 15 to 30 of 90 epochs, says the log; 20 here.
        "conv1": Rates(weights=DExp(0.01, 250, 4, frozen_from=70 / 90), biases=DExp(0.02, 10, 2, frozen_from=70 / 90))
    },
    hold_steps=0,
    color_noise=Steps(0.1, ((70 / 90, 0.0),)),
)

# Two cores learn most in an hour or two from many small images, then a few of the net's size.
TINY_IMAGENET = replace(
    KRIZHEVSKY_145,
    name="tiny-imagenet",
    source="ours, for net 145 on 64-pixel images and a CPU: smaller images first, straight lines for rates",
    epochs=9,
    rates=Rates(weights=Linear(0.01), biases=Linear(0.02)),
    row_rates={},
    hold_steps=0,
    crops="image",
    color_noise=Steps(0.1, ((7 / 9, 0.0),)),
    image_share=Steps(0.5, ((7 / 9, 160 / 224), (8 / 9, 1.0))),
)

CAFFE = Recipe(
    name="caffe",
    # Differs: Caffe subtracts the mean image before it crops; here its centre is subtracted from every crop.
    source="BVLC/caffe models/bvlc_alexnet/solver.prototxt: 450,000 steps of 256, a tenth every 100,000",
    epochs=90,
    batch_size=256,
    rates=Rates(
        weights=Steps(0.01, tuple((drop / 4.5, 0.01 * 10**-drop) for drop in range(1, 5))),
        biases=Steps(0.02, tuple((drop / 4.5, 0.02 * 10**-drop) for drop in range(1, 5))),
    ),
    resize_ratio=256 / 227,
    warp=True,
    channel_order="BGR",
)

_THIRDS = Steps(0.01, ((1 / 3, 0.001), (2 / 3, 0.0001)))
ONE_WEIRD_TRICK = Recipe(
    name="one-weird-trick",
    source="torchvision references/classification for alexnet; differs: crops of a fixed scale",
    epochs=90,
    batch_size=256,
    rates=Rates(weights=_THIRDS, biases=_THIRDS),
    weight_decay=1e-4,
    bias_decay=1e-4,
    update="pytorch",
    mean=(0.485, 0.456, 0.406),
    scale=1 / 255,
    std=(0.229, 0.224, 0.225),
)


# 39 steps an epoch of ImageNet. A batch that does not fit memory is taken in several passes.
LARS = replace(
    KRIZHEVSKY_145,
    name="lars",
    source="You, Gitman and Ginsburg 2017, arXiv 1708.03888, and B. Ginsburg's Caffe files for batches of 32,768: "
    "rate 32, trust 0.001, five epochs of warm-up, poly(2), 100 epochs; differs: norms of 2012, not of batches",
    epochs=100,
    batch_size=32_768,
    rates=Rates(weights=Poly(32.0), biases=Poly(64.0)),
    row_rates={},
    update="lars",
    trust=0.001,
    warmup_steps=200,
    hold_steps=0,
    crops="image",
)


def _cifar_rates(drops: tuple[float, ...]) -> Rates:
    """cuda-convnet's 0.001 for weights and 0.002 for biases, a tenth of that from each drop on."""
    return Rates(
        weights=Steps(0.001, tuple((at, 0.001 * 0.1**n) for n, at in enumerate(drops, 1))),
        biases=Steps(0.002, tuple((at, 0.002 * 0.1**n) for n, at in enumerate(drops, 1))),
    )


CIFAR_18PCT = Recipe(
    name="cifar-18pct",
    source="cuda-convnet, layer-params-18pct.cfg: 120 epochs, then 10 and 10 at a tenth each; no augmentation",
    epochs=140,
    rates=_cifar_rates((120 / 140, 130 / 140)),
    weight_decay=0.004,
    row_decay={"fc10": 1.0},
    crops="center",
    flip=False,
    resize_ratio=1.0,
)

CIFAR_80SEC = replace(
    CIFAR_18PCT,
    name="cifar-80sec",
    source="cuda-convnet, layer-params-80sec.cfg; the number of epochs is ours",
    epochs=30,
    rates=_cifar_rates((20 / 30, 25 / 30)),
    row_decay={"fc64": 0.03, "fc10": 0.03},
)

CIFAR_13PCT = replace(
    CIFAR_18PCT,
    name="cifar-13pct",
    source="cuda-convnet, layer-params-conv-local-13pct.cfg; ours: epochs, and flips without translations",
    epochs=520,
    rates=_cifar_rates((500 / 520, 510 / 520)),
    row_decay={"conv1": 0.0, "conv2": 0.0},
    crops="image",
    flip=True,
)

CIFAR_11PCT = replace(
    CIFAR_13PCT,
    name="cifar-11pct",
    source="cuda-convnet, layer-params-conv-local-11pct.cfg: 24-pixel crops of 32; differs: all batches at once",
    row_decay={"conv1": 0.0, "conv2": 0.0, "fc10": 0.01},
    resize_ratio=32 / 24,
)

CIFAR_RELU = replace(
    CIFAR_18PCT,
    name="cifar-relu",
    source="ours, for figure 1: cifar-18pct without any regularization, as the figure's caption says",
    weight_decay=0.0,
    row_decay={},
)

DIGITS = Recipe(
    name="digits",
    source="ours, for the first minute",
    epochs=12,
    batch_size=64,
    rates=Rates(
        weights=Steps(0.005, ((0.6, 0.001), (0.85, 0.0002))),
        biases=Steps(0.01, ((0.6, 0.002), (0.85, 0.0004))),
    ),
    flip=False,  # a mirrored 2 is not a 2
    resize_ratio=18 / 16,
    mean="color",
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        KRIZHEVSKY_145, PAPER, DEXP, TINY_IMAGENET, CAFFE, ONE_WEIRD_TRICK, LARS,
        CIFAR_80SEC, CIFAR_18PCT, CIFAR_13PCT, CIFAR_11PCT, CIFAR_RELU, DIGITS,
    )
}  # fmt: skip
