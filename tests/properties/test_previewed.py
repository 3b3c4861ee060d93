# SPDX-License-Identifier: Apache-2.0
"""PREVIEWED: what a preview showed is what then happens, when all have signed and every receiver polled to the end.

Real nodes, random stores, random terms, new ones and ones that replace others. Planted mutants die.
"""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from comity.agreement.terms import Scope, Terms
from comity.canonical import Json
from comity.errors import NotFoundError
from comity.ids import AgreementId, Instant, ObjectId, PartyId
from comity.node.poll import PollRequest, Selection, VersionChoice, poll
from comity.node.preview import Amount, FlowPreview, Samples, preview_terms
from comity.node.relabel import relabel
from comity.node.standing import collection_id
from comity.release.decision import Decision, Redact, Release, decide
from comity.release.disclosure import Answer
from comity.release.facets import Facet, Inventory, find_refused
from comity.release.preview import Flow, list_flows
from comity.stix.labels import Label
from comity.store import Transaction, objects
from comity.store.counts import read_inventory
from tests.worlds import World, make_object, object_id, tlp_id

AURELIA = PartyId("aurelia")
SUBJECTS = ("national:ashfall", "national:tidewater")
REGIONS = ("IQ", "JO", "SY")
NAMES = tuple("abcd")
ALL = 1_000
"""More samples than there are objects: then the samples are everything."""

Given = dict[tuple[str, str], frozenset[str]]
"""What a receiver gets: the properties removed from it, by id and version."""

words = st.sampled_from
scopes = st.fixed_dictionaries(
    {
        "subjects": words([SUBJECTS[:1], SUBJECTS, SUBJECTS[1:]]),
        "regions": words([REGIONS[:1], REGIONS, REGIONS[1:]]),
        "tlp": words(("green", "amber", "amber", "red")),
        "types": words([("report",), ("indicator", "report", "identity")]),
        "receivers": words([("borealia",), ("borealia", "meridia")]),
        "second": st.none() | words([REGIONS, REGIONS[2:]]),
    }
)
items = st.lists(
    st.fixed_dictionaries(
        {
            "name": words(NAMES),
            "kind": words(("report", "report", "identity", "indicator")),
            "tlp": words(("clear", "clear", "green", "green", "amber", "red", None)),
            "subjects": words([SUBJECTS[:1], SUBJECTS[:1], SUBJECTS, ()]),
            "regions": words([REGIONS[:1], REGIONS[:1], REGIONS[:2], ()]),
            "refs": st.just(frozenset[str]()) | st.frozensets(words(NAMES[:2]), max_size=1),
            "marked": words((None, None, "amber", "red")),
            "audience": words((None, None, ("borealia",), ("meridia",))),
            "copies": words((1, 1, 3)),
        }
    ),
    min_size=1,
    max_size=7,
)


def write(world: World, scope: dict[str, Any], **lineage: Any) -> bytes:  # noqa: ANN401 (what `terms` takes)
    """Terms of one or two channels."""
    fields = {name: value for name, value in scope.items() if name != "second"}
    second = ""
    if scope["second"] is not None:
        second = (
            '[[channels]]\nid = "second"\ngiver = "aurelia"\nreceivers = ["borealia"]\ntypes = ["report"]\n'
            f'tlp_ceiling = "clear"\nsubjects = {json.dumps(SUBJECTS)}\nregions = {json.dumps(scope["second"])}\n'
            'onward = "none"'
        )
    return world.terms(**fields, **lineage, channel_extra=second)


def list_keys(scope: dict[str, Any]) -> list[tuple[str, PartyId]]:
    """The channels of `write`, for each receiver."""
    keys = [("main", PartyId(receiver)) for receiver in scope["receivers"]]
    return keys if scope["second"] is None else [*keys, ("second", PartyId("borealia"))]


def take_in(world: World, listed: Iterable[dict[str, Any]], *, day: int) -> None:
    """Each as a newer version, under its name and as many others as it says."""
    for number, item in enumerate(listed, start=day):
        made = dict(item)
        marked, audience, name = made.pop("marked"), made.pop("audience"), made.pop("name")
        refs = [object_id("report", ref) for ref in made.pop("refs")]
        more: dict[str, Json] = {"description": "text"}
        if marked is not None:
            more["granular_markings"] = [{"marking_ref": tlp_id(marked), "selectors": ["description"]}]
        for copy in range(made.pop("copies")):
            value = make_object(name * (copy + 1), **made, refs=refs, day=number, more=more)
            assert world.add("aurelia", value).added
            if audience is not None:
                limit_audience(world, str(value["id"]), audience)


def limit_audience(world: World, name: str, audience: Collection[str]) -> None:
    """As when the same object also came from a partner who lets it go no further."""
    with world.nodes["aurelia"].act() as act:
        item = objects.read_current(act.transaction, [ObjectId(name)])[ObjectId(name)]
        label = objects.read_label(act.transaction, item.own_label)
        narrowed = dataclasses.replace(label, audience=frozenset(map(PartyId, audience)))
        objects.set_own_label(act.transaction, item.pk, objects.intern_label(act.transaction, narrowed))
        relabel(act.transaction, {}, restated=[item.id])


def poll_to_the_end(world: World, agreement: str, channel: str, receiver: PartyId) -> Given:
    """Everything that `receiver` gets, from the beginning, two objects at a time."""
    got, after = Given(), Instant(0)
    while True:
        request = PollRequest(
            recipient=receiver,
            collection=collection_id(AgreementId(agreement), channel, giver=AURELIA, recipient=receiver),
            answer=Answer.OBJECTS,
            selection=Selection(after=after, versions=VersionChoice()),
            limit=2,
        )
        try:
            page = poll(world.nodes["aurelia"], request)
        except NotFoundError:
            return got  # the terms have no such channel for it
        got |= {(item.id, item.version): frozenset(item.redacted) for item in page.items}
        if not page.more:
            return got
        after = page.items[-1].at


