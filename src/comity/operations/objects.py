# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on objects: taking in, showing, pulling."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from comity.canonical import OBJECT_LIMITS, parse_json
from comity.errors import MalformedObject, MalformedRequest, NotFoundError, ReceiptRefused
from comity.ids import ObjectId, format_instant, parse_party_id
from comity.intake.formats import parse_format
from comity.node import accept, intake, patterns, retention
from comity.node import explain as explaining
from comity.node.browse import name_object
from comity.node.consent import list_consents_of
from comity.node.explain import Tombstone
from comity.node.files import Bytes, File, PathFile
from comity.node.identity import is_person
from comity.node.intake import Bad, Origin, Plan, TakenFile
from comity.node.node import Node
from comity.node.people import identify
from comity.node.provenance import Provenance, Unkept, Way
from comity.node.recall import list_recalls_of
from comity.node.retention import Kept
from comity.node.steps import advance, set_aside
from comity.node.usable import find_use
from comity.node.waiving import list_waived
from comity.operations.consents import describe_grants
from comity.operations.explain import describe_repeat
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import read_badge, require_present
from comity.operations.recalls import describe_recalled
from comity.operations.receipts import describe_waivers
from comity.operations.reply import Exit, Json
from comity.operations.retention import describe_stone
from comity.operations.showing import describe_handling
from comity.operations.usable import describe_handed
from comity.stix.labels import Tags, format_label, make_tags
from comity.stix.objects import BadObject

__all__ = [
    "add",
    "describe_bad",
    "describe_file",
    "find_input",
    "list_files",
    "list_unkept",
    "pull",
    "read_plan",
    "show",
    "show_file",
]

_MOST_LISTED = 10_000


async def add(node: Node, arguments: Arguments) -> Outcome:
    """What became of one file of this party's own; an exit code of failure when any of it is bad.

    Partners are answered between its parts.
    """
    steps = intake.take_in_steps(node, find_input(arguments), read_plan(node, arguments), tell=arguments.tell)
    with set_aside() as keep_aside:
        while (done := advance(steps)) is None:
            keep_aside()
            await asyncio.sleep(0)
            require_present(node, arguments)
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
            "name": name_object(shown.data) or None,
            "is_person": item.type == "identity" and is_person(shown.data),
            "version": item.version,
            "versions": list[Json](shown.versions),
            "digest": item.digest,
            "originator": item.originator,
            "received_under": item.received_under,
            "added_at": format_instant(item.added_at),
            "label": parse_json(format_label(shown.label), limits=OBJECT_LIMITS),
            "pattern": patterns.describe_pattern(node, item.pk, shown.data),
            "repeats": [describe_repeat(repeat) for repeat in shown.repeats],
            **_describe_provenance(shown.provenance),
            "files": [_describe_origin(item) for item in intake.list_origins(node, item.pk)],
            "retention": _describe_kept(retention.find_kept(node, item)),
            "object": parse_json(shown.data, limits=OBJECT_LIMITS),
            "received": shown.data.decode(),
            "deleted": [describe_stone(stone) for stone in shown.deleted],
            **_describe_recalls(node, item.id),
            "consents": describe_grants(list_consents_of(node, item.id), now=node.clock()),
            "use": dict[str, Json](find_use(node, item)),
            "handed": describe_handed(node, [item.id]),
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
        "name": None,
        "is_person": False,
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
        "use": None,
        "handed": describe_handed(node, [last.id]),
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


def _texts(ids: Sequence[ObjectId]) -> list[str]:
    return [*ids]
