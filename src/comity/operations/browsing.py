# SPDX-License-Identifier: Apache-2.0
"""Shell: operations that look through what is held: lists by pages, what is around an object, who may fetch it."""

import re

from comity.errors import MalformedRequest
from comity.ids import ObjectId, format_instant
from comity.node import browse
from comity.node.browse import Listing, Position, Wanted
from comity.node.node import Node
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Json
from comity.vocabulary import TLP_LEVELS

__all__ = ["find_around", "find_given", "find_held", "list_objects", "read_position"]

MOST_LISTED = 200
MOST_AROUND = 60
MOST_ASKED = 1_000
MOST_STEPS = 3

_POSITION = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


def list_objects(node: Node, arguments: Arguments) -> Outcome:
    """A part of what is held, the last taken in first, and where the next part begins."""
    wanted = Wanted(
        type=arguments.optional("type"),
        originator=arguments.optional("originator"),
        tlp=arguments.optional("tlp"),
        subject=arguments.optional("subject"),
    )
    if wanted.tlp is not None and wanted.tlp not in {*TLP_LEVELS, "unmarked"}:
        raise MalformedRequest(f"tlp must be one of {', '.join(TLP_LEVELS)}, or unmarked", where="tlp")
    found = browse.list_objects(
        node,
        wanted,
        prefix=arguments.optional("prefix"),
        before=read_position(arguments.optional("before")),
        limit=arguments.number("last", most=MOST_LISTED),
    )
    return Outcome(
        result={
            "objects": _describe_objects(found),
            "next": None if found.next is None else f"{found.next.pk}-{found.next.first_seq}",
            "subject_names": dict[str, Json](found.subjects),
            "types": list[Json](found.types),
            "originators": list[Json](found.originators),
        }
    )


def find_around(node: Node, arguments: Arguments) -> Outcome:
    """What an object refers to and what refers to it."""
    steps = arguments.number("steps", most=MOST_STEPS)
    found = browse.find_around(node, arguments.text("id"), steps=steps, most=MOST_AROUND)
    return Outcome(
        result={
            "object": found.object.id,
            "objects": [
                {"id": name, "layer": layer, "held": name in found.names, "name": found.names.get(name)}
                for name, layer in found.layers.items()
            ],
            "links": [{"from": source, "to": target} for source, target in found.links],
            "more": found.more,
        }
    )


def find_given(node: Node, arguments: Arguments) -> Outcome:
    """To whom versions of an object were released, the last release first."""
    found = browse.find_given(node, arguments.text("id"))
    released: list[Json] = [
        {
            "party": one.recipient,
            "agreement": one.agreement,
            "title": found.titles.get(one.agreement),
            "channel": one.channel,
            "version": one.version,
            "at": format_instant(one.at),
        }
        for one in found.released
    ]
    return Outcome(result={"object": found.object.id, "released": released, "more": found.more})


def find_held(node: Node, arguments: Arguments) -> Outcome:
    """Which of the objects named are held, and which of the others were deleted here."""
    ids = [ObjectId(name) for name in arguments.texts("ids")]
    if len(ids) > MOST_ASKED:
        raise MalformedRequest(f"at most {MOST_ASKED} objects are asked for at once", where="ids")
    held, deleted = browse.find_held(node, ids)
    return Outcome(result={"held": list[Json](sorted(held)), "deleted": list[Json](sorted(deleted))})


def _describe_objects(found: Listing) -> list[Json]:
    listed = list[Json]()
    for item in found.objects:
        label = found.labels[item.label]
        listed.append(
            {
                "id": item.id,
                "type": item.type,
                "name": found.names.get(item.pk),
                "version": item.version,
                "originator": item.originator,
                "tlp": label.tlp,
                "subjects": list[Json](sorted(frozenset[str]().union(*label.subjects))),
                "added_at": format_instant(item.added_at),
            }
        )
    return listed


def read_position(text: str | None, *, where: str = "before") -> Position | None:
    """Where another part ended, as its `next` says; `where` is what the argument is called.

    Raises:
        MalformedRequest: no part says that.
    """
    if text is None:
        return None
    found = _POSITION.fullmatch(text)
    if found is None:
        raise MalformedRequest(f"{where} must be the next of another part", where=where)
    return Position(int(found[1]), int(found[2]))
