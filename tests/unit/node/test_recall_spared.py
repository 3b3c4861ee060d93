# SPDX-License-Identifier: Apache-2.0
"""What a giver is told of its recall is the same whether its receiver has the object from elsewhere too or not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.work import WorkKind
from comity.canonical import Json, sha256_digest
from comity.cli.words.recalls import describe_recall, list_recalls
from comity.ids import AgreementId, PartyId
from comity.letters.letter import About
from comity.letters.recall import Change, Outcome, Recall, RecallAcknowledgement
from comity.node.audit import audit_folder
from comity.node.follow import plan_pull
from comity.node.recalled import DECISION_TIME, settle_due
from comity.node.receive import Received, receive_page
from comity.node.work import list_work
from comity.operations.recalls import describe_told
from comity.store import recalls
from tests.chains import deliver_to, introduce, pull_all, sign_onward
from tests.unit.node.test_recall import RETENTION, X, forge, is_held, received, sent, withdraw
from tests.worlds import World, make_object

A, B, C = map(PartyId, ("aurelia", "borealia", "cimbria"))
HELD_BY = (
    "nobody else",
    "itself",
    "itself, otherwise",
    "itself, a newer version",
    "another",
    "another, otherwise",
    "another, an older version",
    "another, a newer version",
)
"""By whom borealia has the object too, when aurelia gives and recalls it."""


def hear(world: World, since: int) -> list[tuple[int, str, tuple[tuple[str, str | None], ...]]]:
    """What aurelia has heard of its recall: when, how far, and what became of each version."""
    return [
        (
            (answer.letter.at - since) // DECISION_TIME,
            answer.letter.body.stage.value,
            tuple((result.outcome.value, result.reason) for result in answer.letter.body.results),
        )
        for told in sent(world, A)
        for answer in told.answers
        if isinstance(answer.letter.body, RecallAcknowledgement)
    ]


def recall_again(world: World, agreement: str) -> list[object]:
    """What borealia tells aurelia of a second recall of the same version, at once and after the date of the first."""
    about = received(world, B)[-1].stored.letter.about
    forge(world, Recall(change=Change.WITHDRAW, reason="again"), sender=A, to=B, agreement=agreement, about=about)
    said = list[object]()
    for _ in range(2):
        newest = received(world, B)[0]
        said.append((newest.stored.progress, [result.outcome.value for result in newest.results]))
        world.tick(DECISION_TIME + 1)
        settle_due(world.nodes[B])
    return said


def decides(world: World) -> list[str | None]:
    """What borealia's people have to decide on, of what was recalled."""
    return [item.object for item in list_work(world.nodes[B]) if item.kind is WorkKind.RECALL_TO_DECIDE]


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[dict[str, World]]:
    """The same three nodes once for each way in which borealia may have the object too."""
    made = dict[str, World]()
    for number, held in enumerate(HELD_BY):
        folder = tmp_path / str(number)
        folder.mkdir()
        made[held] = World(folder)
        made[held].found(A, B, C)
        introduce(made[held], [(A, B), (B, C)])
    yield made
    for world in made.values():
        world.close()


def hold(world: World, held: str) -> None:
    """Let borealia have it as it is said."""
    more: dict[str, Json] | None = {"description": "as others have it"} if "otherwise" in held else None
    made = make_object("x", day=0 if "older" in held else 3 if "newer" in held else 1, more=more)
    if held.startswith("itself"):
        world.add(B, made)
    elif held.startswith("another"):
        world.add(C, made)
        assert X in pull_all(world, C, B)
    world.tick()


def exchange(world: World) -> None:
    """What waits is delivered; what answers a letter that was forged is not taken."""
    for name in (A, B):
        deliver_to(world, name)


def tell_story(world: World, held: str, *, extra: str, change: Change, early: bool) -> list[object]:
    agreement = sign_onward(world, A, B, listed=[], extra=extra)
    sign_onward(world, C, B, listed=[], extra=extra)
    hold(world, held)
    world.add(A, make_object("x"))
    assert X in pull_all(world, A, B)
    world.tick()
    if change is Change.CORRECT:
        world.add(A, make_object("x", day=2))
    since = world.now
    withdraw(world, change=change)
    exchange(world)
    heard: list[object] = [hear(world, since)]
    if change is Change.CORRECT:
        pull_all(world, A, B)
        settle_due(world.nodes[B])
        exchange(world)
        heard.append(hear(world, since))
    again = recall_again(world, agreement) if early else []
    world.tick(DECISION_TIME + 1)
    settle_due(world.nodes[B])
    exchange(world)
    heard.append(hear(world, since))
    again += recall_again(world, agreement)
    if held not in {"nobody else", "another"}:
        assert is_held(world, B)
    for name in (A, B, C):
        assert audit_folder(world.folder / name, now=world.now).found == 0
    return [*heard, again]


