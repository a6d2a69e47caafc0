import pytest
import torch

from alexnet.nn.divisive import divide_by_window


@pytest.mark.parametrize("beta", [0.5, 0.75, 1.3])
def test_any_linear_window_gives_the_formula_and_its_gradient(beta):
    """A full matrix as the window: an adjoint taken for the window itself would show in the gradient."""
    matrix = torch.rand(4, 4, dtype=torch.float64)
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def divided(x):
        return divide_by_window(x, lambda a: a @ matrix, lambda b: b @ matrix.T, k=1.5, beta=beta)

    torch.testing.assert_close(divided(x), x * (1.5 + (x * x) @ matrix) ** -beta)
    assert torch.autograd.gradcheck(divided, (x,))


def test_nothing_but_the_input_is_kept_for_the_gradient():
    kept = []
    x = torch.randn(2, 4, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        divide_by_window(x, torch.clone, torch.clone, k=1.0, beta=0.75)
    assert [tensor.data_ptr() for tensor in kept] == [x.data_ptr()]
