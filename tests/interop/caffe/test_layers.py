"""Which layers a net has in a phase."""

import pytest

from alexnet.interop.caffe.layers import parse_layers

pytest.importorskip("google.protobuf")


@pytest.mark.parametrize(
    ("rules", "phases"),
    [
        ("", "TRAIN TEST"),
        ("include { phase: TRAIN }", "TRAIN"),
        ("include { phase: TRAIN } include { phase: TEST }", "TRAIN TEST"),
        ("exclude { phase: TRAIN }", "TEST"),
        ("include { phase: TEST stage: 'deploy' }", ""),
        ("include { phase: TEST not_stage: 'deploy' }", "TEST"),
        ("include { min_level: 1 }", ""),
        ("include { max_level: 3 }", "TRAIN TEST"),
        ("exclude { min_level: 0 max_level: 0 }", ""),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_rules_choose_the_phase(rules: str, phases: str, old: bool) -> None:
    text = f"layers {{ name: 'x' type: RELU {rules} }}" if old else f"layer {{ name: 'x' type: 'ReLU' {rules} }}"
    found = parse_layers(text, "n.prototxt").layers
    assert {phase for phase, layers in found.items() if layers} == set(phases.split())
    assert {layer.kind for layers in found.values() for layer in layers} <= {"ReLU"}


def test_a_deploy_file_names_its_inputs_in_either_way() -> None:
    for said in ("input_dim: 1 input_dim: 3 input_dim: 5 input_dim: 7", "input_shape { dim: [1, 3, 5, 7] }"):
        inputs = parse_layers(f"input: 'a' input: 'b' {said} layer {{ type: 'X' }}", "n").inputs
        assert inputs is not None
        assert (inputs.blobs, inputs.shape) == (("a", "b"), (3, 5, 7))
