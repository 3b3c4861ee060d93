# SPDX-License-Identifier: Apache-2.0
"""Shell: programs that may ask the console in a person's name. Of a token only its hash is kept."""

from dataclasses import dataclass

from comity.ids import Digest, Instant, PersonId
from comity.store.transaction import Row, Transaction

__all__ = [
    "StoredProgram",
    "add_program",
    "delete_program",
    "find_program",
    "list_programs",
    "use_program",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProgram:
    """One program; `hash` is that of its token, `id` and `name` what people call it, `may` what it may ask for."""

    hash: Digest
    id: str
    person: PersonId
    name: str
    may: frozenset[str]
    made_at: Instant
    expires_at: Instant
    used_at: Instant | None


_PROGRAM = "SELECT hash, id, person, name, may, made_at, expires_at, used_at FROM program"


def add_program(transaction: Transaction, program: StoredProgram) -> None:
    """Keep a program."""
    may = " ".join(sorted(program.may))
    values = (program.hash, program.id, program.person, program.name, may, program.made_at, program.expires_at)
    transaction.run("INSERT INTO program VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", values)


def find_program(transaction: Transaction, token_hash: Digest) -> StoredProgram | None:
    """The program whose token has this hash, over or not."""
    row = transaction.row(f"{_PROGRAM} WHERE hash = ?", (token_hash,))
    return _program(row) if row else None


def list_programs(transaction: Transaction, person: PersonId | None = None) -> list[StoredProgram]:
    """The programs that are kept, of the person or of everybody, oldest first, those that are over among them."""
    where, values = ("", ()) if person is None else (" WHERE person = ?", (person,))
    return [_program(row) for row in transaction.rows(f"{_PROGRAM}{where} ORDER BY made_at, id", values)]


def use_program(transaction: Transaction, token_hash: Digest, *, now: Instant) -> None:
    """Note when the program asked last."""
    transaction.run("UPDATE program SET used_at = ? WHERE hash = ?", (now, token_hash))


def delete_program(transaction: Transaction, token_hash: Digest) -> None:
    """Let the program ask no more."""
    transaction.run("DELETE FROM program WHERE hash = ?", (token_hash,))


def _program(row: Row) -> StoredProgram:
    return StoredProgram(
        hash=Digest(row[0]),
        id=str(row[1]),
        person=PersonId(row[2]),
        name=str(row[3]),
        may=frozenset(str(row[4]).split()),
        made_at=Instant(row[5]),
        expires_at=Instant(row[6]),
        used_at=None if row[7] is None else Instant(row[7]),
    )
