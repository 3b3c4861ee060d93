# SPDX-License-Identifier: Apache-2.0
"""Shell: sources, TAXII 2.1 servers that are no nodes and feeds of MISP; and what becomes of a page that one gave.

Nobody signed anything with a source, so this party says by itself what it may do with what comes: terms of receipt
(`agreement.receiving`), put on record by two people. Without such a record nothing is asked for. What the record does
not let in, and what is no good object, is counted and not kept; the rest is held as received under it: from the
originator that stands for the source, for this party and those listed, for as long as the record says.

What the record does not let in, since it is marked more strictly than before, holds what is held of it back.

A long page is taken in by several acts, so that others get a turn in between, as if the source had given it as several:
the place in the collection goes on with the last one. A crash leaves those before it, and the page comes again.
"""

import os
import stat
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from comity.agreement.people import make_matter
from comity.agreement.receiving import ReceiptTerms, convert_receipt_terms, parse_receipt_terms
from comity.agreement.recognition import Refusal
from comity.canonical import Json, parse_signed_json, sha256_digest
from comity.errors import ConfigError, ConflictError, MalformedObject, MalformedRequest, NotFoundError
from comity.ids import Instant, ObjectId, parse_party_id
from comity.intake.records import Unread
from comity.node.allowance import note_used
from comity.node.audiences import NO_AUDIENCES, Audiences
from comity.node.definitions import find_definitions, find_given
from comity.node.follow import Followed, Progress
from comity.node.ingest import Intake, join_intakes, take_part, tighten_earlier
from comity.node.labelling import Labelling
from comity.node.node import Act, Node
from comity.node.parts import Parts, ReadBundle
from comity.node.people import Actor, Approved, Waiting, approve
from comity.node.reading import read_in_steps
from comity.node.steps import Steps
from comity.release.disclosure import EntryType, format_source_content
from comity.release.receiving import find_unfit, restrict_received
from comity.stix.labels import Label, make_tags
from comity.stix.markings import read_markings
from comity.stix.objects import BadObject, BundleReading, StixObject
from comity.stix.parts import weigh
from comity.stix.worded import narrow_to
from comity.store import Transaction, parties, pulls, sources, statuses
from comity.store.objects import Holding
from comity.store.sources import MISP, TAXII, StoredSource, WithheldThere
from comity.store.statuses import Unkept

__all__ = [
    "BESIDE_BYTES",
    "MISP",
    "SCHEMES",
    "TAXII",
    "Event",
    "Source",
    "StoredSource",
    "WithheldThere",
    "add_source",
    "drop_source",
    "find_source",
    "list_followed_sources",
    "list_sources",
    "list_withheld",
    "name_source",
    "note_unread",
    "read_authorization",
    "read_due_events",
    "read_progress",
    "receive_in_steps",
]

SCHEMES = ("basic", "bearer")
_MAX_SOURCES = 256
_MAX_CREDENTIAL = 4_096
_MAX_SHOWN = 300
_MOST_BAD = 1_000
"""Bad objects of a source that are listed one by one; beyond that they are counted."""

BESIDE_BYTES = 384 * 1024
"""A page of up to so many is taken apart object by object, whatever stands in them: that takes a quarter of a second at
most. Beside the objects of a longer one, which has to be JSON, no more may stand."""

_PART_OBJECTS = 250
"""Objects of a page in one act, as of an envelope that a partner writes (`node.accept`)."""

