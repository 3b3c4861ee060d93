# SPDX-License-Identifier: Apache-2.0
"""Pure: Release, Redact or Withhold, with the clause that decided.

Two questions, split by what they depend on. The gate asks about agreement, clock and this node's own recognition:
one answer for a whole feed. The scope asks about an object's label only. An object goes out when both say so, and the
channel admits what came in when it did.

    decide_gate(standing, recognition, channel=…)  -> None, or Withhold(clause="status", …)
    decide(scope, label, recipient=party)          -> Release() | Redact(properties={…}) | Withhold(clause="regions", …)

Everything that is not understood is withheld: an unknown marking is a word no terms can allow, an absent subject is
an empty group, no TLP is the word "unmarked". Not here: removing the bytes (`release.redaction`), the record of the
disclosure (`release.disclosure`), and the reading of the store (`node.poll`).
"""

import json
from dataclasses import dataclass

from comity.agreement.channels import Channel, Scope
from comity.agreement.lifecycle import Standing
from comity.agreement.recognition import Recognised, Refusal
from comity.ids import Instant, PartyId, format_instant
from comity.release.clauses import Condition, Finding, Test, find_refusal, read_sql
from comity.release.history import Threshold, admits_history
from comity.stix.labels import LAPSED, OVERTAKEN, QUESTIONED, RECALLED, UNDECIDED, Label
from comity.stix.markings import CONTRADICTORY, TLP_ORDER, tlp_rank

__all__ = [
    "Decision",
    "Redact",
    "Release",
    "Withhold",
    "decide",
    "decide_gate",
    "decide_history",
    "find_reason",
    "read_decision_sql",
]

