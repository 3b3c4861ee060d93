# SPDX-License-Identifier: Apache-2.0
"""Shell: the node and its partners as a result: what is wrong first, then how it stands with each."""

from importlib.metadata import version

from comity.ids import Instant, format_instant
from comity.node.follow import leave_out_named
from comity.node.node import Node
from comity.node.status import PartnerState, Problem, read_status
from comity.operations.outcome import Arguments, Outcome
from comity.operations.parties import describe_manifest
from comity.operations.reply import Json
from comity.operations.sight import may_ask
from comity.signing import Manifest, key_id

__all__ = ["show"]

_SECOND = 1_000_000


def show(node: Node, arguments: Arguments) -> Outcome:
    """How it stands with this node and with each partner, and what of it is wrong, the worst first.

    Who may not read agreements is not told what the refusal of a page names.
    """
    named = arguments.by is None or may_ask(arguments.by, "agreement.show")
    status = read_status(node)
    backup = status.backup
    return Outcome(
        result={
            "at": format_instant(status.at),
            "problems": [_describe_problem(problem, named=named) for problem in status.problems],
            "node": {
                **describe_manifest(status.own),
                "keys": _describe_keys(status.own),
                "software": version("comity"),
                "log": status.origin,
                "size": status.house,
                "entries": status.entries,
                "store_bytes": status.store_bytes,
                "free_bytes": status.free_bytes,
                "undelivered": status.messages,
                "following": node.settings.follow.on,
            },
            "backup": None
            if backup is None
            else {
                "made_at": format_instant(backup.made_at),
                "place": backup.place,
                "size": backup.size,
                "bytes": backup.bytes,
                "with_keys": backup.with_keys,
            },
            "partners": [_describe_partner(partner, now=status.at) for partner in status.partners],
        }
    )


def _describe_problem(problem: Problem, *, named: bool) -> Json:
    return {
        "kind": problem.kind,
        "party": problem.party,
        "why": problem.why if named else leave_out_named(problem.why),
        "act": problem.act,
        "since": _optional(problem.since),
    }


def _describe_partner(partner: PartnerState, *, now: Instant) -> Json:
    receipt, said, own, seen = partner.receipt, partner.acknowledged, partner.acknowledging, partner.seen
    step = partner.in_step_at
    return {
        **describe_manifest(partner.manifest),
        "keys": _describe_keys(partner.manifest),
        "url": partner.url,
        "channels": partner.channels,
        "in_step_at": _optional(step),
        "seconds_behind": None if step is None else max(0, now - step) // _SECOND,
        "taken_at": _optional(partner.taken_at),
        "receipt": None
        if receipt is None
        else {
            "sequence": receipt.sequence,
            "at": format_instant(receipt.at),
            "received_at": format_instant(receipt.received_at),
        },
        "given": partner.given,
        "acknowledged": None
        if said is None
        else {"sequence": said.sequence, "recorded_at": format_instant(said.recorded_at)},
        "acknowledging": None
        if own is None
        else {
            "sequence": own.sequence,
            "recorded_at": format_instant(own.recorded_at),
            "taken_at": _optional(own.taken_at),
        },
        "logs_seen": 0 if seen is None else seen.logs,
        "seen_at": None if seen is None else format_instant(seen.seen_at),
        "consistent": None if seen is None and not partner.forked else not partner.forked,
        "undelivered": partner.messages,
    }


def _describe_keys(manifest: Manifest) -> dict[str, Json]:
    """The ids of the keys of each role; they run out with the manifest."""
    return {role.value: [key_id(key) for key in keys.keys] for role, keys in manifest.roles.items()}


def _optional(at: Instant | None) -> str | None:
    return None if at is None else format_instant(at)
