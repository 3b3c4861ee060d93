# SPDX-License-Identifier: Apache-2.0
"""Shell: the bytes of a file that is taken in: read twice, and told where it was changed in between.

A path is read by the process that owns the store. It has to be a file of its own disk: what has no end, or is read once
only, is given as bytes.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from comity.errors import ConflictError, MalformedRequest
from comity.ids import Digest

__all__ = ["CHUNK_BYTES", "Bytes", "File", "PathFile", "Watched"]

CHUNK_BYTES: Final = 1024 * 1024
_SHOWN: Final = 200


class File(Protocol):
    """The bytes of a file, which can be read several times."""

    name: str

    def read(self, size: int) -> Iterator[bytes]:
        """All of it, in parts of `size`.

        Raises:
            MalformedRequest: it cannot be read.
            ConflictError: it is not what it was at the first reading.
        """


class Bytes:
    """A file that is in memory."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self._data = data

    def read(self, size: int) -> Iterator[bytes]:
        """All of it, in parts of `size`."""
        return (self._data[start : start + size] for start in range(0, len(self._data), size))


class PathFile:
    """A file on the disk of this process; it has to be the same file, of the same size and time, at each reading."""

    def __init__(self, path: Path, *, name: str) -> None:
        self.name = name
        self._path = path
        self._stamp: tuple[int, ...] | None = None

    def read(self, size: int) -> Iterator[bytes]:
        """All of it, in parts of `size`."""
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise MalformedRequest(f"{self.name[:_SHOWN]} is not a file that can be read twice; give it as -")
                stamp = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
                if self._stamp not in {None, stamp}:
                    raise find_changed(self)
                self._stamp = stamp
                while chunk := file.read(size):
                    yield chunk
        except OSError as error:
            raise MalformedRequest(f"{self.name[:_SHOWN]} cannot be read: {error.strerror or error}") from error


class Watched:
    """A file that is read once more; another content than at the first reading is told."""

    def __init__(self, file: File, digest: Digest) -> None:
        self._file = file
        self._digest = digest
        self.position = 0

    def read(self) -> Iterator[bytes]:
        """All of it."""
        digest = hashlib.sha256()
        for chunk in self._file.read(CHUNK_BYTES):
            digest.update(chunk)
            self.position += len(chunk)
            yield chunk
        if digest.hexdigest() != self._digest:
            raise find_changed(self._file)


def find_changed(file: File) -> ConflictError:
    return ConflictError(f"{file.name[:_SHOWN]} was changed while it was read; add it again as it is")
