"""An operator made of any window; the norms themselves are in test_lrn.py and test_same_map.py."""

import pytest
import torch

from alexnet.nn.divisive import define_norm, normalize

MATRIX = torch.rand(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

# A full matrix as the window: an adjoint taken for the window itself would show in the gradient.
by_matrix = define_norm(
    "test_norm",
    "int size, float alpha, float beta, float k",
    windows=lambda x, size, alpha: (lambda a: a @ MATRIX.to(x.dtype), lambda b: b @ MATRIX.T.to(x.dtype)),
    kernel="none",
    layout=lambda x: None,
)


@pytest.mark.parametrize("beta", [0.5, 0.75, 1.3])
def test_any_linear_window_gives_the_formula_and_its_gradients(beta):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def divided(x):
        return by_matrix(x, 1, 1.0, beta, 1.5)

    torch.testing.assert_close(divided(x), x * (1.5 + (x * x) @ MATRIX) ** -beta)
    torch.testing.assert_close(divided(x), normalize(x, lambda a: a @ MATRIX, 1.5, beta))
    assert torch.autograd.gradcheck(divided, (x,))
    assert torch.autograd.gradgradcheck(divided, (x,))


def test_nothing_but_the_input_is_kept_for_the_gradient():
    kept = []
    x = torch.randn(2, 4, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        by_matrix(x, 1, 1.0, 0.75, 1.0)
    assert [tensor.data_ptr() for tensor in kept] == [x.data_ptr()]


def test_the_operator_keeps_what_torch_demands_of_operators():
    for requires_grad in (True, False):
        torch.library.opcheck(by_matrix, (torch.randn(3, 4, requires_grad=requires_grad), 1, 1.0, 0.75, 1.0))
