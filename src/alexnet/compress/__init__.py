"""Weights made small: pruned, and made to share values, while they are trained on; then coded. And what that cost.

options   what is asked for
coding    tensors as numbers in codebooks, and what these take
measure   errors at each point of the way
training  the two runs, kept until the file is written
run       all of it in order

Source: Han, Mao and Dally 2016, arXiv 1510.00149 (Deep Compression).
"""

from alexnet.compress.measure import Stage
from alexnet.compress.options import CompressOptions
from alexnet.compress.run import Compressed, compress

__all__ = ["CompressOptions", "Compressed", "Stage", "compress"]
