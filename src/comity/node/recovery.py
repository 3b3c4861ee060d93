# SPDX-License-Identifier: Apache-2.0
"""Shell: a log that lost its end goes on under another name, by an act of people that is its next entry.

What a restored node can know of what was lost: the checkpoint of its backup; the file `head` of the lost folder, where
that was kept elsewhere; a checkpoint that a partner or a witness still has, of the house's log or of that of a
relationship. Each is believed if this party's log key signed it, and the newest of each log goes on record. A witness
that is asked says how many entries of each log it has cosigned. None shows that there was nothing after it, so there is
no recovery that keeps the old name. The logs of relationships end where they are; what is given next opens others.

Who has stopped what since the backup nobody here can know: every agreement that binds by what was restored is suspended
in the same act, until people have asked the others and resume it.

On disk, in this order: the entry with the new name and its signed head (one transaction); `head`; then `restored` goes.
A crash before the last leaves a folder that does not start: to recover again gives it one more name, and nothing signed
under the one before has left.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from comity.agreement.events import EventKind
from comity.agreement.people import Approval, Badge, make_matter
from comity.agreement.people import Role as PersonRole
from comity.agreement.recognition import Refusal
from comity.agreement.transitions import State
from comity.canonical import Json
from comity.config import load_settings
from comity.errors import (
    BadSignature,
    CorruptionError,
    LogMismatch,
    MalformedError,
    MalformedNote,
    PeerUnreachable,
    RolledBack,
    TransitionError,
    UnknownKey,
)
from comity.ids import AgreementId, PartyId, PersonId
from comity.keys import Keyring
from comity.node.clock import draw_bytes
from comity.node.heads import read_newest, split_heads, verify_newest, write_head
from comity.node.journal import read_own_chain, verify_store
from comity.node.kept import stop_cosigning
from comity.node.node import Act, Node
from comity.node.people import Actor, Approved, Waiting, approve, drop_programs, identify, list_people
from comity.node.recording import draft_event, sign_event
from comity.node.retention import check_texts
from comity.node.standing import list_dossiers
from comity.node.succession import list_successions, publish_succession
from comity.release.disclosure import EntryType
from comity.release.logs import derive_origin
from comity.release.recovery import Asked, EndedLog, Recovery, Succession, format_recovery
from comity.signing import Role
from comity.store import SqliteStore, Transaction, log, logs, parties, people, sign_ins
from comity.tlog.note import Checkpoint, parse_checkpoint, parse_note, verify_note
from comity.tlog.origin import TOKEN_BYTES, first_origin, house_origin, is_origin, name_origin

__all__ = ["Asking", "Recovered", "recover_folder"]

_MAX_NOTE_BYTES = 65_536
_BINDING = frozenset({State.AGREED, State.IN_FORCE, State.SUSPENDED})
_WHY = "suspended by itself: the store was restored from a backup, and what was said since then can be lost here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """The house's log goes on as `recovery.origin` from its entry `position` on; `ended` others do not go on.

    `entry` is the position of the recovery among the entries of all logs, of which `lost` are known to be missing.
    `asked` is what witnesses said of how many entries they had cosigned. With `stopped` this node cosigns nothing for
    others until its witness key is another one.
    `suspended` are the agreements that were suspended for it, and give nothing until people resume them.
    `persons`, and the parties of `credentials`, one for each, are let in as they were by the backup: who was removed,
    or what was revoked since, nobody here can know.
    `statement` is what partners are told, signed; it was queued for `told`.
    """

    recovery: Recovery
    position: int
    entry: int
    lost: int
    ended: int
    stopped: bool
    suspended: tuple[AgreementId, ...]
    persons: tuple[PersonId, ...]
    credentials: tuple[PartyId, ...]
    statement: bytes
    told: tuple[PartyId, ...]
    asked: tuple[Asked, ...]
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How the witnesses of a node are asked what they have seen, and whether to go on without who does not answer."""

    ask: Callable[[Node], Sequence[Asked]]
    go_on_without: bool


