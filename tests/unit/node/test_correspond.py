# SPDX-License-Identifier: Apache-2.0
"""Messages carried by hand: exported to a file and imported, without any connection between the nodes."""

import json
import tracemalloc
from typing import Any

import pytest

from comity.agreement.events import EventKind
from comity.agreement.transitions import State
from comity.errors import MalformedMessage, NotFoundError
from comity.exchange import Message, parse_message
from comity.ids import AgreementId
from comity.node import correspond
from comity.node.agree import Recorded
from comity.node.correspond import Imported, export_messages, import_messages, import_steps
from comity.node.standing import read_dossier
from comity.node.steps import advance, finish
from tests.unit.node.test_agree import log_size, proposal, standing
from tests.unit.node.test_group import check_same
from tests.worlds import World, make_object

BOTH = ("aurelia", "borealia")


def carry(world: World, sender: str, receiver: str, agreement: str) -> Imported:
    """What becomes of one file that somebody takes from one node to the other."""
    return import_messages(world.nodes[receiver], export_messages(world.nodes[sender], agreement))


def alter(data: bytes, **fields: Any) -> bytes:  # noqa: ANN401 (members of the file)
    return json.dumps(json.loads(data) | fields).encode()


def read_messages(world: World, name: str, agreement: str) -> list[str]:
    messages: list[str] = json.loads(export_messages(world.nodes[name], agreement))["messages"]
    return messages


def test_two_nodes_without_a_connection_agree_by_files_in_both_directions(world: World) -> None:
    world.add("aurelia", make_object("a"))
    agreement = proposal(world)
    there = carry(world, "aurelia", "borealia", agreement)
    assert ([item.event.kind for item in there.recorded], there.known, there.refused) == ([EventKind.PROPOSE], 0, ())
    world.act("borealia", agreement, EventKind.ACCEPT)
    back = carry(world, "borealia", "aurelia", agreement)
    assert [item.event.kind for item in back.recorded] == [EventKind.ACCEPT, EventKind.CONFIRM]
    assert (back.agreement, back.known, back.refused) == (agreement, 1, ())
    carry(world, "aurelia", "borealia", agreement)
    assert check_same(world, agreement, BOTH).state is State.IN_FORCE
    assert world.read("borealia")


def test_a_file_again_changes_nothing(world: World) -> None:
    agreement = proposal(world)
    carry(world, "aurelia", "borealia", agreement)
    size = log_size(world, "borealia")
    again = carry(world, "aurelia", "borealia", agreement)
    assert (again.recorded, again.known, again.refused) == ((), 1, ())
    assert log_size(world, "borealia") == size
    own = import_messages(world.nodes["aurelia"], export_messages(world.nodes["aurelia"], agreement))
    assert (own.recorded, own.known, own.refused) == ((), 1, ()), "a node's own messages are known to it"


def test_the_order_in_the_file_does_not_matter(world: World) -> None:
    agreement = proposal(world)
    world.act("aurelia", agreement, EventKind.CLARIFY, clause="purposes", text="Is this enough?")
    data = export_messages(world.nodes["aurelia"], agreement)
    messages = read_messages(world, "aurelia", agreement)
    imported = import_messages(world.nodes["borealia"], alter(data, messages=[*reversed(messages), messages[0]]))
    assert (len(imported.recorded), imported.known, imported.refused) == (2, 1, ())
    assert standing(world, "borealia", agreement) is State.IN_CLARIFICATION


def test_one_bad_message_does_not_keep_the_good_ones_away(world: World) -> None:
    agreement = proposal(world)
    (good,) = read_messages(world, "aurelia", agreement)
    envelope = json.loads(good)
    envelope["signatures"][0]["sig"] = envelope["signatures"][0]["sig"].swapcase()
    forged = json.dumps(envelope)
    data = alter(export_messages(world.nodes["aurelia"], agreement), messages=["{}", forged, good, "no message"])
    imported = import_messages(world.nodes["borealia"], data)
    assert (len(imported.recorded), len(imported.refused)) == (1, 3)
    assert standing(world, "borealia", agreement) is State.PROPOSED


