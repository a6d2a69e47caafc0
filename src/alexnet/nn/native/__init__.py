"""Kernels in C++ for CPUs. Everything works without them, slower: who cannot have them is told why."""

from alexnet.nn.native.library import DTYPES, SWITCH, Kernels, kernels, kernels_for, why_not

__all__ = ["DTYPES", "SWITCH", "Kernels", "kernels", "kernels_for", "why_not"]