def read_shown(item: FlowPreview, samples: Samples) -> Given:
    """What a preview shows of one flow, every object of it."""
    if item.counts is None:
        return {}
    shown: Given = {
        (sample.id, sample.version): frozenset(group.redacted)
        for group in item.counts.groups
        for sample in samples.of(group.amount)
    }
    assert item.counts.released == len(shown)
    assert item.counts.redacted == sum(1 for properties in shown.values() if properties)
    for _, amount in item.counts.refusals:
        assert amount.objects == len(read_keys(amount, samples))
        assert read_keys(amount, samples).isdisjoint(shown)
    return shown


def read_keys(amount: Amount, samples: Samples) -> set[tuple[str, str]]:
    return {(sample.id, sample.version) for sample in samples.of(amount)}


def check_effect(item: FlowPreview, samples: Samples, *, before: Given, after: Given) -> None:
    """What would be gained and lost is what was."""
    assert item.effect is not None
    both = before.keys() & after.keys()
    assert read_keys(item.effect.gained, samples) == after.keys() - before.keys()
    assert read_keys(item.effect.lost, samples) == before.keys() - after.keys()
    assert read_keys(item.effect.changed, samples) == {key for key in both if before[key] != after[key]}
    assert read_keys(item.effect.unchanged, samples) == {key for key in both if before[key] == after[key]}


def check_once(scope: dict[str, Any], listed: list[dict[str, Any]], replaced: dict[str, Any] | None) -> None:
    """One world: perhaps an agreement in force and polled; a preview; all sign; every receiver polls."""
    with tempfile.TemporaryDirectory() as folder, closing(World(Path(folder))) as world:
        world.found("aurelia", "borealia", "meridia")
        take_in(world, listed[:3], day=1)
        agreement, before, lineage = "", dict[tuple[str, PartyId], Given](), dict[str, Any]()
        if replaced is not None:
            agreement = world.sign_all(write(world, replaced))
            poll_to_the_end(world, agreement, "main", PartyId("borealia"))
            lineage = {"version": 2, "agreement": agreement, "supersedes": agreement}
        take_in(world, listed[3:], day=100)
        toml = write(world, scope, **lineage)
        shown = preview_terms(world.nodes["aurelia"], toml, samples=ALL)
        keys = [(item.flow.channel, item.flow.receiver) for item in shown.flows]
        assert {key for key, item in zip(keys, shown.flows, strict=True) if item.counts} == set(list_keys(scope))
        for key in keys if replaced is not None else ():
            before[key] = poll_to_the_end(world, agreement, *key)
        signed = world.sign_all(toml)
        for key, item in zip(keys, shown.flows, strict=True):
            after = poll_to_the_end(world, signed, *key)
            assert read_shown(item, shown.samples) == after
            if replaced is not None:
                check_effect(item, shown.samples, before=before[key], after=after)


def check_many(*, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(scopes, items, st.none() | scopes)
    def check(scope: dict[str, Any], listed: list[dict[str, Any]], replaced: dict[str, Any] | None) -> None:
        check_once(scope, listed, replaced)

    check()


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(scopes, items, st.none() | scopes)
def test_what_a_preview_shows_is_what_then_happens(
    scope: dict[str, Any], listed: list[dict[str, Any]], replaced: dict[str, Any] | None
) -> None:
    check_once(scope, listed, replaced)


# --- mutants ----------------------------------------------------------------------------------------------------------


def forget_audience(scope: Scope, facets: Mapping[str, Facet], *, recipient: PartyId) -> frozenset[str]:
    refused = find_refused(scope, facets, recipient=recipient)
    return frozenset(key for key in refused if facets[key].clause != "audience")


def release_whole(scope: Scope, label: Label, *, recipient: PartyId) -> Decision:
    decision = decide(scope, label, recipient=recipient)
    return Release() if isinstance(decision, Redact) else decision


def count_once(transaction: Transaction, *, since: Collection[Instant]) -> Inventory:
    found = read_inventory(transaction, since=since)
    return dataclasses.replace(found, places=[(*place[:4], 1) for place in found.places])


def count_every_version(transaction: Transaction, *, since: Collection[Instant]) -> Inventory:
    sql = "SELECT label, type, originator, 0, COUNT(*) FROM object GROUP BY label, type, originator"
    found = read_inventory(transaction, since=since)
    held = [row for row in transaction.rows(sql) if row[0] in found.labels]
    return dataclasses.replace(found, places=held)


def give_one_receiver(terms: Terms, *, giver: PartyId | None = None) -> tuple[Flow, ...]:
    return tuple(dataclasses.replace(flow, receiver=PartyId("borealia")) for flow in list_flows(terms, giver=giver))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "mutant"),
    [
        ("comity.release.preview.find_refused", forget_audience),
        ("comity.release.preview.decide", release_whole),
        ("comity.store.counts.read_inventory", count_once),
        ("comity.store.counts.read_inventory", count_every_version),
        ("comity.node.preview.list_flows", give_one_receiver),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mutant_of_the_preview_is_noticed(
    monkeypatch: pytest.MonkeyPatch, place: str, mutant: Callable[..., object]
) -> None:
    monkeypatch.setattr(place, mutant)
    with pytest.raises((AssertionError, ValueError)):
        check_many(examples=100)
