# SPDX-License-Identifier: Apache-2.0
"""Shell: what a partner sends is taken in once its receipt shows it; what is not shown is kept apart, as evidence.

Receipts are kept in the order of their numbers, each in the transaction that takes its page in. Where a page never came
(an answer was lost, or another program of this party asked for it) its receipt is kept without it: that the giver has
it on record as given is then known here too.

What stands in `witnesses.policy` in the folder of the node (C2SP tlog-policy) must have cosigned; without the file
nobody is asked for, and the giver's own signature is all there is.
"""

from collections.abc import Sequence
from dataclasses import replace

from comity.errors import (
    ConfigError,
    ConflictError,
    MalformedError,
    MalformedReceipt,
    NotFoundError,
    ReceiptRefused,
)
from comity.ids import AgreementId, Digest, PartyId
from comity.node.allowance import note_used
from comity.node.node import Act, Node
from comity.node.parties import remember_manifests
from comity.node.quorum import count_for, list_uncounted
from comity.node.succession import list_successions
from comity.release.delivery import Expected, Seen, Shown
from comity.release.receipt import cut_terms, format_receipt, parse_receipt
from comity.store import Transaction, agreements, parties, receipts, successions, waivers
from comity.store.receipts import KeptReceipt, RefusedPage
from comity.tlog.origin import find_token
from comity.tlog.policy import TrustPolicy, parse_trust_policy

__all__ = [
    "KeptReceipt",
    "RefusedPage",
    "expect_receipt",
    "find_kept_receipt",
    "keep_missing",
    "keep_refused",
    "keep_shown",
    "list_refused_pages",
    "read_trust_policy",
    "say_uncounted",
]

_MOST_EVIDENCE_BYTES = 1024 * 1024
"""Of the page and of the receipt each: some fifty of both are kept of a giver at most, and must not fill the disk."""


def read_trust_policy(node: Node) -> TrustPolicy | None:
    """Which witnesses must have cosigned what partners show; None where nobody is asked for.

    Raises:
        ConfigError: the file is there and cannot be used: nothing is taken in then.
    """
    path = node.folder / "witnesses.policy"
    try:
        return parse_trust_policy(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error}; without it nothing can be taken in") from error
    except MalformedError as error:
        raise ConfigError(f"{path}: {error.detail}") from error


def expect_receipt(node: Node, giver: PartyId, number: int) -> Expected:
    """What the next receipt of `giver` must be, so that `number` is reached without a gap.

    Before the first receipt any number may come: what was disclosed before it is not asked about.

    Raises:
        NotFoundError: the giver is not pinned.
        ConfigError: the policy cannot be used.
    """
    policy = read_trust_policy(node)
    with node.store.read() as transaction:
        manifests = remember_manifests(node, transaction)
        manifest = manifests.get(giver)
        last = waivers.read_reached(transaction, giver)
        seen = _read_seen(transaction, giver)
        bound, past = receipts.read_bound(transaction, giver), receipts.read_past(transaction, giver)
        ended = receipts.read_ended(transaction, giver)
    if manifest is None:
        raise NotFoundError(f"{giver} is not a party this node knows; pin it with `party add FILE --digest D`")
    return Expected(
        giver=giver,
        recipient=node.party,
        sequence=number if last is None else last + 1,
        manifest=manifest,
        seen=seen,
        policy=None if policy is None else count_for(policy, giver, manifests),
        bound=bound,
        past=past,
        ended=ended,
        fresh_days=node.settings.cosignature_days,
    )


def say_uncounted(node: Node, giver: PartyId) -> str:
    """A sentence on each witness of the policy that does not count for what `giver` shows; empty where all do."""
    policy = read_trust_policy(node)
    if policy is None:
        return ""
    with node.store.read() as transaction:
        found = list_uncounted(policy, giver, remember_manifests(node, transaction))
    return "".join(f" {item.name} in witnesses.policy does not count: {item.why}." for item in found)


def keep_missing(node: Node, shown: Sequence[Shown]) -> None:
    """Keep receipts of pages that never came, in one act.

    Raises:
        ConflictError: other receipts of this giver were kept meanwhile.
    """
    if not shown:
        return
    with node.act() as act:
        for each in shown:
            keep_shown(act, each, arrived=False)


