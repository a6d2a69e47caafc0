"""What the tests of this folder share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread(_repeatable_torch: None) -> None:
    """Small operations by the thousand: on a busy machine, waiting for a second thread takes up to 200 times longer."""
    torch.set_num_threads(1)
