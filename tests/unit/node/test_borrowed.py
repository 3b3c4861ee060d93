# SPDX-License-Identifier: Apache-2.0
"""What a partner gives of the same bytes, grants or defines lets nothing go that this party keeps back itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.agreement.people import Role
from comity.canonical import Json
from comity.ids import Instant, ObjectId, PartyId
from comity.intake.restrictions import PAP_IDS
from comity.node import ingest
from comity.node.audiences import NO_AUDIENCES, Audiences
from comity.node.classify import Classified, say, take_back
from comity.node.consent import Said, grant_consent, request_consent, revoke_consent
from comity.node.explain import show_object
from comity.node.follow import plan_pull
from comity.node.granting import Offer
from comity.node.necessity import Decided, decide_necessity, list_undecided
from comity.node.receive import Received, receive_page
from comity.stix.labels import UNDECIDED, Label, Tags, make_tags
from comity.vocabulary import PERSON_CLASSES
from tests.chains import give_all, introduce, pull_all, sign_consent, sign_onward
from tests.worlds import World, make_object, object_id

A, B, C = map(PartyId, ("aurelia", "borealia", "cimbria"))
X = object_id("report", "x")
PERSON = object_id("identity", "x")
DAY = 86_400_000_000
TAGS = make_tags(subjects=["national:ashfall"], regions=["IQ"], kinds=["arms"])


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[World]:
    """Aurelia and borealia know one another, and so do borealia and cimbria."""
    made = World(tmp_path)
    made.found(A, B, C)
    introduce(made, [(A, B), (B, C)])
    yield made
    made.close()


def add(world: World, item: dict[str, Json], *, tags: Tags | None = None, audiences: Audiences = NO_AUDIENCES) -> None:
    taken = ingest.add_objects(world.nodes[B], json.dumps(item).encode(), tags=tags or make_tags(), audiences=audiences)
    assert not taken.bad


def label_of(world: World, name: str = X) -> Label:
    return show_object(world.nodes[B], name).label


def gives(world: World, giver: str = B, recipient: str = C) -> set[str]:
    return {item.id for page in give_all(world, giver, recipient).values() for item in page.items}


# --- what waits for people --------------------------------------------------------------------------------------------


def admit_all(world: World, giver: str, receiver: str, *, listed: bool) -> None:
    """Terms that admit health and minors as far as terms can."""
    extra = (
        f"originators = {[*world.nodes, 'own']}\nperson_classes = {sorted(PERSON_CLASSES)}\n"
        '[[channels.special_categories]]\ncategory = "health"\nnecessity = "an epidemic"\napprover = "the body"\n'
    )
    toml = world.terms(
        giver=giver, receivers=(receiver,), title=f"{giver} to {receiver}", types=("identity",), channel_extra=extra
    )
    if listed:
        toml = toml.replace(b'onward = "none"', f'onward = "listed"\nreleasable_to = ["{C}"]'.encode())
    world.sign_all(toml, proposer=giver)


def decide(world: World, name: str) -> None:
    decide_necessity(world.nodes[name], PERSON, reason="why", by=world.actor(name, Role.LIAISON))
    done = decide_necessity(world.nodes[name], PERSON, reason="why", by=world.actor(name, Role.LEGAL))
    assert isinstance(done, Decided)


@pytest.mark.parametrize("first", [A, B])
def test_what_waits_for_people_waits_on_when_a_partner_gives_the_same(chain: World, first: str) -> None:
    admit_all(chain, A, B, listed=True)
    admit_all(chain, B, C, listed=False)
    person = make_object("x", kind="identity") | {"identity_class": "individual", "x_health": "ill", "x_minor": True}
    chain.add(A, person)
    decide(chain, A)
    if first == B:
        add(chain, person)
        assert PERSON not in gives(chain)
    assert PERSON in pull_all(chain, A, B)
    if first == A:
        add(chain, person)
    assert UNDECIDED in label_of(chain, PERSON).markings
    assert [item.words for item in list_undecided(chain.nodes[B])] == [{"health", "minor"}]
    assert PERSON not in gives(chain)
    decide(chain, B)
    assert UNDECIDED not in label_of(chain, PERSON).markings
    assert PERSON in gives(chain)


# --- grants -----------------------------------------------------------------------------------------------------------


def test_a_grant_widens_no_own_audience_and_the_next_version_inherits_nothing(chain: World) -> None:
    sign_consent(chain, A, B, extra='[response_times]\nconsent = "P7D"')
    sign_onward(chain, B, C, listed=[])
    add(chain, make_object("x"), audiences={X: frozenset({B})})
    chain.add(A, make_object("x"))
    assert X in pull_all(chain, A, B)
    chain.tick()
    asked = request_consent(
        chain.nodes[B], [X], to=C, purpose="exchange", reason="why", until=None, by=chain.actor(B, Role.LIAISON)
    )
    assert isinstance(asked, Said)
    chain.deliver()
    offer = Offer(until=Instant(chain.now + 10 * DAY))
    grant_consent(chain.nodes[A], asked.letters[0].digest, offer, by=chain.actor(A, Role.LIAISON))
    done = grant_consent(chain.nodes[A], asked.letters[0].digest, offer, by=chain.actor(A, Role.LEGAL))
    assert isinstance(done, Said)
    chain.tick()
    chain.deliver()
    assert label_of(chain).audience == frozenset({B})
    assert X not in gives(chain)
    pull_all(chain, A, B)
    assert label_of(chain).audience == frozenset({B})
    add(chain, make_object("x", day=9))
    assert label_of(chain).audience == frozenset({B})
    assert X not in gives(chain)
    revoke_consent(
        chain.nodes[A], done.letters[0].digest, reason=None, takes_back=False, by=chain.actor(A, Role.LIAISON)
    )
    chain.deliver()
    assert label_of(chain).audience == frozenset({B})
    assert X not in gives(chain)


# --- words with a file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [A, B])
def test_tags_of_a_file_let_nothing_go_that_a_partner_gave_untagged(chain: World, first: str) -> None:
    sign_onward(chain, A, B, listed=[C])
    sign_onward(chain, B, C, listed=[])
    bare = make_object("x", subjects=(), regions=())
    chain.add(A, bare)
    say(
        chain.nodes[A],
        X,
        {"subjects": ["national:ashfall"], "regions": ["IQ"]},
        reason="read it",
        by=chain.actor(A, Role.LEGAL),
    )
    assert X in gives(chain, A, B)
    if first == B:
        add(chain, bare, tags=TAGS)
    assert X in pull_all(chain, A, B)
    if first == A:
        add(chain, bare, tags=TAGS)
    for _ in range(2):
        label = label_of(chain)
        assert label.subjects == {frozenset(), frozenset({"national:ashfall"})}
        assert label.regions == {frozenset(), frozenset({"IQ"})}
        assert label.kinds == {"unspecified", "arms"}
        assert X not in gives(chain)
        pull_all(chain, A, B)  # once more, as both say already
        add(chain, bare, tags=TAGS)
    words = {"subjects": ["national:ashfall"]}
    for act in (say, take_back):
        assert isinstance(act(chain.nodes[B], X, words, reason="r", by=chain.actor(B, Role.LEGAL)), Classified)
        assert frozenset() in label_of(chain).subjects
        assert "unspecified" in label_of(chain).kinds
        assert X not in gives(chain)


# --- statements -------------------------------------------------------------------------------------------------------


def define(name: str, **more: Json) -> dict[str, Json]:
    made: dict[str, Json] = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": name,
        "created": "2025-01-01T00:00:00.000Z",
        "definition_type": "statement",
        "definition": {"statement": "Copyright"},
    }
    return made | more


def give_page(world: World, *items: dict[str, Json]) -> None:
    (target,) = plan_pull(world.nodes[B], A)
    received = Received(
        giver=A, terms=target.terms, channel=target.channel, collection=target.collection, added_after=None
    )
    receive_page(world.nodes[B], json.dumps({"objects": [*items]}).encode(), received)


def mark(key: str, name: str) -> dict[str, Json]:
    return make_object(key) | {"object_marking_refs": [name]}


def is_statement(world: World, key: str) -> bool:
    return "statement" in label_of(world, object_id("report", key)).markings


NAME = object_id("marking-definition", "s")
PAP = ObjectId(min(PAP_IDS))


def test_a_partners_definition_makes_no_statement_of_an_own_marking(chain: World) -> None:
    sign_onward(chain, A, B, listed=[C])
    give_page(chain, define(NAME), mark("theirs", NAME))
    add(chain, mark("ours", NAME))
    give_page(chain, mark("later", NAME))
    assert is_statement(chain, "theirs")
    assert is_statement(chain, "later")
    assert not is_statement(chain, "ours")


def test_an_own_definition_makes_no_statement_of_a_partners_marking(chain: World) -> None:
    sign_onward(chain, A, B, listed=[C])
    add(chain, define(NAME))
    add(chain, mark("ours", NAME))
    give_page(chain, mark("theirs", NAME))
    assert is_statement(chain, "ours")
    assert not is_statement(chain, "theirs")


@pytest.mark.parametrize(
    "definition",
    [
        define(PAP),
        define(NAME, definition={"statement": "Copyright", "also": "not to be passed on"}),
        define(
            NAME,
            extensions={
                "extension-definition--4521c31a-4f9b-4268-88c6-e8639ee3707a": {"extension_type": "property-extension"}
            },
        ),
    ],
    ids=["pap", "more", "extended"],
)
def test_what_says_more_than_a_statement_is_none(chain: World, definition: dict[str, Json]) -> None:
    add(chain, definition)
    add(chain, mark("a", str(definition["id"])))
    assert not is_statement(chain, "a")
    bundle: Json = {
        "type": "bundle",
        "id": object_id("bundle", "b"),
        "objects": [definition, mark("b", str(definition["id"]))],
    }
    ingest.add_objects(chain.nodes[B], json.dumps(bundle).encode(), tags=make_tags())
    assert not is_statement(chain, "b")
