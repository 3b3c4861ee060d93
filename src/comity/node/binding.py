# SPDX-License-Identifier: Apache-2.0
"""Shell: what binds a version that comes, beside the terms that it comes under.

Grants let it go to one more party each. Where it was deleted here and comes again, every way by which it had come
before binds it as if it had stayed: to delete something, or to have it deleted by a rule, lets it go to nobody more.
"""

from collections.abc import Collection, Sequence

from comity.ids import AgreementId, Digest, ObjectId, PartyId
from comity.node.bounds import Onward, read_onward
from comity.release.receiving import Restrictions, bind
from comity.stix.labels import Label, admit_to
from comity.stix.objects import StixObject
from comity.store import Transaction, agreements, consents, deletions
from comity.store.consents import StoredGrant
from comity.store.deletions import Way
from comity.store.objects import Holding

__all__ = ["Binding"]


class Binding:
    """What binds those of `ids` that come as `holding` says; `grows` says whether grants let any of it go.

    Of those in `deleted` something was deleted here before.
    """

    def __init__(  # what comes, and how
        self,
        transaction: Transaction,
        ids: Collection[ObjectId],
        deleted: Collection[ObjectId],
        holding: Holding,
        *,
        own: PartyId,
        grows: bool,
    ) -> None:
        self._transaction = transaction
        self._holding = holding
        self._own = own
        under = holding.received_under
        self._before = {} if under is None or not deleted else deletions.read_ways(transaction, deleted)
        self._granted: dict[tuple[ObjectId, Digest], list[StoredGrant]] = {}
        if grows or self._before:
            for item in consents.list_granted(transaction, ids, now=holding.added_at):
                self._granted.setdefault((item.id, item.digest), []).append(item.grant)
        self._grows = grows
        self._read: dict[tuple[Way, str], Onward] = {}

    def __bool__(self) -> bool:
        """Whether it can change any label."""
        return bool(self._before or self._granted)

    def apply(self, item: StixObject, label: Label) -> Label:
        """The label of a version that comes, which is `label` by itself and by the terms that it comes under."""
        grants = self._granted.get((item.id, item.digest), ())
        if self._grows and grants:
            label = admit_to(label, self._find_granted(grants, self._holding.originator, self._holding.received_under))
        for way in self._before.get((item.id, item.version_at), ()):
            onward = self._read_onward(way, item.type)
            granted = self._find_granted(grants, way.giver, way.terms) if onward.by_consent else frozenset[PartyId]()
            restrictions = Restrictions(
                originators=onward.originators,
                audience=onward.listed | granted | {self._own},
                excluded_frameworks=onward.excluded,
            )
            label = bind(label, restrictions)
        return label

    def _find_granted(self, grants: Sequence[StoredGrant], giver: PartyId, terms: Digest | None) -> frozenset[PartyId]:
        """To whom `giver` has granted the version under the agreement of that text."""
        agreement: AgreementId | None = (
            None if terms is None else agreements.find_agreement_of(self._transaction, terms)
        )
        return frozenset(grant.recipient for grant in grants if (grant.party, grant.agreement) == (giver, agreement))

    def _read_onward(self, way: Way, kind: str) -> Onward:
        if (way, kind) not in self._read:
            self._read[way, kind] = read_onward(self._transaction, self._own, way, kind=kind)
        return self._read[way, kind]
