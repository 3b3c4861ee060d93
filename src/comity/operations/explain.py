# SPDX-License-Identifier: Apache-2.0
"""Shell: operations that say why an object goes or does not go, to whom, and what of it."""

from collections.abc import Iterable

from comity.ids import PartyId, parse_object_id, parse_party_id
from comity.node import explain as explaining
from comity.node.consent import list_consents_of
from comity.node.explain import Explanation, Reading, Recipient, Repeat, Verdict
from comity.node.node import Node
from comity.node.recall import list_recalls_of
from comity.operations.consents import describe_grants
from comity.operations.outcome import Arguments, Outcome
from comity.operations.recalls import describe_recalled
from comity.operations.reply import Json
from comity.operations.sight import may_ask
from comity.release.clauses import Finding, Groups

__all__ = ["describe_repeat", "explain", "list_recipients", "see"]

_MOST_READINGS = 1_000


def explain(node: Node, arguments: Arguments) -> Outcome:
    """Why an object goes, or does not go, to a party.

    With `most`, so many readings at most: of the channels that let the most go, these first.
    """
    seen = explaining.see_object(node, _read_name(arguments), to=_read_party(arguments), most=_read_most(arguments))
    return Outcome(result=_describe_explanation(node, seen.explanation))


def see(node: Node, arguments: Arguments) -> Outcome:
    """The same, with the object as it is held and as the party would receive it.

    With `everyone`, and `parties` as of `list_recipients`, where the person may ask that.
    """
    name, everyone = arguments.text("id"), arguments.flag("everyone")
    everyone = everyone and (arguments.by is None or may_ask(arguments.by, "object.recipients"))
    seen = explaining.see_object(node, name, to=_read_party(arguments), most=_read_most(arguments), everyone=everyone)
    best = seen.explanation.best
    return Outcome(
        result={
            **_describe_explanation(node, seen.explanation),
            "agreement": None if best is None else best.agreement,
            "channel": None if best is None else best.channel,
            "original": seen.original.decode(),
            "received": None if seen.received is None else seen.received.decode(),
            **({"parties": _describe_recipients(seen.recipients)} if everyone else {}),
        }
    )


def list_recipients(node: Node, arguments: Arguments) -> Outcome:
    """What each party that some channel leads to would be given of an object."""
    item, recipients = explaining.list_recipients(node, _read_name(arguments))
    parties = _describe_recipients(recipients)
    return Outcome(result={"object": item.id, "version": item.version, "parties": parties})


def _describe_recipients(recipients: Iterable[Recipient]) -> list[Json]:
    return [
        {
            "party": one.party,
            "agreement": one.agreement,
            "title": one.title,
            "channel": one.channel,
            **_describe_verdict(one.verdict),
        }
        for one in recipients
    ]


def _read_party(arguments: Arguments) -> PartyId:
    return parse_party_id(arguments.text("to"))


def _read_most(arguments: Arguments) -> int | None:
    return arguments.optional_number("most", most=_MOST_READINGS)


def _read_name(arguments: Arguments) -> str:
    """The id of an object, or its beginning; whole for who may not look through objects.

    Raises:
        MalformedRequest: it has to be whole, and is not: what begins so would be told.
    """
    name = arguments.text("id")
    return name if arguments.by is None or may_ask(arguments.by, "object.list") else parse_object_id(name)


def _describe_explanation(node: Node, found: Explanation) -> dict[str, Json]:
    consents = [one for one in list_consents_of(node, found.object.id) if one.recipient == found.recipient]
    return {
        "object": found.object.id,
        "version": found.object.version,
        "to": found.recipient,
        **_describe_verdict(found.verdict),
        "repeats": [describe_repeat(repeat) for repeat in found.repeats],
        "recalled": describe_recalled(list_recalls_of(node, found.object.id)[0]),
        "consents": describe_grants(consents, now=node.clock()),
        "channel_count": found.channels,
        "readings": [_describe_reading(reading) for reading in found.readings],
    }


def _describe_verdict(verdict: Verdict) -> dict[str, Json]:
    return {
        "decision": verdict.decision,
        "clause": verdict.clause,
        "reason": verdict.reason,
        "redacted": list[Json](verdict.redacted),
    }


def describe_repeat(repeat: Repeat) -> Json:
    """What is marked in one place of an object and stands again in another."""
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
        "because": [*reading.because],
        "clauses": [_describe_finding(finding) for finding in reading.findings],
    }


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
