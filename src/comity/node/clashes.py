# SPDX-License-Identifier: Apache-2.0
"""Shell: whether what comes is held already, clashes with what is held or was deleted, or only comes back.

What comes and is not kept can say more strictly what is held of its giver: `find_clash` and `find_earlier` name that.
"""

from collections.abc import Collection, Sequence

from comity.errors import MalformedObject
from comity.ids import Digest, Instant, format_instant
from comity.stix.markings import TLP_IDS
from comity.stix.objects import StixObject
from comity.store import Transaction, agreements, arrivals, feeds
from comity.store.deletions import Tombstone
from comity.store.objects import Holding, StoredObject

__all__ = ["find_clash", "find_earlier", "find_same", "is_echo"]


def is_echo(transaction: Transaction, same: StoredObject, holding: Holding) -> bool:
    """Whether a partner gives back what this party gave: that says nothing new, and restricts nothing.

    So it is with what the giver itself was given, and with what is this party's own and was given to anybody before it
    came from elsewhere: else who has got hold of it could take it away from all others, who would see by that what it
    gives here (ADR 0068). What is this party's own and was given to nobody yet comes under the terms of its giver.
    """
    if holding.received_under is None:
        return False
    if feeds.was_released(transaction, same.pk, holding.originator):
        return True
    is_own = same.received_under is None and not arrivals.has_arrived(transaction, same.pk)
    return is_own and feeds.was_ever_released(transaction, same.pk)


def find_same(
    versions: Collection[StoredObject], deleted: Collection[Tombstone], item: StixObject, *, holding: Holding
) -> StoredObject | None:
    """Exactly this version, where it is held.

    Raises:
        MalformedObject: the version is held, or was deleted, with other bytes, or the id belongs to another originator.
    """
    if item.id in TLP_IDS:
        # The same for everyone, however it was written down; its content was checked when it was parsed.
        return next(iter(versions), None)
    version_at = item.version_at
    for known in versions:
        if known.version_at == version_at:
            if known.digest == item.digest:
                return known
            raise MalformedObject(
                f"{item.id} is held in this version with other bytes; a change needs a later `modified`",
                where="/modified",
            )
    _check_deleted(deleted, item, version_at=version_at, holding=holding)
    owner = next(iter(versions)).originator if versions else holding.originator
    if owner != holding.originator:
        raise MalformedObject(
            f"{item.id} came from {owner}, and only {owner} may give a new version of it; say what you know in a note"
            " or a relationship of your own",
            where="/id",
        )
    return None


def find_clash(
    transaction: Transaction, versions: Collection[StoredObject], item: StixObject, *, holding: Holding
) -> StoredObject | None:
    """The version that is held with other bytes, where the same giver gave it under the same agreement."""
    alike = find_earlier(transaction, versions, item, holding=holding)
    return next((known for known in alike if known.version_at == item.version_at), None)


def find_earlier(
    transaction: Transaction, versions: Collection[StoredObject], item: StixObject, *, holding: Holding
) -> Sequence[StoredObject]:
    """The versions held, not later than `item`, that the same giver gave under the same agreement.

    A text of it that was amended since is one of the same agreement; so is an earlier record of a source.
    """
    return [
        known
        for known in versions
        if known.version_at <= item.version_at
        and known.originator == holding.originator
        and _is_of_one(transaction, known.received_under, holding.received_under)
    ]


def _is_of_one(transaction: Transaction, terms: Digest | None, others: Digest | None) -> bool:
    """Whether both are texts of one agreement, or records of a source, which are of none."""
    if terms is None or others is None or terms == others:
        return terms == others
    return agreements.find_agreement_of(transaction, terms) == agreements.find_agreement_of(transaction, others)


def _check_deleted(deleted: Collection[Tombstone], item: StixObject, *, version_at: Instant, holding: Holding) -> None:
    """Nothing, when what was deleted of an object lets this version be taken in.

    Raises:
        MalformedObject: it belongs to another originator, a file brings what was received under terms, or this version
            was held with other bytes.
    """
    for stone in deleted:
        if stone.originator != holding.originator:
            raise MalformedObject(
                f"{item.id} came from {stone.originator} and was deleted here on {format_instant(stone.deleted_at)};"
                f" only {stone.originator} may give it again",
                where="/id",
            )
        if stone.terms is not None and holding.received_under is None:
            raise MalformedObject(
                f"{item.id} was received here under terms and deleted on {format_instant(stone.deleted_at)};"
                " taking it in from a file would take those terms off it",
                where="/id",
            )
        if stone.version_at == version_at and stone.digest != item.digest:
            raise MalformedObject(
                f"{item.id} was held in this version with other bytes; a change needs a later `modified`",
                where="/modified",
            )
