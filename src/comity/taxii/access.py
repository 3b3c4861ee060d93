# SPDX-License-Identifier: Apache-2.0
"""Shell: the access log: one line of JSON for each request, and nothing of what was asked for or given.

    {"time":"2026-11-23T09:00:00.250000Z","address":"203.0.113.9","party":"borealia","method":"GET",
     "resource":"objects","status":200,"bytes":16384,"ms":12}

No path, no query, no id of a collection or object, no header, no credential. `party` is null for who is not known;
`bytes` is the body that was given to the server to send, which a client that went away may not have got.
"""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

from comity.errors import ConfigError
from comity.ids import Instant, format_instant
from comity.taxii.guard import Visit

__all__ = ["AccessLog"]

_STANDARD_ERROR = 2

_log = logging.getLogger("comity.access")


class AccessLog:
    """Lines at the end of a file that only its owner can read; or on standard error, where the target is "stderr"."""

    def __init__(self, target: str, clock: Callable[[], Instant]) -> None:
        """Open it.

        Raises:
            ConfigError: the file cannot be opened for writing.
        """
        self._target = target
        self._clock = clock
        self._handle = self._open()
        self._failed = False

    def write(self, visit: Visit) -> None:
        """Write the line of one request. A log that cannot be written must not keep a node from serving."""
        line = {
            "time": format_instant(self._clock()),
            "address": visit.address,
            "party": visit.party,
            "method": visit.method,
            "resource": visit.resource,
            "status": visit.status,
            "bytes": visit.body_bytes,
            "ms": round(visit.seconds * 1_000),
        }
        try:
            # In one piece and past any buffer of ours: nothing is left to fail later.
            os.write(self._handle, json.dumps(line, separators=(",", ":")).encode() + b"\n")
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.error("the access log %s cannot be written: %s", self._target, error.strerror or error)
            self._failed = True

    def reopen(self) -> None:
        """Go on in the file that has the name now: whoever rotates logs has renamed the one before.

        Raises:
            ConfigError: it cannot be opened; the one before stays in use.
        """
        before, self._handle = self._handle, self._open()
        _close(before)

    def close(self) -> None:
        """Write no more."""
        _close(self._handle)

    def _open(self) -> int:
        if self._target == "stderr":
            return _STANDARD_ERROR
        try:
            return os.open(self._target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"the access log {Path(self._target)} cannot be opened: {error.strerror or error}; set another file as"
                " access_log in node.toml"
            ) from error


def _close(handle: int) -> None:
    if handle != _STANDARD_ERROR:
        os.close(handle)
