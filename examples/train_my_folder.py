"""Train a net on a folder of class folders from Python, and say what it came to.

python examples/train_my_folder.py my-photos --net krizhevsky-145 --epochs 10 --out runs/mine
"""

import argparse

from alexnet.train.options import RunOptions
from alexnet.train.run import train

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--net", default="krizhevsky-145")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out")
    args = parser.parse_args()
    result = train(RunOptions(data=args.folder, net=args.net, epochs=args.epochs), out=args.out)
    if result.evaluation:
        print(f"top-1 error {result.evaluation.top1_error:.1%} ({result.split}, {result.evaluation.views} view)")
    print(f"{result.steps} steps, kept in {result.out}")
