# SPDX-License-Identifier: Apache-2.0
"""Shell: a page that was pulled from a partner becomes stored objects, in one act, with the receipt that shows it.

A crash leaves all of the page, its receipt and the place in the feed, or nothing of them.
"""

from dataclasses import dataclass
from functools import partial

from comity.agreement.channels import Channel
from comity.errors import ConflictError, MalformedError, ReceiptRefused
from comity.ids import Digest, Instant, PartyId
from comity.node.accept import note_unkept
from comity.node.allowance import note_used
from comity.node.delivery import RefusedPage, keep_shown
from comity.node.ingest import Intake, join_intakes, take_part
from comity.node.node import Act, Node
from comity.node.parts import Parts, ReadBundle
from comity.node.reading import read_in_steps
from comity.node.standing import find_places
from comity.node.steps import Steps, finish
from comity.release.contents import Listing, list_whole
from comity.release.delivery import Shown, verify_objects, verify_page
from comity.release.receipt import format_receipt
from comity.release.receiving import find_outside, find_restrictions
from comity.stix.labels import make_tags
from comity.stix.objects import MAX_BUNDLE_OBJECTS, BundleReading
from comity.store import pulls, receipts
from comity.store.changes import read_changes
from comity.store.objects import Holding

__all__ = ["ReadPage", "Received", "read_page", "receive_in_steps", "receive_page", "receive_shown"]


_UNKEPT_BYTES = 512
"""About what is kept of a version that clashes or may not come: its id and version, from whom, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One page of a partner's collection: the terms it came under and how far it brings this node in the feed."""

    giver: PartyId
    terms: Digest
    channel: Channel
    collection: str
    added_after: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPage:
    """A page as it came, read; nothing of it is kept, nor shown to be what its giver disclosed.

    `read` is what is wrong with it where it is no page at all. `listing` is what lists it where every object of it is
    good and comes once.
    """

    data: bytes
    read: ReadBundle | MalformedError
    listing: Listing | None


def read_page(data: bytes, *, most: int = MAX_BUNDLE_OBJECTS) -> Steps[ReadPage]:
    """The page, read in steps; over `most` objects are no page."""
    try:
        reading = BundleReading(data, most=most)
        read = yield from read_in_steps(reading)
    except MalformedError as error:
        return ReadPage(data=data, read=error, listing=None)
    good = read.checked.good
    whole = len(good) == reading.count
    return ReadPage(data=data, read=read, listing=list_whole(item for item, _ in good) if whole else None)


def receive_shown(node: Node, data: bytes, received: Received, shown: Shown) -> Intake:
    """`receive_page` of a page that the giver's receipt shows to be the one it disclosed; the receipt is kept with it.

    Raises:
        ReceiptRefused: the page is another than the receipt lists, or none at all; nothing was kept.
        ConflictError: something else of this giver was taken in meanwhile, or this party or another has stopped since
            the page was asked for; nothing was kept.
    """
    return finish(receive_in_steps(node, finish(read_page(data)), received, shown))


def receive_page(node: Node, data: bytes, received: Received) -> Intake:
    """A partner's objects, taken in under its terms, and the place in its feed, in one transaction.

    The terms restrict what may become of them here (`release.receiving`). What shows by itself that they did not let it
    come is not kept, and the rest of the page is; what only its giver's people know of an object is not checked here,
    and the giver's log shows it. Nothing is asked of the giver here: what comes over the network comes by
    `receive_in_steps`, with a receipt.
    """
    return finish(receive_in_steps(node, finish(read_page(data)), received, None))


def receive_in_steps(node: Node, page: ReadPage, received: Received, shown: Shown | None) -> Steps[Intake]:
    """`receive_shown`, or without a receipt `receive_page`, of a page that was read; one act is the last step.

    Raises: as they do.
    """
    if shown is not None:
        terms, channel = received.terms, received.channel.id
        verify_page(shown.verified, page.data, terms=terms, channel=channel, listing=page.listing)
    read = page.read
    if isinstance(read, MalformedError):
        if shown is None:
            raise read
        said = f"page: it is the one that its receipt lists, and no page that can be taken in: {read.detail}"
        raise ReceiptRefused(said, part="page") from read
    checked = read.checked
    if shown is not None:
        verify_objects(shown.verified, [item for item, _ in checked.good], checked.places)
    yield
    return _take(node, read, received, shown, size=len(page.data))


def _take(node: Node, read: ReadBundle, received: Received, shown: Shown | None, *, size: int) -> Intake:
    checked = read.checked
    parts = Parts(read, most=None)
    restrictions = find_restrictions(received.channel, giver=received.giver, receiver=node.party)
    outside = partial(find_outside, channel=received.channel, giver=received.giver, receiver=node.party)
    number = None if shown is None else shown.verified.sequence
    with node.act() as act:
        if shown is not None:
            _check_open(node, act, received)
            keep_shown(act, shown, arrived=True)
        holding = Holding(originator=received.giver, received_under=received.terms, added_at=act.now, receipt=number)
        intake = take_part(act, parts, holding=holding, tags=make_tags(), restrictions=restrictions, outside=outside)
        note_unkept(act, checked, intake, giver=received.giver, terms=received.terms, channel=received.channel.id)
        if shown is not None and intake.outside:
            _keep_outside(act, received, shown, intake)
        new = len(checked.good) - intake.known - len(intake.bad)
        note_used(act, received.giver, size=size if new > 0 else 0, objects=max(new, 0))
        note_used(act, received.giver, size=_UNKEPT_BYTES * len(intake.clashing | intake.outside))
        if received.added_after is not None:
            pulls.set_position(act.transaction, received.giver, received.collection, received.added_after, now=act.now)
    return join_intakes([intake], read.checked.bad)


def _check_open(node: Node, act: Act, received: Received) -> None:
    """Nothing, while the terms that the page was asked for under still let its giver give here.

    Raises:
        ConflictError: they do not any more.
    """
    changes = read_changes(act.transaction)
    places = find_places(node, act.transaction, giver=received.giver, recipient=node.party, changes=changes)
    place = places.get(received.collection)
    standing = None if place is None else place[0].standing(now=act.now)
    current = None if standing is None else standing.current
    if standing is None or current is None or current.hash != received.terms:
        why = "others are in force"
    elif (obstacle := standing.obstacle(received.channel, received.giver, node.party)) is not None:
        why = obstacle.reason
    else:
        return
    raise ConflictError(
        f"nothing of a page of {received.giver} was kept: it was asked for under the terms {received.terms}, and since"
        f" then {why}; pull again when something may come"
    )


def _keep_outside(act: Act, received: Received, shown: Shown, intake: Intake) -> None:
    """The giver's signed list of what it gave, as evidence: of what was not to be given nothing else is kept."""
    strayed = [one for one in intake.bad if one.index in intake.outside]
    first, more = strayed[0], len(strayed) - 1
    evidence = RefusedPage(
        at=act.now,
        giver=received.giver,
        terms=received.terms,
        channel=received.channel.id,
        part="scope",
        reason=f"scope: {first.id} is {first.detail}" + (f"; and {more} more objects of this page" if more else ""),
        page=b"",
        receipt=format_receipt(shown.receipt),
        proof=b"",
    )
    receipts.add_refused(act.transaction, evidence)