@pytest.mark.parametrize("early", [False, True], ids=["once", "again at once"])
@pytest.mark.parametrize("change", Change)
@pytest.mark.parametrize("extra", ["", RETENTION], ids=["no review", "a review"])
def test_the_giver_hears_the_same(worlds: dict[str, World], extra: str, change: Change, early: bool) -> None:
    heard = {held: tell_story(world, held, extra=extra, change=change, early=early) for held, world in worlds.items()}
    assert heard["nobody else"][-1]
    assert {held: said for held, said in heard.items() if said != heard["nobody else"]} == {}


@pytest.mark.parametrize("held", ["itself", "another, otherwise"])
def test_people_are_told_and_have_nothing_to_decide(worlds: dict[str, World], held: str) -> None:
    world = worlds[held]
    for giver in (A, C):
        sign_onward(world, giver, B, listed=[], extra=RETENTION)
    hold(world, held)
    world.add(A, make_object("x"))
    pull_all(world, A, B)
    withdraw(world)
    world.deliver()
    assert decides(world) == []
    (told,) = received(world, B)
    shown: dict[str, Any] = {**describe_told(told, now=world.now), "handed": []}
    assert shown["results"] == [{"outcome": "stopped", "reason": None, "spared": True}]
    assert (shown["undecided"], shown["due"], shown["overdue"]) == ([], None, False)
    assert "stopped (so its sender hears; what is here from elsewhere stays)" in describe_recall(shown)
    assert "nothing to decide" in list_recalls({"sent": [], "received": [shown], "taken_back": []})
    with world.nodes[B].store.read() as transaction:
        assert recalls.read_recalled(transaction, [X]) == {}
        assert recalls.find_undecided(transaction) == frozenset()


def test_what_people_have_to_decide_on_is_found_beside_it(worlds: dict[str, World]) -> None:
    world = worlds["nobody else"]
    sign_onward(world, A, B, listed=[], extra=RETENTION)
    world.add(A, make_object("x"))
    pull_all(world, A, B)
    withdraw(world)
    world.deliver()
    assert decides(world) == [X]
    settle_due(world.nodes[B])
    assert decides(world) == [X]
    world.tick(DECISION_TIME + 1)
    settle_due(world.nodes[B])
    assert decides(world) == []


def test_what_clashed_and_was_recalled_would_not_come_in(worlds: dict[str, World]) -> None:
    """As what was kept and recalled does not."""
    world = worlds["another, otherwise"]
    agreement, _ = (sign_onward(world, giver, B, listed=[]) for giver in (A, C))
    hold(world, "another, otherwise")
    world.add(A, make_object("x"))
    pull_all(world, A, B)
    withdraw(world)
    world.deliver()
    (told,) = received(world, B)
    (about,) = told.stored.letter.about
    with world.nodes[B].store.read() as transaction:
        found = recalls.read_foretold(transaction, [X], giver=A, agreement=AgreementId(agreement))
        assert found == {(X, about.digest)}
        assert recalls.read_foretold(transaction, [X], giver=C, agreement=AgreementId(agreement)) == frozenset()


@pytest.mark.parametrize("held", ["nobody else", "another, otherwise"])
def test_other_bytes_of_a_version_that_it_gave_before_are_as_if_never_given(
    worlds: dict[str, World], held: str
) -> None:
    """What this node would keep of two variants is the first: what a giver hears of the second is one thing."""
    world = worlds[held]
    agreement = sign_onward(world, A, B, listed=[])
    sign_onward(world, C, B, listed=[])
    hold(world, held)
    variants = [json.dumps(make_object("x", more={"description": text})).encode() for text in ("first", "second")]
    for data in variants:
        give(world, data)
        world.tick()
    for data in reversed(variants):
        about = (About(id=X, version=str(make_object("x")["modified"]), digest=sha256_digest(data)),)
        forge(world, Recall(change=Change.WITHDRAW, reason="x"), sender=A, to=B, agreement=agreement, about=about)
    outcomes = [result.outcome.value for told in received(world, B) for result in told.results]
    assert sorted(outcomes) == ["absent", "deleted"]
    (first,) = [told for told in received(world, B) if told.results[0].outcome is Outcome.DELETED]
    assert first.stored.letter.about[0].digest == sha256_digest(variants[0])


def give(world: World, data: bytes) -> None:
    """Let aurelia give borealia these bytes, whatever its own store has."""
    (target,) = plan_pull(world.nodes[B], A)
    way = Received(giver=A, terms=target.terms, channel=target.channel, collection=target.collection, added_after=None)
    receive_page(world.nodes[B], b'{"objects":[' + data + b"]}", way)
