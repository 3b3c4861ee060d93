# SPDX-License-Identifier: Apache-2.0
"""Shell: the embedded store: one SQLite file, one process that owns it, one connection that writes.

WAL with `synchronous=FULL`: when COMMIT returns, the act is on the disk. The driver is apsw because it carries its own
SQLite; the versions before 3.51.3 can corrupt a WAL database. For the same reason nothing else may write or checkpoint
the file: an OS lock on `lock` beside it says who owns it, and a second process gets StoreBusy. What is committed is
copied from the write-ahead log into the file beside the acts, not within them (`store.checkpoints`).

The owner may let processes that it started `join`. They inherit the lock, so that the store is owned until the last of
them has gone, and each has a connection of its own. All of them then take turns to write (`store.turns`).

What a crash leaves: nothing of an open transaction; all of a committed one. SQLite replays the WAL at the next open.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Self

import apsw

from comity.errors import ComityError, ConfigError, CorruptionError, NotFoundError, StoreBusy, StoreFull, StoreUncertain
from comity.store.checkpoints import Checkpoints
from comity.store.migration import is_migrated, migrate
from comity.store.names import tell_key
from comity.store.transaction import Row, SqlValue
from comity.store.turns import Turns

__all__ = ["SqliteStore", "SqliteTransaction"]

_BUSY_MILLISECONDS = 5_000
_READERS_MILLISECONDS = 200
"""How long emptying the write-ahead log waits for readers in processes that joined: each reads for a few."""

_COPIED_PAGES = 256
"""A megabyte in one step of a copy."""

_ALONE: AbstractContextManager[None] = nullcontext()
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-32768",
)


class SqliteTransaction:
    """An open transaction on the writing connection, or a read-only one."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._changes_before = connection.total_changes()

    def rows(self, sql: str, parameters: Sequence[SqlValue] = ()) -> list[Row]:
        """All rows of a query."""
        return list(self._connection.execute(sql, parameters))

    def iterate(self, sql: str, parameters: Sequence[SqlValue] = ()) -> Iterator[Row]:
        """The rows of a query, each read when it is asked for; nothing else is run before the last one."""
        return iter(self._connection.execute(sql, parameters))

    def row(self, sql: str, parameters: Sequence[SqlValue] = ()) -> Row | None:
        """The first row of a query, if any."""
        return next(iter(self._connection.execute(sql, parameters)), None)

    def run(self, sql: str, parameters: Sequence[SqlValue] = ()) -> int:
        """The number of rows that a statement changed."""
        before = self._connection.total_changes()
        self._connection.execute(sql, parameters)
        return self._connection.total_changes() - before

    def run_many(self, sql: str, parameters: Iterable[Sequence[SqlValue]]) -> None:
        """One statement for each of `parameters`."""
        self._connection.executemany(sql, parameters)

    def insert(self, sql: str, parameters: Sequence[SqlValue] = ()) -> int:
        """The integer key of the row that an INSERT made."""
        self._connection.execute(sql, parameters)
        return self._connection.last_insert_rowid()

    def has_written(self) -> bool:
        """Whether anything was changed in it, by whoever."""
        return self._connection.total_changes() != self._changes_before


