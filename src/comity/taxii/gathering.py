# SPDX-License-Identifier: Apache-2.0
"""Shell: an answer is handed to the operating system in one call, where it would be one for each of its parts."""

import asyncio
import os

__all__ = ["GatheringTransport"]

_MOST_PARTS = 512
"""Well under what one writev takes (IOV_MAX)."""


class GatheringTransport:
    """A transport of asyncio; as a block, it hands over at the end what was written in it.

    Outside a block nothing is kept back. What the operating system does not take goes to the transport, whose buffer
    counts it: so nothing is here that a suspension would not wait for.
    """

    __slots__ = (
        "_beneath",
        "_kept",
        "abort",
        "get_extra_info",
        "get_write_buffer_size",
        "is_closing",
        "pause_reading",
        "resume_reading",
        "set_protocol",
        "set_write_buffer_limits",
    )

    def __init__(self, beneath: asyncio.Transport) -> None:
        self._beneath = beneath
        self._kept: list[bytes] | None = None
        self.abort = beneath.abort
        self.get_extra_info = beneath.get_extra_info
        self.get_write_buffer_size = beneath.get_write_buffer_size
        self.is_closing = beneath.is_closing
        self.pause_reading = beneath.pause_reading
        self.resume_reading = beneath.resume_reading
        self.set_protocol = beneath.set_protocol
        self.set_write_buffer_limits = beneath.set_write_buffer_limits

    def __enter__(self) -> None:
        self._kept = []

    def __exit__(self, *_: object) -> None:
        kept, self._kept = self._kept, None
        if kept:
            self._hand_over(kept)

    def write(self, data: bytes) -> None:
        """Hand it over, or keep it until the end of the block."""
        if self._beneath.is_closing():
            return  # the client has gone or was cut: asyncio would take nothing of it, and warn of each piece
        if self._kept is None:
            self._beneath.write(data)
        elif data:
            self._kept.append(data)

    def close(self) -> None:
        """Close the connection once everything is handed over."""
        kept, self._kept = self._kept, None
        if kept:
            self._hand_over(kept)
        self._beneath.close()

    def _hand_over(self, parts: list[bytes]) -> None:
        beneath = self._beneath
        if beneath.is_closing():
            return
        plain = beneath.get_extra_info("sslcontext") is None
        if len(parts) > 1 and plain and not beneath.get_write_buffer_size():
            parts = _write_at_once(beneath.get_extra_info("socket").fileno(), parts)
        for part in parts:
            beneath.write(part)


def _write_at_once(handle: int, parts: list[bytes]) -> list[bytes]:
    """What of `parts` the operating system did not take. An error is left for the transport to find."""
    try:
        taken = os.writev(handle, parts[:_MOST_PARTS])
    except OSError:
        return parts
    left = list[bytes]()
    for part in parts:
        if taken < len(part):
            left.append(part[taken:])
        taken = max(0, taken - len(part))
    return left