@dataclass(frozen=True, slots=True)
class _Known:
    note: bytes
    checkpoint: Checkpoint


def recover_folder(
    folder: Path,
    *,
    reason: str,
    badge: Badge | None,
    role: PersonRole | None,
    why: str | None,
    heads: Mapping[str, bytes] = {},
    unlock: Callable[[], bytes] | None = None,
    witnesses: Asking | None = None,
) -> Recovered | Waiting | Refusal:
    """What became of the recovery of the node in `folder`, which no process owns.

    It takes two people, where people are registered; where none are, whoever controls the folder. `heads` are
    checkpoints of the lost log from elsewhere, behind what to call them. `unlock` gives what encrypted keys are opened
    by. With `witnesses` those in the settings are asked, and that one was not heard goes on record.

    Raises:
        NotFoundError, ConfigError, StoreBusy: the node cannot be opened.
        TransitionError: there is nothing to recover: the store is the newest.
        LogMismatch, CorruptionError: what is left of the log does not verify; recover from another backup.
        MalformedError, VerificationError: a checkpoint that was given is none of this log.
        AuthenticationError: the person.
        PeerUnreachable: a witness does not answer.
    """
    reason = check_texts(reason, None)
    settings, keyring = load_settings(folder), Keyring(folder / "keys", unlock, draw_bytes)
    store = SqliteStore.open(folder / "store.db")
    try:
        node = Node(folder, settings=settings, store=store, keyring=keyring)
    except BaseException:
        store.close()
        raise
    try:
        _check_needed(folder, store)
        verified = verify_store(store, origin=first_origin(node.party), party=node.party)
        if verified.origin != node.origin:
            raise LogMismatch(f"the store calls its log {node.origin}, and the log itself {verified.origin}")
        known, others = _find_newest(node, heads)
        by = None
        if any(item.removed_at is None for item in list_people(node)):
            by = Actor(person=identify(node, badge), role=role, why=why)
        asked = () if witnesses is None else _hear(node, witnesses)
        return _recover(node, known, others, reason=reason, by=by, asked=asked)
    finally:
        node.close()


def _check_needed(folder: Path, store: SqliteStore) -> None:
    """Return if the node does not open because its store may be an older one."""
    try:
        verify_newest(folder, store)
    except (RolledBack, CorruptionError):
        return
    raise TransitionError(
        "there is nothing to recover: the store is not older than the last checkpoint that this node signed"
    )


def _hear(node: Node, witnesses: Asking) -> tuple[Asked, ...]:
    """What the witnesses say, once every one of them has answered or people go on without."""
    asked = tuple(witnesses.ask(node))
    silent = [f"{each.name}: {each.problem}" for each in asked if not each.answered]
    if silent and not witnesses.go_on_without:
        raise PeerUnreachable(
            f"how much of the lost log was seen is not known of {'; '.join(silent)}. Nothing was done: try again when"
            " they answer, or go on without them by --without-witnesses, and say in --reason why"
        )
    return asked


