# SPDX-License-Identifier: Apache-2.0
"""The least that any server does which has its objects in SQLite and records an answer before it leaves.

An application on the server that a node runs on. Each answer is one read and one row, on the disk before its first byte
is sent (`synchronous=FULL`); answers that are asked for at once share a commit. There are no parties, terms, decisions,
receipts or limits. What it reaches on a machine is about what a node could reach there if all that were free.

    python bench/least.py PORT FILE

    /object/ID      one object
    /small/AFTER/N  the N objects after a place
    /page/AFTER     the 1,000 objects after a place, composed by SQLite
    /kept/AFTER     the same bytes, composed once and then kept in memory; each answer is recorded
"""

import asyncio
import hashlib
import os
import socket
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
from arms import Arm, make_arm
from processes import find_port, run

__all__ = ["run_least"]

Scope = Mapping[str, Any]
Send = Callable[[dict[str, object]], Awaitable[None]]

_PAGE = 1_000
_MOST = 9_000
"""Paths of an arm; LuaJIT takes no more."""
_LEAF = 290
"""Bytes of a row of the record, as long as a leaf of the disclosure log."""


@contextmanager
def run_least(folder: Path, objects: Sequence[tuple[str, bytes]], *, places: Sequence[int]) -> Iterator[dict[str, Arm]]:
    """An arm for each kind of answer, over `objects` (id, bytes); `places` are where pages begin."""
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "least.db") as store:
        store.execute("PRAGMA journal_mode = wal")
        store.execute("CREATE TABLE object (place INTEGER PRIMARY KEY, id TEXT UNIQUE, body TEXT)")
        store.execute("CREATE TABLE entry (number INTEGER PRIMARY KEY, leaf BLOB)")
        store.executemany(
            "INSERT INTO object (id, body) VALUES (?, ?)", [(name, body.decode()) for name, body in objects]
        )
    store.close()
    size = sum(len(body) for _, body in objects) // len(objects)
    page, port = _PAGE * (size + 1) + 14, find_port()
    asked = {
        "least-object": {f"/object/{name}": size + 15 for name, _ in objects[:_MOST]},
        "least-small": {
            f"/small/{place}/{number % 10 + 1}": (number % 10 + 1) * size + 15 for number, place in enumerate(places)
        },
        "least-page": {f"/page/{place}": page for place in places},
        "least-kept": {f"/kept/{place}": page for place in range(0, len(objects) - _PAGE + 1, _PAGE)},
    }
    with run([sys.executable, Path(__file__), port, folder / "least.db"], port, log=folder / "log") as pid:
        yield {
            name: make_arm(folder, name, port=port, pid=pid, paths=paths, headers={}) for name, paths in asked.items()
        }


class Least:
    """The application."""

    def __init__(self, file: str) -> None:
        self._store = apsw.Connection(file)
        for line in ("journal_mode = wal", "synchronous = full", "wal_autocheckpoint = 4000", "mmap_size = 1073741824"):
            self._store.execute(f"PRAGMA {line}")
        self._kept: dict[str, bytes] = {}
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []

    async def __call__(self, scope: Scope, _: object, send: Send) -> None:
        """One answer."""
        body = self._read(scope["path"])
        # Not the hash of the body: that of so many bytes as say what was given.
        leaf = hashlib.sha256(body[:_LEAF]).digest().ljust(_LEAF, b".")
        recorded = asyncio.get_running_loop().create_future()
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._record)
        self._waiting.append((leaf, recorded))
        await recorded
        headers = [(b"content-type", b"application/taxii+json;version=2.1"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _record(self) -> None:
        waiting, self._waiting = self._waiting, []
        with self._store:
            self._store.executemany("INSERT INTO entry (leaf) VALUES (?)", [(leaf,) for leaf, _ in waiting])
        for _, recorded in waiting:
            recorded.set_result(None)

    def _read(self, path: str) -> bytes:
        match path.split("/")[1:]:
            case ["object", name]:
                rows = self._store.execute("SELECT body FROM object WHERE id = ?", (name,))
            case ["small", after, count]:
                rows = self._read_after(int(after), int(count))
            case ["page", after]:
                rows = self._read_after(int(after), _PAGE)
            case ["kept", after]:
                if path not in self._kept:
                    self._kept[path] = self._wrap(self._read_after(int(after), _PAGE))
                return self._kept[path]
            case _:
                raise ValueError(path)
        return self._wrap(rows)

    def _read_after(self, after: int, count: int) -> Iterator[tuple[str]]:
        inner = "SELECT body FROM object WHERE place > ? ORDER BY place LIMIT ?"
        return self._store.execute(f"SELECT group_concat(body, ',') FROM ({inner})", (after, count))  # noqa: S608

    @staticmethod
    def _wrap(rows: Iterator[tuple[str]]) -> bytes:
        return b'{"objects":[' + next(rows)[0].encode() + b"]}"


def _serve(port: int, file: str) -> None:
    import uvicorn  # noqa: PLC0415 (only where it serves)

    from comity.taxii.tuning import tune  # noqa: PLC0415

    tune()
    # Named as TCP, else asyncio leaves Nagle's algorithm on and every answer waits for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    config = uvicorn.Config(Least(file), log_config=None, access_log=False, lifespan="off", loop="asyncio")
    uvicorn.Server(config).run(sockets=[listener])
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
