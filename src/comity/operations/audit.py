# SPDX-License-Identifier: Apache-2.0
"""Shell: an audit, as data: what is printed is all here, and nothing else is. It needs no node that is open."""

from collections.abc import Mapping

from comity.ids import format_instant
from comity.node.audit import Audit
from comity.operations.receipts import describe_waivers
from comity.operations.reply import Json
from comity.report import Given, Sums, sum_by

__all__ = ["format_audit"]


def format_audit(audit: Audit) -> dict[str, Json]:
    """The audit as JSON."""
    titles: dict[str, str] = {item.id: item.title for item in audit.agreements}
    return {
        "party": audit.party,
        "at": format_instant(audit.at),
        "since": None if audit.since is None else format_instant(audit.since),
        "until": None if audit.until is None else format_instant(audit.until),
        "clean": not audit.found,
        "found": audit.found,
        "findings": [
            {"entry": item.entry, "agreement": item.agreement, "problem": item.problem} for item in audit.findings
        ],
        "log": {
            "size": audit.log.size,
            "root": audit.log.root.hex(),
            "checkpoints": audit.log.checkpoints,
            "disclosures": audit.log.disclosures,
            "opened": audit.log.opened,
            "house": audit.log.house,
            "relationships": len(audit.log.logs),
            "manifest": audit.log.manifest,
        },
        "decided": audit.decided,
        "open": [{"why": why, "disclosures": count} for why, count in audit.open.items()],
        "agreements": [
            {
                "id": item.id,
                "title": item.title,
                "parties": list[Json](item.parties),
                "state": item.state,
                "verified": item.checked,
                "events": dict[str, Json](item.events),
            }
            for item in audit.agreements
        ],
        "given": [_describe_given(row) for row in audit.given],
        "sums": {
            "agreement": _describe_sums(sum_by(audit.given, lambda row: [row.agreement]), titles),
            "basis": _describe_sums(sum_by(audit.given, lambda row: row.bases or ["none on record"])),
            "recipient": _describe_sums(sum_by(audit.given, lambda row: [row.recipient])),
            "month": _describe_sums(sum_by(audit.given, lambda row: [row.month])),
        },
        "taken": [
            {"terms": item.terms, "giver": item.giver, "month": item.month, "objects": item.objects}
            for item in audit.taken
        ],
        "waived": describe_waivers(audit.waived),
        "trusted": [
            {"party": item.party, "pin": item.pin, "version": item.version, "manifest": item.digest}
            for item in audit.trusted
        ],
        "unverified_cosignatures": audit.unverified,
        "entries": {kind.value: count for kind, count in audit.kinds.items()},
    }


def _describe_given(row: Given) -> dict[str, Json]:
    return {
        "agreement": row.agreement,
        "title": row.title,
        "version": row.version,
        "terms": row.terms,
        "recipient": row.recipient,
        "month": row.month,
        "bases": list[Json](row.bases),
        **_describe(row.sums),
    }


def _describe_sums(sums: Mapping[str, Sums], titles: Mapping[str, str] | None = None) -> list[Json]:
    return [
        {"of": word, "title": None if titles is None else titles.get(word), **_describe(said)}
        for word, said in sums.items()
    ]


def _describe(sums: Sums) -> dict[str, Json]:
    return {"answers": sums.answers, "objects": sums.objects, "ids": sums.ids}
