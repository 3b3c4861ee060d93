# SPDX-License-Identifier: Apache-2.0
"""Compressed bodies: one member or frame, whatever the parts, and the bytes back."""

import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from comity.taxii.coding import Coding, compress


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_gzip_is_one_member_that_holds_all_parts(parts: list[bytes]) -> None:
    one = zlib.decompressobj(31)  # stops at the end of the first member, as clients in use do
    assert one.decompress(compress("gzip", parts)) == b"".join(parts)
    assert (one.eof, one.unused_data) == (True, b"")


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_zstd_is_one_frame_that_holds_all_parts(parts: list[bytes]) -> None:
    one = zstandard.ZstdDecompressor().decompressobj()
    assert one.decompress(compress("zstd", parts)) == b"".join(parts)
    assert (one.eof, one.unused_data) == (True, b"")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_what_repeats_gets_small(coding: Coding) -> None:
    assert len(compress(coding, [b"0123456789" * 1_000])) < 500
