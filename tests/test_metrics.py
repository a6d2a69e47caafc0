import numpy as np
import pytest

from alexnet.metrics import nll, softmax, topk_credit, topk_error


def credit_by_lot(probs: np.ndarray, label: int, k: int, draws: int = 4000) -> float:
    """The slow obvious reference: shuffle the classes, sort, look."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(draws):
        order = rng.permutation(len(probs))
        best = order[np.argsort(-probs[order], kind="stable")][:k]
        hits += label in best
    return hits / draws


def test_softmax_sums_to_one_and_never_overflows() -> None:
    logits = np.array([[0, 1, 2], [1e4, 0, -1e4]], np.float32)
    probs = softmax(logits)
    assert probs.dtype == np.float32
    np.testing.assert_allclose(probs.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(probs[0], np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum(), rtol=1e-6)
    np.testing.assert_array_equal(probs[1], [1, 0, 0])


def test_labels_tied_for_the_top_share_the_credit() -> None:
    probs = np.array([[0.4, 0.4, 0.2], [0.6, 0.2, 0.2], [0.2, 0.2, 0.6]])
    np.testing.assert_allclose(topk_credit(probs, np.array([0, 0, 0]), 1), [0.5, 1, 0])


@pytest.mark.parametrize("k", [1, 2, 5])
def test_credit_is_the_chance_of_winning_when_ties_are_broken_by_lot(k: int) -> None:
    probs = np.array([0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1])
    for label in range(7):
        credit = topk_credit(probs[None], np.array([label]), k)[0]
        assert credit == pytest.approx(credit_by_lot(probs, label, k), abs=0.04)


def test_a_net_that_says_the_same_of_all_classes_scores_chance() -> None:
    probs = np.full((4, 10), 0.1, np.float32)
    labels = np.arange(4)
    assert topk_error(probs, labels, 1) == pytest.approx(0.9)
    assert topk_error(probs, labels, 5) == pytest.approx(0.5)


def test_top_five_of_five_classes_is_always_right() -> None:
    assert topk_error(np.eye(5)[[0]], np.array([4]), 5) == 0


def test_a_probability_that_is_not_a_number_earns_nothing() -> None:
    probs = np.array([[np.nan, 0.5, 0.5], [0.9, np.nan, 0.1]])
    np.testing.assert_array_equal(topk_credit(probs, np.array([0, 0]), 1), [0, 0])


def test_nll_is_minus_the_logarithm_and_finite_at_zero() -> None:
    loss = nll(np.array([[0.25, 0.75], [1.0, 0.0]], np.float32), np.array([0, 1]))
    assert loss[0] == pytest.approx(np.log(4))
    assert 80 < loss[1] < 90
