"""A net in parts on several devices: each has its share of every row's outputs, and activations cross where they must.

With two parts net 145 runs as it did in 2012, one tower a device. The parts are in one process, which starts the work
of one device after the other and waits for none, or each in a process of its own; `Exchange` is what differs. Which
rows cross: `alexnet.arch.cut`.

Source: paper sec. 3.2.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from alexnet.arch.cut import CutRow, cut
from alexnet.arch.spec import IMAGE, Spec
from alexnet.nn.drawing import Drawing, set_draws
from alexnet.nn.exchange import Exchange
from alexnet.nn.net import DISPOSABLE, Net
from alexnet.nn.rows import build_row
from alexnet.spans import Span

Pieces = Mapping[str, tuple[nn.Parameter, ...]]  # by name in the whole net: what each part that is here has of it


class TowerNet(nn.Module):
    """The parts of `spec` that are here, as `exchange` says, around the weights `pieces` (see `cut_tensors`).

    `forward` gives the logits of the whole net, in every process alike, on the first device.

    Raises:
        SpecError: a row that cannot be cut.
    """

    def __init__(self, spec: Spec, exchange: Exchange, pieces: Pieces) -> None:
        super().__init__()
        self.spec, self.exchange = spec, exchange
        rows = cut(spec, exchange.num_parts)
        readers = Counter(name for row in rows for name in row.whole.inputs)
        disposable = {row.name for row in rows if isinstance(row.whole.row, DISPOSABLE)}
        self.parts = nn.ModuleList(nn.Module() for _ in exchange.here)
        for place, part in enumerate(exchange.here):
            for row in rows:
                read = row.whole.inputs[0]
                weights = {
                    key: pieces[f"{row.name}.{key}"][place]
                    for key in ("weight", "bias")
                    if f"{row.name}.{key}" in pieces
                }
                in_place = read in disposable and readers[read] == 1
                self.parts[place]._modules[row.name] = _module(row, part, weights, in_place=in_place)
        self._rows = {row.name: row for row in rows}
        self._last_reader = {name: row.name for row in rows for name in row.whole.inputs}
        self._logits = rows[-1].whole.inputs[0]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of float `images` (N, C, H, W)."""
        values = {IMAGE: [images.to(device, non_blocking=True) for device in self.exchange.devices]}
        for row in self._rows.values():
            read = [self._read(row, name, values[name]) for name in row.whole.inputs]
            values[row.name] = self._run(
                row, [torch.cat(each, 1) if len(each) > 1 else each[0] for each in zip(*read, strict=True)]
            )
            if row.name == self._logits:
                break
            for name in set(row.whole.inputs):
                if self._last_reader[name] == row.name:
                    del values[name]
        found, logits = values[self._logits], self._rows[self._logits]
        return self.exchange.gather_alike(found, logits.spans) if logits.is_cut else found[0]

    def _read(self, row: CutRow, name: str, pieces: list[Tensor]) -> list[Tensor]:
        """What each part here reads of one of the row's inputs."""
        if row.crosses and self._rows[name].is_cut:
            return self.exchange.gather(pieces, self._rows[name].spans)
        return pieces

    def _run(self, row: CutRow, read: Sequence[Tensor]) -> list[Tensor]:
        """The row in each part."""
        return [part.get_submodule(row.name)(x) for part, x in zip(self.parts, read, strict=True)]

    def set_draws(self, seed: Sequence[int], images: Span | None) -> None:
        """As `alexnet.nn.drawing.set_draws`, of all parts here."""
        for part, device in zip(self.parts, self.exchange.devices, strict=True):
            set_draws(part, seed, images, device)


class Trunk(Net):
    """The rows of `spec` up to `last` alone, around the weights there are; `forward` gives that row's output."""

    def __init__(self, spec: Spec, last: str, weights: Mapping[str, nn.Parameter]) -> None:
        with torch.device("meta"):
            super().__init__(spec)
        kept = spec.rows[: 1 + next(place for place, row in enumerate(spec.rows) if row.name == last)]
        self._modules = {row.name: self._modules[row.name] for row in kept}
        self.load_state_dict(dict(weights), assign=True)
        self._last = last

    def forward(self, images: Tensor) -> Tensor:
        """Float `images` (N, C, H, W) to the output of `last`."""
        return self._run(images, {self._last})[self._last]


class TrunkAndHead(nn.Module):
    """A net `spec` of which the rows from its first fc row on are in parts."""

    def __init__(self, spec: Spec, trunk: Trunk, head: TowerNet) -> None:
        super().__init__()
        self.spec, self.trunk, self.head = spec, trunk, head


def cut_tensors(spec: Spec, exchange: Exchange, tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, ...]]:
    """Of every tensor of the whole net, by name, copies of what belongs to the parts here, each on its device."""
    spans = {row.name: row.spans for row in cut(spec, exchange.num_parts)}
    places = tuple(zip(exchange.here, exchange.devices, strict=True))

    def share(name: str, tensor: Tensor, part: int, device: torch.device) -> Tensor:
        span = spans[name.split(".")[0]][part]
        return tensor.detach().narrow(0, span.start, span.size).to(device, copy=True)

    return {name: tuple(share(name, tensor, *place) for place in places) for name, tensor in tensors.items()}


def join_tensors(spec: Spec, exchange: Exchange, pieces: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    """The inverse of `cut_tensors`, on the first device; between processes all must call it."""
    spans = {row.name: row.spans for row in cut(spec, exchange.num_parts)}
    with torch.no_grad():
        return {
            name: exchange.gather_alike([part.detach() for part in parts], spans[name.split(".")[0]], 0)
            for name, parts in pieces.items()
        }


def _module(row: CutRow, part: int, weights: Mapping[str, nn.Parameter], *, in_place: bool) -> nn.Module:
    with torch.device("meta"):  # no weights are drawn: they are there
        module = build_row(row.parts[part], in_place=in_place)
    for key, weight in weights.items():
        setattr(module, key, weight)
    if isinstance(module, Drawing) and row.is_cut:
        module.outputs = row.spans[part]
    return module
