# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on terms that sign nothing: what they would do, how they differ, what they conflict with."""

from comity.agreement.comparison import TextChange
from comity.agreement.lifecycle import Obstacle
from comity.agreement.recognition import Refusal
from comity.agreement.terms import Terms
from comity.ids import format_instant
from comity.node.node import Node
from comity.node.preview import (
    MAX_SAMPLES,
    Amount,
    ChannelComparison,
    Conflict,
    Effect,
    Flow,
    FlowPreview,
    Samples,
    check_terms,
    compare_versions,
    preview_terms,
)
from comity.operations.certificate import explain_terms
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Exit, Json

__all__ = ["check", "diff", "preview"]

_DRAFT = "draft"


def preview(node: Node, arguments: Arguments) -> Outcome:
    """What terms in a file or on record would release, and what that changes."""
    found = preview_terms(node, _read_source(arguments, ""), samples=arguments.number("samples", most=MAX_SAMPLES))
    standing, replaces = found.standing, found.replaces
    result: dict[str, Json] = {
        **_describe_terms(found.terms),
        "state": _DRAFT if standing is None else standing.state.value,
        "sentence": None if standing is None else standing.sentence,
        "problems": list[Json](found.draft.problems),
        "refused": _describe_refusal(found.draft.refusal),
        "replaces": None if replaces is None else _describe_terms(replaces),
        "gives": [_describe_flow(item, found.samples) for item in found.flows],
        "conflicts": [_describe_conflict(item, found.samples) for item in found.draft.conflicts],
    }
    return Outcome(result=result, code=Exit.DONE if found.draft.refusal is None else Exit.REFUSED)


def check(node: Node, arguments: Arguments) -> Outcome:
    """Whether this party could propose the terms now, and what they conflict with."""
    draft = check_terms(node, arguments.data("terms"))
    result: dict[str, Json] = {
        **_describe_terms(draft.terms),
        "state": _DRAFT,
        "problems": list[Json](draft.problems),
        "refused": _describe_refusal(draft.refusal),
        "conflicts": [_describe_conflict(item, draft.samples) for item in draft.conflicts],
        "parts": [*explain_terms(draft.terms)],
    }
    if draft.problems or draft.refusal is not None:
        return Outcome(result=result, code=Exit.REFUSED)
    return Outcome(result=result, code=Exit.CONFLICTS if draft.conflicts else Exit.DONE)


def diff(node: Node, arguments: Arguments) -> Outcome:
    """How two texts differ, clause by clause and in what they would release."""
    before, after = _read_source(arguments, "before_"), _read_source(arguments, "after_")
    found = compare_versions(node, before, after, samples=arguments.number("samples", most=MAX_SAMPLES))
    result: dict[str, Json] = {
        "before": _describe_terms(found.before),
        "after": _describe_terms(found.after),
        "changes": [_describe_change(change) for change in found.changes],
        "channels": [_describe_channel(item, found.samples) for item in found.channels],
    }
    return Outcome(result=result)


def _read_source(arguments: Arguments, prefix: str) -> bytes | str:
    """TOML, or the name of something on record."""
    if arguments.optional(f"{prefix}terms") is not None:
        return arguments.data(f"{prefix}terms")
    return arguments.text(f"{prefix}id")


def _describe_terms(terms: Terms) -> dict[str, Json]:
    return {"agreement": terms.agreement_id, "title": terms.title, "version": terms.version, "terms": terms.hash}


def _describe_refusal(refusal: Refusal | Obstacle | None) -> Json:
    return None if refusal is None else {"clause": refusal.clause, "reason": refusal.reason}


def _describe_amount(amount: Amount, samples: Samples) -> dict[str, Json]:
    return {"objects": amount.objects, "samples": [sample.id for sample in samples.of(amount)]}


def _describe_flow(item: FlowPreview, samples: Samples) -> Json:
    flow, counts = item.flow, item.counts
    described: dict[str, Json] = {
        "channel": flow.channel,
        "to": flow.receiver,
        "joined": flow.joined,
        "history": _describe_history(flow),
        "closed": _describe_refusal(item.closed),
        "released": 0,
        "redacted": 0,
        "withheld": None,
        "groups": [],
        "more": {"groups": 0, "objects": 0},
        "refusals": [],
    }
    if counts is not None:
        described |= {
            "released": counts.released,
            "redacted": counts.redacted,
            "withheld": counts.withheld,
            "groups": [
                {
                    "type": group.type,
                    "tlp": group.tlp,
                    "originator": group.originator,
                    "subjects": list[Json](group.subjects),
                    "redacted": list[Json](group.redacted),
                    "tear_line": list[Json](group.tear_line),
                    **_describe_amount(group.amount, samples),
                }
                for group in counts.groups
            ],
            "more": {"groups": counts.more_groups, "objects": counts.more_objects},
            "refusals": [{"clause": clause, **_describe_amount(amount, samples)} for clause, amount in counts.refusals],
        }
    return {**described, "effect": _describe_effect(item.effect, samples)}


def _describe_history(flow: Flow) -> str | None:
    """What of what is held does not count, by when it was taken in; None where all of it counts."""
    if flow.history.since is not None:
        return f"nothing taken in before {format_instant(flow.history.since)}"
    if flow.history.after_seq is None:
        return None
    return f"nothing taken in before {f'{flow.receiver} joined' if flow.joined else 'all had signed'}"


def _describe_effect(effect: Effect | None, samples: Samples) -> Json:
    if effect is None:
        return None
    return {
        "relation": effect.relation.value,
        "gained": _describe_amount(effect.gained, samples),
        "lost": _describe_amount(effect.lost, samples),
        "changed": _describe_amount(effect.changed, samples),
        "unchanged": _describe_amount(effect.unchanged, samples),
    }


def _describe_conflict(item: Conflict, samples: Samples) -> Json:
    found = item.found
    return {
        "kind": found.kind.value,
        "channel": found.flow.channel,
        "clause": found.clause,
        "with": {
            **_describe_terms(item.other),
            "state": item.standing.state.value,
            "channel": found.other_flow.channel,
            "clause": found.other_clause,
        },
        "giver": found.giver,
        "receiver": found.receiver,
        "sentence": item.sentence,
        "labels": item.labels,
        **_describe_amount(item.amount, samples),
    }


def _describe_change(change: TextChange) -> Json:
    return {
        "clause": change.clause,
        "before": None if change.before is None else list[Json](change.before),
        "after": None if change.after is None else list[Json](change.after),
        "added": list[Json](change.added),
        "removed": list[Json](change.removed),
    }


def _describe_channel(item: ChannelComparison, samples: Samples) -> Json:
    return {
        "channel": item.channel,
        "giver": item.giver,
        "to": item.receiver,
        "relation": item.relation.value,
        "effect": _describe_effect(item.effect, samples),
    }
