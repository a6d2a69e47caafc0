"""Memory that is used again instead of given back: on glibc, nearly twice the speed of CPU training for three settings.

A large block is mapped afresh at every allocation and unmapped at every release; the kernel then clears each page again
in every step. Told never to map (M_MMAP_MAX 0), to give nothing back (M_TRIM_THRESHOLD) and to grow in large pieces
(M_TOP_PAD), the C library hands out the same warm pages step after step.
"""

import ctypes
import os
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # from glibc's malloc.h
NEVER = -1
GROWTH_BYTES = 512 << 20

SWITCH = "ALEXNET_KEEP_MEMORY"


def keep_memory() -> bool:
    """Tell glibc to keep freed memory, before the first large allocation; whether it now does.

    The environment variable ALEXNET_KEEP_MEMORY=0 turns it off; other C libraries are left alone.
    """
    if os.environ.get(SWITCH) == "0" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl behind a layer that calls itself glibc has none
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER), (M_TOP_PAD, GROWTH_BYTES))
    return mallopt is not None and all(mallopt(name, value) == 1 for name, value in settings)
