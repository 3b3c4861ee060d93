# SPDX-License-Identifier: Apache-2.0
"""Shell: bodies, compressed as a client asks (RFC 9110 §8.4): gzip by ISA-L, zstd (RFC 8878) by libzstd.

One gzip member and one zstd frame for each body: several are legal, and cut short without a word by clients in use.
"""

from collections.abc import Iterable
from typing import Literal, assert_never

import zstandard
from isal import isal_zlib

__all__ = ["Coding", "compress"]

Coding = Literal["gzip", "zstd"]

_GZIP_LEVEL = 1
_GZIP_MEMBER = 31
"""The window of 32 KiB, in a gzip member (zlib's `windowBits`)."""

_ZSTD_LEVEL = 1


def compress(coding: Coding, parts: Iterable[bytes]) -> bytes:
    """The body that `parts` make, compressed."""
    match coding:
        case "gzip":
            member = isal_zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_MEMBER)
            return b"".join([*(member.compress(part) for part in parts), member.flush()])
        case "zstd":
            frame = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
            return b"".join([*(frame.compress(part) for part in parts), frame.flush()])
        case _:
            assert_never(coding)
