# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on lists of subjects: versions looked at and loaded, and what people decide of who left one."""

import asyncio
from collections.abc import Iterable

from comity.agreement.people import find_need
from comity.agreement.recognition import Refusal
from comity.classification.lists import Changes, Entry, SubjectList
from comity.errors import ConflictError, MalformedRequest
from comity.ids import format_instant
from comity.node import lists
from comity.node.lists import Decided, StoredList
from comity.node.node import Node
from comity.node.people import Waiting
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import (
    conclude_refused,
    conclude_waiting,
    describe_approvals,
    read_actor,
    require_present,
)
from comity.operations.reply import Json

__all__ = ["conclude_decided", "decide", "list_questions", "list_versions", "load", "preview", "review", "show_list"]

_MOST_LISTED = 200
_MOST_QUESTIONS = 1_000_000
_DECISIONS = {"keep": "keep-subject", "stop": "stop-subject"}
"""What can be decided of a subject, and the kind of act that it is."""


async def preview(node: Node, arguments: Arguments) -> Outcome:
    """What a version of a list would change, and what it would stop; nothing is kept."""
    seen = lists.foresee_list(node, await _read_version(node, arguments))
    return Outcome(
        result={
            "list": seen.list,
            "version": seen.version,
            "digest": seen.digest,
            "entries": seen.entries,
            "before": seen.before,
            **_describe_changes(seen.changes),
            "leaving": [{"subject": subject, "objects": many} for subject, many in seen.leaving],
            "stopped": seen.stopped,
        }
    )


async def load(node: Node, arguments: Arguments) -> Outcome:
    """Take in a version of a list of subjects; with `digest`, no other one than was looked at.

    `before` is the version held when it was looked at, "" where none was.
    """
    listed = await _read_version(node, arguments)
    if (looked_at := arguments.optional("digest")) is not None and looked_at != listed.digest:
        raise ConflictError("this is another version than the one that was looked at; look at this one first")
    done = lists.load_list(
        node,
        listed,
        reason=arguments.text("reason"),
        by=read_actor(node, arguments),
        before=arguments.optional("before"),
    )
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    return Outcome(
        result={
            "list": done.list,
            "version": done.version,
            "entries": done.entries,
            "first": done.first,
            **_describe_changes(done.changes),
            "stopped": done.stopped,
            "approvals": describe_approvals(done.approvals),
        }
    )


def list_versions(node: Node, _: Arguments) -> Outcome:
    """Every version of every list that was ever loaded."""
    return Outcome(result={"versions": [_describe_list(item) for item in lists.list_lists(node)]})


def show_list(node: Node, arguments: Arguments) -> Outcome:
    """The last version of a list, with its entries.

    With `most` so many of them, behind the subject `after`, that `search` fits; `total` is how many there are in all.
    """
    name, most = arguments.text("list"), arguments.optional_number("most", most=_MOST_LISTED)
    if most is None:
        latest, entries = lists.show_list(node, name)
        return Outcome(result={**_describe_list(latest), "entries": _describe_entries(entries.values())})
    wanted, after = arguments.optional("search") or "", arguments.optional("after") or ""
    found = lists.look_through_list(node, name, wanted=wanted, after=after, limit=most)
    part: dict[str, Json] = {"entries": _describe_entries(found.entries), "total": found.total, "next": found.next}
    return Outcome(result={**_describe_list(found.latest), **part})


def list_questions(node: Node, arguments: Arguments) -> Outcome:
    """The subjects that left a list, those that nobody has decided on first, and what people decided.

    With `most` so many of them, but for the first `from`; `next` is where the next part begins. `decisions` are those
    that the person who asks could take part in.
    """
    start = arguments.optional_number("from", most=_MOST_QUESTIONS) or 0
    most = arguments.optional_number("most", most=_MOST_LISTED)
    found = lists.list_questions(node, start=start, most=None if most is None else most + 1)
    listed: list[Json] = [
        {
            "subject": item.subject,
            "list": item.list,
            "version": item.version,
            "asked_at": format_instant(item.asked_at),
            "decision": item.decision,
            "by": item.decided_by,
            "at": None if item.decided_at is None else format_instant(item.decided_at),
            "reason": item.reason,
            "objects": many,
        }
        for item, many in found[:most]
    ]
    result: dict[str, Json] = {"questions": listed, "decisions": list[Json](_find_decisions(arguments))}
    if most is not None:
        result["next"] = start + most if len(found) > most else None
    return Outcome(result=result)


def decide(node: Node, arguments: Arguments) -> Outcome:
    """Decide that what is about a subject goes on, or stays stopped; with `decided`, as `list_questions` gives it.

    That is when it was decided on last, by what the person saw; "" where it was not.
    """
    decision = arguments.text("decision")
    if decision not in _DECISIONS:
        raise MalformedRequest("decide keep or stop", where="decision")
    return conclude_decided(
        lists.decide_subject(
            node,
            arguments.text("subject"),
            decision,
            reason=arguments.text("reason"),
            by=read_actor(node, arguments),
            version=arguments.optional("version"),
            decided=arguments.optional("decided"),
        )
    )


def conclude_decided(done: Decided | Waiting | Refusal) -> Outcome:
    """What became of a decision on a subject."""
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    return Outcome(
        result={
            "subject": done.subject,
            "decision": done.decision,
            "objects": done.objects,
            "approvals": describe_approvals(done.approvals),
        }
    )


def review(node: Node, arguments: Arguments) -> Outcome:
    """Note that a person has looked at what a list changes."""
    done = lists.review_list(
        node,
        arguments.text("list"),
        reason=arguments.text("reason"),
        by=read_actor(node, arguments),
        version=arguments.optional("version"),
    )
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    return Outcome(result=_describe_list(done))


def _describe_list(item: StoredList) -> dict[str, Json]:
    return {
        "list": item.list,
        "version": item.version,
        "digest": item.digest,
        "loaded_at": format_instant(item.loaded_at),
        "by": item.loaded_by,
        **_describe_changes(item.changes),
        "reviewed_at": None if item.reviewed_at is None else format_instant(item.reviewed_at),
    }


def _describe_entries(entries: Iterable[Entry]) -> list[Json]:
    return [
        {
            "subject": entry.subject,
            "kind": entry.kind,
            "names": [*entry.names],
            "aliases": [{"name": alias.name, "quality": "good" if alias.good else "low"} for alias in entry.aliases],
        }
        for entry in entries
    ]


def _find_decisions(arguments: Arguments) -> list[str]:
    needs = [(decision, find_need(kind)) for decision, kind in _DECISIONS.items()]
    roles = None if arguments.by is None else arguments.by.roles
    return [decision for decision, need in needs if need and (roles is None or not roles.isdisjoint(need.roles))]


def _describe_changes(changes: Changes) -> dict[str, Json]:
    return {"listed": [*changes.listed], "delisted": [*changes.delisted], "changed": [*changes.changed]}


async def _read_version(node: Node, arguments: Arguments) -> SubjectList:
    """The version in the file that was handed over, read beside the event loop: that takes seconds."""
    listed = await asyncio.to_thread(lists.read_list, node, arguments.data("data"))
    require_present(node, arguments)
    return listed
