# SPDX-License-Identifier: Apache-2.0
"""Pure: every disclosure of a log, decided again by the code that decided it.

    replay = Replay(PartyId("aurelia"), records, key=…)
    for entry in entries:                 # the whole log, in its order
        judged = replay.judge(entry)      # None for what is no disclosure

Each is decided with what was on record when it was made:

    agreement       the events that the log itself has before this entry, never what the entry says of itself
    time            that of the leaf
    policy, labels  the grounds on record with the entry (`release.grounds`), and the feed's floor with them
    objects         what is held of them: the bytes that left are these, or these without what the terms do not admit

A disclosure of before there were grounds is decided by the labels and the policy that are there at present: what those
refuse is no finding, as it may have been admitted then, but is counted as open.

Not here: that log, tiles and openings fit together (`audit`), and reading the store (`node.replay`).
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypedDict

from comity.agreement.channels import Channel
from comity.agreement.lifecycle import Standing, compute_standing, find_constancy
from comity.agreement.recognition import Recognised, Refusal, judge
from comity.agreement.terms import LegalBasis, Terms
from comity.canonical import parse_signed_json, sha256_digest
from comity.errors import DigestMismatch, MalformedError
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.release.contents import Disclosure, parse_disclosure, parse_listing
from comity.release.decision import Redact, Release, Withhold, decide, decide_gate
from comity.release.disclosure import DisclosedObject, EntryType, Leaf
from comity.release.grounds import Grounds, parse_grounds, tag_grounds
from comity.release.history import Threshold, admits_history, find_threshold
from comity.release.redaction import redact
from comity.release.said import find_unsaid
from comity.replayed import Agreement, Held, Judged, Records, ReplayedEntry
from comity.stix.labels import Label
from comity.stix.markings import TLP_IDS

__all__ = ["Replay"]

_MOST_PROBLEMS = 5
"""Of one disclosure: beyond them it is said how many there are."""

_GROUNDED = 3
"""The edition of a disclosure's format from which on there are grounds."""

_FOREVER = 2**63
_MOST_REMEMBERED = 10_000
"""Pages of which it is remembered what came of them."""


class _Named(TypedDict):
    title: str
    version: int


@dataclass(slots=True)
class _Progress:
    """How far the log has got with one agreement, and its standing there, as long as time changes nothing."""

    agreement: Agreement
    epoch: int = 0
    standing: tuple[int, Instant, Instant, Standing] | None = None

    def find_standing(self, at: Instant) -> Standing | None:
        """The standing at `at` by the events that the log has so far; None when it has none."""
        known = self.standing
        if known is not None and known[0] == self.epoch and known[1] <= at < known[2]:
            return known[3]
        said = [event for event in self.agreement.events[: self.epoch] if event is not None]
        named = {event.terms for event in said}
        versions = [terms for terms in self.agreement.versions if terms.hash in named]
        if not versions:
            return None
        standing = compute_standing(versions, said, now=at)
        self.standing = (self.epoch, *find_constancy(versions, said, now=at), standing)
        return standing


class _Decided(NamedTuple):
    """What came of a page, for every disclosure of it before something of it was purged or came from elsewhere.

    The first by the entry `until`, the second at the time `at_most`, which still counts as before. `by_consent` are the
    versions, of which something came from elsewhere, that may go to the recipient by consent alone.
    """

    problems: tuple[str, ...]
    open: tuple[str, ...]
    until: int
    at_most: Instant
    by_consent: tuple[tuple[ObjectId, str], ...]


@dataclass(slots=True)
class _Case:
    """One disclosure under way to its judgement."""

    position: int
    leaf: Leaf
    disclosure: Disclosure
    objects: tuple[DisclosedObject, ...]
    grounds: Grounds | None
    recipient: PartyId
    problems: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)


