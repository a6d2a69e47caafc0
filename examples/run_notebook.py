"""Run the notebook and keep what it prints and draws, without the pictures that show images of the data set.

python examples/run_notebook.py examples/learn_alexnet_on_cifar10.ipynb
"""

import argparse
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

SHOWS_DATA = re.compile(r"\bshow\(")  # what the notebook calls its function that draws an image

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--out", type=Path, help="default: in place")
    args = parser.parse_args()
    notebook = nbformat.read(args.notebook, as_version=4)
    folder = {"metadata": {"path": str(args.notebook.parent)}}
    NotebookClient(notebook, timeout=500, resources=folder, record_timing=False).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code" and SHOWS_DATA.search(cell.source):
            cell.outputs = [output for output in cell.outputs if output.output_type != "display_data"]
    nbformat.write(notebook, args.out or args.notebook)
