# SPDX-License-Identifier: Apache-2.0
"""Shell: the bytes of files that may be those of a store which this process has open.

When a process closes a file, by whichever descriptor, POSIX takes away all locks that it has on that file: those of
SQLite too, which learns nothing of it. The next process that opens the store then takes it for one that nobody uses,
and deletes the write-ahead log with what was committed into it. So the files are opened through SQLite, which keeps
a descriptor until no lock is left. Of the file `-shm` not even SQLite may open a second one; it has numbers of pages
and nothing that was written.
"""

from collections.abc import Iterator
from pathlib import Path

import apsw

__all__ = ["list_readable", "read_parts"]


def list_readable(folder: Path) -> list[Path]:
    """Every file below `folder` that can be read, in order; not the one that processes share a store by."""
    shared = folder / "store.db-shm"
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and not (shared.exists() and path.samefile(shared))
    )


def read_parts(path: Path, size: int) -> Iterator[bytes]:
    """The bytes of the file, `size` at a time.

    Raises:
        OSError: it is gone, or cannot be read.
    """
    flags = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY
    try:
        file = apsw.VFSFile("", str(path.absolute()), [flags, 0])
    except apsw.CantOpenError as error:
        gone = not path.exists()
        raise (FileNotFoundError if gone else PermissionError)(f"{path} cannot be opened ({error})") from error
    try:
        at = 0
        while part := file.xRead(size, at):
            yield part
            at += len(part)
    except apsw.IOError as error:
        raise OSError(f"{path} cannot be read ({error})") from error
    finally:
        file.xClose()
