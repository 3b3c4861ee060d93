# SPDX-License-Identifier: Apache-2.0
"""Shell: letters, recalls and consents in a log, held against the letters kept and against what was disclosed.

An entry of a letter must name one that is kept, filed as the entry says, and signed by its sender. Each letter that is
kept must have one entry. After the entry of a recall no disclosure may list a version that it names. Each consent that
begins must be by a grant that is kept and names as much, and must end by an entry before anything is given by it at its
time or later.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from comity.canonical import Json, parse_signed_json
from comity.errors import MalformedError, VerificationError
from comity.ids import Digest, PartyId, format_instant, parse_instant
from comity.letters.consent import ConsentGrant
from comity.letters.letter import parse_letter, verify_kept_letter
from comity.node.lineage import read_chain
from comity.node.retractionaudit import RetractionAudit
from comity.release.contents import parse_disclosure, parse_listing
from comity.release.disclosure import DisclosedObject, EntryType
from comity.replayed import ReplayedEntry
from comity.signing import Manifest
from comity.store import Transaction, letters
from comity.store.letters import KeptLetter

__all__ = ["LetterAudit"]


@dataclass(frozen=True, slots=True)
class _Consent:
    """To whom which versions, each as id and version, may go before `until`."""

    recipient: str
    until: str
    versions: frozenset[tuple[str, str]]


class LetterAudit:
    """The entries of a log, in their order, held against the letters in `transaction`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._kept = {kept.digest: kept for kept in letters.iterate_letters(transaction)}
        self._chains: dict[PartyId, list[Manifest]] = {}
        self._retractions = RetractionAudit(transaction)
        self._logged = set[str]()
        self._recalled = dict[str, set[str]]()
        self._consents = dict[Digest, _Consent]()

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
            case EntryType.DISCLOSURE if self._recalled or self._consents:
                yield from self._judge_disclosure(entry, entry.content)
            case _:
                return

    def finish(self) -> Iterator[str]:
        """What is wrong with the letters that no entry has named."""
        for digest, kept in self._kept.items():
            if digest not in self._logged:
                yield f"the letter {digest[:12]} {'to' if kept.sent else 'from'} {kept.party} is in no entry of the log"
        yield from self._retractions.finish()

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
        filed = (kept.sent, kept.kind, kept.party, kept.agreement, kept.terms)
        if filed != (change == "send", kind, party, agreement, entry.leaf.terms):
            yield f"the letter {named[:12]} is kept as another one than this entry says"
        if (problem := self._find_problem(kept)) is not None:
            yield f"the letter {named[:12]}: {problem}"

    def _find_problem(self, kept: KeptLetter) -> str | None:
        try:
            sender = parse_letter(kept.envelope)[0].sender
            if sender not in self._chains:
                self._chains[sender] = [version.manifest for version in read_chain(self._transaction, sender)]
            letter = verify_kept_letter(kept.digest, kept.envelope, self._chains[sender])
        except (MalformedError, VerificationError) as error:
            return error.detail
        says = (letter.to if kept.sent else letter.sender, letter.kind.value, letter.agreement, letter.terms)
        if says != (kept.party, kept.kind, kept.agreement, kept.terms):
            return "it is filed under something that it does not say"
        return None

    def _note_recall(self, entry: ReplayedEntry, content: bytes) -> Iterator[str]:
        match parse_signed_json(content):
            case {"format": "comity-recall/1", "change": "withdraw" | "correct", "objects": list(listed)}:
                for item in listed:
                    match item:
                        case {"id": str(name), "version": str(version)}:
                            self._recalled.setdefault(name, set()).add(version)
                        case _:
                            yield "the content of this recall names something that is no version of an object"
            case {"format": "comity-recall/1", "change": "keep"}:
                return
            case {"format": "comity-retraction/1", "retraction": str(named), "objects": list(listed)}:
                yield from self._retractions.judge(Digest(named), entry)
                for name, version in _read_named(listed):
                    self._recalled.setdefault(name, set()).add(version)
            case _:
                yield "the content of this recall is not of the format that this version knows"

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
        names = {*self._recalled, *(name for consent in self._consents.values() for name, _ in consent.versions)}
        if not any(name.encode() in (entry.listing or content) for name in names):
            return
        listed: tuple[DisclosedObject, ...] = ()
        with suppress(MalformedError):  # what cannot be read is a finding of the replay
            said = parse_disclosure(content)
            listed = said.objects if said.listing is None else parse_listing(entry.listing)
        for item in listed:
            if item.version in self._recalled.get(item.id, ()):
                yield f"{item.id} was disclosed in the version {item.version} after it had been recalled"
            for consent in self._consents.values():
                if (
                    consent.recipient == entry.leaf.recipient
                    and (item.id, item.version) in consent.versions
                    and parse_instant(consent.until) <= entry.leaf.at
                ):
                    yield f"{item.id} was disclosed to {consent.recipient} when the consent to that had run out"


def _read_named(listed: Sequence[Json]) -> frozenset[tuple[str, str]]:
    """The versions that the content of a consent names."""
    return frozenset((str(item.get("id")), str(item.get("version"))) for item in listed if isinstance(item, dict))
