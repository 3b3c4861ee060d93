# SPDX-License-Identifier: Apache-2.0
"""Shell: an audit, as data: what is printed is all here, and nothing else is.

`audit` has it made by a process of its own (`operations.auditor`), which reads the files as any auditor would: the one
that serves only waits.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from comity.errors import ConflictError, UnavailableError
from comity.ids import format_instant, parse_instant
from comity.node.audit import Audit
from comity.node.node import Node
from comity.operations.outcome import Arguments, Outcome
from comity.operations.receipts import describe_waivers
from comity.operations.reply import Exit, Json
from comity.report import Given, Sums, sum_by

__all__ = ["audit", "format_audit"]

_MOST_BYTES = 64 * 1024 * 1024
"""Of an audit as a line of JSON: its findings are bounded, its figures are as many as agreements and months."""

_UNDER_WAY = set[Path]()
"""Folders whose audit has begun in this process and not ended."""


async def audit(node: Node, arguments: Arguments) -> Outcome:
    """The whole log and every decision, verified again; figures `since` and `until` the times given, if any.

    Raises:
        ConflictError: one is under way.
        UnavailableError: the process that audits could not be started, or ended without a word.
        MalformedRequest: a time is none.
    """
    bounds = [_read_bound(arguments, name) for name in ("since", "until")]
    if node.folder in _UNDER_WAY:
        raise ConflictError(
            "an audit of this node is under way; it takes the whole of a processor, so wait for its end"
        )
    _UNDER_WAY.add(node.folder)
    try:
        return await _have_audited(node, arguments, bounds)
    finally:
        _UNDER_WAY.discard(node.folder)


async def _have_audited(node: Node, arguments: Arguments, bounds: list[str]) -> Outcome:
    # -P: not from whatever lies in the folder that this process was started in.
    command = (sys.executable, "-P", "-m", "comity.operations.auditor", str(os.getpid()), str(node.folder), *bounds)
    try:
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, limit=_MOST_BYTES)
    except OSError as error:
        raise UnavailableError(f"the process that audits could not be started: {error.strerror or error}") from error
    try:
        return await _hear(process, arguments)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _hear(process: Process, arguments: Arguments) -> Outcome:
    assert process.stdout is not None  # noqa: S101 (it is a pipe)
    try:
        while line := await process.stdout.readline():
            match json.loads(line):
                case {"done": int(done), "of": int(of)}:
                    arguments.tell(done, of)
                case {"audit": dict(result)}:
                    return Outcome(result=result, code=Exit.DONE if result["clean"] else Exit.VERIFICATION_FAILED)
                case {"code": int(code), "error": dict(error)}:
                    return Outcome(result={"failed": error}, code=Exit(code))
                case _:
                    break
    except ValueError as error:
        raise UnavailableError("the process that audits gave an answer that cannot be read") from error
    raise UnavailableError("the process that audits ended without an answer; its log says why")


def _read_bound(arguments: Arguments, name: str) -> str:
    """A time, as the program takes it; "-" for none."""
    text = arguments.optional(name)
    return "-" if text is None else format_instant(parse_instant(text))


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
