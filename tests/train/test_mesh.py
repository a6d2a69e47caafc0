"""Which processes are taken for one machine, and which have the same place in theirs."""

import pytest
from tests.train.processes import run_ranks

SAY = """
import torch, torch.distributed as dist
from alexnet.train.joining import joined
from alexnet.train.mesh import DEVICES, MACHINES, mesh_of
with joined(torch.device("cpu")) as ranks:
    mesh = mesh_of(ranks, torch.device("cpu"))
    print(tuple(mesh.shape), *(dist.get_process_group_ranks(mesh.get_group(name)) for name in (MACHINES, DEVICES)))
"""


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("machines", "said"),
    [
        (1, [f"(1, 4) [{rank}] [0, 1, 2, 3]" for rank in range(4)]),
        (2, ["(2, 2) [0, 2] [0, 1]", "(2, 2) [1, 3] [0, 1]", "(2, 2) [0, 2] [2, 3]", "(2, 2) [1, 3] [2, 3]"]),
        (4, [f"(1, 4) [{rank}] [0, 1, 2, 3]" for rank in range(4)]),
    ],
)
def test_four_processes_are_one_machine_or_two(machines: int, said: list[str]) -> None:
    done = run_ranks(["-c", SAY], 4, machines=machines)
    assert [each.stdout.strip() for each in done] == said, done
