# SPDX-License-Identifier: Apache-2.0
"""Shell: see before you say it: which releases are gained or lost if objects are labelled otherwise than they are.

The labels that would count are those that the act itself would come to (`node.relabel.foresee`), and each is held
against every channel in force by the decision that a poll asks. So what is shown is what then happens, as long as
nothing else changes in between. The gate is told beside it, as in a preview of terms: what it keeps closed is not given
now either way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from comity.agreement.lifecycle import Standing
from comity.ids import AgreementId, ObjectId, PartyId
from comity.node.gate import ask_gate
from comity.node.node import Node
from comity.node.standing import Dossier, list_dossiers
from comity.node.steps import Steps
from comity.release.decision import Decision, Withhold, decide, decide_history
from comity.release.preview import Flow, list_flows
from comity.stix.labels import Label
from comity.store import Transaction, feeds, objects
from comity.store.objects import StoredObject

__all__ = ["ReleaseEffect", "find_effects", "find_effects_in_steps"]

_AT_ONCE = 2_000
"""Objects that are held against one agreement in a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEffect:
    """What one recipient would be given in one channel that it is not given, or would not be given any more; by id.

    `changed` would go with other properties left out. `lost` are with the clause that would withhold each. `closed` is
    what keeps the channel closed now, as a sentence; None where it is open.
    """

    agreement: AgreementId
    title: str
    channel: str
    recipient: PartyId
    closed: str | None
    gained: tuple[ObjectId, ...]
    lost: tuple[tuple[ObjectId, str], ...]
    changed: tuple[ObjectId, ...]


def find_effects(node: Node, transaction: Transaction, labels: Mapping[int, Label]) -> tuple[ReleaseEffect, ...]:
    """What becomes of the releases of this party if versions had these labels; channels without any are left out."""
    relabelled = _read(node, transaction, labels)
    return tuple(
        effect
        for dossier in relabelled.dossiers
        for effect in _weigh(node, transaction, dossier, _list_flows(node, transaction, dossier), relabelled)
    )


def find_effects_in_steps(
    node: Node, find_labels: Callable[[Transaction], Mapping[int, Label]]
) -> Steps[tuple[ReleaseEffect, ...]]:
    """The same, of the labels that are found in the first step; others get a turn between thousands of objects."""
    with node.store.read() as transaction:
        relabelled = _read(node, transaction, find_labels(transaction))
        flows = {dossier.id: _list_flows(node, transaction, dossier) for dossier in relabelled.dossiers}
    found = dict[tuple[AgreementId, str, PartyId], ReleaseEffect]()
    for dossier, start in product(relabelled.dossiers, range(0, len(relabelled.held), _AT_ONCE)):
        yield
        part = replace(relabelled, held=relabelled.held[start : start + _AT_ONCE])
        with node.store.read() as transaction:
            effects = [*_weigh(node, transaction, dossier, flows[dossier.id], part)]
        for effect in effects:
            place = effect.agreement, effect.channel, effect.recipient
            found[place] = _add(found[place], effect) if place in found else effect
    return tuple(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Relabelled:
    """Versions that would have other labels, what they have and would have; and the agreements of that moment."""

    held: Sequence[StoredObject]
    before: Mapping[int, Label]
    after: Mapping[int, Label]
    dossiers: Sequence[Dossier]


def _read(node: Node, transaction: Transaction, labels: Mapping[int, Label]) -> _Relabelled:
    held = [item for item in objects.read_objects(transaction, labels.keys()) if item.current]
    return _Relabelled(
        held=held,
        before=objects.read_labels(transaction, {item.label for item in held}),
        after=labels,
        dossiers=list_dossiers(node, transaction) if held else (),
    )


def _list_flows(node: Node, transaction: Transaction, dossier: Dossier) -> Sequence[Flow]:
    """The flows of this party's in the agreement, as it is in force; none where it is not."""
    standing = dossier.standing(now=node.clock())
    if standing.current is None:
        return ()
    return list_flows(
        standing.current,
        members=standing.members,
        head=objects.read_head_seq(transaction),
        floors=feeds.read_floors(transaction, dossier.id),
        giver=node.party,
    )


def _weigh(
    node: Node, transaction: Transaction, dossier: Dossier, flows: Sequence[Flow], relabelled: _Relabelled
) -> Iterator[ReleaseEffect]:
    standing = dossier.standing(now=node.clock())
    if standing.current is None:
        return
    for flow in flows:
        shift = _hold_against(flow, relabelled.held, relabelled.before, relabelled.after)
        if shift != _NO_SHIFT:
            yield ReleaseEffect(
                agreement=dossier.id,
                title=standing.current.title,
                channel=flow.channel,
                recipient=flow.receiver,
                closed=_find_closed(node, transaction, standing, flow),
                gained=shift.gained,
                lost=shift.lost,
                changed=shift.changed,
            )


def _add(one: ReleaseEffect, other: ReleaseEffect) -> ReleaseEffect:
    """What becomes of both parts, by the gate as it was asked last."""
    return replace(
        other,
        gained=one.gained + other.gained,
        lost=one.lost + other.lost,
        changed=one.changed + other.changed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    """What becomes of one flow."""

    gained: tuple[ObjectId, ...]
    lost: tuple[tuple[ObjectId, str], ...]
    changed: tuple[ObjectId, ...]


_NO_SHIFT = _Shift(gained=(), lost=(), changed=())


def _hold_against(
    flow: Flow, held: Sequence[StoredObject], before: Mapping[int, Label], after: Mapping[int, Label]
) -> _Shift:
    decided: dict[Label, Decision] = {}

    def judge(item: StoredObject, label: Label) -> Decision:
        if (old := decide_history(flow.history, first_seq=item.first_seq, added_at=item.added_at)) is not None:
            return old
        if label not in decided:
            decided[label] = decide(flow.scope, label, recipient=flow.receiver)
        return decided[label]

    gained, lost, changed = list[ObjectId](), list[tuple[ObjectId, str]](), list[ObjectId]()
    for item in held:
        was, will = judge(item, before[item.label]), judge(item, after[item.pk])
        match was, will:
            case Withhold(), Withhold():
                pass
            case Withhold(), _:
                gained.append(item.id)
            case _, Withhold(clause=clause):
                lost.append((item.id, clause))
            case _ if was != will:
                changed.append(item.id)
            case _:
                pass
    return _Shift(gained=tuple(gained), lost=tuple(lost), changed=tuple(changed))


def _find_closed(node: Node, transaction: Transaction, standing: Standing, flow: Flow) -> str | None:
    channel = None if standing.current is None else standing.current.channel(flow.channel)
    assert channel is not None  # noqa: S101 (the flow is one of these terms)
    shut = ask_gate(node, transaction, standing, channel, recipient=flow.receiver)
    return None if shut is None else f"{shut.clause}: {shut.reason}"
