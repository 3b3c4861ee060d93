# SPDX-License-Identifier: Apache-2.0
"""Shell: programs that ask the console in a person's name: made, found by their token, and ended.

A token is 256 random bits, of which the store keeps the SHA-256. It is good until the day that was said, and less long
if it is ended: by its person, by whoever controls the folder, or because the person is removed, gets another badge or
is invited anew. It opens what was named when it was made (PERMITS), as far as the person's roles do at the time.

A program is never a person: it gives no approval and decides nothing. What it takes in is taken in by its person.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from comity.agreement.people import Person
from comity.errors import ConflictError, MalformedRequest, NotFoundError, UnavailableError
from comity.ids import Instant, PersonId
from comity.node.node import Act, Node
from comity.node.people import find_present, name_program, record_change
from comity.node.sessions import hash_secret, note_program
from comity.release.disclosure import PeopleChange
from comity.store import people, programs
from comity.store.programs import StoredProgram
from comity.vocabulary import ACTIONS_ORDER

__all__ = [
    "MOST_DAYS",
    "MOST_PROGRAMS",
    "PERMITS",
    "TOKEN_BEGINS",
    "USES",
    "MadeProgram",
    "StoredProgram",
    "end_program",
    "find_program",
    "list_programs",
    "make_program",
    "may_ask",
]

USES: Final = {f"use:{actions}": actions for actions in ACTIONS_ORDER}
"""The words by which a program reads what it may use for these actions (`node.usable`)."""

PERMITS: Final = ("articles", "log", "node", "objects", "take-in", "work", *USES)
"""What a program can be let ask for, each by a word."""

MOST_DAYS: Final = 365
MOST_PROGRAMS: Final = 20
"""Of one person."""

TOKEN_BEGINS: Final = "comity-program-"  # noqa: S105 (so that who looks for secrets where none belong can tell one)
_MOST_NAME = 60
_TOKEN_BYTES = 32
_ID_BYTES = 4
_DAY = 86_400 * 1_000_000
_NOTED = 60 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeProgram:
    """A program, and its token, which can be read here and never again."""

    program: StoredProgram
    token: str = field(repr=False)


def make_program(node: Node, person: PersonId, *, name: str, may: Iterable[str], days: int) -> MadeProgram:
    """A new program of the person, who is signed in.

    Raises:
        MalformedRequest: no name, nothing that it may ask for, a word that is none, or a time that is too long.
        ConflictError: the person has MOST_PROGRAMS.
        NotFoundError: no such person, or removed.
    """
    words, name = frozenset(may), name.strip()
    if not 0 < len(name) <= _MOST_NAME or not name.isprintable():
        raise MalformedRequest(f"a program has a name of at most {_MOST_NAME} characters that show", where="name")
    if not words or not words <= set(PERMITS):
        raise MalformedRequest(f"choose what it may ask for, of: {', '.join(PERMITS)}", where="may")
    if not 0 < days <= MOST_DAYS:
        raise MalformedRequest(f"it can ask for 1 to {MOST_DAYS} days", where="days")
    token = TOKEN_BEGINS + node.draw(_TOKEN_BYTES).hex()
    with node.act() as act:
        stored = find_present(act.transaction, person).person
        if len(_forget_old(act, stored)) >= MOST_PROGRAMS:
            raise ConflictError(f"you have {MOST_PROGRAMS} programs; end one first")
        program = StoredProgram(
            hash=hash_secret(token),
            id=node.draw(_ID_BYTES).hex(),
            person=person,
            name=name,
            may=words,
            made_at=act.now,
            expires_at=Instant(act.now + days * _DAY),
            used_at=None,
        )
        programs.add_program(act.transaction, program)
        record_change(act, PeopleChange.ENROL, stored, factor=name_program(program))
        note_program(act, person, ended=False)
    return MadeProgram(program=program, token=token)


def find_program(node: Node, token: str) -> tuple[StoredProgram, Person] | None:
    """The program that the token is of, and its person, while it may ask. That it asked is noted once a minute."""
    if not token.startswith(TOKEN_BEGINS) or len(token) != len(TOKEN_BEGINS) + 2 * _TOKEN_BYTES:
        return None
    now = node.clock()
    with node.store.read() as transaction:
        program = programs.find_program(transaction, hash_secret(token))
        stored = None if program is None else people.read_person(transaction, program.person)
    if program is None or stored is None or stored.removed_at is not None or not _is_good(program, now):
        return None
    if program.used_at is None or now - program.used_at >= _NOTED:
        # A disk without room, or a store that is busy, keeps nobody from reading.
        with suppress(UnavailableError), node.store.write() as transaction:
            programs.use_program(transaction, program.hash, now=now)
    return program, stored.person


def list_programs(node: Node, person: PersonId | None = None) -> list[StoredProgram]:
    """The programs that may ask, of the person or of everybody, oldest first."""
    now = node.clock()
    with node.store.read() as transaction:
        return [item for item in programs.list_programs(transaction, person) if _is_good(item, now)]


def may_ask(node: Node, program: str) -> bool:
    """Whether the program of this id may ask."""
    return any(item.id == program for item in list_programs(node))


def end_program(node: Node, person: PersonId, program: str) -> None:
    """End the person's program of this id.

    Raises:
        NotFoundError: the person has none of it, or was removed.
    """
    with node.act() as act:
        stored = find_present(act.transaction, person).person
        found = [item for item in programs.list_programs(act.transaction, person) if item.id == program]
        if not found:
            raise NotFoundError("there is no such program any more")
        programs.delete_program(act.transaction, found[0].hash)
        record_change(act, PeopleChange.DROP, stored, factor=name_program(found[0]))
        note_program(act, person, ended=True)


def _forget_old(act: Act, person: Person) -> list[StoredProgram]:
    """The person's programs that may ask; those that are over are kept no longer."""
    listed = programs.list_programs(act.transaction, person.id)
    for item in listed:
        if not _is_good(item, act.now):
            programs.delete_program(act.transaction, item.hash)
            record_change(act, PeopleChange.DROP, person, factor=name_program(item))
    return [item for item in listed if _is_good(item, act.now)]


def _is_good(program: StoredProgram, now: Instant) -> bool:
    """Whether it may ask: never for longer than it can have been made for, whatever lies in the store."""
    return program.made_at <= now < program.expires_at <= program.made_at + MOST_DAYS * _DAY
