# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on objects: taking in, showing, explaining, pulling."""

import asyncio
import base64
import json
from collections.abc import Sequence
from pathlib import Path

from comity.canonical import OBJECT_LIMITS, parse_json
from comity.errors import MalformedObject, MalformedRequest, NotFoundError, ReceiptRefused
from comity.ids import ObjectId, format_instant, parse_party_id
from comity.intake.formats import parse_format
from comity.node import accept, intake, patterns, retention
from comity.node import explain as explaining
from comity.node.consent import list_consents_of
from comity.node.explain import Explanation, Reading, Repeat, Tombstone, Verdict
from comity.node.export import export_misp_in_steps, export_part
from comity.node.files import Bytes, File, PathFile
from comity.node.intake import Bad, Origin, Plan, TakenFile
from comity.node.node import Node
from comity.node.people import identify
from comity.node.provenance import Provenance, Unkept, Way
from comity.node.recall import list_recalls_of
from comity.node.retention import Kept
from comity.node.steps import advance
from comity.node.waiving import list_waived
from comity.operations.consents import describe_grants
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import read_badge
from comity.operations.recalls import describe_recalled
from comity.operations.receipts import describe_waivers
from comity.operations.reply import Exit, Json
from comity.operations.retention import describe_stone
from comity.operations.showing import describe_handling
from comity.release.clauses import Finding, Groups
from comity.stix.labels import Tags, format_label, make_tags
from comity.stix.objects import BadObject

__all__ = [
    "add",
    "describe_bad",
    "describe_file",
    "describe_patterns",
    "explain",
    "export",
    "export_misp",
    "find_input",
    "list_files",
    "list_recipients",
    "list_unkept",
    "pull",
    "read_plan",
    "see",
    "show",
    "show_file",
]

_MOST_LISTED = 10_000


async def add(node: Node, arguments: Arguments) -> Outcome:
    """What became of one file of this party's own; an exit code of failure when any of it is bad.

    Partners are answered between its parts.
    """
    steps = intake.take_in_steps(node, find_input(arguments), read_plan(node, arguments))
    while (done := advance(steps)) is None:  # noqa: ASYNC110 (nothing is waited for: others get their turn)
        await asyncio.sleep(0)
    taken = done.result
    return Outcome(
        result={
            "added": list[Json](taken.added),
            "added_count": taken.added_count,
            "known": taken.known,
            "bad": [_describe_unread(item) for item in taken.bad],
            "bad_count": taken.bad_count,
            "notes": [{"place": item.place, "message": item.remark} for item in taken.notes],
            "already": taken.already,
            "taken": describe_file(taken.file),
        },
        code=Exit.FAILED if taken.bad_count else Exit.DONE,
        checks=frozenset(taken.added),
    )


def list_files(node: Node, arguments: Arguments) -> Outcome:
    """Files that were taken in, or are being, oldest first."""
    listed = intake.list_files(node, last=arguments.number("last", most=_MOST_LISTED))
    return Outcome(result={"files": [describe_file(item) for item in listed]})


def show_file(node: Node, arguments: Arguments) -> Outcome:
    """One file, and what people have to know of what was read of it, or was not."""
    found, remarks = intake.find_file(node, arguments.text("file"))
    return Outcome(
        result={
            **describe_file(found),
            "bad_records": [{"place": item.place, "message": item.remark} for item in remarks if item.is_unread],
            "notes": [{"place": item.place, "message": item.remark} for item in remarks if not item.is_unread],
        }
    )


def export(node: Node, arguments: Arguments) -> Outcome:
    """Some of this party's own objects as they are held, and where the next ones begin."""
    number = arguments.optional("file")
    part = export_part(
        node,
        after=arguments.number("after", most=2**62),
        types=frozenset(arguments.texts("types")),
        file=None if number is None else intake.find_file(node, number)[0].number,
    )
    data = b",\n".join(data for _, data in part.objects)
    return Outcome(
        result={"objects": len(part.objects), "data": base64.b64encode(data).decode(), "after": part.after},
    )