_OVERTAKES = frozenset({"ceiling", "marking"})
"""Why a version is not taken in that says more strictly of its object than what is older."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source, and its record as it is read."""

    stored: StoredSource
    terms: ReceiptTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event that a feed of MISP lists: its UUID, and its time in seconds since 1970."""

    uuid: str
    at: int


def add_source(node: Node, wanted: StoredSource, toml: bytes, *, by: Actor) -> Source | Waiting | Refusal:
    """The source, followed from here on under the terms of receipt in `toml`; or what that still lacks.

    Of `wanted` the record and its document are made here. A source of that name goes on under the new record; what came
    before stays under the one it came under.

    Raises:
        MalformedTerms, MalformedRequest: the record, the name or the URL.
        ConfigError: the credential cannot be used.
        ConflictError: the originator is a party of its own, or there are too many sources.
    """
    parse_party_id(wanted.name)
    document = convert_receipt_terms(toml, party=node.party)
    stored = replace(wanted, url=_check_url(wanted.url), document=document, record=sha256_digest(document))
    source = Source(stored=stored, terms=parse_receipt_terms(document, party=node.party))
    read_authorization(node, stored)  # so that a bad one is told here
    with node.act() as act:
        if parties.read_party(act.transaction, source.terms.originator) is not None:
            raise ConflictError(
                f"{source.terms.originator} is a party that is pinned here, and speaks for itself: name another as"
                " originator, which stands for the source alone"
            )
        if len(sources.list_sources(act.transaction)) >= _MAX_SOURCES:
            raise ConflictError(f"{_MAX_SOURCES} sources are followed here, which is the bound")
        decided = approve(act, by, make_matter("source", agreement=None, facts=_describe(stored)))
        if not isinstance(decided, Approved):
            return decided
        sources.put_source(act.transaction, stored, now=act.now)
        _record(act, stored, decided, followed=True)
    return source


def drop_source(node: Node, name: str, *, by: Actor) -> StoredSource | Waiting | Refusal:
    """The source, which is followed no more. What came from it stays, under its record.

    Raises:
        NotFoundError: there is none of that name.
    """
    with node.act() as act:
        stored = _find(act.transaction, name)
        facts: dict[str, Json] = {"name": name, "url": stored.url, "collection": stored.collection}
        decided = approve(act, by, make_matter("drop-source", agreement=None, facts=facts))
        if not isinstance(decided, Approved):
            return decided
        sources.delete_source(act.transaction, name)
        _record(act, stored, decided, followed=False)
    return stored


def find_source(node: Node, name: str) -> Source:
    """The source of that name.

    Raises:
        NotFoundError: there is none, so that nothing is taken in.
    """
    with node.store.read() as transaction:
        stored = _find(transaction, name)
    return Source(stored=stored, terms=parse_receipt_terms(stored.document, party=node.party))


def list_sources(node: Node) -> list[Source]:
    """All that are followed, by name."""
    with node.store.read() as transaction:
        found = sources.list_sources(transaction)
    return [Source(stored=each, terms=parse_receipt_terms(each.document, party=node.party)) for each in found]


def list_withheld(node: Node, name: str) -> list[WithheldThere]:
    """What the source gave that its record does not let in."""
    with node.store.read() as transaction:
        return sources.list_withheld(transaction, name)


def list_followed_sources(node: Node) -> list[Followed]:
    """How it stands with each source, as with a channel: its name in the place of the giver."""
    return [_describe_followed(node, source) for source in list_sources(node)]


def name_source(name: str) -> str:
    """What stands in the place of a giver for the source of that name: no party is called so."""
    return f"source:{name}"


def read_authorization(node: Node, source: StoredSource) -> str | None:
    """What is shown to the source, as the value of the header; None: nothing.

    Raises:
        ConfigError: the file with the credential cannot be read, can be read by others, or holds none.
    """
    if source.credential is None:
        return None
    path = node.folder / source.credential
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_MAX_CREDENTIAL + 1).strip()
    except OSError as error:
        raise ConfigError(f"{path}: the credential for {source.name} cannot be read ({error})") from error
    if mode & 0o077:
        raise ConfigError(f"{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")
    fits = data.isascii() and 0 < len(data) <= _MAX_CREDENTIAL and data.decode("latin-1").isprintable()
    if not fits or (source.scheme == "basic" and b":" not in data):
        raise ConfigError(f"{path} does not hold a credential in one line: USER:PASSWORD for basic, a token for bearer")
    return f"Basic {b64encode(data).decode()}" if source.scheme == "basic" else f"Bearer {data.decode()}"


def receive_in_steps(
    node: Node,
    source: Source,
    data: bytes,
    *,
    position: Instant | None,
    event: Event | None = None,
    audiences: Audiences = NO_AUDIENCES,
) -> Steps[Intake]:
    """What became of a page of a source, and its place in the collection.

    `position` is the `date_added` up to which everything came with it; None where that is not known yet. Of a feed of
    MISP a page is one `event`; `audiences` narrow whom the record lets have its objects.

    Raises:
        MalformedJson, MalformedObject: the page as a whole; nothing was kept.
        NotFoundError: the source is followed no more, or under another record; what came in while it was is kept.
    """
    reading = BundleReading(data, beside=BESIDE_BYTES)
    yield
    read = yield from read_in_steps(reading, compares=True)
    intakes, parts = list[Intake](), _divide(read)
    for number, part in enumerate(parts, start=1):
        yield
        with node.act() as act:
            if _find(act.transaction, source.stored.name).record != source.stored.record:
                raise NotFoundError(f"the record of {source.stored.name} is another one by now; ask again")
            intakes.append(_take_part(act, source, part, audiences))
            if number == len(parts):
                _finish_page(act, source, read, intakes, size=len(data))
                _note_place(act, source.stored.name, position=position, event=event)
    return join_intakes(intakes, read.checked.bad)


def _divide(read: ReadBundle) -> list[ReadBundle]:
    """The page in parts of so many objects in its order; one at least, which may be empty.

    Marking definitions are first: what is marked by a statement is understood wherever in the page that stands.
    """
    bundle, parts, weight = read.checked, list[list[int]]([[]]), 0
    order = sorted(range(len(bundle.good)), key=lambda index: bundle.good[index][0].type != "marking-definition")
    for index in order:
        more = weigh(bundle.good[index][0])
        if parts[-1] and weight + more > _PART_OBJECTS:
            parts.append([])
            weight = 0
        parts[-1].append(index)
        weight += more
    return [_choose(read, part) for part in parts]


def _choose(read: ReadBundle, chosen: Sequence[int]) -> ReadBundle:
    """The page with these of its good objects alone."""
    bundle = read.checked
    good, places = [bundle.good[index] for index in chosen], [bundle.places[index] for index in chosen]
    others = {place: read.others[place] for place in places if place in read.others}
    return replace(read, checked=replace(bundle, good=tuple(good), places=tuple(places)), others=others)


def _find_given(part: ReadBundle) -> Mapping[ObjectId, str]:
    """The statements in a part."""
    return find_given(part.checked.good, [other[:2] for others in part.others.values() for other in others])


def _take_part(act: Act, source: Source, part: ReadBundle, audiences: Audiences) -> Intake:
    """What became of the objects of a part."""
    terms = source.terms
    holding = Holding(originator=terms.originator, received_under=terms.hash, added_at=act.now)
    named = {ref for item, _ in part.checked.good for ref in item.references if ref.startswith("marking-definition--")}
    definitions = find_definitions(act.transaction, named, _find_given(part), holding)
    restrictions = restrict_received(terms, receiver=act.party)
    kept, unfit, overtaking = list[int](), list[tuple[StixObject, Label]](), list[StixObject]()
    withheld: dict[str, tuple[int, str]] = {}
    labels = Labelling(definitions, tags=make_tags(), restrictions=restrictions, sensitive={}, others={})
    for index, (item, value) in enumerate(part.checked.good):
        reason = find_unfit(terms, item.type, read_markings(value, definitions=definitions))
        if reason is None:
            kept.append(index)
            continue
        withheld[reason] = withheld.get(reason, (0, ""))[0] + 1, item.id
        if reason in _OVERTAKES:
            overtaking.append(item)
        with suppress(MalformedObject):  # what cannot be labelled is not kept, and says nothing of what is
            unfit.append((item, narrow_to(labels.make(item, value), audiences.get(item.id))))
    intake = take_part(
        act,
        Parts(_choose(part, kept), most=None),
        holding=holding,
        tags=make_tags(),
        restrictions=restrictions,
        audiences=audiences,
    )
    tighten_earlier(act, unfit, overtaking=overtaking, holding=holding)
    sources.add_withheld(act.transaction, source.stored.name, withheld, now=act.now)
    if intake.added:
        pulls.note_taken(act.transaction, name_source(source.stored.name), source.stored.collection, now=act.now)
    note_used(act, name_source(source.stored.name), size=0, objects=len(intake.kept))
    return intake


def _finish_page(act: Act, source: Source, read: ReadBundle, intakes: Sequence[Intake], *, size: int) -> None:
    """Count the bytes of a page that brought anything, and what of it is bad."""
    name = source.stored.name
    if any(intake.kept for intake in intakes):
        note_used(act, name_source(name), size=size)
    if bad := [*read.checked.bad, *(one for intake in intakes for one in intake.bad)]:
        shown = f"{bad[-1].id or bad[-1].where}: {bad[-1].detail}"[:_MAX_SHOWN]
        sources.add_withheld(act.transaction, name, {"bad": (len(bad), shown)}, now=act.now)
        _note_bad(act, source, bad, versions=read.versions)


def _note_place(act: Act, name: str, *, position: Instant | None, event: Event | None) -> None:
    """All of the page has come: what is asked of the source next is what is behind it."""
    if event is not None:
        sources.put_event(act.transaction, name, event.uuid, event.at)
    if position is not None:
        sources.set_position(act.transaction, name, position, now=act.now)


def note_unread(node: Node, source: Source, event: Event, unread: Collection[Unread]) -> None:
    """Count what could not be read of an event, and what is lost with it, as bad; it is not asked for again."""
    if unread:
        *_, last = unread
        with node.act() as act:
            shown = f"{event.uuid}{last.place}: {last.reason}"[:_MAX_SHOWN]
            sources.add_withheld(act.transaction, source.stored.name, {"bad": (len(unread), shown)}, now=act.now)
            sources.put_event(act.transaction, source.stored.name, event.uuid, event.at)


def read_due_events(node: Node, source: Source, listed: Mapping[str, int]) -> list[Event]:
    """Those that a feed lists which did not come yet, or are later than what came: the oldest first."""
    with node.store.read() as transaction:
        taken = sources.read_events(transaction, source.stored.name)
    due = [Event(uuid=uuid, at=at) for uuid, at in listed.items() if at > taken.get(uuid, -1)]
    return sorted(due, key=lambda event: (event.at, event.uuid))


def _note_bad(act: Act, source: Source, bad: Sequence[BadObject], *, versions: Mapping[int, str]) -> None:
    """List each bad object once, with why, for this party's people; of a source that has too many the first ones."""
    terms = source.terms
    listed = statuses.list_unkept(act.transaction, limit=_MOST_BAD)
    known = {(item.id, item.version, item.reason) for item in listed if item.giver == terms.originator}
    for item in bad:
        name, version = item.id or ObjectId(""), versions.get(item.index, "")
        reason = f"{item.where}: {item.detail}"[:_MAX_SHOWN] if item.id is None else item.detail[:_MAX_SHOWN]
        if (name, version, reason) not in known and len(known) < _MOST_BAD:
            known.add((name, version, reason))
            entry = Unkept(
                at=act.now,
                giver=terms.originator,
                terms=terms.hash,
                channel=source.stored.collection,
                id=name,
                version=version,
                reason=reason,
            )
            statuses.add_unkept(act.transaction, entry)