def test_a_message_on_another_agreement_than_the_file_names_is_refused(world: World) -> None:
    """Whoever imports was asked for one agreement; a stop of another must not come with it unseen."""
    agreement = proposal(world)
    other = world.propose("aurelia", world.terms(title="Another"))
    assert isinstance(other, Recorded)
    messages = read_messages(world, "aurelia", agreement) + read_messages(world, "aurelia", other.event.agreement)
    data = alter(export_messages(world.nodes["aurelia"], agreement), messages=messages)
    imported = import_messages(world.nodes["borealia"], data)
    assert [item.event.agreement for item in imported.recorded] == [agreement]
    (reason,) = imported.refused
    assert reason.endswith("which is not the one the file names")
    with pytest.raises(NotFoundError):
        standing(world, "borealia", other.event.agreement)


def test_a_file_for_somebody_else_brings_nothing(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.found("meridia")
    imported = import_messages(world.nodes["meridia"], export_messages(world.nodes["aurelia"], agreement))
    assert (imported.recorded, imported.known, len(imported.refused)) == ((), 0, 4)
    assert {reason.split()[0] for reason in imported.refused} <= {"meridia", "the"}
    with pytest.raises(NotFoundError):
        standing(world, "meridia", agreement)


def test_a_stop_in_a_file_stops(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.act("borealia", agreement, EventKind.SUSPEND)
    imported = carry(world, "borealia", "aurelia", agreement)
    assert [item.stops for item in imported.recorded] == [True]
    assert standing(world, "aurelia", agreement) is State.SUSPENDED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"format":"comity-messages/2","agreement":"%s","messages":[]}' % (b"7" * 64),
        b'{"format":"comity-messages/1","messages":[]}',
        b'{"format":"comity-messages/1","agreement":"7","messages":[]}',
        b'{"format":"comity-messages/1","agreement":"%s","messages":[1]}' % (b"7" * 64),
        b'{"format":"comity-messages/1","agreement":"%s","messages":["\\ud800"]}' % (b"7" * 64),
        b'{"format":"comity-messages/1","agreement":"%s","messages":"all"}' % (b"7" * 64),
        b'{"format":"comity-messages/1","agreement":"%s","messages":[%s]}' % (b"7" * 64, b",".join([b'""'] * 10_001)),
    ],
    ids=range(12),
)
def test_what_is_no_file_of_messages(world: World, data: bytes) -> None:
    with pytest.raises(MalformedMessage, match="agreement export"):
        import_messages(world.nodes["aurelia"], data)


def test_what_was_parsed_is_not_parsed_again_with_each_message_that_follows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partner may send a thousand on one agreement: the last must not cost a thousand times the first."""
    agreement = proposal(world)
    world.deliver()
    parsed = list[bytes]()

    def parse(envelope: bytes) -> Message:
        parsed.append(envelope)
        return parse_message(envelope)

    monkeypatch.setattr("comity.node.standing.parse_message", parse)
    for number in range(10):
        world.act("borealia", agreement, EventKind.CLARIFY, clause="purposes", text=f"question {number}")
    world.deliver()
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        dossier = read_dossier(node, transaction, AgreementId(agreement))
    assert dossier is not None
    assert len(dossier.events) == 11
    assert tuple(parse_message(envelope).event for envelope in dossier.envelopes) == dossier.events
    assert len(parsed) <= 2 * 12


def test_a_file_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = proposal(world)
    data = export_messages(world.nodes["aurelia"], agreement)
    monkeypatch.setattr(correspond, "_MAX_FILE_BYTES", len(data) - 1)
    with pytest.raises(MalformedMessage, match="at most"):
        import_messages(world.nodes["borealia"], data)


def test_a_file_of_what_is_no_text_takes_little_memory(world: World) -> None:
    """An empty array takes twenty times as much memory as the file has bytes for it."""
    data = b'{"format":"comity-messages/1","agreement":"%s","messages":[%s]}' % (
        b"7" * 64,
        b",".join([b"[]"] * 500_000),
    )
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage, match="agreement export"):
            import_messages(world.nodes["aurelia"], data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(data)


def test_others_have_a_turn_after_each_message_of_a_file(world: World) -> None:
    agreement = proposal(world)
    for number in range(3):
        world.act("aurelia", agreement, EventKind.CLARIFY, clause="purposes", text=f"question {number}")
    data = export_messages(world.nodes["aurelia"], agreement)
    steps = import_steps(world.nodes["borealia"], data)
    assert advance(steps) is None
    assert advance(steps) is None
    assert standing(world, "borealia", agreement) is State.PROPOSED, "the first is on record by then"
    assert len(finish(steps).recorded) == 4
