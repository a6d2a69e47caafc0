import ast
from pathlib import Path

import pytest

import alexnet


def test_the_public_names_are_these() -> None:
    assert sorted(alexnet.__all__) == [
        *("AlexNetError", "Classifier", "Spec", "__version__", "create", "load", "summary"),
    ]
    assert dir(alexnet) == sorted(alexnet.__all__)


def test_every_public_name_is_there_and_documented() -> None:
    for name in alexnet.__all__:
        assert getattr(alexnet, name).__doc__


def test_types_and_run_time_agree_on_where_names_come_from() -> None:
    """Type checkers read the imports under TYPE_CHECKING, the interpreter reads the table."""
    tree = ast.parse(Path(alexnet.__file__).read_text("utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == alexnet._HOMES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'alexnet' has no attribute 'vgg'"):
        alexnet.vgg  # noqa: B018


def test_create_builds_a_named_net() -> None:
    assert alexnet.create("digits", num_classes=7).spec.num_classes == 7
