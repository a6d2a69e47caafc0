"""A network as data: frozen rows in a tuple, and nothing else. Standard library only.

A row reads the row above it unless it names its inputs, so chains and the two-tower graphs of the 2012 files are one
type. The kinds of rows: `alexnet.arch.rows`. Sizes, parameters and costs follow from them: see `alexnet.arch.shapes`.
Modules: `alexnet.nn.build`.
"""

from dataclasses import dataclass, replace

from alexnet.arch.rows import LEAST, Concat, Dropout, Fc, Logistic, Row, Softmax, Sum
from alexnet.errors import SpecError

IMAGE = "image"  # the name under which the first row's input is known
MOST_ROWS = 512  # ours: net 145, layer by layer, has a tenth. Looking rows up takes time by the square of their number


@dataclass(frozen=True)
class Spec:
    """A network: where it comes from, what it takes, and its rows from image to probabilities.

    `input`: (channels, height, width) of one image. `published_error`: what its source reports, with the protocol.

    Raises:
        SpecError: over `MOST_ROWS` rows, two share a name, one reads what is not above it or has a setting that nothing
            can have, or the last is not a softmax of fc.
    """

    name: str
    source: str
    input: tuple[int, int, int]
    rows: tuple[Row, ...]
    published_error: str = ""

    def __post_init__(self) -> None:
        if len(self.rows) > MOST_ROWS:
            raise SpecError(f"{self.name} has {len(self.rows):,} rows; a net may have {MOST_ROWS}")
        seen = {IMAGE}
        for row in self.rows:
            if row.name in seen or not row.name.isidentifier():
                raise SpecError(f"{self.name}: row name {row.name!r} is taken or not an identifier")
            if missing := [name for name in row.inputs if name not in seen]:
                raise SpecError(f"{self.name}: row {row.name} reads {', '.join(missing)}, which is not above it")
            if small := [key for key, least in LEAST.items() if getattr(row, key, least) < least]:
                raise SpecError(f"{self.name}: row {row.name} has too small a {' and '.join(small)}")
            if isinstance(row, Dropout) and not 0 <= row.rate < 1:
                raise SpecError(f"{self.name}: row {row.name} drops at rate {row.rate}; it must be from 0 to below 1")
            seen.add(row.name)
        last = self.rows[-1] if self.rows else None
        logits = self.inputs_of(last) if isinstance(last, Softmax | Logistic) else ()
        if len(logits) != 1 or logits[0] not in self or not self._num_outputs(self[logits[0]]):
            raise SpecError(f"{self.name}: the rows must end with an fc row, or several put together, and its softmax")

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def __contains__(self, name: str) -> bool:
        return any(row.name == name for row in self.rows)

    def inputs_of(self, row: Row) -> tuple[str, ...]:
        """The names of the rows that `row` reads, the default (the row above) filled in."""
        if row.inputs:
            return row.inputs
        position = self.rows.index(row)
        return (self.rows[position - 1].name if position else IMAGE,)

    @property
    def classifier(self) -> Row:
        """The row whose outputs are the logits."""
        (logits,) = self.inputs_of(self.rows[-1])
        return self[logits]

    @property
    def classifier_rows(self) -> tuple[Fc, ...]:
        """The fc rows that the logits come from: several where their outputs are stacked or added up."""
        names = {self.classifier.name}
        for row in reversed(self.rows):
            if row.name in names and isinstance(row, Concat | Sum):
                names |= set(self.inputs_of(row))
        return tuple(row for row in self.rows if row.name in names and isinstance(row, Fc))

    @property
    def has_classes_in_parts(self) -> bool:
        """Whether its logits are stacked: each of the fc rows that they come from has some of the classes."""
        return any(row.out_features != self.num_classes for row in self.classifier_rows)

    @property
    def num_classes(self) -> int:
        """How many classes the last fc rows tell apart."""
        return self._num_outputs(self.classifier)

    def with_classes(self, num_classes: int) -> "Spec":
        """The same net with another number of outputs.

        Raises:
            SpecError: below two, or the classes are in several rows, of which nothing says how many each is to have.
        """
        if num_classes == self.num_classes:
            return self
        if num_classes < 2:
            raise SpecError(f"num_classes is {num_classes}; a classifier needs at least 2")
        if self.has_classes_in_parts:
            rows = ", ".join(f"{row.name} has {row.out_features}" for row in self.classifier_rows)
            raise SpecError(
                f"{self.name} has its {self.num_classes} classes in several rows ({rows}); "
                f"for {num_classes} write other outputs of these rows into the file that defines it"
            )
        return self.with_rows({row.name: replace(row, out_features=num_classes) for row in self.classifier_rows})

    def _num_outputs(self, row: Row) -> int:
        """Of an fc row, or of fc rows that are stacked or added up; 0 of anything else."""
        if isinstance(row, Fc):
            return row.out_features
        found: dict[str, int] = {}  # of each row once: in sums of sums the ways up from the last have no end
        for each in self.rows:
            if isinstance(each, Fc):
                found[each.name] = each.out_features
            elif isinstance(each, Concat | Sum):
                parts = [found.get(name, 0) for name in self.inputs_of(each)]
                whole = sum(parts) if isinstance(each, Concat) else parts[0]
                found[each.name] = whole if all(parts) else 0
        return found.get(row.name, 0)

    def with_input(self, input_size: int) -> "Spec":
        """The same rows on square images of another size; `shapes.measure` says whether they fit."""
        return replace(self, input=(self.input[0], input_size, input_size))

    def with_rows(self, changed: dict[str, Row]) -> "Spec":
        """The same net with the named rows replaced."""
        return replace(self, rows=tuple(changed.get(row.name, row) for row in self.rows))

    def without_rows(self, dropped: set[str]) -> "Spec":
        """The same net with the named rows taken out; whoever read them reads what they read."""
        source = {row.name: self.inputs_of(row) for row in self.rows if row.name in dropped}

        def rewired(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(kept for name in names for kept in (rewired(source[name]) if name in source else (name,)))

        rows: list[Row] = []
        for row in self.rows:
            if row.name not in dropped:
                inputs, above = rewired(self.inputs_of(row)), rows[-1].name if rows else IMAGE
                rows.append(replace(row, inputs=() if inputs == (above,) else inputs))
        return replace(self, rows=tuple(rows))