class SqliteStore:
    """The store of one node, open: made by `create`, `open` (which own the file) or `inspect` (read-only)."""

    def __init__(
        self,
        connection: apsw.Connection,
        lock: int | None,
        *,
        checkpoints: Checkpoints | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._checkpoints = checkpoints
        self.turns = turns
        self._alone: tuple[Path, tuple[int, int]] | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """The store at `path`, made if absent, migrated, and owned by this process until `close`.

        Raises:
            StoreBusy: another process owns it.
            CorruptionError: the file is not a store.
            StoreFull: no room to open or migrate it.
        """
        lock = _take_lock(path.with_name("lock"))
        try:
            connection, checkpoints = _connect(path)
            store = cls(connection, lock, checkpoints=checkpoints)
            with store.write() as transaction:
                migrate(transaction)
            path.chmod(0o600)
        except BaseException:
            os.close(lock)
            raise
        return store

    @classmethod
    def join(cls, path: Path, *, lock: int, turns: int) -> Self:
        """The store at `path`, which the process that gave `lock` and `turns` (see `share`) has open.

        Raises:
            CorruptionError: the file is not a store.
            StoreFull: no room to open it.
        """
        connection, checkpoints = _connect(path)
        return cls(connection, lock, checkpoints=checkpoints, turns=Turns(turns))

    def share(self) -> tuple[int, int]:
        """The descriptors that a process has to inherit to `join`; from here on this one takes turns too."""
        if self._lock is None:
            raise StoreBusy("a store that is open for reading only cannot be shared")
        if self.turns is None:
            self.turns = Turns.begin()
        return self._lock, self.turns.handle

    @classmethod
    def inspect(cls, path: Path) -> Self:
        """The store at `path` for reading only: no lock is taken and nothing is written.

        Raises:
            NotFoundError: there is no such file.
            CorruptionError: the file is not a store.
        """
        if not path.is_file():
            raise NotFoundError(f"there is no store at {path}; name the folder of a node")
        with _translated(path):
            flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
            # Without a WAL beside it nobody has it open: then not even the files that SQLite shares between processes
            # are made, and a folder that cannot be written can be read.
            alone = "" if path.with_name(path.name + "-wal").exists() else "&immutable=1"
            connection = apsw.Connection(f"file:{_quote(path)}?mode=ro{alone}", flags=flags)
            _add_functions(connection)
            connection.execute("PRAGMA query_only=ON")
            connection.execute("SELECT count(*) FROM sqlite_master")
        store = cls(connection, None)
        if alone:
            store._alone = (path, _stamp(path))
        return store

    def copy(self, target: Path) -> Iterator[tuple[int, int]]:
        """What is committed now, copied to a new file at `target` while others write: pages copied, and of how many.

        One view is held until the end, so that the copy is of one moment, and a writer never makes it begin again. It
        keeps the write-ahead log from beginning again meanwhile, which grows. The caller may rest between two steps.

        Raises:
            StoreFull: no room for it.
        """
        with _translated(target):
            copy = apsw.Connection(str(target))
        try:
            with self.read() as transaction, _translated(target):
                transaction.row("SELECT count(*) FROM sqlite_master")  # from here on this view is held
                yield from self._copy_pages(copy)
            with _translated(target):
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, which nothing has to stand beside
        finally:
            copy.close()
        target.chmod(0o600)

    def _copy_pages(self, copy: apsw.Connection) -> Iterator[tuple[int, int]]:
        with copy.backup("main", self._connection, "main") as backup:
            while not backup.done:
                backup.step(_COPIED_PAGES)
                yield backup.page_count - backup.remaining, backup.page_count

    def check_undisturbed(self) -> None:
        """Return if what was read since `inspect` is what the file held.

        A file that nobody had open is read without its locks: who opens it meanwhile and writes makes what was read
        worthless.

        Raises:
            StoreBusy: somebody has.
        """
        if self._alone is None:
            return
        path, stamp = self._alone
        if _stamp(path) != stamp or path.with_name(path.name + "-wal").exists():
            raise StoreBusy(f"somebody began to use {path} while it was read; do it again")

    @contextmanager
    def write(self) -> Iterator[SqliteTransaction]:
        """One transaction that may write; committed, and on the disk, when the block ends without an exception.

        Raises:
            StoreFull: no room; nothing of the block was kept.
            StoreUncertain: the disk failed at the very end; all of the block was kept, or nothing of it.
            CorruptionError: the file is damaged.
        """
        with _translated(None), _ALONE if self.turns is None else self.turns.writing():
            self._begin("BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(self._connection)
                self._commit()
            except BaseException:
                # A full disk makes SQLite roll back by itself; then there is nothing left to undo.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[SqliteTransaction]:
        """One consistent view; nothing can be written in it.

        Raises:
            ConfigError: the store is only inspected, and has not yet all that this version of the program reads.
        """
        with _translated(None):
            self._begin("BEGIN")
            transaction = SqliteTransaction(self._connection)
            try:
                yield transaction
            except apsw.SQLError as error:
                if is_migrated(transaction):
                    raise
                raise ConfigError(
                    f"the store was written by an earlier version of Comity, and this one reads more ({error}): start"
                    " the node once with this version, or read the store with the one that wrote it"
                ) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _commit(self) -> None:
        """End the transaction, on the disk.

        Where the disk cannot say that it has what was written, SQLite goes on as if it had not: the next commit writes
        over it. But a process that dies before leaves it in the write-ahead log, and the next opening finds it whole.
        """
        try:
            self._connection.execute("COMMIT")
        except apsw.IOError as error:
            raise StoreUncertain(
                f"the disk failed while this act was committed ({error}): it is on record whole, or not at all."
                " See to the disk, look whether it is on record, and do it again only if it is not"
            ) from error

    def _begin(self, sql: str) -> None:
        """Begin a transaction; one whose beginning is reported failed is not left open to be in the way of the next."""
        already = self._connection.in_transaction
        try:
            self._connection.execute(sql)
        except BaseException:
            if self._connection.in_transaction and not already:
                self._connection.execute("ROLLBACK")
            raise

    def row(self, sql: str, parameters: Sequence[SqlValue] = ()) -> Row | None:
        """The first row of one query, in a view of its own: two see two states."""
        try:
            return next(iter(self._connection.execute(sql, parameters)), None)
        except apsw.Error:
            with _translated(None):
                raise

    def read_version(self) -> tuple[int, int]:
        """What is another pair whenever anything was committed since, by this connection or another; nothing more.

        Not to be asked inside a transaction, which sees no other version than its own.
        """
        try:
            ((version,),) = self._connection.execute("PRAGMA data_version")
        except apsw.Error:
            with _translated(None):
                raise
        return version, self._connection.total_changes()

    def empty_wal(self) -> bool:
        """Whether all that is committed is now in the file, and the write-ahead log beside it empty.

        Only then is what was deleted gone from both. False when another process was reading; try again later. The time
        that waits for such a reader is none: who serves must not stand still for it. Processes that joined read all the
        time, and each for a few milliseconds: those are waited for.
        """
        alone = _ALONE if self.turns is None else self.turns.writing()
        with _translated(None), self._checkpoints.paused() if self._checkpoints else _ALONE, alone:
            self._connection.set_busy_timeout(0 if self.turns is None else _READERS_MILLISECONDS)
            try:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError:
                return False
            finally:
                self._connection.set_busy_timeout(_BUSY_MILLISECONDS)
        return True

    def close(self) -> None:
        """Give the file up; safe to call twice."""
        if self._checkpoints is not None:
            self._checkpoints.close()
        self._connection.close()
        if self.turns is not None:
            self.turns.close()
            self.turns = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _connect(path: Path) -> tuple[apsw.Connection, Checkpoints]:
    with _translated(path):
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        _add_functions(connection)
        checkpoints = Checkpoints(path)
        # In the place of the hook by which SQLite itself copies the log within the commit that makes it long.
        connection.set_wal_hook(checkpoints.note)
    return connection, checkpoints


def _add_functions(connection: apsw.Connection) -> None:
    connection.create_scalar_function("name_key", tell_key, 1, deterministic=True)


def _take_lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StoreBusy(
            f"another process owns the store in {path.parent}; wait for it, or stop the `comity serve` that runs there"
        ) from error
    return handle


@contextmanager
def _translated(path: Path | None) -> Iterator[None]:
    """Foreign exceptions become ours; `path` is named where the file itself is in question."""
    try:
        yield
    except ComityError:
        raise
    except (apsw.FullError, apsw.IOError) as error:
        raise StoreFull(
            f"the store could not be written ({error}); nothing of this step was kept, and what was kept"
            " before stands. Free space on its disk and do it again"
        ) from error
    except apsw.ReadOnlyError as error:
        raise ConfigError(
            f"the store{f' at {path}' if path else ''} lies in a folder that cannot be written, and was left open;"
            " copy the folder and read the copy"
        ) from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        named = f" at {path}" if path else ""
        raise CorruptionError(f"the store{named} is damaged ({error}); restore it from a backup") from error
    except apsw.BusyError as error:
        raise StoreBusy(f"the store is busy ({error}); try again") from error
    except apsw.CantOpenError as error:
        raise StoreFull(f"the store{f' at {path}' if path else ''} cannot be opened for writing ({error})") from error


def _quote(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
