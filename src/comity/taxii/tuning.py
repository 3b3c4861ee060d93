# SPDX-License-Identifier: Apache-2.0
"""Shell: what a process that answers partners asks of the interpreter and of the C library, once, before it answers.

Neither changes what is answered.
"""

import ctypes
import gc

__all__ = ["tune"]

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MEBIBYTE = 1024 * 1024
_COLLECT_AFTER = 20_000
"""Objects made and not given up; a page of a thousand is a few thousand of them."""


def tune() -> None:
    """Let what is in memory now stay out of every collection, and keep memory that a page was put together in.

    glibc gives the memory of a large page back to the system as soon as it is free, and the next page has each of its
    parts cleared for it again. Where the C library is another one, nothing is asked of it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)
    keep = getattr(ctypes.CDLL(None), "mallopt", None)
    if keep is not None:
        keep(_M_MMAP_THRESHOLD, 32 * _MEBIBYTE)
        keep(_M_TRIM_THRESHOLD, 64 * _MEBIBYTE)
        keep(_M_TOP_PAD, 4 * _MEBIBYTE)
