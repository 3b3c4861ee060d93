# SPDX-License-Identifier: Apache-2.0
"""Ports for servers that have to be told one before they start."""

import atexit
import socket

__all__ = ["find_port"]

_KEPT: list[socket.socket] = []


def find_port() -> int:
    """A port of 127.0.0.1 that nobody else is given before the server takes it.

    It is bound here until this process ends, and nobody listens on it: the system gives it to none who asks for any
    port, and lets a server listen on it that sets SO_REUSEADDR, as all do.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    if not _KEPT:
        atexit.register(_close)
    _KEPT.append(kept)
    return int(kept.getsockname()[1])


def _close() -> None:
    for kept in _KEPT:
        kept.close()