class Replay:
    """The disclosures of the log of `party`, judged in its order; `key` is that of the tags of grounds."""

    def __init__(self, party: PartyId, records: Records, *, key: bytes) -> None:
        self._party = party
        self._records = records
        self._key = key
        self._progress: dict[AgreementId, _Progress] = {}
        self._by_terms: dict[Digest, _Progress | None] = {}
        self._newest = 0
        # The same page given again under the same terms is decided as it was.
        self._decided: dict[tuple[object, ...], _Decided] = {}

    def judge(self, entry: ReplayedEntry) -> Judged | None:
        """What came of the entry; None where it is neither a disclosure nor an event that is not on record so.

        The entries before it must have been judged.
        """
        match entry.leaf.type:
            case EntryType.AGREEMENT_EVENT:
                problems = self._follow(entry)
                return self._refuse(entry, *problems) if problems else None
            case EntryType.DISCLOSURE:
                return self._judge_disclosure(entry)
            case EntryType.LOG_OPENING:
                self._newest = _GROUNDED  # whatever opens logs of relationships writes grounds
                return None
            case _:
                return None

    def _follow(self, entry: ReplayedEntry) -> tuple[str, ...]:
        """What is wrong with an event of the log: it must be the next one on record of its agreement."""
        progress = self._find_progress(entry.leaf.terms)
        if progress is None:
            return ("the terms of this event are not on record",)
        events, place = progress.agreement.events, progress.epoch
        progress.epoch += 1
        if place >= len(events):
            return ("the event is in the log and not on record",)
        event = events[place]
        if event is None:
            return ("the event that comes next on record of this agreement cannot be read",)
        if entry.content is None:
            return ()
        said = parse_signed_json(entry.content)
        if not isinstance(said, dict) or said.get("event") != event.digest:
            return (f"the event that comes next on record of this agreement is {event.digest}, another one",)
        return ()

    def _judge_disclosure(self, entry: ReplayedEntry) -> Judged:
        leaf = entry.leaf
        progress = self._find_progress(leaf.terms)
        if progress is None or leaf.recipient is None:
            return self._refuse(entry, "the terms of this disclosure are not on record")
        if entry.content is None:
            return Judged(
                position=entry.position,
                leaf=leaf,
                disclosure=None,
                agreement=progress.agreement,
                **_name(progress.agreement, leaf.terms),
                open=("its content was purged",),
            )
        try:
            case = self._open(entry, recipient=leaf.recipient)
        except MalformedError as error:
            return self._refuse(entry, f"what it says cannot be read: {error.detail}")
        bases = self._decide(case, progress)
        return Judged(
            position=entry.position,
            leaf=leaf,
            disclosure=case.disclosure,
            agreement=progress.agreement,
            **_name(progress.agreement, leaf.terms),
            bases=bases,
            problems=_shorten(case.problems),
            open=tuple(dict.fromkeys(case.open)),
        )

    def _open(self, entry: ReplayedEntry, *, recipient: PartyId) -> _Case:
        """The disclosure, its objects and its grounds, each held against what names it.

        Raises:
            MalformedJson: one of them cannot be read.
        """
        disclosure = parse_disclosure(entry.content or b"")
        objects = disclosure.objects if disclosure.listing is None else _read_listing(entry.listing)
        grounds = None if entry.grounds is None else _read_grounds(entry.grounds)
        case = _Case(entry.position, entry.leaf, disclosure, objects, grounds, recipient)
        if disclosure.edition < self._newest:
            case.problems.append(
                f"it is in the format comity-disclosure/{disclosure.edition}, and comity-disclosure/{self._newest} was"
                " written by then"
            )
        self._newest = max(self._newest, disclosure.edition)
        if entry.leaf.count != len(objects):
            case.problems.append(f"the leaf counts {entry.leaf.count} objects, and {len(objects)} are listed")
        tag = "" if entry.grounds is None else self._tag(entry, disclosure)
        if not hmac.compare_digest(tag, disclosure.grounds or ""):
            case.problems.append("the grounds are not those that the disclosure names")
            case.grounds = None
        if grounds is not None and grounds.of and len(grounds.of) != len(objects):
            case.problems.append("the grounds speak of another number of objects")
            case.grounds = None
        return case

    def _tag(self, entry: ReplayedEntry, disclosure: Disclosure) -> Digest:
        grounds, listing = sha256_digest(entry.grounds or b""), disclosure.listing or sha256_digest(b"")
        return tag_grounds(self._key, grounds, at=entry.leaf.at, listing=listing)

    def _decide(self, case: _Case, progress: _Progress) -> tuple[LegalBasis, ...]:
        """The bases on which it was given; problems are left in the case."""
        standing = progress.find_standing(case.leaf.at)
        if case.disclosure.epoch != progress.epoch:
            case.problems.append(
                f"{progress.epoch} events of the agreement are in the log before it, and it was decided by"
                f" {case.disclosure.epoch}"
            )
        if standing is None or standing.current is None or standing.current.hash != case.leaf.terms:
            said = "nothing was on record" if standing is None else standing.sentence
            case.problems.append(f"its terms were not those in force: {said}")
            return ()
        channel = standing.current.channel(case.disclosure.channel)
        if channel is None:
            case.problems.append(f"its terms have no channel {case.disclosure.channel}")
            return ()
        bases = self._ask_gate(case, standing, channel)
        self._decide_objects(case, standing.current, channel)
        return bases

    def _ask_gate(self, case: _Case, standing: Standing, channel: Channel) -> tuple[LegalBasis, ...]:
        terms, at = standing.current or standing.latest, case.leaf.at
        cited = (*terms.legal_bases, *standing.joining_bases(self._party))
        recognition = self._recognise(case, standing, terms)
        if recognition is None:
            recognition = Recognised(bases=tuple(basis for basis in cited if basis.party == self._party))
        withheld = decide_gate(standing, recognition, channel=channel, giver=self._party, receiver=case.recipient)
        if withheld is not None:
            case.problems.append(f"{withheld.clause}: {withheld.reason}")
        concerned = (standing.members & {self._party, case.recipient} | terms.founders) - standing.left
        for party in sorted(concerned):
            if not self._records.is_vouched_for(party, at):
                case.problems.append(f"parties: no manifest of {party} that was in force there was good at that time")
        return recognition.bases if isinstance(recognition, Recognised) else ()

    def _recognise(self, case: _Case, standing: Standing, terms: Terms) -> Recognised | Refusal | None:
        """What this party's policy said of the terms; None, and noted as open, where that cannot be told any more."""
        try:
            policy = self._records.find_policy(None if case.grounds is None else case.grounds.policy)
        except DigestMismatch as error:
            case.problems.append(f"legal_bases: {error.detail}")
            return None
        if policy is None:
            case.open.append("the policy that it was decided by is gone")
            return None
        joining = standing.joining_bases(self._party)
        found = judge(policy, terms, party=self._party, now=case.leaf.at, joining=joining, towards=case.recipient)
        if case.grounds is None and isinstance(found, Refusal):
            case.open.append("no grounds are on record, and the policy of the present does not recognise the terms")
            return None
        return found

    def _decide_objects(self, case: _Case, terms: Terms, channel: Channel) -> None:
        said = case.disclosure
        key = (terms.hash, channel.id, case.recipient, said.listing, case.grounds)
        decided = self._decided.get(key) if said.listing is not None else None
        if decided is None or case.position >= decided.until or case.leaf.at > decided.at_most:
            page = _Page(case, terms, channel, party=self._party, records=self._records)
            for place, item in enumerate(case.objects):
                page.decide(place, item)
            decided = page.conclude()
            if len(self._decided) >= _MOST_REMEMBERED:
                self._decided.clear()
            self._decided[key] = decided
        case.problems.extend(decided.problems)
        case.open.extend(decided.open)
        for name, version in decided.by_consent:
            if not self._records.is_granted(name, version, case.recipient):
                case.problems.append(
                    f"{name} {version}: neither the terms it came under nor a consent let it go to {case.recipient}"
                )

    def _find_progress(self, terms: Digest | None) -> _Progress | None:
        if terms is None:
            return None
        if terms not in self._by_terms:
            found = self._records.find_agreement(terms)
            self._by_terms[terms] = (
                None if found is None else self._progress.setdefault(found.id, _Progress(agreement=found))
            )
        return self._by_terms[terms]

    @staticmethod
    def _refuse(entry: ReplayedEntry, *problems: str) -> Judged:
        return Judged(position=entry.position, leaf=entry.leaf, disclosure=None, problems=problems)