def keep_shown(act: Act, shown: Shown, *, arrived: bool) -> None:
    """Keep a receipt that was verified, in the act that takes in what it is for.

    Raises:
        ConflictError: other receipts of this giver were kept meanwhile: what it was verified against is past.
    """
    verified, giver = shown.verified, shown.verified.giver
    if parties.read_pinned(act.transaction, giver) != verified.manifest:
        raise ConflictError(
            f"{giver} is pinned by another manifest since this was asked for, and nothing of it is kept"
        )
    last = waivers.read_reached(act.transaction, giver)
    seen = _read_seen(act.transaction, giver).get(shown.origin)
    bound = receipts.read_bound(act.transaction, giver).get(verified.terms, shown.origin)
    logs = {bound} | receipts.read_past(act.transaction, giver).get(verified.terms, frozenset())
    if (last is not None and last != verified.sequence - 1) or seen != shown.before or shown.origin not in logs:
        raise ConflictError(f"something else of {giver} was taken in meanwhile, and nothing of this page; pull again")
    kept = KeptReceipt(
        giver=giver,
        sequence=verified.sequence,
        terms=verified.terms,
        at=verified.at,
        received_at=act.now,
        arrived=arrived,
        # The terms are on record here, once for all receipts; a receipt has one spelling, with them or without.
        data=cut_terms(shown.receipt.data),
        origin=shown.origin,
        place=verified.index,
        tree=verified.size,
    )
    receipts.add_receipts(act.transaction, [kept])
    note_used(act, giver, size=len(kept.data))
    agreement = _find_bound_agreement(act.transaction, shown)
    receipts.write_seen(act.transaction, giver, shown.origin, shown.seen, agreement=agreement, now=act.now)


def _read_seen(transaction: Transaction, giver: PartyId) -> dict[str, Seen]:
    """The largest checkpoint seen of each log of `giver`; of one that goes on from another and was not seen, of that.

    Houses' logs have no disclosures after a recovery, but for those that were called as a relationship's are.
    """
    seen = receipts.read_seen(transaction, giver)
    for said in list_successions(transaction, giver):
        origin, before = said.recovery.origin, seen.get(said.recovery.previous)
        if before is not None and before.size <= said.position:
            seen.setdefault(origin, before)
    return seen


def _find_bound_agreement(transaction: Transaction, shown: Shown) -> AgreementId | None:
    """The agreement whose log a receipt is from; None for a house's, which old receipts of any agreement are from.

    It has the first name of the party, or one that a statement of succession gave it.
    """
    giver, origin = shown.verified.giver, shown.origin
    if find_token(origin) is None or successions.has_succession(transaction, giver, origin):
        return None
    return agreements.find_agreement_of(transaction, shown.verified.terms)


def keep_refused(
    node: Node,
    refused: ReceiptRefused,
    *,
    giver: PartyId,
    terms: Digest,
    channel: str,
    page: bytes,
    receipt: bytes,
    proof: bytes,
) -> bool:
    """Whether the bytes were kept apart as evidence: the first few of each giver and part to blame are."""
    with node.act() as act:
        evidence = RefusedPage(
            at=act.now,
            giver=giver,
            terms=terms,
            channel=channel,
            part=str(refused.facts.get("part", "")),
            reason=refused.detail,
            page=page[:_MOST_EVIDENCE_BYTES],
            receipt=receipt[:_MOST_EVIDENCE_BYTES],
            proof=proof,
        )
        return receipts.add_refused(act.transaction, evidence)


def list_refused_pages(node: Node) -> list[RefusedPage]:
    """What is kept of refused pages, oldest first."""
    with node.store.read() as transaction:
        return receipts.list_refused(transaction)


def find_kept_receipt(node: Node, giver: PartyId, sequence: int) -> tuple[KeptReceipt, bytes]:
    """A receipt that `giver` gave, and its bytes with the terms, for whoever has not got them.

    Raises:
        NotFoundError: none was kept, or what it lists was purged.
    """
    with node.store.read() as transaction:
        kept = receipts.read_receipt(transaction, giver, sequence)
        terms = None if kept is None else agreements.read_terms(transaction, kept.terms)
    if kept is None:
        raise NotFoundError(f"no receipt of {giver} for its disclosure {sequence} was kept here")
    try:
        return kept, format_receipt(replace(parse_receipt(kept.data), terms=terms))
    except MalformedReceipt as error:
        raise NotFoundError(
            f"what the receipt of {giver} for its disclosure {sequence} lists was purged here; its place in the log of"
            f" {giver} is all that is left"
        ) from error