async def export_misp(node: Node, arguments: Arguments) -> Outcome:
    """This party's own objects as MISP events; an exit code of failure when the events do not say all of them.

    Partners are answered while they are made.
    """
    number = arguments.optional("file")
    steps = export_misp_in_steps(
        node,
        types=frozenset(arguments.texts("types")),
        file=None if number is None else intake.find_file(node, number)[0].number,
    )
    while (done := advance(steps)) is None:  # noqa: ASYNC110 (nothing is waited for: others get their turn)
        await asyncio.sleep(0)
    made = done.result
    data = json.dumps({"response": [{"Event": event} for event in made.events]}, ensure_ascii=False, indent=1)
    return Outcome(
        result={
            "events": len(made.events),
            "objects": made.objects,
            "data": base64.b64encode(data.encode()).decode(),
            "lost": [{"id": item.id or None, "message": item.reason} for item in made.lost],
        },
        code=Exit.FAILED if made.lost else Exit.DONE,
    )


def describe_file(file: TakenFile) -> dict[str, Json]:
    """A file that was taken in: which, how far, and what came of it."""
    return {
        "number": file.number,
        "name": file.name,
        "digest": file.digest,
        "bytes": file.bytes,
        "format": file.format,
        "taken_by": file.taken_by,
        "retrieved_at": format_instant(file.retrieved_at),
        "done_at": None if file.done_at is None else format_instant(file.done_at),
        "position": file.position,
        "records": file.records,
        "added": file.added,
        "known": file.known,
        "bad": file.unread,
        "facts": dict(file.facts),
    }


def find_input(arguments: Arguments) -> File:
    """The bytes that came with the command, or the file that it names, for this process to read."""
    name, path = arguments.optional("name") or "-", arguments.optional("path")
    if path is None:
        return Bytes(name, arguments.data("data"))
    if arguments.by is not None:
        raise MalformedRequest("only whoever controls the node's folder names files of its machine", where="path")
    if not Path(path).is_absolute():
        raise MalformedRequest("path must be absolute: this process may run elsewhere", where="path")
    return PathFile(Path(path), name=name)


def read_plan(node: Node, arguments: Arguments) -> Plan:
    """What is asked of a file besides reading it."""
    form, by = arguments.optional("format"), arguments.by
    if by is None and (badge := read_badge(arguments)) is not None:
        by = identify(node, badge)
    return Plan(
        form=None if form is None else parse_format(form),
        mapping=None if arguments.optional("mapping") is None else arguments.data("mapping"),
        source=arguments.optional("source"),
        tlp=arguments.optional("tlp"),
        tags=_read_tags(arguments),
        person=None if by is None else by.id,
    )


def _describe_unread(item: Bad) -> Json:
    return {"index": item.index, "id": item.id, "where": item.place, "message": item.reason}


def describe_patterns(node: Node, ids: frozenset[ObjectId]) -> dict[str, Json]:
    """What a parser said of the patterns of objects that came in, and how many it has not read."""
    concerns = patterns.read_concerns(node, ids)
    problems: list[Json] = [{"id": name, "message": problem} for name, problem in concerns.problems.items()]
    return {"unparsable": problems, "unchecked": concerns.waiting}


def show(node: Node, arguments: Arguments) -> Outcome:
    """The newest version of an object as it is held; or, where none is, why it was deleted."""
    prefix = arguments.text("id")
    try:
        shown = explaining.show_object(node, prefix)
    except NotFoundError:
        stones = explaining.find_deleted(node, prefix)
        if not stones:
            raise
        return _show_deleted(node, stones)
    item = shown.object
    return Outcome(
        result={
            "id": item.id,
            "type": item.type,
            "version": item.version,
            "versions": list[Json](shown.versions),
            "digest": item.digest,
            "originator": item.originator,
            "received_under": item.received_under,
            "added_at": format_instant(item.added_at),
            "label": parse_json(format_label(shown.label), limits=OBJECT_LIMITS),
            "pattern": patterns.describe_pattern(node, item.pk, shown.data),
            "repeats": [_describe_repeat(repeat) for repeat in shown.repeats],
            **_describe_provenance(shown.provenance),
            "files": [_describe_origin(item) for item in intake.list_origins(node, item.pk)],
            "retention": _describe_kept(retention.find_kept(node, item)),
            "object": parse_json(shown.data, limits=OBJECT_LIMITS),
            "received": shown.data.decode(),
            "deleted": [describe_stone(stone) for stone in shown.deleted],
            **_describe_recalls(node, item.id),
            "consents": describe_grants(list_consents_of(node, item.id), now=node.clock()),
        }
    )


