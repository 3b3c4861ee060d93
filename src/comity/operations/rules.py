# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on rule sets: looked at, applied, taken back.

The first person brings the file. Whoever comes second names the act that waits, in `matter`, and sees and applies the
set that was brought to it.
"""

import asyncio
from dataclasses import replace

from comity.agreement.recognition import Refusal
from comity.classification.rules import RuleSet, convert_rules, parse_rules
from comity.errors import ConflictError, MalformedRequest, TransitionError
from comity.ids import Digest, format_instant
from comity.node import rules
from comity.node.node import Node
from comity.node.people import PendingMatter, Waiting, list_matters
from comity.node.rules import AppliedRules
from comity.node.steps import Steps, T, advance
from comity.operations import matters
from comity.operations.classify import describe_effects
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import (
    conclude_refused,
    conclude_waiting,
    describe_approvals,
    describe_matter,
    read_actor,
    require_present,
)
from comity.operations.reply import Json
from comity.operations.sight import may_see_matter
from comity.release.classification import ClassificationChange

__all__ = ["apply", "end", "list_all", "preview"]

_MOST_STEPS_SHOWN = 1_000
_APPLYING = frozenset({ClassificationChange.APPLY_RULES, ClassificationChange.APPLY_RULES_SAFEGUARD})


async def preview(node: Node, arguments: Arguments) -> Outcome:
    """What a rule set would say, which releases would be gained or lost, and who has approved already to apply it."""
    parsed = await _read_rules(node, arguments)
    if isinstance(parsed, Refusal):
        return conclude_refused(parsed)
    seen = await _take_turns(node, arguments, rules.foresee_rules(node, parsed, tell=arguments.tell))
    steps: list[Json] = [
        {"object": step.object, "field": step.field, "word": step.word, "why": step.why, "ends": step.ends}
        for step in seen.steps[:_MOST_STEPS_SHOWN]
    ]
    return Outcome(
        result={
            "rules": parsed.digest,
            "name": parsed.name,
            "looked_at": seen.looked_at,
            "lists": dict[str, Json](seen.lists),
            "objects": len({step.object for step in seen.steps}),
            "words": len(seen.steps),
            "steps": steps,
            "effects": describe_effects(seen.effects),
            "matters": _find_waiting(node, arguments, parsed.digest),
        }
    )


async def apply(node: Node, arguments: Arguments) -> Outcome:
    """Apply a rule set; with `digest`, no other one than was looked at. Partners are answered between its parts."""
    parsed = await _read_rules(node, arguments)
    if isinstance(parsed, Refusal):
        return conclude_refused(parsed)
    if (looked_at := arguments.optional("digest")) is not None and looked_at != parsed.digest:
        raise ConflictError("this is another rule set than the one that was looked at; look at this one first")
    by, waits = read_actor(node, arguments), _find_named(node, arguments)
    if waits is None:
        reason = arguments.text("reason")
    else:
        by, reason = replace(by, completes=waits.digest), _read_fact(waits, "reason")
    steps = rules.apply_rules(node, parsed, reason=reason, by=by, tell=arguments.tell)
    return _conclude(await _take_turns(node, arguments, steps))


async def end(node: Node, arguments: Arguments) -> Outcome:
    """Take a rule set back; partners are answered between its parts."""
    by = read_actor(node, arguments)
    steps = rules.end_rules(node, arguments.text("rules"), reason=arguments.text("reason"), by=by)
    return _conclude(await _take_turns(node, arguments, steps))


def list_all(node: Node, _: Arguments) -> Outcome:
    """Every rule set that was ever applied."""
    listed: list[Json] = [
        {
            "rules": item.digest,
            "name": item.name,
            "applied_at": format_instant(item.applied_at),
            "ended_at": None if item.ended_at is None else format_instant(item.ended_at),
            "standing": item.standing and item.ended_at is None,
            "lists": dict[str, Json](item.lists),
            "words": words,
        }
        for item, words in rules.list_rules(node)
    ]
    return Outcome(result={"sets": listed})


async def _read_rules(node: Node, arguments: Arguments) -> RuleSet | Refusal:
    """The set in the file that was handed over, or that was brought to the act that is named; read beside the loop."""
    if arguments.optional("matter") is None:
        parsed = await asyncio.to_thread(convert_rules, arguments.data("data"))
    else:
        parsed = await asyncio.to_thread(parse_rules, _find_brought(node, arguments))
    require_present(node, arguments)
    return parsed


def _find_brought(node: Node, arguments: Arguments) -> bytes:
    found = matters.find(node, arguments)
    if found.matter.kind not in _APPLYING:
        raise MalformedRequest("this act applies no rule set", where="matter")
    if found.data is None:
        raise TransitionError(
            "it was approved before what is brought to an act was kept: give the same file again, or decline it"
        )
    return found.data


def _find_named(node: Node, arguments: Arguments) -> PendingMatter | None:
    """The act that whoever asks means to complete; None where the file was handed over."""
    name = arguments.optional("matter")
    if name is not None:
        matters.require_whole(name)
    return None if name is None else matters.find(node, arguments).matter


def _find_waiting(node: Node, arguments: Arguments, digest: Digest) -> list[Json]:
    """The acts that wait and would apply this very set, of those that are for whoever asks."""
    by = arguments.by
    return [
        describe_matter(matter, by=by)
        for matter in list_matters(node)
        if matter.kind in _APPLYING
        and _read_fact(matter, "rules") == digest
        and (by is None or may_see_matter(by, matter.kind))
    ]


def _read_fact(matter: PendingMatter, name: str) -> str:
    return str(matter.facts[name]) if isinstance(matter.facts, dict) else ""


async def _take_turns(node: Node, arguments: Arguments, steps: Steps[T]) -> T:
    """What came of the steps. What is on record of them by the time that who asks is gone is done by `node.upkeep`."""
    while (done := advance(steps)) is None:
        await asyncio.sleep(0)
        require_present(node, arguments)
    return done.result


def _conclude(done: AppliedRules | Waiting | Refusal) -> Outcome:
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    return Outcome(
        result={
            "rules": done.digest,
            "name": done.name,
            "said": done.said,
            "ended": done.ended,
            "objects": done.objects,
            "approvals": describe_approvals(done.approvals),
        }
    )
