# SPDX-License-Identifier: Apache-2.0
"""Shell: what grants of consent do here: the audience of a version grows by whom its giver granted, while that is good.

A label says at every moment whom grants let have the object; the decision reads labels alone. So a grant begins in the
transaction that takes it, and one whose time has passed ends in the transaction of the next poll, before anything is
decided (`end_run_out`), whether anything else has run or not. Each beginning and each end is an entry of the log.

A version that came several ways may go to one more party only as far as each of the ways lets it: its giver has listed
that party, or has granted it for this version under that agreement. What refers to something else stays bound by that:
the labels that count are joined as ever (`node.relabel`).

What was this party's own before it came in any way reaches nobody more by a grant: its own audience binds, and goes on
to its next version.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from comity.ids import Digest, ObjectId, PartyId
from comity.node.bounds import read_every_way, read_onward
from comity.node.node import Act, Node
from comity.node.relabel import relabel
from comity.release.disclosure import DisclosedObject, EntryType
from comity.release.letters import format_consent
from comity.stix.labels import admit_to
from comity.store import Transaction, agreements, consents, objects
from comity.store.arrivals import Arrival
from comity.store.consents import GrantState, StoredGrant
from comity.store.deletions import Way

__all__ = ["begin_grant", "end_grants", "end_run_out", "keep_grants"]


def begin_grant(act: Act, own: PartyId, grant: StoredGrant) -> None:
    """What a grant received lets go goes from this act on; its letter is kept."""
    consents.add_grant(act.transaction, grant)
    about = consents.read_about(act.transaction, grant.letter)
    _settle(act, own, {item.id for item in about}, ended={})
    _record(act, grant, change="begin")


def end_grants(act: Act, own: PartyId, grants: Sequence[StoredGrant], state: GrantState) -> None:
    """None of `grants` lets anything go from this act on; those that this party sent it only notes."""
    ended: dict[tuple[ObjectId, Digest], set[PartyId]] = {}
    for grant in grants:
        consents.end_grant(act.transaction, grant.letter, state, now=act.now)
        if not grant.sent and grant.state is GrantState.GOOD:
            for item in consents.read_about(act.transaction, grant.letter):
                ended.setdefault((item.id, item.digest), set()).add(grant.recipient)
            _record(act, grant, change="end")
    _settle(act, own, {name for name, _ in ended}, ended=ended)


def end_run_out(act: Act, own: PartyId) -> int:
    """How many grants ended because their time has passed; whoever decides on a release asks this first."""
    due = consents.list_run_out(act.transaction, now=act.now)
    if due:
        end_grants(act, own, due, GrantState.EXPIRED)
    return len(due)


def keep_grants(node: Node) -> int:
    """As `end_run_out`, in an act of its own where there is anything to do."""
    with node.store.read() as transaction:
        if not consents.list_run_out(transaction, now=node.clock()):
            return 0
    with node.act() as act:
        return end_run_out(act, node.party)


def _settle(
    act: Act,
    own: PartyId,
    ids: Collection[ObjectId],
    *,
    ended: Mapping[tuple[ObjectId, Digest], Collection[PartyId]],
) -> None:
    """The labels of the versions of `ids` by the grants that are good; what has `ended` is taken out first."""
    if not ids:
        return
    transaction = act.transaction
    granted: dict[tuple[ObjectId, Digest], list[StoredGrant]] = {}
    for one in consents.list_granted(transaction, ids, now=act.now):
        granted.setdefault((one.id, one.digest), []).append(one.grant)
    concerned = granted.keys() | ended.keys()
    held = [item for item in objects.read_versions_of(transaction, ids) if (item.id, item.digest) in concerned]
    came = read_every_way(transaction, held)
    known = objects.read_labels(transaction, {item.own_label for item in held})
    labels, restated = objects.LabelKeys(transaction), set[ObjectId]()
    for item in held:
        place = item.id, item.digest
        before = known[item.own_label]
        if before.audience is None:
            continue  # anybody may have it
        after = replace(before, audience=before.audience - frozenset(ended.get(place, ())))
        if item.received_under is not None:
            grants, ways = granted.get(place, []), came.get(item.pk, [])
            after = admit_to(after, _find_allowed(transaction, own, grants, ways, kind=item.type))
        if after != before:
            objects.set_own_label(transaction, item.pk, labels.find(after))
            restated.add(item.id)
    relabel(transaction, restated=restated)


def _find_allowed(
    transaction: Transaction, own: PartyId, grants: Sequence[StoredGrant], ways: Sequence[Arrival | Way], *, kind: str
) -> frozenset[PartyId]:
    """Those to whom some of `grants` lets a version go that came these `ways`, and who are let by every way."""
    allowed = {grant.recipient for grant in grants} if ways else set[PartyId]()
    for way in ways if allowed else ():
        onward = read_onward(transaction, own, way, kind=kind)
        agreement = agreements.find_agreement_of(transaction, way.terms)
        by_consent = {
            grant.recipient
            for grant in grants
            if onward.by_consent and (grant.party, grant.agreement) == (way.giver, agreement)
        }
        allowed &= by_consent | onward.listed
    return frozenset(allowed)


def _record(act: Act, grant: StoredGrant, *, change: str) -> None:
    about = consents.read_about(act.transaction, grant.letter)
    content = format_consent(
        change=change,
        objects=[DisclosedObject(id=item.id, version=item.version, digest=item.digest) for item in about],
        recipient=grant.recipient,
        grant=grant.letter,
        until=grant.expires_at,
    )
    act.record(EntryType.CONSENT, content, terms=None, recipient=None, count=len(about))