def list_unkept(node: Node, arguments: Arguments) -> Outcome:
    """What partners wrote and this node did not keep, oldest first."""
    listed = accept.list_unkept(node, last=arguments.number("last", most=_MOST_LISTED))
    return Outcome(
        result={"unkept": [_describe_unkept(item) for item in listed]},
    )


def _describe_unkept(item: Unkept) -> dict[str, Json]:
    return {
        "at": format_instant(item.at),
        "giver": item.giver,
        "terms": item.terms,
        "channel": item.channel,
        "id": item.id,
        "version": item.version,
        "reason": item.reason,
    }


def _describe_provenance(found: Provenance) -> dict[str, Json]:
    """Where an object is from; whatever ways it came by, an object of one id is one source."""
    return {
        "ways": [_describe_way(way) for way in found.ways],
        "source": list[Json](sorted(found.source)),
        "came_back": [_describe_way(way) for way in found.returns],
        "disputes": [_describe_unkept(item) for item in found.disputes],
        "circular": [list[Json](_texts(chain)) for chain in found.circles],
    }


def _describe_origin(origin: Origin) -> Json:
    return {**describe_file(origin.file), "place": origin.place, "added": origin.added}


def _describe_way(way: Way) -> dict[str, Json]:
    return {
        "giver": way.giver,
        "terms": way.terms,
        "agreement": way.agreement,
        "channel": way.channel,
        "at": format_instant(way.at),
        "receipt": way.receipt,
        "handling": None if way.handling is None else describe_handling(way.handling),
    }


def _describe_kept(kept: Kept | None) -> Json:
    if kept is None:
        return None
    return {
        "until": None if kept.until is None else format_instant(kept.until),
        "clause": None if kept.clause is None else kept.clause.value,
    }


def _show_deleted(node: Node, stones: Sequence[Tombstone]) -> Outcome:
    """The same fields for an object of which no version is held: what only the object could say is null."""
    last = stones[-1]
    result: dict[str, Json] = {
        "id": last.id,
        "type": last.id.partition("--")[0],
        "version": None,
        "versions": [],
        "digest": None,
        "originator": last.originator,
        "received_under": None,
        "added_at": None,
        "label": None,
        "pattern": None,
        "repeats": [],
        "ways": [],
        "source": [],
        "came_back": [],
        "disputes": [],
        "circular": [],
        "files": [],
        "retention": None,
        "object": None,
        "received": None,
        "deleted": [describe_stone(stone) for stone in stones],
        **_describe_recalls(node, last.id),
        "consents": describe_grants(list_consents_of(node, last.id), now=node.clock()),
    }
    return Outcome(result=result)


def _describe_recalls(node: Node, item: ObjectId) -> dict[str, Json]:
    """What is recalled of an object, and by how many of those who were told that is not acknowledged."""
    recalled, told = list_recalls_of(node, item)
    waiting = [one.stored for one in told if one.stored.sent and one.stored.progress is None]
    return {
        "recalled": describe_recalled(recalled),
        "unacknowledged": list[Json](sorted({stored.party for stored in waiting})),
    }


def explain(node: Node, arguments: Arguments) -> Outcome:
    """Why an object goes, or does not go, to a party."""
    party = parse_party_id(arguments.text("to"))
    return Outcome(result=_describe_explanation(node, explaining.explain(node, arguments.text("id"), to=party)))


def see(node: Node, arguments: Arguments) -> Outcome:
    """The same, with the object as it is held and as the party would receive it."""
    party = parse_party_id(arguments.text("to"))
    seen = explaining.see_object(node, arguments.text("id"), to=party)
    best = seen.explanation.best
    return Outcome(
        result={
            **_describe_explanation(node, seen.explanation),
            "agreement": None if best is None else best.agreement,
            "channel": None if best is None else best.channel,
            "original": seen.original.decode(),
            "received": None if seen.received is None else seen.received.decode(),
        }
    )


