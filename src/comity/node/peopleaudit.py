# SPDX-License-Identifier: Apache-2.0
"""Shell: who approved what a log says that this party did, held against who was on record as its people by then.

    people        those that entries of the log added and have not removed, in the roles that these name
    factors       what each of them signs in by, and programs that ask in their names: enrolled after an invitation, and
                  kept as the log has it
    declined      by a person who could have approved it
    an act        approved by as many of them, in such roles, as acts of its kind need (`agreement.people`), not longer
                  ago than an approval waits
    by a rule     entries purged by a rule of so many days were that old

Whoever has the keys and the database needs no badge. Then the log shows an act that nobody approved, or one approved by
people who were not there: both are findings. Where the content of an entry about people was purged, who is not known
may have been in it. What a node does by itself, and keys where nobody is registered, need nobody.

Not here: that each of these people showed a badge; nobody can tell that afterwards.
"""

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from comity.agreement.people import Approval, Missing, Role, find_need, weigh_approvals
from comity.canonical import Json, parse_signed_json, sha256_digest
from comity.errors import MalformedError
from comity.ids import Instant, PartyId, PersonId, parse_instant
from comity.node.accounts import name_account
from comity.node.people import APPROVAL_LIFETIME, name_program
from comity.release.disclosure import EntryType
from comity.release.purge import parse_log_purge
from comity.replayed import ReplayedEntry
from comity.store import Transaction, people, programs, sign_ins

__all__ = ["PeopleAudit"]

_LETTERS: Mapping[str, str | None] = {
    "recall-acknowledgement": None,
    "consent-request": "request-consent",
    "consent-grant": "consent",
    "consent-refusal": "refuse-consent",
    "request": "request",
    "reply": "reply",
    "request-withdrawal": "withdraw-request",
}
"""Kind of letter → kind of the act by which people send it; None: the node does."""

_BECAUSE: Mapping[str, str] = {"recall": "recall", "consent-revocation": "revoke-consent"}
"""The same of those that are sent because of another letter too, and then need nobody."""

_BY_ITSELF = frozenset({"confirm", "suspend"})
_RULE = re.compile(r"content_days = ([1-9][0-9]{0,5})", re.ASCII)
_DAY = 86_400 * 1_000_000


@dataclass(slots=True)
class _Known:
    """One person as the log has it: in which roles, and from when to when (None: still)."""

    roles: frozenset[str]
    added_at: Instant
    removed_at: Instant | None = None
    factors: set[str] = field(default_factory=set, compare=False)
    invited: bool = field(default=False, compare=False)


