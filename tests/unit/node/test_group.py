# SPDX-License-Identifier: Apache-2.0
"""A group at real nodes: who joins, who leaves, what each learns, and what each is given."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from comity.agreement import moves
from comity.agreement.drafting import convert_terms
from comity.agreement.events import EventKind
from comity.agreement.lifecycle import Standing
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.agreement.terms import parse_terms
from comity.agreement.transitions import State
from comity.errors import ConflictError, NotFoundError, TransitionError, UnknownKey
from comity.exchange import parse_message
from comity.ids import Instant, PartyId
from comity.letters.recall import Change
from comity.node import agree
from comity.node.agree import Recorded
from comity.node.correspond import receive
from comity.node.gate import list_open_collections
from comity.node.outbox import Outgoing, is_held, list_due, list_waiting, settle
from comity.node.parties import add_party, export_manifest
from comity.node.recall import Recalling, list_recalls_of, recall
from comity.node.standing import find_agreement, judge_terms
from comity.signing import format_signed_document
from tests.chains import introduce, pull_all
from tests.unit.node.test_agree import forge
from tests.worlds import BASIS, World, make_object, object_id

TAVRIA = PartyId("tavria")
FOUNDERS = ("aurelia", "borealia", "meridia")
EVERYBODY = (*FOUNDERS, "tavria")
BASES = (
    f'[[legal_bases]]\nparty = "tavria"\nkind = "unsc_resolution"\nreference = "{BASIS}"\nforce = "decides"\n'
).encode()
NEEDED = {"any_member": 1, "majority": 2, "unanimous": 3}


@pytest.fixture
def group(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.found(*EVERYBODY)
    yield world
    world.close()


def write_terms(world: World, accession: str = "majority", *, founders: tuple[str, ...] = FOUNDERS) -> bytes:
    """Terms of a group in which aurelia gives to every other member."""
    toml = world.terms(receivers=founders[1:], extra=f'structure = {{kind = "group", accession = "{accession}"}}')
    lines = [line if not line.startswith(b"receivers") else b'receivers = ["members"]' for line in toml.splitlines()]
    return b"\n".join(lines)


def stand(world: World, name: str, agreement: str) -> Standing:
    node = world.nodes[name]
    with node.store.read() as transaction:
        return find_agreement(node, transaction, agreement).standing(now=world.now)


def is_known(world: World, name: str, agreement: str) -> bool:
    try:
        stand(world, name, agreement)
    except NotFoundError:
        return False
    return True


def list_to(world: World, name: str, party: str) -> list[Outgoing]:
    return [message for message in list_due(world.nodes[name]) if message.party == party]


def count_to_tavria(world: World) -> int:
    return sum(len(list_to(world, name, "tavria")) for name in FOUNDERS)


def hand_over(world: World, name: str, party: str) -> None:
    """Deliver what waits at one node for one other, and nothing else."""
    for message in list_to(world, name, party):
        receive(world.nodes[party], message.envelope)
        settle(world.nodes[name], message, problem=None)


def check_same(world: World, agreement: str, names: tuple[str, ...]) -> Standing:
    """Every one of these nodes says the same."""
    standings = {(each.state, each.sentence, each.members) for each in (stand(world, n, agreement) for n in names)}
    assert len(standings) == 1, standings
    return stand(world, names[0], agreement)


def join(world: World, agreement: str, *founders: str) -> None:
    for name in founders:
        world.admit(name, agreement, TAVRIA)
    world.deliver()
    assert isinstance(world.accede("tavria", agreement), Recorded)
    world.deliver()


def test_nobody_joins_a_group_that_selects_people_by_religion(group: World) -> None:
    with patch("comity.node.agree.judge_signing", judge_terms):
        agreement = group.sign_all(write_terms(group, "any_member").replace(b"national:ashfall", b"national:muslims"))
        group.admit("aurelia", agreement, TAVRIA)
        group.deliver()
    by = group.actor("tavria", Role.LIAISON)
    refused = agree.accede(group.nodes["tavria"], agreement, BASES, by=by)
    assert isinstance(refused, Refusal)
    assert "'national:muslims'" in refused.reason


# --- joining ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accession", NEEDED)
def test_a_joiner_learns_nothing_before_as_many_have_admitted_it_as_the_text_asks(group: World, accession: str) -> None:
    agreement = group.sign_all(write_terms(group, accession))
    needed = NEEDED[accession]
    for name in FOUNDERS[:needed]:
        assert count_to_tavria(group) == 0
        assert not is_known(group, "tavria", agreement)
        group.admit(name, agreement, TAVRIA)
        if name != FOUNDERS[needed - 1]:
            group.deliver()
    group.deliver()
    assert is_known(group, "tavria", agreement)
    for name in FOUNDERS:
        assert TAVRIA not in stand(group, name, agreement).members
    group.accede("tavria", agreement)
    group.deliver()
    standing = check_same(group, agreement, EVERYBODY)
    assert (standing.state, TAVRIA in standing.members) == (State.IN_FORCE, True)


def test_nobody_joins_a_closed_group(group: World) -> None:
    agreement = group.sign_all(write_terms(group, "closed"))
    with pytest.raises(TransitionError, match="is closed"):
        group.admit("aurelia", agreement, TAVRIA)
    assert count_to_tavria(group) == 0


def test_a_joiner_is_given_what_comes_in_later_and_nothing_from_before(group: World) -> None:
    group.add("aurelia", make_object("first"))
    agreement = group.sign_all(write_terms(group))
    group.add("aurelia", make_object("second"))
    assert group.read("borealia").keys() == {object_id("report", name) for name in ("first", "second")}
    join(group, agreement, "aurelia", "borealia")
    assert group.read("tavria") == {}
    group.add("aurelia", make_object("third"))
    assert group.read("tavria").keys() == {object_id("report", "third")}
    assert len(group.read("borealia")) == 3
    # A version that comes in later is news, of whatever object it is; the older version stays where it is.
    group.add("aurelia", make_object("first", day=2))
    assert group.read("tavria").keys() == {object_id("report", name) for name in ("first", "third")}
    every = group.poll("tavria", every=True).items
    assert len([item for item in every if item.id == object_id("report", "first")]) == 1


def test_a_joiner_is_told_the_text_and_what_stops_it_and_no_text_from_before(group: World) -> None:
    first = group.propose("aurelia", write_terms(group))
    assert isinstance(first, Recorded)
    group.deliver()
    again = write_terms(group).replace(b"version = 1", b"version = 2")
    head = f'agreement = "{first.event.agreement}"\nsupersedes = "{first.event.terms}"\n'.encode()
    second = group.propose("borealia", again.replace(b'form = "', head + b'form = "', 1))
    assert isinstance(second, Recorded)
    assert second.event.kind is EventKind.COUNTER
    group.deliver()
    for name in ("aurelia", "meridia"):
        group.act(name, second.event.terms, EventKind.ACCEPT)
    group.deliver()
    group.act("meridia", first.event.agreement, EventKind.SUSPEND, text="a review")
    group.deliver()
    for name in ("aurelia", "borealia"):
        group.admit(name, first.event.agreement, TAVRIA)
        group.deliver()
    node = group.nodes["tavria"]
    with node.store.read() as transaction:
        dossier = find_agreement(node, transaction, first.event.agreement)
    assert [terms.hash for terms in dossier.versions] == [second.event.terms]
    assert {event.terms for event in dossier.events} == {second.event.terms}
    assert check_same(group, first.event.agreement, EVERYBODY).state is State.SUSPENDED


def test_a_stop_that_crosses_an_accession_reaches_the_joiner(group: World) -> None:
    """Meridia suspends before it knows of the joiner, and its message comes after the accession."""
    agreement = group.sign_all(write_terms(group))
    for name in ("aurelia", "borealia"):
        group.admit(name, agreement, TAVRIA)
    group.deliver()
    assert not list_to(group, "meridia", "tavria")
    group.act("meridia", agreement, EventKind.SUSPEND)
    group.accede("tavria", agreement)
    hand_over(group, "tavria", "aurelia")
    hand_over(group, "tavria", "borealia")
    hand_over(group, "meridia", "aurelia")
    hand_over(group, "meridia", "borealia")
    hand_over(group, "aurelia", "tavria")
    assert stand(group, "tavria", agreement).state is State.IN_FORCE
    group.deliver()
    assert check_same(group, agreement, EVERYBODY).state is State.SUSPENDED


def test_two_that_join_at_the_same_time_learn_of_each_other(group: World) -> None:
    group.found("cimbria")
    agreement = group.sign_all(write_terms(group, "any_member"))
    for name in ("tavria", "cimbria"):
        group.admit("aurelia", agreement, PartyId(name))
    group.deliver()
    group.accede("tavria", agreement)
    group.accede("cimbria", agreement)
    group.deliver()
    standing = check_same(group, agreement, (*EVERYBODY, "cimbria"))
    assert standing.members == {*map(PartyId, EVERYBODY), "cimbria"}


def test_a_joiner_is_nobody_where_it_is_not_pinned(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    agreement = world.sign_all(write_terms(world, "any_member", founders=("aurelia", "borealia")))
    world.add("borealia", make_object("a"))
    world.found("tavria")
    remove_pin(world, "borealia")
    world.admit("aurelia", agreement, TAVRIA)
    hand_over(world, "aurelia", "borealia")
    hand_over(world, "aurelia", "tavria")
    world.accede("tavria", agreement)
    (message,) = list_to(world, "tavria", "borealia")
    with pytest.raises(UnknownKey):
        receive(world.nodes["borealia"], message.envelope)
    assert TAVRIA not in stand(world, "borealia", agreement).members
    hand_over(world, "tavria", "aurelia")
    assert TAVRIA in stand(world, "aurelia", agreement).members
    digest = world.manifests["tavria"].digest
    add_party(world.nodes["borealia"], export_manifest(world.nodes["tavria"]), digest=digest, url=None)
    world.deliver()
    assert TAVRIA in check_same(world, agreement, ("aurelia", "borealia", "tavria")).members
    world.close()


def remove_pin(world: World, name: str) -> None:
    """As if the party of `name` had never heard of tavria."""
    with world.nodes[name].store.write() as transaction:
        for table in ("manifest", "party"):
            transaction.run(f"DELETE FROM {table} WHERE {'party' if table == 'manifest' else 'id'} = 'tavria'")


def test_what_a_joiner_says_before_it_is_in_counts_nowhere(group: World) -> None:
    agreement = group.sign_all(write_terms(group, "unanimous"))
    group.admit("aurelia", agreement, TAVRIA)
    group.deliver()
    for name in ("borealia", "meridia"):
        group.admit(name, agreement, TAVRIA)
    group.deliver()
    with pytest.raises(TransitionError, match="tavria is not a party"):
        group.act("tavria", agreement, EventKind.SUSPEND)


def test_an_assurance_that_is_demanded_of_all_keeps_a_joiner_out_who_gave_none(group: World) -> None:
    given = "".join(
        f'[[assurances]]\nkind = "no_torture"\ngiven_by = "{name}"\ndocument = "{"7" * 64}"\n'
        'valid_until = "2099-01-01T00:00:00Z"\n'
        for name in FOUNDERS[1:]
    )
    policy = group.folder / "aurelia" / "recognition.toml"
    policy.write_text(policy.read_text() + '[[demanded_assurances]]\nkind = "no_torture"\nof = "*"\n')
    agreement = group.sign_all(write_terms(group) + b"\n" + given.encode())
    join(group, agreement, "aurelia", "borealia")
    group.add("aurelia", make_object("a"))
    assert group.read("borealia")
    assert list_open_collections(group.nodes["aurelia"], TAVRIA) == []


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_the_others_go_on_without_who_left_and_it_gets_nothing_more(group: World) -> None:
    agreement = group.sign_all(write_terms(group))
    group.add("aurelia", make_object("a"))
    assert group.read("meridia")
    group.act("meridia", agreement, EventKind.LEAVE, text="the mandate ended")
    group.deliver()
    standing = check_same(group, agreement, FOUNDERS)
    assert (standing.state, standing.left) == (State.IN_FORCE, frozenset({PartyId("meridia")}))
    obstacle = standing.obstacle(standing.latest.channels[0], PartyId("aurelia"), PartyId("meridia"))
    assert (obstacle and obstacle.reason) == "meridia has left the agreement"
    group.add("aurelia", make_object("b"))
    assert len(group.read("borealia")) == 2
    assert list_open_collections(group.nodes["aurelia"], PartyId("meridia")) == []
    group.act("borealia", agreement, EventKind.CLARIFY, clause="purposes", text="Which?")
    assert [message.party for message in list_due(group.nodes["borealia"])] == ["aurelia"]


@pytest.mark.parametrize("change", Change)
@pytest.mark.parametrize("name", ["meridia", "tavria"])
def test_a_recall_reaches_who_has_left_founder_or_joiner(group: World, name: str, change: Change) -> None:
    """Of what it holds; the newer version, which a correction names, is not given to it."""
    agreement = group.sign_all(write_terms(group, "any_member"))
    join(group, agreement, "aurelia")
    introduce(group, [("aurelia", name)])
    item = object_id("report", "a")
    group.add("aurelia", make_object("a"))
    assert pull_all(group, "aurelia", name) == {item}
    group.act(name, agreement, EventKind.LEAVE)
    group.deliver()
    group.tick()
    group.add("aurelia", make_object("a", day=2))
    told = recall(group.nodes["aurelia"], item, change=change, versions=(), reason="wrong", by=group.actor("aurelia"))
    assert isinstance(told, Recalling)
    assert [letter.to for letter in told.letters] == [name]
    group.deliver()
    recalled, letters = list_recalls_of(group.nodes[name], item)
    assert (len(recalled), len(letters)) == (1, 1)
    assert list_open_collections(group.nodes["aurelia"], PartyId(name)) == []


def test_what_waits_for_who_has_left_goes_no_more(group: World) -> None:
    """The next text was proposed while meridia was away, and that one left before it was delivered."""
    agreement = group.sign_all(write_terms(group, "any_member"))
    assert isinstance(group.propose("aurelia", write_next(group, agreement)), Recorded)
    group.act("borealia", agreement, EventKind.CLARIFY, clause="purposes", text="Which?")
    assert list_to(group, "aurelia", "meridia")
    assert list_to(group, "borealia", "meridia")
    under_way = list_to(group, "aurelia", "meridia")[0]
    group.act("meridia", agreement, EventKind.LEAVE)
    for name in ("aurelia", "borealia"):
        hand_over(group, "meridia", name)
        assert not list_to(group, name, "meridia")
        assert "meridia" not in {waiting.party for waiting in list_waiting(group.nodes[name])}
    assert is_held(group.nodes["aurelia"], under_way)
    group.deliver()
    assert [stand(group, name, agreement).latest.version for name in ("borealia", "meridia")] == [2, 1]


def test_the_lock_of_who_left_is_lifted_and_that_of_another_is_not(group: World) -> None:
    agreement = group.sign_all(write_terms(group))
    group.act("meridia", agreement, EventKind.SUSPEND)
    group.act("borealia", agreement, EventKind.SUSPEND)
    group.deliver()
    group.act("meridia", agreement, EventKind.LEAVE)
    group.deliver()
    assert check_same(group, agreement, FOUNDERS).state is State.SUSPENDED
    group.act("borealia", agreement, EventKind.RESUME)
    group.deliver()
    assert stand(group, "aurelia", agreement).state is State.IN_FORCE


def test_of_two_that_remain_one_leaves_and_the_agreement_has_ended(group: World) -> None:
    agreement = group.sign_all(write_terms(group))
    for name in ("meridia", "borealia"):
        group.act(name, agreement, EventKind.LEAVE)
        group.deliver()
    assert stand(group, "aurelia", agreement).state is State.TERMINATED
    assert list_open_collections(group.nodes["aurelia"], PartyId("borealia")) == []


def test_who_left_does_not_come_back_by_an_admission(group: World) -> None:
    agreement = group.sign_all(write_terms(group, "any_member"))
    join(group, agreement, "aurelia")
    group.act("tavria", agreement, EventKind.LEAVE)
    group.deliver()
    with pytest.raises(TransitionError, match="comes back by another agreement"):
        group.admit("borealia", agreement, TAVRIA)


# --- a party that a later version adds --------------------------------------------------------------------------------


def test_a_party_that_version_two_adds_signs_and_receives_without_version_one(group: World) -> None:
    agreement = group.sign_all(group.terms(receivers=("borealia",)))
    wider = group.terms(receivers=("borealia", "meridia"), version=2, agreement=agreement, supersedes=agreement)
    second = group.propose("aurelia", wider)
    assert isinstance(second, Recorded)
    group.add("aurelia", make_object("a"))
    group.deliver()
    kinds = {parse_message(envelope).event.terms for envelope in read_envelopes(group, "meridia", agreement)}
    assert kinds == {second.event.terms}
    group.act("meridia", second.event.terms, EventKind.ACCEPT)
    group.deliver()
    assert list_open_collections(group.nodes["aurelia"], PartyId("meridia")) == []
    group.act("borealia", second.event.terms, EventKind.ACCEPT)
    group.deliver()
    standing = check_same(group, agreement, FOUNDERS)
    assert (standing.state, standing.latest.version) == (State.IN_FORCE, 2)
    assert group.read("meridia").keys() == group.read("borealia").keys() == {object_id("report", "a")}


def read_envelopes(world: World, name: str, agreement: str) -> tuple[bytes, ...]:
    node = world.nodes[name]
    with node.store.read() as transaction:
        return find_agreement(node, transaction, agreement).envelopes


# --- who was away -----------------------------------------------------------------------------------------------------


def amend(world: World, toml: bytes) -> str:
    """The hash of the next version that aurelia proposed and every party of it accepted, all messages delivered."""
    recorded = world.propose("aurelia", toml)
    assert isinstance(recorded, Recorded), recorded
    world.deliver()
    for party in sorted(recorded.standing.latest.founders - {"aurelia"}):
        world.act(party, recorded.event.terms, EventKind.ACCEPT)
    world.deliver()
    return recorded.event.terms


def write_next(world: World, agreement: str) -> bytes:
    """The second version of an open group, which names its founders and nobody who joined."""
    lineage = f'version = 2\nagreement = "{agreement}"\nsupersedes = "{agreement}"'.encode()
    return write_terms(world, "any_member").replace(b"version = 1", lineage)


def test_who_joins_the_next_version_anew_gets_nothing_from_while_it_was_not_bound(
    group: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No honest node signs a text that leaves somebody out; what follows must hold where two that are not honest do.
    monkeypatch.setattr(moves, "_check_nobody_left_out", lambda *_: None)
    agreement = group.sign_all(write_terms(group, "any_member"))
    join(group, agreement, "aurelia")
    second = amend(group, write_next(group, agreement))
    assert TAVRIA not in stand(group, "aurelia", agreement).members
    group.add("aurelia", make_object("between"))
    join(group, second, "aurelia")
    group.add("aurelia", make_object("after"))
    assert group.read("tavria").keys() == {object_id("report", "after")}
    assert group.read("borealia").keys() == {object_id("report", "between"), object_id("report", "after")}


def test_who_was_put_out_and_taken_back_gets_nothing_from_in_between(
    group: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No honest node signs a text that leaves somebody out; what follows must hold where two that are not honest do.
    monkeypatch.setattr(moves, "_check_nobody_left_out", lambda *_: None)
    agreement = group.sign_all(group.terms(receivers=("borealia", "meridia"), history="none"))
    both = 'structure = {kind = "group"}'
    without = group.terms(
        receivers=("borealia",), history="none", version=2, agreement=agreement, supersedes=agreement, extra=both
    )
    second = amend(group, without)
    group.add("aurelia", make_object("between"))
    amend(
        group,
        group.terms(
            receivers=("borealia", "meridia"), history="none", version=3, agreement=agreement, supersedes=second
        ),
    )
    group.add("aurelia", make_object("after"))
    assert group.read("meridia").keys() == {object_id("report", "after")}
    assert group.read("borealia").keys() == {object_id("report", "between"), object_id("report", "after")}


# --- a text of one party's own making ---------------------------------------------------------------------------------


def forge_proposal(world: World, name: str, toml: bytes) -> bytes:
    """The text as `name` alone would propose it, whatever its own node thinks of it."""
    terms = parse_terms(convert_terms(toml))
    return forge(
        world,
        EventKind.PROPOSE,
        party=name,
        signer=name,
        agreement=terms.agreement_id,
        terms=terms.hash,
        document=terms.document,
    )


def test_a_text_that_comes_before_the_first_one_keeps_nobody_out_and_is_told_nothing(group: World) -> None:
    recorded = group.propose("aurelia", group.terms())
    assert isinstance(recorded, Recorded)
    agreement = recorded.event.agreement
    lineage = {"version": 2, "agreement": agreement, "supersedes": agreement}
    early = group.terms(giver="meridia", receivers=("borealia",), **lineage)  # type: ignore[arg-type]
    receive(group.nodes["borealia"], forge_proposal(group, "meridia", early))
    group.deliver()
    group.act("borealia", agreement, EventKind.ACCEPT)
    assert list_to(group, "borealia", "meridia") == []
    group.deliver()
    assert check_same(group, agreement, ("aurelia", "borealia")).state is State.IN_FORCE
    suspend = forge(group, EventKind.SUSPEND, party="meridia", signer="meridia", terms=agreement)
    assert not receive(group.nodes["borealia"], suspend).heard
    assert check_same(group, agreement, ("aurelia", "borealia")).state is State.IN_FORCE


def test_a_text_from_before_its_leaving_is_kept_when_it_comes_late_and_one_from_after_is_not(group: World) -> None:
    agreement = group.sign_all(write_terms(group))
    late = forge_proposal(group, "meridia", write_next(group, agreement))
    group.act("meridia", agreement, EventKind.LEAVE)
    group.deliver()
    assert receive(group.nodes["borealia"], late).new
    group.now = Instant(group.now + 1_000_000)
    other = write_next(group, agreement).replace(b'"any_member"', b'"closed"')
    with pytest.raises(ConflictError, match="meridia has left this agreement"):
        receive(group.nodes["borealia"], forge_proposal(group, "meridia", other))


def test_who_left_cannot_put_a_text_before_the_first_that_a_later_party_has(group: World) -> None:
    first = group.sign_all(group.terms(receivers=("borealia",)))
    second = amend(group, group.terms(receivers=("borealia", "meridia"), version=2, agreement=first, supersedes=first))
    everybody = ("borealia", "meridia", "tavria")
    amend(group, group.terms(receivers=everybody, version=3, agreement=first, supersedes=second))
    group.act("meridia", first, EventKind.LEAVE)
    group.deliver()
    fake = group.terms(giver="meridia", receivers=("tavria",), version=2, agreement=first, supersedes=first)
    with pytest.raises(NotFoundError, match="none replaces it"):
        receive(group.nodes["tavria"], forge_proposal(group, "meridia", fake))
    assert check_same(group, first, ("aurelia", "borealia", "tavria")).state is State.IN_FORCE
    kept = [parse_message(envelope) for envelope in read_envelopes(group, "borealia", first)]
    real = next(message for message in kept if message.event.terms == second and message.event.party == "aurelia")
    assert receive(group.nodes["tavria"], format_signed_document(real.signed)).new, "the third replaces it"
    assert stand(group, "tavria", first).state is State.IN_FORCE