def list_recipients(node: Node, arguments: Arguments) -> Outcome:
    """What each party that some channel leads to would be given of an object."""
    item, recipients = explaining.list_recipients(node, arguments.text("id"))
    parties: list[Json] = [
        {
            "party": one.party,
            "agreement": one.agreement,
            "title": one.title,
            "channel": one.channel,
            **_describe_verdict(one.verdict),
        }
        for one in recipients
    ]
    return Outcome(result={"object": item.id, "version": item.version, "parties": parties})


def _describe_explanation(node: Node, found: Explanation) -> dict[str, Json]:
    consents = [one for one in list_consents_of(node, found.object.id) if one.recipient == found.recipient]
    return {
        "object": found.object.id,
        "version": found.object.version,
        "to": found.recipient,
        **_describe_verdict(found.verdict),
        "repeats": [_describe_repeat(repeat) for repeat in found.repeats],
        "recalled": describe_recalled(list_recalls_of(node, found.object.id)[0]),
        "consents": describe_grants(consents, now=node.clock()),
        "readings": [_describe_reading(reading) for reading in found.readings],
    }


async def pull(node: Node, arguments: Arguments) -> Outcome:
    """What a partner's node released, taken in."""
    from comity import peers

    party = parse_party_id(arguments.text("party"))
    pulled = await peers.pull(node, party)
    channels: list[Json] = [
        {
            "agreement": item.target.agreement,
            "title": item.target.title,
            "channel": item.target.channel.id,
            "collection": item.target.collection,
            "withheld": item.withheld,
            "pages": item.pages,
            "added": list[Json](item.added),
            "known": item.known,
            "bad": describe_bad(item.bad),
            "missing": item.missing,
            "refused": None if item.refused is None else _describe_refused(item.refused),
        }
        for item in pulled
    ]
    added = (name for item in pulled for name in item.added)
    refused = any(item.refused is not None for item in pulled)
    return Outcome(
        result={"party": party, "channels": channels, "waived": describe_waivers(list_waived(node, party))},
        code=Exit.VERIFICATION_FAILED if refused else Exit.DONE,
        checks=frozenset(added),
    )


def _describe_refused(refused: ReceiptRefused) -> dict[str, Json]:
    return {"part": refused.facts.get("part"), "reason": refused.detail}


def _read_tags(arguments: Arguments) -> Tags:
    try:
        return make_tags(
            subjects=arguments.texts("subjects"), regions=arguments.texts("regions"), kinds=arguments.texts("kinds")
        )
    except MalformedObject as error:
        # These words were typed, so it is the command that is wrong and no object.
        raise MalformedRequest(error.detail, where=error.where) from error


def describe_bad(bad: Sequence[BadObject]) -> list[Json]:
    """What could not be kept, each with its place and why."""
    return [{"index": item.index, "id": item.id, "where": item.where, "message": item.detail} for item in bad]


def _describe_verdict(verdict: Verdict) -> dict[str, Json]:
    return {
        "decision": verdict.decision,
        "clause": verdict.clause,
        "reason": verdict.reason,
        "redacted": list[Json](verdict.redacted),
    }


def _describe_repeat(repeat: Repeat) -> Json:
    return {
        "marking": repeat.marking,
        "tlp": repeat.tlp,
        "marked": list[Json](sorted(repeat.marked)),
        "again": list[Json](sorted(repeat.again | repeat.fixed)),
        "whole": repeat.whole,
    }


def _describe_reading(reading: Reading) -> Json:
    gate, history = reading.gate, reading.history
    return {
        "agreement": reading.agreement,
        "title": reading.title,
        "channel": reading.channel,
        **_describe_verdict(reading.verdict),
        "gate": None if gate is None else {"clause": gate.clause, "reason": gate.reason},
        "history": None if history is None else {"clause": history.clause, "reason": history.reason},
        "because": list[Json](_texts(reading.because)),
        "clauses": [_describe_finding(finding) for finding in reading.findings],
    }


def _texts(ids: Sequence[ObjectId]) -> list[str]:
    return [*ids]


def _describe_finding(finding: Finding) -> Json:
    return {
        "clause": finding.clause,
        "test": finding.test.value,
        "holds": finding.holds,
        "found": _describe_groups(finding.found),
        "allowed": None if finding.allowed is None else list[Json](sorted(finding.allowed)),
    }


def _describe_groups(groups: Groups) -> Json:
    return [list[Json](sorted(group)) for group in sorted(groups, key=sorted)]
