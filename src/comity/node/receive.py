# SPDX-License-Identifier: Apache-2.0
"""Shell: a page that was pulled from a partner becomes stored objects, in one act, with the receipt that shows it.

A crash leaves all of the page, its receipt and the place in the feed, or nothing of them.
"""

from dataclasses import dataclass

from comity.agreement.channels import Channel
from comity.ids import Digest, Instant, PartyId
from comity.node.delivery import keep_shown
from comity.node.ingest import Intake, Parts, join_intakes, read_in_steps, take_part
from comity.node.node import Node
from comity.node.steps import finish
from comity.release.delivery import Shown, verify_objects, verify_page
from comity.release.receiving import find_restrictions
from comity.stix.labels import make_tags
from comity.stix.objects import BundleReading
from comity.store import pulls
from comity.store.objects import Holding

__all__ = ["Received", "receive_page", "receive_shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One page of a partner's collection: the terms it came under and how far it brings this node in the feed."""

    giver: PartyId
    terms: Digest
    channel: Channel
    collection: str
    added_after: Instant | None


def receive_shown(node: Node, data: bytes, received: Received, shown: Shown) -> Intake:
    """`receive_page` of a page that the giver's receipt shows to be the one it disclosed; the receipt is kept with it.

    Raises:
        ReceiptRefused: the page is another than the receipt lists; nothing was kept.
        ConflictError: something else of this giver was taken in meanwhile; nothing was kept.
    """
    verify_page(shown.verified, data, terms=received.terms, channel=received.channel.id)
    return receive_page(node, data, received, shown=shown)


def receive_page(node: Node, data: bytes, received: Received, *, shown: Shown | None = None) -> Intake:
    """A partner's objects, taken in under its terms, and the place in its feed, in one transaction.

    The terms restrict what may become of them here (`release.receiving`). Whether the objects are within the scope of
    the terms is not checked here: the giver's log shows it if they are not. Without `shown` nothing is asked of the
    giver: what comes over the network comes by `receive_shown`.
    """
    read = finish(read_in_steps(BundleReading(data)))
    checked = read.checked
    if shown is not None:
        verify_objects(shown.verified, [item for item, _ in checked.good], checked.places)
    parts = Parts(read, most=None)
    restrictions = find_restrictions(received.channel, giver=received.giver, receiver=node.party)
    number = None if shown is None else shown.verified.sequence
    with node.act() as act:
        if shown is not None:
            keep_shown(act, shown, arrived=True)
        holding = Holding(originator=received.giver, received_under=received.terms, added_at=act.now, receipt=number)
        intake = take_part(act, parts, holding=holding, tags=make_tags(), restrictions=restrictions)
        if received.added_after is not None:
            pulls.set_position(act.transaction, received.giver, received.collection, received.added_after, now=act.now)
    return join_intakes([intake], read.checked.bad)
