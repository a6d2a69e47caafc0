"""`alexnet nets`."""

from alexnet.arch import NETS
from alexnet.cli.output import AsJson, print_json, print_table
from alexnet.describe import totals

EXAMPLE = ""

# Two tables: in one, terminals of 80 columns would have no room for the words.
_SIZES = {"net": "left", "params": "right", "MACs": "right", "published error": "left"}
_SOURCES = {"net": "left", "source": "left"}


def nets(json: AsJson = False) -> None:
    """List the nets: where each is from, its size, and the error that was published."""
    sizes = {name: totals(spec) for name, spec in NETS.items()}
    if json:
        print_json(
            {
                "nets": [
                    {"name": name, "source": spec.source, **sizes[name], "published_error": spec.published_error}
                    for name, spec in NETS.items()
                ]
            }
        )
        return
    rows = [
        (name, f"{sizes[name]['params']:,}", f"{sizes[name]['macs']:,}", spec.published_error)
        for name, spec in NETS.items()
    ]
    print_table(_SIZES, rows)
    print()
    print_table(_SOURCES, [(name, spec.source) for name, spec in NETS.items()])
