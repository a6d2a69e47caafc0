"""What is meant by a layer when its outputs are asked for. Standard library only."""

from collections.abc import Mapping

from alexnet.arch.rows import ACTIVATIONS
from alexnet.arch.spec import Spec
from alexnet.arch.variants import ONE_WEIRD_TRICK
from alexnet.errors import UnknownNameError

# torchvision's modules in the order in which it runs them, and our rows. Its `classifier.0`, a dropout, is left out: it
# comes after the maps are flattened, ours before, so that it would have another shape. Source: models/alexnet.py.
TORCHVISION_MODULES: Mapping[str, str] = {
    "features.0": "conv1",
    "features.1": "relu1",
    "features.2": "pool1",
    "features.3": "conv2",
    "features.4": "relu2",
    "features.5": "pool2",
    "features.6": "conv3",
    "features.7": "relu3",
    "features.8": "conv4",
    "features.9": "relu4",
    "features.10": "conv5",
    "features.11": "relu5",
    "features.12": "pool5",
    "avgpool": "avgpool",
    "classifier.1": "fc6",
    "classifier.2": "relu6",
    "classifier.3": "drop6",
    "classifier.4": "fc7",
    "classifier.5": "relu7",
    "classifier.6": "fc8",
}


def feature_row(spec: Spec, layer: str) -> str:
    """The row that a feature's name stands for: `fc7` its activation where one follows directly, `fc7:pre` itself.

    For torchvision's net its modules' names will do too: `classifier.4` is what that module itself gives, `fc7:pre`.

    Raises:
        UnknownNameError: no such row.
    """
    modules = TORCHVISION_MODULES if spec.name == ONE_WEIRD_TRICK.name else {}
    if layer in modules:
        return modules[layer]
    name, raw = layer.removesuffix(":pre"), layer.endswith(":pre")
    if name not in spec:
        names = [row.name for row in spec.rows]
        more = f"the rows of {spec.name}: {', '.join(names)}"
        if modules:
            more += f"; or torchvision's modules: {', '.join(modules)}"
        raise UnknownNameError("layer", name, dict.fromkeys([*names, *modules]), more)
    followers = [row for row in spec.rows if spec.inputs_of(row) == (name,)]
    if not raw and isinstance(followers[0] if followers else None, ACTIVATIONS):
        return followers[0].name
    return name
