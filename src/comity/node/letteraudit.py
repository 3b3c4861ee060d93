# SPDX-License-Identifier: Apache-2.0
"""Shell: letters, recalls and consents in a log, held against the letters kept and against what was disclosed.

An entry of a letter must name one that is kept, filed as the entry says, and signed by its sender. Each letter that is
kept must have one entry. After the entry of a recall no disclosure may list a version that it names, nor after that of
a letter by which its giver recalls it. Each consent that begins must be by a grant that is kept and names as much, and
must end by an entry before anything is given by it at its time or later.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from comity.canonical import Json, parse_signed_json
from comity.errors import MalformedError, VerificationError
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId, format_instant, parse_instant
from comity.letters.bodies import LetterKind
from comity.letters.consent import ConsentGrant
from comity.letters.letter import parse_letter, verify_kept_letter
from comity.letters.request import RequestWithdrawal
from comity.node.keyaudit import KeyAudit
from comity.node.retractionaudit import RetractionAudit
from comity.node.stoppedaudit import StoppedAudit
from comity.release.contents import parse_disclosure, parse_listing
from comity.release.disclosure import DisclosedObject, EntryType
from comity.replayed import ReplayedEntry
from comity.stix.markings import TLP_IDS
from comity.store import Transaction, agreements, arrivals, letters, objects
from comity.store.letters import KeptLetter

__all__ = ["LetterAudit"]


@dataclass(frozen=True, slots=True)
class _Consent:
    """To whom which versions, each as id and version, may go before `until`."""

    recipient: str
    until: str
    versions: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a partner recalled: the bytes with this digest, which it had given before `at` under that agreement."""

    digest: Digest
    sender: PartyId
    agreement: AgreementId
    at: Instant