def _find_newest(node: Node, heads: Mapping[str, bytes]) -> tuple[_Known, list[_Known]]:
    """The newest checkpoint that is known of the house's log; of two of one size the one that the store has.

    With the newest that is known of each other log.
    """
    with node.store.read() as transaction:
        chain = read_own_chain(transaction, node.party, digest=None)
        last = log.read_head(transaction)
        house = _read_house_origins(transaction, node)
    keys = [key for manifest in chain for key in manifest.roles[Role.LOG].keys]
    found = list[_Known]()
    if last is not None:
        found.append(_verify_head("the store", last, party=node.party, keys=keys))
    for name in ("restored", "head"):
        # A damaged file is no reason not to recover: it is what is recovered from.
        with suppress(OSError, MalformedError, LogMismatch):
            found += [
                _verify_head(name, note, party=node.party, keys=keys)
                for note in split_heads((node.folder / name).read_bytes())
            ]
    for name, data in heads.items():
        try:
            given = [_verify_head(name, note, party=node.party, keys=keys) for note in split_heads(data)]
        except MalformedNote as error:
            raise MalformedNote(f"{name} is not a checkpoint as it was signed: {error}") from error
        if past := [item for item in given if item.checkpoint.origin in house]:
            raise LogMismatch(f"{name} is a checkpoint of {past[0].checkpoint.origin}, and this log is {node.origin}")
        found += given
    found = [item for item in found if item.checkpoint.origin not in house]
    own = [item for item in found if item.checkpoint.origin == node.origin]
    if not own:
        raise LogMismatch("no checkpoint of this log is known: give one with --head")
    others: dict[str, _Known] = {}
    for item in sorted(found, key=lambda item: item.checkpoint.size):
        if item.checkpoint.origin != node.origin:
            others[item.checkpoint.origin] = item
    return max(own, key=lambda item: item.checkpoint.size), list(others.values())


def _read_house_origins(transaction: Transaction, node: Node) -> set[str]:
    """Every name that the house's log has had, and has no more."""
    said = list_successions(transaction, node.party)
    return {first_origin(node.party), *(item.recovery.origin for item in said)} - {node.origin}


def _verify_head(name: str, note: bytes, *, party: PartyId, keys: Sequence[bytes]) -> _Known:
    parsed = parse_note(note[: _MAX_NOTE_BYTES + 1])
    checkpoint = parse_checkpoint(parsed.text)
    origin = checkpoint.origin
    if not is_origin(origin, party):
        raise LogMismatch(f"{name} is a checkpoint of {origin}, which is no log of {party}")
    for key in keys:
        with suppress(UnknownKey, BadSignature):
            verify_note(parsed, origin, key)
            return _Known(note, checkpoint)
    raise LogMismatch(f"{name} carries no signature of this party's log key")


def _recover(
    node: Node, known: _Known, others: Sequence[_Known], *, reason: str, by: Actor | None, asked: Sequence[Asked]
) -> Recovered | Waiting | Refusal:
    previous = node.origin
    with node.act() as act:
        approvals: tuple[Approval, ...] = ()
        if by is not None:
            # What is known can grow between the two of them; the act then names the newest of it.
            facts: dict[str, Json] = {"log": previous, "reason": reason}
            if not all(each.answered for each in asked):
                facts["without_witnesses"] = True
            matter = make_matter("recover", agreement=None, facts=facts)
            authorised = approve(act, by, matter)
            if not isinstance(authorised, Approved):
                return authorised
            approvals = authorised.approvals
        position = log.read_size(act.transaction)
        recovery = Recovery(
            origin=house_origin(node.party, act.draw(TOKEN_BYTES)),
            previous=previous,
            known=known.note,
            others=tuple(item.note for item in others),
        )
        ended = _find_ended(node, act, house=recovery.origin)
        closed = sum(each.closed_at is None for each in logs.list_logs(act.transaction))
        lost = _count_lost(node, act.transaction, [known, *others], asked)
        node.rename_log(act, recovery.origin)
        # What it has cosigned for others since the backup is no entry of its log: nobody can tell it here.
        stopped = stop_cosigning(node, act.transaction, now=act.now)
        entry = act.position
        content = format_recovery(recovery, reason=reason, approvals=approvals, witnesses=asked)
        act.record(EntryType.RECOVERY, content, terms=None, recipient=None, count=1)
        said = Succession(party=node.party, recovery=recovery, position=position, at=act.now)
        statement, told = publish_succession(node, act, said, ended=ended)
        suspended = _suspend_all(node, act)
        # What is restored would let in again who was signed out since, and carry acts whose approval was taken back.
        for stored in people.list_persons(act.transaction):
            drop_programs(act, stored.person)
            sign_ins.delete_sessions_of(act.transaction, stored.person.id)
            sign_ins.delete_invitation(act.transaction, stored.person.id)
            people.delete_approvals_of(act.transaction, stored.person.id)
        persons = [each.person.id for each in people.list_persons(act.transaction) if each.removed_at is None]
        credentials = [each.party for each in parties.list_credentials(act.transaction) if each.is_good(act.now)]
    with node.store.read() as transaction:
        head = read_newest(transaction)
    assert head is not None  # noqa: S101 (it was signed above)
    write_head(node.folder, head)
    (node.folder / "restored").unlink(missing_ok=True)
    return Recovered(
        recovery=recovery,
        position=position,
        entry=entry,
        lost=lost,
        ended=closed,
        stopped=stopped,
        suspended=suspended,
        persons=tuple(persons),
        credentials=tuple(credentials),
        asked=tuple(asked),
        statement=statement,
        told=told,
        approvals=approvals,
    )


