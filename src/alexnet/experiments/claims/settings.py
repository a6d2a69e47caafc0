"""On which data a claim can be tried, and with which net, for how long and how often. Standard library only."""

from dataclasses import dataclass

_ANY_SIDE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What decides whether data can show a claim. side: the shorter one of its first training image, in pixels.
    coloured: whether some of the first training images are not grey.
    """

    name: str
    num_classes: int
    side: int
    coloured: bool

    def __str__(self) -> str:
        kind = "colour" if self.coloured else "grey"
        return f"{self.name}: {kind} images of {self.side} pixels in {self.num_classes:,} classes"


@dataclass(frozen=True, kw_only=True)
class Fits:
    """Which data a setting is for. Six classes are the fewest for a top-5 error."""

    least_classes: int = 6
    sides: tuple[int, int] = (64, _ANY_SIDE)
    coloured: bool = True

    def __call__(self, facts: DataFacts) -> bool:
        """Whether the data is such."""
        least, most = self.sides
        enough = facts.num_classes >= self.least_classes and facts.coloured >= self.coloured
        return enough and least <= facts.side <= most

    def __str__(self) -> str:
        least, most = self.sides
        sizes = f"{least} to {most} pixels" if most < _ANY_SIDE else f"{least} pixels or more"
        return f"{'colour ' if self.coloured else ''}images of {sizes} in {self.least_classes:,} classes or more"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a claim is tried on one kind of data. A claim about trained weights has no net.

    recipe: None is the net's own. seeds: how many runs of each kind, with the seeds 0, 1, ...
    """

    name: str
    fits: Fits
    net: str = ""
    recipe: str | None = None
    epochs: int = 0
    seeds: int = 1


# As published. The 2012 log has 91 epochs, the paper "roughly 90".
ILSVRC = Setting(name="ILSVRC-2012", fits=Fits(least_classes=1000), net="krizhevsky-145", epochs=90)
# What two cores train in hours; any photographs will do. The recipe is the one for such machines: its nine epochs, most
# of them on small images, take 80 minutes there, where the net's own takes 20 minutes an epoch and, cut to so few, has
# hardly begun. All of the net's ablations take smaller images, and the recipe has the crops, mirrored images, colour
# noise and decay that are taken away; all claims share its runs.
PHOTOGRAPHS = Setting(
    name="Tiny ImageNet", fits=Fits(), net="krizhevsky-145", recipe="tiny-imagenet", epochs=9, seeds=3
)
CIFAR = Setting(name="CIFAR-10", fits=Fits(sides=(24, 63)), net="cifar-18pct", epochs=30, seeds=3)
# Seconds a run: to see how a claim is tried. What holds for digits need not hold for photographs.
DIGITS = Setting(name="digits", fits=Fits(sides=(8, 23), coloured=False), net="digits", epochs=12, seeds=5)

WHOLE_NETS = (ILSVRC, PHOTOGRAPHS)
# For claims about weights that are there already.
TRAINED = (Setting(name="the data of the weights", fits=Fits(least_classes=2, sides=(1, _ANY_SIDE), coloured=False)),)
TRAINED_IN_COLOUR = (Setting(name="the data of the weights", fits=Fits(least_classes=2, sides=(1, _ANY_SIDE))),)
