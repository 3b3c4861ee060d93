# SPDX-License-Identifier: Apache-2.0
"""Pure: which 32 bytes may stand as somebody's Ed25519 key.

Under a key of small order anybody can make signatures that verify, so that whoever lists one can deny having signed
(RFC 8032 §5.1.7 leaves the check to the user). Whose a key is, is not decided here.
"""

__all__ = ["KEY_BYTES", "is_small_order"]

KEY_BYTES = 32

# The seven encodings with the sign bit cleared.
_SMALL_ORDER = frozenset(
    {
        bytes(32),
        b"\x01" + bytes(31),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        *(first + b"\xff" * 30 + b"\x7f" for first in (b"\xec", b"\xed", b"\xee")),
    }
)


def is_small_order(public_key: bytes) -> bool:
    """Whether anybody could sign for this key of 32 bytes."""
    return public_key[:-1] + bytes([public_key[-1] & 0x7F]) in _SMALL_ORDER
