"""What is meant by a layer when its outputs are asked for. Standard library only."""

from alexnet.arch.rows import ACTIVATIONS
from alexnet.arch.spec import Spec
from alexnet.errors import UnknownNameError


def feature_row(spec: Spec, layer: str) -> str:
    """The row that a feature's name stands for: `fc7` its activation where one follows directly, `fc7:pre` itself."""
    name, raw = layer.removesuffix(":pre"), layer.endswith(":pre")
    if name not in spec:
        names = [row.name for row in spec.rows]
        raise UnknownNameError("layer", name, names, f"the rows of {spec.name}: {', '.join(names)}")
    followers = [row for row in spec.rows if spec.inputs_of(row) == (name,)]
    if not raw and isinstance(followers[0] if followers else None, ACTIVATIONS):
        return followers[0].name
    return name