class LetterAudit:
    """The entries of a log, in their order, held against the letters in `transaction`."""

    def __init__(self, transaction: Transaction, keys: KeyAudit) -> None:
        self._transaction = transaction
        self._keys = keys
        self._kept = {kept.digest: kept for kept in letters.iterate_letters(transaction)}
        self._retractions = RetractionAudit(transaction)
        self._stopped = StoppedAudit(transaction)
        self._logged = set[str]()
        self._recalled = dict[str, set[str]]()
        self._asked = dict[str, list[_Asked]]()
        self._consents = dict[Digest, _Consent]()
        self._watched = set[bytes]()
        """The ids of all that was recalled or went by consent: whoever lists none of them need not be read further."""

    def judge(self, entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with the entry; the entries before it must have been judged. What was purged is not judged."""
        if entry.content is None:
            self._retractions.note_purged(entry)
            return
        match entry.leaf.type:
            case EntryType.LETTER:
                yield from self._judge_letter(entry, entry.content)
            case EntryType.RECALL:
                yield from self._note_recall(entry, entry.content)
            case EntryType.CONSENT:
                yield from self._note_consent(entry.content)
            case EntryType.DISCLOSURE if self._watched:
                yield from self._judge_disclosure(entry, entry.content)
            case _:
                return

    def is_granted(self, item: ObjectId, version: str, recipient: PartyId) -> bool:
        """Whether a consent that has begun, and not ended, lets the recipient have that version."""
        place = item, version
        return any(one.recipient == recipient and place in one.versions for one in self._consents.values())

    def finish(self) -> Iterator[str]:
        """What is wrong with the letters that no entry has named."""
        for digest, kept in self._kept.items():
            if digest not in self._logged:
                yield f"the letter {digest[:12]} {'to' if kept.sent else 'from'} {kept.party} is in no entry of the log"
        yield from self._retractions.finish()
        yield from self._stopped.finish()

    def _judge_letter(self, entry: ReplayedEntry, content: bytes) -> Iterator[str]:
        match parse_signed_json(content):
            case {
                "format": "comity-letter-record/1",
                "change": "send" | "receive" as change,
                "letter": str(named),
                "kind": kind,
                "party": party,
                "agreement": agreement,
                "approvals": list(),
                **rest,
            } if not rest:
                kept = self._kept.get(Digest(named))
            case _:
                yield "the content of this entry of a letter is not of the format that this version knows"
                return
        if named in self._logged:
            yield f"the letter {named[:12]} is in the log twice"
        self._logged.add(named)
        if kept is None:
            yield f"the letter {named[:12]} is in the log and not kept"
            return
        filed = (kept.sent, kept.kind, kept.party, kept.agreement, kept.terms, kept.recorded_at)
        if filed != (change == "send", kind, party, agreement, entry.leaf.terms, entry.leaf.at):
            yield f"the letter {named[:12]} is kept as another one than this entry says"
        if (problem := self._find_problem(kept)) is not None:
            yield f"the letter {named[:12]}: {problem}"
        elif kind == LetterKind.RECALL and not kept.sent:
            letter, _ = parse_letter(kept.envelope)
            for about in letter.about:
                asked = _Asked(about.digest, letter.sender, letter.agreement, entry.leaf.at)
                self._asked.setdefault(about.id, []).append(asked)
                self._watched.add(about.id.encode())

    def _find_problem(self, kept: KeptLetter) -> str | None:
        try:
            sender = parse_letter(kept.envelope)[0].sender
            letter = verify_kept_letter(kept.digest, kept.envelope, self._keys.chain_of(sender))
        except (MalformedError, VerificationError) as error:
            return error.detail
        if not kept.is_filed_as(letter):
            return "it is filed under something that it does not say"
        if isinstance(letter.body, RequestWithdrawal):
            asked = self._kept.get(letter.body.request)
            filed = None if asked is None else (asked.sent, asked.party, asked.kind, asked.agreement)
            if filed != (kept.sent, kept.party, LetterKind.REQUEST, kept.agreement):
                return "it takes back what its sender has not asked under that agreement"
        return None

    def _note_recall(self, entry: ReplayedEntry, content: bytes) -> Iterator[str]:
        said = parse_signed_json(content)
        self._stopped.note(said, entry.leaf.at)
        match said:
            case {"format": "comity-recall/1", "change": "withdraw" | "correct", "objects": list(listed)}:
                for item in listed:
                    match item:
                        case {"id": str(name), "version": str(version)}:
                            self._add_recalled(name, version)
                        case _:
                            yield "the content of this recall names something that is no version of an object"
            case {"format": "comity-recall/1", "change": "keep"}:
                return
            case {"format": "comity-retraction/1", "retraction": str(named), "objects": list(listed)}:
                versions = _read_named(listed)
                yield from self._retractions.judge(Digest(named), versions, entry)
                for name, version in versions:
                    self._add_recalled(name, version)
            case _:
                yield "the content of this recall is not of the format that this version knows"

    def _add_recalled(self, name: str, version: str) -> None:
        self._recalled.setdefault(name, set()).add(version)
        self._watched.add(name.encode())

    def _note_consent(self, content: bytes) -> Iterator[str]:
        match parse_signed_json(content):
            case {
                "format": "comity-consent/1",
                "change": "begin",
                "grant": str(named),
                "recipient": recipient,
                "until": str(until),
                "objects": list(listed),
                **rest,
            } if not rest:
                consent = _Consent(str(recipient), until, _read_named(listed))
                if self._find_granted(Digest(named)) != consent:
                    yield f"the consent by {named[:12]} is not as that letter grants it"
                self._consents[Digest(named)] = consent
                self._watched.update(name.encode() for name, _ in consent.versions)
            case {"format": "comity-consent/1", "change": "end", "grant": str(named)}:
                if self._consents.pop(Digest(named), None) is None:
                    yield f"the consent by {named[:12]} ends and had not begun"
            case _:
                yield "the content of this consent is not of the format that this version knows"

    def _find_granted(self, named: Digest) -> "_Consent | None":
        """What the letter with that name, received and kept, grants."""
        kept = self._kept.get(named)
        if kept is None or kept.sent:
            return None
        with suppress(MalformedError):  # of a letter that cannot be read its own entry says so
            letter, _ = parse_letter(kept.envelope)
            if isinstance(letter.body, ConsentGrant) and letter.body.expires_at is not None:
                named_versions = frozenset((item.id, item.version) for item in letter.about)
                return _Consent(letter.body.recipient, format_instant(letter.body.expires_at), named_versions)
        return None

    def _judge_disclosure(self, entry: ReplayedEntry, content: bytes) -> Iterator[str]:
        if self._watched.isdisjoint((entry.listing or content).split(b'"')):
            return
        listed: tuple[DisclosedObject, ...] = ()
        with suppress(MalformedError):  # what cannot be read is a finding of the replay
            said = parse_disclosure(content)
            listed = said.objects if said.listing is None else parse_listing(entry.listing)
        consents = [one for one in self._consents.values() if one.recipient == entry.leaf.recipient]
        for item in listed:
            if item.version in self._recalled.get(item.id, ()):
                yield f"{item.id} was disclosed in the version {item.version} after it had been recalled"
            elif asked := self._find_ignored(item):
                yield f"{item.id} was disclosed in the version {item.version} though {asked.sender} had recalled it"
            for consent in consents:
                if (item.id, item.version) in consent.versions and parse_instant(consent.until) <= entry.leaf.at:
                    yield f"{item.id} was disclosed to {consent.recipient} when the consent to that had run out"

    def _find_ignored(self, item: DisclosedObject) -> _Asked | None:
        """The recall of this version by who had given it, of something that this party does not hold by itself too."""
        if item.id not in self._asked:
            return None
        for held in objects.read_versions_of(self._transaction, [item.id]):
            if held.version != item.version or held.received_under is None or held.id in TLP_IDS:
                continue
            came = arrivals.read_arrivals(self._transaction, [held.pk]).get(held.pk, [])
            for asked in self._asked[item.id]:
                texts = {name for name, _ in agreements.read_texts(self._transaction, asked.agreement)}
                given = any(
                    way.giver == asked.sender and way.terms in texts and way.received_at < asked.at for way in came
                )
                if given and held.digest == asked.digest:
                    return asked
        return None


def _read_named(listed: Sequence[Json]) -> frozenset[tuple[str, str]]:
    """The versions that the content of a consent names."""
    return frozenset((str(item.get("id")), str(item.get("version"))) for item in listed if isinstance(item, dict))