class PeopleAudit:
    """The entries of a log, in their order, held against the people that it has put on record."""

    def __init__(self, transaction: Transaction, party: PartyId) -> None:
        self._transaction = transaction
        self._party = party
        self._people: dict[str, _Known] = {}
        self._lost = False
        self._times = array("q")

    def note(self, entry: ReplayedEntry) -> None:
        """Remember when the entry was recorded; every entry, before it is judged."""
        self._times.append(entry.leaf.at)

    def judge(self, entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with the entry; those before it must have been judged. What was purged is not judged."""
        said = None if entry.content is None else parse_signed_json(entry.content)
        if entry.leaf.type is EntryType.PEOPLE:
            yield from self._note_people(entry, said)
        elif isinstance(said, dict):
            if entry.leaf.type is EntryType.PURGE and isinstance(said.get("rule"), str):
                yield from self._judge_rule(entry, str(said["rule"]))
                return
            kinds = self._find_kinds(entry.leaf.type, said)
            if kinds:
                yield from self._judge_approvals(entry, kinds, said.get("approvals", []))

    def finish(self) -> Iterator[str]:
        """What is wrong with the people that are kept."""
        kept = {stored.person.id: stored for stored in people.list_persons(self._transaction)}
        for stored in kept.values():
            name = stored.person.id
            known = self._people.get(name)
            said = _Known(frozenset(stored.person.roles), stored.added_at, stored.removed_at)
            if known != said and not (known is None and self._lost):
                yield f"the person {name} is kept as another one than the log has put on record"
            by = set() if known is None or known.removed_at is not None else known.factors
            if self._find_factors(name) != by and not self._lost:
                yield f"the person {name} signs in by something else than the log has put on record"
        for gone in sorted(self._people.keys() - {str(name) for name in kept}):
            yield f"the person {gone} is in the log and not kept"

    def _note_people(self, entry: ReplayedEntry, said: Json) -> Iterator[str]:
        factor = said.get("factor") if isinstance(said, dict) else None
        match said:
            case {
                "format": "comity-people-record/1",
                "change": "invite" | "enrol" | "drop" as change,
                "person": str(person),
            }:
                yield from self._note_factor(change, person, factor)
            case {
                "format": "comity-people-record/1",
                "change": "add" | "renew" | "remove" as change,
                "person": str(person),
                "roles": list(roles),
            }:
                known = self._people.get(person)
                if change == "add" and known is None:
                    self._people[person] = _Known(frozenset(map(str, roles)), entry.leaf.at)
                elif change == "add" or (known is not None and known.removed_at is not None):
                    yield f"the person {person} was on record before, and an id is given once"
                elif change == "remove" and known is not None:
                    known.removed_at = entry.leaf.at
            case {"format": "comity-declined-record/1", "person": str(person), "role": str(role), "kind": str(kind)}:
                yield from self._judge_alone(person, role, kind, did="declined an act")
            case {"format": "comity-import-record/1", "person": str(person), "role": str(role)}:
                yield from self._judge_alone(person, role, "import", did="brought a file")
            case None:
                self._lost = True
            case _:
                yield "the content of this entry of people is not of the format that this version knows"

    def _note_factor(self, change: str, person: str, factor: Json) -> Iterator[str]:
        """What somebody signs in by: who was never invited, or has nothing to sign in by, cannot come to have more."""
        known = self._people.get(person)
        if known is None or known.removed_at is not None:
            if not self._lost:
                yield f"{person}, whose signing in it is about, was no person of this party then"
        elif change == "invite":
            known.invited, known.factors = True, set()
        elif not isinstance(factor, str):
            yield "it does not say what the person signs in by"
        elif change == "drop":
            known.factors.discard(factor)
        else:
            if not known.invited and not known.factors and not self._lost:
                yield f"{person} was enrolled without an invitation"
            known.invited = False
            known.factors.add(factor)

    def _judge_alone(self, person: str, role: str, kind: str, *, did: str) -> Iterator[str]:
        """Who could not have done an act cannot have ended it for others either."""
        known, need = self._people.get(person), find_need(kind)
        if known is None or known.removed_at is not None:
            if not self._lost:
                yield f"{person}, who {did}, was no person of this party then"
        elif role not in known.roles or need is None or role not in need.roles:
            yield f"{person} {did} ({kind}) as {role}, who could not have done it"

    def _find_factors(self, name: PersonId) -> set[str]:
        """What the person signs in by, and what asks in the person's name, as it is kept."""
        # Of the key itself: the digest beside it says nothing of what is verified by.
        found = {sha256_digest(passkey.public_key) for passkey in sign_ins.list_passkeys(self._transaction, name)}
        accounts = sign_ins.list_accounts(self._transaction, name)
        return {
            *map(str, found),
            *(name_account(account.issuer, account.subject) for account in accounts),
            *map(name_program, programs.list_programs(self._transaction, name)),
            *(["password"] if sign_ins.read_password(self._transaction, name) is not None else []),
        }

    def _find_kinds(self, kind: EntryType, said: Mapping[str, Json]) -> Sequence[str]:
        """The kinds of acts that the entry can be of, each with its need; none where people need not have acted."""
        approved, found = bool(said.get("approvals")), list[str]()
        match kind, said:
            case EntryType.AGREEMENT_EVENT, {"party": self._party, "kind": str(event)}:
                found = [event] if approved or event not in _BY_ITSELF else []
            case EntryType.LETTER, {"change": "send", "kind": str(letter)}:
                act = _LETTERS.get(letter) if letter in _LETTERS or not approved else _BECAUSE.get(letter)
                found = [] if act is None else [act]
            case EntryType.RECALL, {"change": str(change)}:
                found = ["keep-recalled"] if change == "keep" else ["recall"] if approved else []
            case EntryType.KEY_ROTATION | EntryType.RECOVERY, _:
                someone = approved or any(known.removed_at is None for known in self._people.values())
                found = [*self._find_kinds_of_keys(kind, said, someone=someone)]
            case EntryType.PURGE, {"approvals": list()}:
                found = ["purge"]
            case EntryType.ACKNOWLEDGEMENT, {"format": "comity-waiver/1"}:
                found = ["waive"]
            case EntryType.CLASSIFICATION, {"change": str(change)}:
                found = [change]
            case EntryType.SOURCE, {"record": record}:
                found = ["drop-source" if record is None else "source"]
            case _:
                pass
        return found

    def _find_kinds_of_keys(self, kind: EntryType, said: Mapping[str, Json], *, someone: bool) -> Sequence[str]:
        """The same of what concerns keys and the log itself, where `someone` is registered who could have acted."""
        if said.get("format") == "comity-pin-record/1":
            return ("repin",)
        if kind is EntryType.RECOVERY:
            return ("recover",) if someone else ()
        return ("rotate", "renew", "revoke-key") if someone and said.get("party") == self._party else ()

    def _judge_approvals(self, entry: ReplayedEntry, kinds: Sequence[str], listed: Json) -> Iterator[str]:
        given = list[Approval]()
        for item in listed if isinstance(listed, list) else []:
            approval = _read(item)
            problem = "an approval of it cannot be read" if approval is None else self._find_problem(entry, approval)
            if problem is not None:
                yield problem
            elif approval is not None:
                given.append(approval)
        missing = "nobody may do it"
        for need in map(find_need, kinds):
            weighed = None if need is None else weigh_approvals(need, given)
            if isinstance(weighed, Missing):
                missing = weighed.sentence
            elif weighed is not None:
                return
        yield f"this act ({' or '.join(kinds)}) lacks {missing}: the key signed what people did not approve"

    def _find_problem(self, entry: ReplayedEntry, approval: Approval) -> str | None:
        """Why the approval cannot have been given; None where it can."""
        known, person = self._people.get(approval.person), approval.person
        if not entry.leaf.at - APPROVAL_LIFETIME < approval.at <= entry.leaf.at:
            return f"the approval of {person} is of another time than this act"
        if known is None:
            return None if self._lost else f"{person}, who approved it, was not on record as a person of this party"
        if known.removed_at is not None or approval.at < known.added_at:
            return f"{person}, who approved it, was no person of this party then"
        if approval.role.value not in known.roles:
            return f"{person} approved it as {approval.role}, and was not on record as that"
        return None

    def _judge_rule(self, entry: ReplayedEntry, rule: str) -> Iterator[str]:
        named = _RULE.fullmatch(rule)
        ranges = parse_log_purge(entry.leaf, entry.content or b"") or ()
        if named is None:
            yield f"it purged entries by a rule that there is not: {rule[:80]!r}"
            return
        until = entry.leaf.at - int(named[1]) * _DAY
        young = next((n for each in ranges for n in range(each.first, each.last + 1) if self._times[n] > until), None)
        if young is not None:
            yield f"it purged entry {young} by the rule {rule}, which that was too young for"


def _read(item: Json) -> Approval | None:
    match item:
        case {"person": str(person), "role": str(role), "reason": (str() | None) as reason, "at": str(at)}:
            try:
                return Approval(person=PersonId(person), role=Role(role), reason=reason, at=parse_instant(at))
            except (ValueError, MalformedError):
                return None
        case _:
            return None