def _find(transaction: Transaction, name: str) -> StoredSource:
    stored = sources.read_source(transaction, name)
    if stored is None:
        raise NotFoundError(f"no source {name!r} is followed here; `source list` shows those that are")
    return stored


def _check_url(url: str) -> str:
    """The URL of an API root, with its last slash.

    Raises:
        MalformedRequest: it is none that a credential may be shown at.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise MalformedRequest(f"{url[:200]!r} is not a URL ({error})", where="--url") from error
    plain = parts.scheme == "http" and host in _LOOPBACK
    if not host or not (plain or parts.scheme == "https") or parts.username or parts.query or parts.fragment:
        raise MalformedRequest(
            f"{url[:200]!r} is not the URL of an API root: it begins with https:// (or http:// on this machine) and has"
            " no user, query or fragment",
            where="--url",
        )
    return url.rstrip("/") + "/"


def _describe(stored: StoredSource) -> dict[str, Json]:
    """What people approve: the record itself, and what it is for."""
    return {
        "name": stored.name,
        "url": stored.url,
        "collection": stored.collection,
        "kind": stored.kind,
        "record": stored.record,
        "says": parse_signed_json(stored.document),
    }


def _record(act: Act, stored: StoredSource, decided: Approved, *, followed: bool) -> None:
    content = format_source_content(
        stored.name,
        url=stored.url,
        collection=stored.collection,
        record=stored.record if followed else None,
        approvals=decided.approvals,
    )
    act.record(EntryType.SOURCE, content, terms=None, recipient=None, count=1)


def read_progress(node: Node, stored: StoredSource) -> Progress:
    """How it stands with the source."""
    with node.store.read() as transaction:
        return pulls.read_progress(transaction, name_source(stored.name), stored.collection)


def _describe_followed(node: Node, source: Source) -> Followed:
    stored = source.stored
    return Followed(
        giver=name_source(stored.name),
        agreement=stored.record,
        title=source.terms.title,
        channel=stored.collection,
        collection=stored.collection,
        position=stored.position,
        progress=read_progress(node, stored),
        closed=None,
    )
