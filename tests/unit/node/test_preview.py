# SPDX-License-Identifier: Apache-2.0
"""What a preview, a check and a comparison tell, with real nodes; nothing is signed by any of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.agreement.events import EventKind, Reservation
from comity.canonical import Json
from comity.errors import ComityError, MalformedTerms, NotFoundError
from comity.ids import Instant, PartyId, format_instant
from comity.node import agree
from comity.node.gate import list_open_collections
from comity.node.journal import list_entries
from comity.node.preview import Comparison, Preview, check_terms, compare_versions, preview_terms
from comity.node.receive import Received, receive_page
from comity.release.conflicts import ConflictKind
from comity.release.preview import Relation
from tests.worlds import World, make_object, object_id, tlp_id

MARKED: dict[str, Json] = {
    "description": "for few",
    "granular_markings": [{"marking_ref": tlp_id("red"), "selectors": ["description"]}],
}


@pytest.fixture
def three(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    yield made
    made.close()


def ask(world: World, source: bytes | str, *, name: str = "aurelia", samples: int = 9) -> Preview:
    return preview_terms(world.nodes[name], source, samples=samples)


def test_a_draft_is_counted_and_nothing_is_signed(world: World) -> None:
    world.add(
        "aurelia",
        make_object("a"),
        make_object("b", tlp="amber"),
        make_object("c", tlp="red"),
        make_object("d", regions=("TR",)),
        make_object("e", more=MARKED),
    )
    before = list_entries(world.nodes["aurelia"], start=0, limit=9)
    shown = ask(world, world.terms())
    assert (shown.standing, shown.replaces, shown.draft.refusal, shown.draft.conflicts) == (None, None, None, ())
    (item,) = shown.flows
    assert item.effect is None
    assert item.counts is not None
    assert (item.counts.released, item.counts.redacted, item.counts.withheld) == (3, 1, 2)
    rows = {(group.tlp, group.redacted): shown.samples.of(group.amount)[0].id for group in item.counts.groups}
    assert rows == {
        ("green", ()): object_id("report", "a"),
        ("amber", ()): object_id("report", "b"),
        ("green", ("description",)): object_id("report", "e"),
    }
    assert {clause: shown.samples.of(amount)[0].id for clause, amount in item.counts.refusals} == {
        "tlp_ceiling": object_id("report", "c"),
        "regions": object_id("report", "d"),
    }
    assert list_entries(world.nodes["aurelia"], start=0, limit=9) == before


def test_no_more_samples_are_shown_than_are_asked_for(world: World) -> None:
    world.add("aurelia", *(make_object(name) for name in "abcde"))
    for samples in (0, 2):
        shown = ask(world, world.terms(), samples=samples)
        assert shown.flows[0].counts is not None
        (group,) = shown.flows[0].counts.groups
        assert (group.amount.objects, len(shown.samples.of(group.amount))) == (5, samples)


def test_who_gives_nothing_is_shown_nothing_and_who_is_no_party_is_refused(three: World) -> None:
    toml = three.terms()
    assert ask(three, toml, name="borealia").flows == ()
    refusal = ask(three, toml, name="meridia").draft.refusal
    assert refusal is not None
    assert refusal.clause == "legal_bases"


def test_a_version_that_replaces_another_shows_what_it_changes(three: World) -> None:
    agreement = three.sign_all(three.terms(receivers=("borealia", "meridia")))
    three.add("aurelia", make_object("a"), make_object("b", regions=("SY",)), make_object("c", regions=("TR",)))
    lineage = {"version": 2, "agreement": agreement, "supersedes": agreement}
    shown = ask(three, three.terms(regions=("IQ", "TR"), receivers=("borealia",), **lineage))  # type: ignore[arg-type]
    assert shown.replaces is not None
    assert shown.replaces.version == 1
    told = {}
    for item in shown.flows:
        assert item.effect is not None
        parts = (item.effect.gained, item.effect.lost, item.effect.changed, item.effect.unchanged)
        told[item.flow.receiver] = (item.effect.relation, [part.objects for part in parts], item.counts is None)
    assert told == {
        "borealia": (Relation.NEITHER, [1, 1, 0, 1], False),
        "meridia": (Relation.NARROWER, [0, 2, 0, 0], True),
    }


def test_the_version_in_force_replaces_nothing(world: World) -> None:
    agreement = world.sign_all(world.terms())
    shown = ask(world, agreement[:8])
    assert (shown.terms.version, shown.replaces, shown.flows[0].effect) == (1, None, None)


def test_the_id_of_an_agreement_names_its_latest_version_and_a_hash_its_own(world: World) -> None:
    agreement = world.sign_all(world.terms())
    hashes = [agreement]
    for version in (2, 3):
        toml = world.terms(version=version, agreement=agreement, supersedes=hashes[-1], title=f"Version {version}")
        recorded = world.propose("aurelia", toml)
        assert isinstance(recorded, agree.Recorded)
        hashes.append(recorded.event.terms)
    assert ask(world, agreement).terms.version == 3
    assert [ask(world, name[:12]).terms.version for name in hashes[1:]] == [2, 3]
    with pytest.raises(NotFoundError):
        ask(world, "0" * 12)


def test_this_partys_own_refusal_is_told_and_the_counts_are_shown(world: World) -> None:
    world.add("aurelia", make_object("a"))
    (world.folder / "aurelia" / "recognition.toml").write_text("")
    shown = ask(world, world.terms())
    assert shown.draft.refusal is not None
    assert shown.flows[0].counts is not None
    assert shown.flows[0].counts.released == 1
    assert check_terms(world.nodes["aurelia"], world.terms()).refusal == shown.draft.refusal


def test_that_terms_select_by_religion_is_told_before_anybody_is_asked_to_sign(world: World) -> None:
    terms = world.terms(subjects=["national:sunni"])
    shown = ask(world, terms).draft.refusal
    assert shown is not None
    assert shown.clause == "Regulation (EU) 2016/794, Article 30(2)"
    assert check_terms(world.nodes["aurelia"], terms).refusal == shown


# --- history and members ----------------------------------------------------------------------------------------------


def count_given(shown: Preview) -> dict[str, tuple[int, int]]:
    """How many are released, and how many withheld by history alone, by receiver."""
    told = {}
    for item in shown.flows:
        assert item.counts is not None
        refused = {clause: amount.objects for clause, amount in item.counts.refusals}
        told[str(item.flow.receiver)] = (item.counts.released, refused.get("history", 0))
    return told


def test_without_history_what_is_held_before_all_have_signed_does_not_go(world: World) -> None:
    world.add("aurelia", make_object("a"))
    toml = world.terms(history="none")
    assert count_given(ask(world, toml)) == {"borealia": (0, 1)}
    agreement = world.sign_all(toml)
    world.add("aurelia", make_object("b"))
    assert count_given(ask(world, agreement)) == {"borealia": (1, 1)}
    lineage = {"version": 2, "agreement": agreement, "supersedes": agreement}
    later = world.terms(history="none", tlp="red", **lineage)  # type: ignore[arg-type]
    assert count_given(ask(world, later)) == {"borealia": (1, 1)}, "the feed keeps the place at which it began"
    open_ = world.terms(history="all", **lineage)  # type: ignore[arg-type]
    (item,) = ask(world, open_).flows
    assert item.effect is not None
    assert (item.effect.relation, item.effect.gained.objects, item.effect.lost.objects) == (Relation.WIDER, 1, 0)


def test_history_since_a_time_counts_from_that_time(world: World) -> None:
    world.add("aurelia", make_object("a"))
    world.tick()
    since = format_instant(world.now)
    world.add("aurelia", make_object("b"))
    assert count_given(ask(world, world.terms(history=since))) == {"borealia": (1, 1)}


def found_group(world: World, *, history: str = "all", accession: str = "any_member") -> bytes:
    """Terms of a group that aurelia and borealia found, in which aurelia gives to every member."""
    structure = f'structure = {{ kind = "group", accession = "{accession}" }}'
    toml = world.terms(extra=structure, history=history)
    return toml.replace(b'receivers = ["borealia"]', b'receivers = ["members"]')


def join(world: World, agreement: str, name: str = "meridia") -> None:
    world.admit("aurelia", agreement, name)
    world.deliver()
    world.accede(name, agreement)
    world.deliver()


def test_a_joiner_is_shown_and_gets_nothing_from_before_it_joined(three: World) -> None:
    three.add("aurelia", make_object("a"))
    toml = found_group(three)
    assert count_given(ask(three, toml)) == {"borealia": (1, 0)}
    agreement = three.sign_all(toml)
    join(three, agreement)
    three.add("aurelia", make_object("b"))
    shown = ask(three, agreement)
    assert count_given(shown) == {"borealia": (2, 0), "meridia": (1, 1)}
    assert [item.flow.joined for item in shown.flows] == [False, True]
    assert ask(three, agreement, name="meridia").draft.refusal is None


def test_a_next_version_is_among_its_founders_and_without_who_left(three: World) -> None:
    agreement = three.sign_all(found_group(three))
    join(three, agreement)
    three.add("aurelia", make_object("a"))
    document = found_group(three).replace(
        b"version = 1", f'version = 2\nagreement = "{agreement}"\nsupersedes = "{agreement}"'.encode()
    )
    flows = {item.flow.receiver: item for item in ask(three, document).flows}
    assert (flows[PartyId("borealia")].counts is None, flows[PartyId("meridia")].counts is None) == (False, True)
    effect = flows[PartyId("meridia")].effect
    assert effect is not None
    assert effect.lost.objects == 1
    three.act("borealia", agreement, EventKind.LEAVE)
    three.deliver()
    assert [item.flow.receiver for item in ask(three, document).flows if item.counts] == []
    assert list(count_given(ask(three, agreement))) == ["meridia"]


# --- what goes of an object -------------------------------------------------------------------------------------------


def list_groups(shown: Preview) -> list[tuple[tuple[str, ...], tuple[str, ...], int]]:
    (item,) = shown.flows
    assert item.counts is not None
    return sorted((group.redacted, group.tear_line, group.amount.objects) for group in item.counts.groups)


@pytest.mark.parametrize(
    ("channel", "groups", "refusals"),
    [
        ("", [((), (), 2), (("description",), (), 1)], {}),
        ('sanitise = "none"', [((), (), 2)], {"sanitise": 1}),
        ('sanitise = "tear_line_required"', [((), ("description",), 1)], {"sanitise": 2}),
        (
            'attribution = "must-not"',
            [(("created_by_ref",), (), 2), (("created_by_ref", "description"), (), 1)],
            {},
        ),
    ],
)
def test_what_goes_of_an_object_is_told(
    world: World, channel: str, groups: list[object], refusals: dict[str, int]
) -> None:
    green: dict[str, Json] = {
        "description": "a tear line",
        "granular_markings": [{"marking_ref": tlp_id("green"), "selectors": ["description"]}],
    }
    world.add("aurelia", make_object("a"), make_object("b", more=MARKED), make_object("c", more=green))
    shown = ask(world, world.terms(channel_extra=channel))
    assert list_groups(shown) == groups
    assert shown.flows[0].counts is not None
    assert {clause: amount.objects for clause, amount in shown.flows[0].counts.refusals} == refusals


# --- what keeps a flow closed -----------------------------------------------------------------------------------------


def list_closed(shown: Preview) -> dict[str, tuple[str, str] | None]:
    closed = {str(item.flow.receiver): item.closed for item in shown.flows}
    return {name: None if found is None else (found.clause, found.reason) for name, found in closed.items()}


def test_a_flow_that_would_be_open_is_not_called_closed_before_all_have_signed(world: World) -> None:
    toml = world.terms()
    assert list_closed(ask(world, toml)) == {"borealia": None}
    assert isinstance(world.propose("aurelia", toml), agree.Recorded)
    (item,) = ask(world, toml).flows
    assert item.closed is None


def test_a_suspended_channel_is_closed_now_and_in_the_next_version(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    assert list_closed(ask(world, agreement)) == {"borealia": None}
    world.act("borealia", agreement, EventKind.SUSPEND, channel="main")
    world.deliver()
    now = ask(world, agreement)
    told = list_closed(now)["borealia"]
    assert told is not None
    assert told[0] == "status"
    assert "the channel main is suspended by borealia" in told[1]
    assert count_given(now) == {"borealia": (1, 0)}
    later = world.terms(tlp="red", version=2, agreement=agreement, supersedes=agreement)
    assert list_closed(ask(world, later)) == {"borealia": told}


def test_a_reservation_keeps_its_channel_closed(world: World) -> None:
    toml = world.terms(extra='reservations = ["channels.main"]')
    recorded = world.propose("aurelia", toml)
    assert isinstance(recorded, agree.Recorded)
    world.deliver()
    reservation = Reservation(clause="channels.main", ground="national_law", text="not yet")
    world.act_on("borealia", recorded.event.terms, EventKind.ACCEPT, reservations=[reservation])
    world.deliver()
    closed = list_closed(ask(world, recorded.event.agreement))["borealia"]
    assert closed is not None
    assert closed[0] == "reservations"


def test_what_has_run_out_closes_what_its_party_receives(world: World) -> None:
    ended = format_instant(Instant(world.now - 1))
    cited = b'party = "borealia"\nkind = "unsc_resolution"'
    toml = world.terms()
    assert cited in toml
    toml = toml.replace(cited, cited + f'\nvalid_until = "{ended}"'.encode())
    closed = list_closed(ask(world, toml))["borealia"]
    assert closed is not None
    assert closed[0] == "status"
    assert "no legal basis of borealia is valid" in closed[1]


def test_what_begins_later_or_was_replaced_is_closed(world: World) -> None:
    toml = world.terms().replace(b"2020-01-01", b"2035-01-01")
    closed = list_closed(ask(world, toml))["borealia"]
    assert closed is not None
    assert "in force from 2035-01-01" in closed[1]
    first = world.sign_all(world.terms())
    second = world.terms(tlp="red", version=2, agreement=first, supersedes=first)
    assert world.sign_all(second) == first
    third = world.terms(tlp="clear", version=2, agreement=first, supersedes=first)
    closed = list_closed(ask(world, third))["borealia"]
    assert closed is not None
    assert "version 2 cannot count" in closed[1]


# --- what could not be proposed ---------------------------------------------------------------------------------------


def list_problems(world: World, toml: bytes, *, name: str = "aurelia") -> tuple[str, ...]:
    problems = check_terms(world.nodes[name], toml).problems
    assert ask(world, toml, name=name).draft.problems == problems
    return problems


def test_what_could_be_proposed_has_no_problem_and_is_then_proposed(world: World) -> None:
    assert list_problems(world, world.terms()) == ()
    agreement = world.sign_all(world.terms())
    later = world.terms(tlp="red", version=2, agreement=agreement, supersedes=agreement)
    assert list_problems(world, later) == ()
    assert isinstance(world.propose("aurelia", later), agree.Recorded)


def test_parties_that_are_not_pinned_by_those_manifests_are_all_named(three: World) -> None:
    toml = three.terms(receivers=("borealia", "meridia"))
    digests = [three.manifests[name].digest.encode() for name in ("borealia", "meridia")]
    wrong = toml.replace(digests[0], b"1" * 64).replace(b'"meridia"', b'"cimbria"')
    problems = list_problems(three, wrong)
    assert len(problems) == 2
    assert "the terms name the manifest 111111111111… for borealia" in problems[0]
    assert "cimbria is a party of these terms but not known here" in problems[1]
    (stranger,) = list_problems(three, three.terms(), name="meridia")[:1]
    assert "meridia, whose node this is, is not a party" in stranger


@pytest.mark.parametrize(
    ("version", "supersedes", "problem"),
    [
        (1, None, "this very text is on record as version 1"),
        (2, "0" * 64, "these terms supersede 000000000000…, which is not a version on record here"),
        (3, "own", "version 1 is on record; the next one is 2"),
    ],
)
def test_a_version_that_is_not_the_next_one_is_told(
    world: World, version: int, supersedes: str | None, problem: str
) -> None:
    agreement = world.sign_all(world.terms())
    lineage = {} if supersedes is None else {"agreement": agreement, "supersedes": supersedes.replace("own", agreement)}
    toml = world.terms(version=version, **lineage)
    assert problem in list_problems(world, toml)[0]
    with pytest.raises(ComityError) as raised:
        world.propose("aurelia", toml)
    assert raised.value.detail == list_problems(world, toml)[0]


def test_what_cannot_be_read_is_no_draft(world: World) -> None:
    for read in (check_terms, preview_terms):
        with pytest.raises(MalformedTerms, match="line"):
            read(world.nodes["aurelia"], world.terms().replace(b"exchange_of_letters", b"handshake"))


# --- conflicts --------------------------------------------------------------------------------------------------------


def widen(world: World, **fields: object) -> bytes:
    """Terms that permit more than those of `world.terms`."""
    toml = world.terms(title="Wider", **fields)  # type: ignore[arg-type]
    return toml.replace(b'"internally-visible-actions"', b'"externally-visible-direct-actions"')


def test_a_conflict_with_an_agreement_in_force_is_told_with_what_is_held(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b", tlp="amber"), make_object("c", regions=("TR",)))
    (conflict,) = check_terms(world.nodes["aurelia"], widen(world, tlp="green")).conflicts
    assert (conflict.dossier.id, conflict.other.title) == (agreement, "Exchange on Ashfall")
    assert (conflict.labels, conflict.amount.objects) == (1, 1)
    assert "1 object (1 label) would go under both" in conflict.sentence
    (seen,) = ask(world, widen(world, tlp="green")).draft.conflicts
    assert seen.sentence == conflict.sentence


def test_scopes_that_overlap_are_told_where_nothing_is_held(world: World) -> None:
    world.sign_all(world.terms())
    (conflict,) = check_terms(world.nodes["aurelia"], widen(world)).conflicts
    assert conflict.amount.objects == 0
    assert "The scopes overlap" in conflict.sentence
    (other,) = check_terms(world.nodes["borealia"], widen(world)).conflicts
    assert "what aurelia holds of it is not known here" in other.sentence


@pytest.mark.parametrize(("kind", "conflicts"), [(EventKind.SUSPEND, 1), (EventKind.TERMINATE, 0)])
def test_a_suspended_agreement_still_binds_and_an_ended_one_does_not(
    world: World, kind: EventKind, conflicts: int
) -> None:
    agreement = world.sign_all(world.terms())
    world.act("aurelia", agreement, kind)
    assert len(check_terms(world.nodes["aurelia"], widen(world)).conflicts) == conflicts


def test_what_is_only_proposed_does_not_bind_and_a_next_version_is_no_conflict(world: World) -> None:
    assert isinstance(world.propose("aurelia", world.terms()), agree.Recorded)
    assert check_terms(world.nodes["aurelia"], widen(world)).conflicts == ()
    agreement = world.sign_all(world.terms(title="Signed"))
    toml = widen(world, version=2, agreement=agreement, supersedes=agreement)
    assert check_terms(world.nodes["aurelia"], toml).conflicts == ()


def test_what_an_audience_withholds_bears_witness_to_an_onward_conflict(three: World) -> None:
    three.sign_all(three.terms(giver="meridia", receivers=("aurelia",), title="Meridia's"), proposer="meridia")
    three.add("meridia", make_object("m"), make_object("n", tlp="red"))
    pull(three, giver="meridia", recipient="aurelia")
    passing = three.terms(channel_extra=f"originators = {json.dumps(['own', 'meridia'])}")
    (conflict,) = check_terms(three.nodes["aurelia"], passing).conflicts
    assert (conflict.found.clause, conflict.found.other_clause) == ("channels.main.originators", "channels.main.onward")
    assert conflict.amount.objects == 1
    assert "Of what meridia gave, 1 object (1 label) would not go today" in conflict.sentence


def test_what_an_excluded_framework_withholds_bears_witness_to_its_conflict(three: World) -> None:
    given = three.terms(
        giver="meridia",
        receivers=("aurelia",),
        title="Meridia's",
        extra='excluded_frameworks = ["coalition-dawn"]',
    ).replace(b'onward = "none"', b'onward = "listed"\nreleasable_to = ["borealia"]')
    three.sign_all(given, proposer="meridia")
    three.add("meridia", make_object("m"), make_object("n", tlp="red"))
    pull(three, giver="meridia", recipient="aurelia")
    inside = three.terms(
        extra='framework = "coalition-dawn"', channel_extra=f"originators = {json.dumps(['own', 'meridia'])}"
    )
    (conflict,) = check_terms(three.nodes["aurelia"], inside).conflicts
    assert (conflict.found.kind, conflict.found.other_clause) == (ConflictKind.FRAMEWORK, "excluded_frameworks")
    assert (conflict.labels, conflict.amount.objects) == (1, 1)
    assert "Of what meridia gave, 1 object (1 label) would not go today, by the frameworks alone" in conflict.sentence


def test_duties_of_real_texts_are_compared(world: World) -> None:
    retention = 'retention = { review_after = "P6M", maximum = "P2Y", no_decision = "delete" }'
    world.sign_all(world.terms(extra=retention, channel_extra='attribution = "must"'))
    world.add("aurelia", make_object("a"))
    shorter = world.terms(
        title="Shorter", extra=retention.replace("P2Y", "P1Y"), channel_extra='attribution = "must-not"'
    )
    found = check_terms(world.nodes["aurelia"], shorter).conflicts
    assert [conflict.found.clause for conflict in found] == ["retention", "channels.main.attribution"]
    assert all(conflict.amount.objects == 1 for conflict in found)


def pull(world: World, *, giver: str, recipient: str) -> None:
    """What `giver` gives now, taken in by `recipient` under its terms."""
    page = world.poll(recipient, giver=giver)
    (collection,) = list_open_collections(world.nodes[giver], PartyId(recipient))
    for item in page.items:
        received = Received(
            giver=PartyId(giver),
            terms=page.terms,
            channel=collection.channel,
            collection=collection.id,
            added_after=item.at,
        )
        assert receive_page(world.nodes[recipient], item.data, received).added


# --- comparisons ------------------------------------------------------------------------------------------------------


def compare(world: World, before: bytes | str, after: bytes | str, *, name: str = "aurelia") -> Comparison:
    return compare_versions(world.nodes[name], before, after, samples=9)


def test_two_texts_differ_by_words_and_by_what_they_release(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b", regions=("SY",)))
    toml = world.terms(regions=("IQ",), version=2, agreement=agreement, supersedes=agreement)
    found = compare(world, agreement[:8], toml)
    changes = {change.clause: change for change in found.changes}
    assert changes["channels.main.regions"].removed == ("SY",)
    assert changes["version"].added == ("2",)
    (channel,) = found.channels
    assert channel.relation is Relation.NARROWER
    assert channel.effect is not None
    assert [sample.id for sample in found.samples.of(channel.effect.lost)] == [object_id("report", "b")]
    assert (channel.effect.gained.objects, channel.effect.unchanged.objects) == (0, 1)
    assert compare(world, toml, agreement).channels[0].relation is Relation.WIDER


def test_a_text_on_record_is_named_by_the_hash_of_its_version(world: World) -> None:
    agreement = world.sign_all(world.terms())
    toml = world.terms(version=2, agreement=agreement, supersedes=agreement, tlp="green")
    recorded = world.propose("aurelia", toml)
    assert isinstance(recorded, agree.Recorded)
    found = compare(world, agreement, recorded.event.terms)
    assert (found.before.version, found.after.version) == (1, 2)
    with pytest.raises(NotFoundError):
        compare(world, agreement, "0" * 16)


def test_what_another_party_gives_is_compared_by_its_words_alone(world: World) -> None:
    found = compare(world, world.terms(), world.terms(tlp="red"), name="borealia")
    (channel,) = found.channels
    assert (channel.giver, channel.relation, channel.effect) == ("aurelia", Relation.WIDER, None)