_MARKS = "SELECT 1 FROM json_each(CAST(label.body AS TEXT), '$.granular') g WHERE"
_REFUSED = "json_extract(g.value, '$.tlp') IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Release:
    """The received bytes may go, whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redact:
    """The object may go without these top-level properties, which the terms do not admit.

    With `only`, nothing else may go than what the object cannot lack and these.
    """

    properties: frozenset[str]
    only: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withhold:
    """Nothing goes; `clause` decided, `reason` is a sentence for people."""

    clause: str
    reason: str


Decision = Release | Redact | Withhold


def decide_gate(
    standing: Standing | None,
    recognition: Recognised | Refusal | None,
    *,
    channel: Channel,
    giver: PartyId,
    receiver: PartyId,
) -> Withhold | None:
    """None when an agreement lets anything through in `channel` from `giver` to `receiver`; else what stops all of it.

    `recognition` is this node's own judgement of the terms in force; both absent is a refusal (DEFAULT-DENY).
    """
    if standing is None:
        return Withhold(clause="status", reason="no agreement is on record")
    obstacle = standing.obstacle(channel, giver, receiver)
    if obstacle is not None:
        return Withhold(clause=obstacle.clause, reason=obstacle.reason)
    match recognition:
        case Recognised():
            return None
        case Refusal(clause=clause, reason=reason):
            return Withhold(clause=clause, reason=reason)
        case None:
            return Withhold(clause="legal_bases", reason="this node has recorded no recognition of these terms")


def decide_history(threshold: Threshold, *, first_seq: int, added_at: Instant) -> Withhold | None:
    """None when an object that came in at that place and time counts for the channel; else the clause `history`."""
    if admits_history(threshold, first_seq=first_seq, added_at=added_at):
        return None
    if threshold.since is not None:
        since = format_instant(threshold.since)
        return Withhold(clause="history", reason=f"taken in before {since}, from when the terms admit history")
    return Withhold(clause="history", reason="taken in before every party had signed; the terms admit no history")


def decide(scope: Scope, label: Label, *, recipient: PartyId) -> Decision:
    """What `scope` says of an object with `label` for `recipient`; total and deterministic.

    The gate is not asked here: `node.poll` asks it once, in the same transaction; nor is history, which is no fact of
    a label (`decide_history`).
    """
    refusal = find_refusal(scope, label, recipient=recipient)
    if refusal is not None:
        return Withhold(clause=refusal.clause, reason=find_reason(refusal))
    return _sanitise(scope, label)


def _sanitise(scope: Scope, label: Label) -> Decision:
    """What of an admitted object goes."""
    ceiling = tlp_rank(scope.tlp_ceiling)
    refused = frozenset(mark.property for mark in label.granular if tlp_rank(mark.tlp) > ceiling)
    only: frozenset[str] | None = None
    if refused and scope.sanitise == "none":
        reason = f"{_list(refused)} may not go, and the terms admit no object without some of its properties"
        return Withhold(clause="sanitise", reason=reason)
    if scope.sanitise == "tear_line_required":
        only = frozenset(mark.property for mark in label.granular if not mark.repeats) - refused
        if not only:
            return Withhold(
                clause="sanitise",
                reason="the terms admit tear lines alone, and no property of it is marked for release by itself",
            )
    if scope.attribution == "must-not":
        refused |= {"created_by_ref"}
    return Redact(properties=refused, only=only) if refused or only is not None else Release()


def read_decision_sql(scope: Scope, *, recipient: PartyId) -> Condition:
    """The condition on a row `label` that holds for exactly those of which `decide` withholds nothing.

    What is proposed and then withheld would leave a gap in the times of release, by which it can be counted.
    """
    clauses = read_sql(scope, recipient=recipient)
    refused = json.dumps(TLP_ORDER[tlp_rank(scope.tlp_ceiling) + 1 :])
    match scope.sanitise:
        case "none":
            parts = f"(label.partly_marked = 0 OR NOT EXISTS ({_MARKS} {_REFUSED}))"
        case "tear_line_required":
            tear_line = f"{_MARKS} json_extract(g.value, '$.repeats') IS NULL AND NOT {_REFUSED}"
            parts = f"label.partly_marked = 1 AND EXISTS ({tear_line})"
        case _:
            return clauses
    return Condition(sql=f"{clauses.sql} AND {parts}", parameters=(*clauses.parameters, refused))


def find_reason(finding: Finding) -> str:
    """A sentence that says what the clause found and what it would have allowed."""
    allowed = finding.allowed or frozenset()
    if finding.test is Test.WITHIN:
        audience = frozenset(word for word in allowed if all(word in group for group in finding.found))
        missing = _list(allowed - audience)
        return f"the channel would let it go to {missing}: not in the audience that its originator allows"
    if finding.clause == "frameworks":
        excluded = frozenset[str]().union(*finding.found) - allowed
        return f"the terms it came under exclude {_list(excluded)}, and these do not"
    if not finding.found or frozenset() in finding.found:
        return f"nothing is said, of the object or of one it refers to; the terms admit {_list(allowed)}"
    refused = frozenset(word for group in finding.found if group.isdisjoint(allowed) for word in group)
    if finding.clause == "markings":
        for word, reason in _MARKED.items():
            if word in refused:
                return reason
    if not allowed:
        return f"found {_list(refused)}; the terms admit none"
    return f"found {_list(refused)}; the terms admit {_list(allowed)}"


_MARKED = {
    RECALLED: "it, or one it refers to, was recalled: that version goes to nobody, under no terms",
    QUESTIONED: "it, or one it refers to, is about a subject that left its list: it goes on when people decide so",
    UNDECIDED: "it, or one it refers to, holds data of a special category, or of a minor: it goes when two people have"
    " decided that this is strictly necessary",
    CONTRADICTORY: "it, or one it refers to, is marked with several TLP levels, and nobody knows which was meant:"
    " it goes when a version comes that is marked with one",
    LAPSED: "it, or one it refers to, is a threat assessment whose time has passed; it can be renewed",
    OVERTAKEN: "it, or one it refers to, came after a version that its giver may not give here, and is no newer:"
    " what that one restricts is not known here",
}
"""What a marking that no terms can name says to people."""


def _list(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))