class _Page:
    """The objects of one disclosure, decided again one by one; what comes of it holds before the entry `until`."""

    def __init__(self, case: _Case, terms: Terms, channel: Channel, *, party: PartyId, records: Records) -> None:
        self._case = case
        self._scope = channel.scope_for(party)
        self._records = records
        self._held = records.find_held([item.id for item in case.objects])
        missing = [place for item in case.objects if (place := (item.id, item.version)) not in self._held]
        self._deleted = records.find_deleted(missing) if missing else {}
        later = [stone.last for stone in self._deleted.values() if stone.last > case.position]
        self.until = min(later, default=_FOREVER)
        later_ways = [way.at for held in self._held.values() for way in held.came if way.at >= case.leaf.at]
        self.at_most = min(later_ways, default=Instant(_FOREVER))
        grounds, joined = case.grounds, case.recipient not in terms.founders
        self._threshold = (
            Threshold() if grounds is None else find_threshold(channel.history, floor=grounds.floor, joined=joined)
        )
        self.problems: list[str] = []
        self.open: list[str] = []
        self.by_consent: dict[tuple[ObjectId, str], None] = {}
        if grounds is None:
            self.open.append("no grounds are on record: it was decided again by what there is at present")

    def decide(self, place: int, item: DisclosedObject) -> None:
        """Decide the object at `place` again; what is found is left in `problems` and `open`."""
        held = self._held.get((item.id, item.version))
        if held is None and not self._is_deleted(item):
            return
        grounds = self._case.grounds
        if grounds is not None and held is not None and held.label != grounds.label_of(place):
            # A label follows what comes in later. That it was this one then is its giver's word, and on record.
            self.open.append("objects of it have another label at present than the one it was decided by")
        digest = grounds.label_of(place) if grounds is not None else held.label if held is not None else None
        try:
            label = None if digest is None else self._records.find_label(digest)
        except DigestMismatch as error:
            self.problems.append(f"{item.id}: {error.detail}")
            return
        if label is None:
            self.open.append("labels that it was decided by are gone with the last object that had them")
            return
        self._judge(item, held, label)

    def _is_deleted(self, item: DisclosedObject) -> bool:
        """Whether a version that is not held was deleted on record since; what does not fit is a problem."""
        stone = self._deleted.get((item.id, item.version))
        if stone is None:
            self.problems.append(f"{item.id} {item.version} was given and is neither held nor deleted on record")
            return False
        if stone.last < self._case.position:
            self.problems.append(f"{item.id} {item.version} was given after its purge, and is not held")
            return False
        if item.digest is not None and not item.redacted and stone.digests and item.digest not in stone.digests:
            self.problems.append(f"{item.id} {item.version}: other bytes left than those that its purge names")
        self.open.append("objects of it were deleted since, so that their bytes cannot be read")
        return True

    def _judge(self, item: DisclosedObject, held: Held | None, label: Label) -> None:
        decision = decide(self._scope, label, recipient=self._case.recipient)
        match decision:
            case Withhold(clause=clause, reason=reason):
                if self._case.grounds is None:
                    self.open.append("no grounds are on record, and by the labels of the present it would be withheld")
                else:
                    self.problems.append(f"{item.id}: {clause}: {reason}")
            case Release() | Redact():
                if held is not None:
                    self._compare(item, held, decision)
        if held is not None:
            self._judge_held(item, held, label)

    def _judge_held(self, item: DisclosedObject, held: Held, label: Label) -> None:
        """Hold the label that it was decided by against its bytes, and against the terms that it came under."""
        problem = "its bytes are no object" if held.said is None else find_unsaid(held.said, label)
        if held.digest != held.kept_as:
            problem = "its bytes are not those of the digest that they are kept under"
        for way in held.came if item.id not in TLP_IDS else ():
            if way.at >= self._case.leaf.at:
                continue
            bounds = self._records.find_bounds(way)
            if bounds is None:
                problem = f"it came from {way.giver} under terms that are not on record"
            elif not bounds.excluded <= label.excluded_frameworks:
                problem = f"it came under terms that exclude {min(bounds.excluded - label.excluded_frameworks)}"
            elif label.audience is None:
                problem = "it had come from elsewhere before, and the label restricts it to nobody"
            elif self._case.recipient not in bounds.onward_to:
                self.by_consent[item.id, item.version] = None
        if problem is not None:
            self.problems.append(f"{item.id} {item.version}: {problem}")

    def conclude(self) -> _Decided:
        """What came of all of them."""
        return _Decided(
            problems=tuple(self.problems),
            open=tuple(dict.fromkeys(self.open)),
            until=self.until,
            at_most=self.at_most,
            by_consent=tuple(self.by_consent),
        )

    def _compare(self, item: DisclosedObject, held: Held, decision: Release | Redact) -> None:
        """Hold what left against what is held, and when that came in against what the terms admit of the past."""
        if not admits_history(self._threshold, first_seq=held.first_seq, added_at=held.added_at):
            self.problems.append(f"{item.id}: history: it came in before what the terms admit")
        digest, redacted = self._make(item, held, decision)
        if (item.digest is not None and item.digest != digest) or item.redacted != redacted:
            if self._case.grounds is None:
                self.open.append("no grounds are on record, and by the labels of the present other bytes would leave")
            else:
                self.problems.append(f"{item.id} {item.version}: other bytes left than the decision lets go")

    def _make(self, item: DisclosedObject, held: Held, decision: Release | Redact) -> tuple[Digest, tuple[str, ...]]:
        """What the decision lets go: the digest of the bytes, and what is removed from them."""
        if isinstance(decision, Release):
            return held.digest, ()
        if item.digest is None:
            return held.digest, tuple(sorted(decision.properties))  # ids alone left: these would be removed
        left = redact(self._records.read_body(item.id, item.version), decision.properties, only=decision.only)
        return sha256_digest(left.data), left.removed


# The same page stands behind many disclosures.
_read_listing = lru_cache(maxsize=8)(parse_listing)
_read_grounds = lru_cache(maxsize=8)(parse_grounds)


def _name(agreement: Agreement, terms: Digest | None) -> _Named:
    found = next((version for version in agreement.versions if version.hash == terms), agreement.versions[-1])
    return {"title": found.title, "version": found.version}


def _shorten(problems: Sequence[str]) -> tuple[str, ...]:
    more = len(problems) - _MOST_PROBLEMS
    return (*problems[:_MOST_PROBLEMS], *([f"and {more} more of the same disclosure"] if more > 0 else []))
