# SPDX-License-Identifier: Apache-2.0
"""What a preview, a check and a comparison tell, with real nodes; nothing is signed by any of them."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.agreement.lifecycle import EventKind
from comity.canonical import Json
from comity.errors import MalformedTerms, NotFoundError
from comity.ids import PartyId
from comity.node import agree
from comity.node.ingest import Received, receive_page
from comity.node.journal import list_entries
from comity.node.poll import list_open_collections
from comity.node.preview import Comparison, Preview, check_terms, compare_versions, preview_terms
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
    assert list_entries(world.nodes["aurelia"], start=0, limit=9) == []


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
        recorded = agree.propose(world.nodes["aurelia"], toml)
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
    assert isinstance(agree.propose(world.nodes["aurelia"], world.terms()), agree.Recorded)
    assert check_terms(world.nodes["aurelia"], widen(world)).conflicts == ()
    agreement = world.sign_all(world.terms(title="Signed"))
    toml = widen(world, version=2, agreement=agreement, supersedes=agreement)
    assert check_terms(world.nodes["aurelia"], toml).conflicts == ()


def test_what_an_audience_withholds_bears_witness_to_an_onward_conflict(
    three: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until terms can name other originators, the flows are given one more."""
    flows = preview_terms.__globals__["list_flows"]
    meridia = PartyId("meridia")

    def admit_meridia(terms: object, *, giver: PartyId | None = None) -> tuple[object, ...]:
        return tuple(
            dataclasses.replace(
                flow, scope=dataclasses.replace(flow.scope, originators=flow.scope.originators | {meridia})
            )
            for flow in flows(terms, giver=giver)
        )

    monkeypatch.setattr("comity.node.preview.list_flows", admit_meridia)
    monkeypatch.setattr("comity.release.conflicts.list_flows", admit_meridia)
    three.sign_all(three.terms(giver="meridia", receivers=("aurelia",), title="Meridia's"), proposer="meridia")
    three.add("meridia", make_object("m"), make_object("n", tlp="red"))
    pull(three, giver="meridia", recipient="aurelia")
    (conflict,) = check_terms(three.nodes["aurelia"], three.terms()).conflicts
    assert (conflict.found.clause, conflict.found.other_clause) == ("channels.main.originators", "channels.main.onward")
    assert conflict.amount.objects == 1
    assert "Of what meridia gave, 1 object (1 label) would not go today" in conflict.sentence


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
    recorded = agree.propose(world.nodes["aurelia"], toml)
    assert isinstance(recorded, agree.Recorded)
    found = compare(world, agreement, recorded.event.terms)
    assert (found.before.version, found.after.version) == (1, 2)
    with pytest.raises(NotFoundError):
        compare(world, agreement, "0" * 16)


def test_what_another_party_gives_is_compared_by_its_words_alone(world: World) -> None:
    found = compare(world, world.terms(), world.terms(tlp="red"), name="borealia")
    (channel,) = found.channels
    assert (channel.giver, channel.relation, channel.effect) == ("aurelia", Relation.WIDER, None)
