"""`python -m alexnet`, which is also what `torchrun -m alexnet` runs."""

from alexnet.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