def _suspend_all(node: Node, act: Act) -> tuple[AgreementId, ...]:
    """Suspend what binds by what was restored, also where another party has done so, which can lift that."""
    suspended = list[AgreementId]()
    for dossier in [*list_dossiers(node, act.transaction)]:
        standing = dossier.standing(now=act.now)
        terms = standing.current
        if standing.state not in _BINDING or terms is None or node.party not in standing.members:
            continue
        if any(lock.party == node.party and lock.channel is None for lock in standing.locks):
            continue
        draft = replace(draft_event(node, act, EventKind.SUSPEND, terms), text=_WHY)
        sign_event(node, act, draft, terms, standing=standing, approvals=())
        suspended.append(dossier.id)
    return tuple(suspended)


def _find_ended(node: Node, act: Act, *, house: str) -> dict[PartyId, list[EndedLog]]:
    """The logs that get no more entries, by whom they are of, each with the one that follows it under `house`.

    Among them are those that nothing is in as far as this store has it: whoever was given something since it was backed
    up knows the log of it by the name that follows from these.
    """
    transaction, now = act.transaction, act.now
    there = logs.list_logs(transaction)
    open_now = {(each.agreement, each.recipient): each for each in there if each.closed_at is None}
    pairs = {(each.agreement, each.recipient) for each in there}
    for dossier in list_dossiers(node, transaction):
        if dossier.standing(now=now).current is not None:
            pairs |= {(dossier.id, party) for party in dossier.parties()}
    known = {each.id for each in parties.list_parties(transaction)} - {node.party}
    key = parties.read_node_key(transaction)
    ended: dict[PartyId, list[EndedLog]] = {}
    for agreement, recipient in sorted(pairs):
        if recipient not in known:
            continue
        before, after = (
            derive_origin(key, party=node.party, house=name, agreement=agreement, recipient=recipient)
            for name in (node.origin, house)
        )
        held = open_now.get((agreement, recipient))
        ended.setdefault(recipient, []).append(
            EndedLog(
                origin=before if held is None else name_origin(node.party, held.token),
                size=0 if held is None else log.read_size(transaction, held.number),
                agreement=agreement,
                next=after,
            )
        )
    return ended


def _count_lost(node: Node, transaction: Transaction, known: Sequence[_Known], asked: Sequence[Asked]) -> int:
    """How many entries of all logs are known to be missing, by checkpoints or by what witnesses have seen."""
    seen = [(item.checkpoint.origin, item.checkpoint.size) for item in known]
    seen += [(node.origin, each.size) for each in asked if each.size is not None]
    seen += [pair for each in asked for pair in each.others.items()]
    most: dict[str, int] = {}
    for origin, size in seen:
        most[origin] = max(size, most.get(origin, 0))
    lost = 0
    for origin, size in most.items():
        number = node.find_log(transaction, origin)
        held = 0 if number is None else log.read_size(transaction, number)
        lost += max(0, size - held)
    return lost
