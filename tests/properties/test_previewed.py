# SPDX-License-Identifier: Apache-2.0
"""PREVIEWED: what a preview showed is what then happens, when all have signed and every receiver polled to the end.

Real nodes, random stores, random terms, new ones and ones that replace others, also of groups that somebody joined.
Planted mutants die.

Which objects go is shown exactly, and so are the properties that are marked. `created_by_ref`, and what is no tear
line, is removed where it is there: of these a preview shows the most that can be removed.
"""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from comity.agreement.terms import Scope, Terms
from comity.canonical import Json
from comity.errors import NotFoundError
from comity.ids import AgreementId, Instant, ObjectId, PartyId, format_instant
from comity.node.poll import PollRequest, Selection, VersionChoice, poll
from comity.node.preview import Amount, FlowPreview, Preview, Samples, preview_terms
from comity.node.relabel import relabel
from comity.node.standing import collection_id
from comity.release.decision import Decision, Redact, Release, decide
from comity.release.disclosure import Answer
from comity.release.facets import Facet, Inventory, find_refused
from comity.release.history import Threshold
from comity.release.preview import Flow, list_flows
from comity.stix.labels import Label
from comity.stix.markings import find_required
from comity.store import Transaction, objects
from comity.store.counts import read_inventory
from tests.worlds import World, make_object, object_id, tlp_id

AURELIA, BOREALIA, MERIDIA = map(PartyId, ("aurelia", "borealia", "meridia"))
SUBJECTS = ("national:ashfall", "national:tidewater")
REGIONS = ("IQ", "JO", "SY")
NAMES = tuple("abcd")
ALL = 1_000
"""More samples than there are objects: then the samples are everything."""

Given = dict[tuple[str, str], frozenset[str]]
"""What a receiver gets: the properties removed from it, by id and version."""

BEGINNING = Instant(0)
CREATED_BY = "created_by_ref"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How an object is shown: without `redacted`, or (where there are any) with `tear_line` and what it must have."""

    redacted: frozenset[str]
    tear_line: frozenset[str]

    def allows(self, removed: frozenset[str], body: dict[str, Json]) -> bool:
        """Whether exactly this is removed of an object that has the properties of `body`."""
        if not self.tear_line:
            return removed == self.redacted & body.keys()
        kept = self.tear_line | (find_required(body) or frozenset(body))
        return removed == body.keys() - kept | (self.redacted & body.keys())

    @property
    def is_bound(self) -> bool:
        """Whether less may be removed than is shown, because it may not be there."""
        return bool(self.tear_line) or CREATED_BY in self.redacted


words = st.sampled_from


@st.composite
def vary(draw: st.DrawFn, columns: dict[str, tuple[Any, ...]], *, least: int) -> dict[str, Any]:
    """The first word of every column, but for a few columns: so that what one of them says decides."""
    names = draw(st.lists(words(sorted(columns)), min_size=least, max_size=least + 2, unique=True))
    return {name: draw(words(columns[name])) if name in names else columns[name][0] for name in columns}


scopes = vary(
    {
        "subjects": (SUBJECTS[:1], SUBJECTS, SUBJECTS[1:]),
        "regions": (REGIONS[:1], REGIONS, REGIONS[1:]),
        "tlp": ("amber", "green", "red"),
        "types": (("report", "identity"), ("indicator", "report", "identity"), ("report",)),
        "receivers": (("members",), ("borealia",), ("borealia", "meridia")),
        "history": ("all", "none", "since"),
        "sanitise": (None, "none", "tear_line_allowed", "tear_line_required"),
        "attribution": (None, "must-not", "must"),
        "originators": (None, ("own", "meridia"), ("meridia",)),
        "second": (None, REGIONS, REGIONS[2:]),
    },
    least=4,
)
items = st.lists(
    vary(
        {
            "name": NAMES,
            "kind": ("report", "identity", "indicator"),
            "tlp": ("green", "clear", "amber", "red", None),
            "subjects": (SUBJECTS[:1], SUBJECTS, ()),
            "regions": (REGIONS[:1], REGIONS[:2], ()),
            "refs": (frozenset[str](), frozenset({"a"}), frozenset({"b"})),
            "marked": (None, "green", "amber", "red"),
            "audience": (None, ("borealia",), ("meridia",)),
            "from": (None, "meridia"),
            "signed": (False, True),
            "copies": (1, 3),
        },
        least=2,
    ),
    min_size=3,
    max_size=7,
)


def write(world: World, scope: dict[str, Any], **lineage: Any) -> bytes:  # noqa: ANN401 (what `terms` takes)
    """Terms of one or two channels; those for "members" are of a group that a third party can join."""
    fields = {name: scope[name] for name in ("subjects", "regions", "tlp", "types")}
    members = scope["receivers"] == ("members",)
    lines = [f'{name} = "{scope[name]}"' for name in ("sanitise", "attribution") if scope[name] is not None]
    if scope["originators"] is not None:
        lines.append(f"originators = {json.dumps(scope['originators'])}")
    if scope["second"] is not None:
        lines += ["[[channels]]", 'id = "second"', 'giver = "aurelia"', 'receivers = ["borealia"]']
        lines += ['types = ["report"]', 'tlp_ceiling = "clear"', f"subjects = {json.dumps(SUBJECTS)}"]
        lines += [f"regions = {json.dumps(scope['second'])}", 'onward = "none"', 'history = "all"']
    toml = world.terms(
        **fields,
        **lineage,
        receivers=("borealia",) if members else scope["receivers"],
        history=scope["since"] if scope["history"] == "since" else scope["history"],
        channel_extra="\n".join(lines),
        extra='structure = { kind = "group", accession = "any_member" }' if members else "",
    )
    return toml.replace(b'receivers = ["borealia"]', b'receivers = ["members"]', int(members))


def list_keys(scope: dict[str, Any]) -> list[tuple[str, PartyId]]:
    """The channels of `write`, for each receiver."""
    receivers = ("borealia",) if scope["receivers"] == ("members",) else scope["receivers"]
    keys = [("main", PartyId(receiver)) for receiver in receivers]
    return keys if scope["second"] is None else [*keys, ("second", BOREALIA)]


AUTHOR = make_object("author", kind="identity", tlp="clear", subjects=SUBJECTS, regions=REGIONS)


def take_in(world: World, listed: Iterable[dict[str, Any]], *, day: int) -> None:
    """Each as a newer version, under its name and as many others as it says."""
    for number, item in enumerate(listed, start=day):
        made = dict(item)
        marked, audience, name = made.pop("marked"), made.pop("audience"), made.pop("name")
        originator, signed = made.pop("from"), made.pop("signed")
        refs = [object_id("report", ref) for ref in made.pop("refs")]
        more: dict[str, Json] = {"description": "text", **({CREATED_BY: str(AUTHOR["id"])} if signed else {})}
        if marked is not None:
            more["granular_markings"] = [{"marking_ref": tlp_id(marked), "selectors": ["description"]}]
        for copy in range(made.pop("copies")):
            world.tick()
            value = make_object(name * (copy + 1), **made, refs=refs, day=number, more=more)
            assert world.add("aurelia", value).added
            if audience is not None or originator is not None:
                restrict(world, str(value["id"]), audience, originator)


def restrict(world: World, name: str, audience: Collection[str] | None, originator: str | None) -> None:
    """As when the same object also came from a partner who lets it go no further, or from nobody else."""
    with world.nodes["aurelia"].act() as act:
        item = objects.read_current(act.transaction, [ObjectId(name)])[ObjectId(name)]
        label = objects.read_label(act.transaction, item.own_label)
        if audience is not None:
            label = dataclasses.replace(label, audience=frozenset(map(PartyId, audience)))
        if originator is not None:
            label = dataclasses.replace(label, originators=frozenset({PartyId(originator)}))
        objects.set_own_label(act.transaction, item.pk, objects.intern_label(act.transaction, label))
        relabel(act.transaction, restated=[item.id])


def join(world: World, agreement: str) -> None:
    """Meridia joins."""
    world.admit("aurelia", agreement, "meridia")
    world.deliver()
    world.accede("meridia", agreement)
    world.deliver()


def poll_on(
    world: World, agreement: str, key: tuple[str, PartyId], *, after: Instant = BEGINNING
) -> tuple[Given, Instant]:
    """Everything that a receiver gets after `after`, two objects at a time, and how far that is."""
    got = Given()
    channel, receiver = key
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
            return got, after  # the terms have no such channel for it
        got |= {(item.id, item.version): frozenset(item.redacted) for item in page.items}
        after = page.items[-1].at if page.items else after
        if not page.more:
            return got, after


def read_shown(item: FlowPreview, samples: Samples) -> dict[tuple[str, str], Shown]:
    """What a preview shows of one flow, every object of it."""
    if item.counts is None:
        return {}
    shown: dict[tuple[str, str], Shown] = {
        (sample.id, sample.version): Shown(redacted=frozenset(group.redacted), tear_line=frozenset(group.tear_line))
        for group in item.counts.groups
        for sample in samples.of(group.amount)
    }
    assert item.counts.released == len(shown)
    assert item.counts.redacted == sum(1 for how in shown.values() if how.redacted or how.tear_line)
    for _, amount in item.counts.refusals:
        assert amount.objects == len(read_keys(amount, samples))
        assert read_keys(amount, samples).isdisjoint(shown)
    return shown


def read_keys(amount: Amount, samples: Samples) -> set[tuple[str, str]]:
    return {(sample.id, sample.version) for sample in samples.of(amount)}


def read_bodies(world: World) -> dict[tuple[str, str], dict[str, Json]]:
    """Every version held by aurelia."""
    with world.nodes["aurelia"].store.read() as transaction:
        rows = transaction.rows("SELECT o.id, o.version, b.data FROM object o JOIN body b ON b.object = o.pk")
    return {(row[0], row[1]): json.loads(row[2]) for row in rows}


def check_given(world: World, item: FlowPreview, samples: Samples, got: Given) -> None:
    """What is shown is what went: each object, and of each what was shown and was there."""
    shown, bodies = read_shown(item, samples), read_bodies(world)
    assert shown.keys() == got.keys()
    for key, how in shown.items():
        assert how.allows(got[key], bodies[key]), (how, got[key])
        assert how.is_bound or how.redacted == got[key]


def is_bound(item: FlowPreview, samples: Samples) -> bool:
    """Whether less may be removed of some object than is shown."""
    return any(how.is_bound for how in read_shown(item, samples).values())


def check_effect(
    item: FlowPreview, samples: Samples, *, before: Given, after: Given, later: Given, was_bound: bool
) -> None:
    """What would be gained and lost is what was; who polls on gets what it had not, and what it had without more."""
    assert item.effect is not None
    both = before.keys() & after.keys()
    changed = {key for key in both if before[key] != after[key]}
    assert read_keys(item.effect.gained, samples) == after.keys() - before.keys()
    assert read_keys(item.effect.lost, samples) == before.keys() - after.keys()
    assert changed <= read_keys(item.effect.changed, samples)
    assert read_keys(item.effect.changed, samples) | read_keys(item.effect.unchanged, samples) == both
    if not was_bound and not is_bound(item, samples):
        assert changed == read_keys(item.effect.changed, samples)
    assert {key: after[key] for key in (after.keys() - before.keys()) | changed}.items() <= later.items()


def check_flows(world: World, shown: Preview, agreement: str) -> dict[tuple[str, PartyId], tuple[Given, Instant]]:
    """Every flow of a preview is what its receiver gets now."""
    found = {}
    for item in shown.flows:
        key = (item.flow.channel, item.flow.receiver)
        found[key] = poll_on(world, agreement, key)
        check_given(world, item, shown.samples, found[key][0])
        assert item.counts is None or item.closed is None
    return found


def check_once(scope: dict[str, Any], listed: list[dict[str, Any]], replaced: dict[str, Any] | None) -> None:
    """One world: perhaps an agreement in force, joined and polled; a preview; all sign; every receiver polls."""
    with tempfile.TemporaryDirectory() as folder, closing(World(Path(folder))) as world:
        world.found("aurelia", "borealia", "meridia")
        aurelia = world.nodes["aurelia"]
        world.add("aurelia", AUTHOR)
        take_in(world, listed[:2], day=1)
        scope = {**scope, "since": format_instant(world.now)}
        agreement, before, lineage = "", dict[tuple[str, PartyId], tuple[Given, Instant]](), dict[str, Any]()
        bound = set[tuple[str, PartyId]]()
        if replaced is not None:
            agreement = world.sign_all(write(world, {**replaced, "since": scope["since"]}))
            take_in(world, listed[2:4], day=50)
            if replaced["receivers"] == ("members",):
                join(world, agreement)
            if replaced["receivers"] != ("borealia",):
                # A next version names everybody that is bound.
                scope = {**scope, "receivers": ("borealia", "meridia")}
            lineage = {"version": 2, "agreement": agreement, "supersedes": agreement}
        take_in(world, listed[4:], day=100)
        toml = write(world, scope, **lineage)
        shown = preview_terms(aurelia, toml, samples=ALL)
        keys = [(item.flow.channel, item.flow.receiver) for item in shown.flows]
        assert {key for key, item in zip(keys, shown.flows, strict=True) if item.counts} == set(list_keys(scope))
        if replaced is not None:
            then = preview_terms(aurelia, agreement, samples=ALL)
            before = check_flows(world, then, agreement)
            bound = {(x.flow.channel, x.flow.receiver) for x in then.flows if is_bound(x, then.samples)}
        signed = world.sign_all(toml)
        nothing = (Given(), BEGINNING)
        for key, item in zip(keys, shown.flows, strict=True):
            had, far = before.get(key, nothing)
            later, _ = poll_on(world, signed, key, after=far)
            after, _ = poll_on(world, signed, key)
            check_given(world, item, shown.samples, after)
            if replaced is not None:
                check_effect(item, shown.samples, before=had, after=after, later=later, was_bound=key in bound)
        check_flows(world, preview_terms(aurelia, signed, samples=ALL), signed)


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


def count_once(transaction: Transaction, *, history: Collection[Threshold]) -> Inventory:
    found = read_inventory(transaction, history=history)
    return dataclasses.replace(found, places=[(*place[:4], 1) for place in found.places])


def count_every_version(transaction: Transaction, *, history: Collection[Threshold]) -> Inventory:
    found = read_inventory(transaction, history=history)
    told = "1" * len(found.thresholds)
    sql = "SELECT label, type, originator, ?, COUNT(*) FROM object GROUP BY label, type, originator"
    held = [row for row in transaction.rows(sql, (told,)) if row[0] in found.labels]
    return dataclasses.replace(found, places=held)


def give_one_receiver(terms: Terms, **fields: Any) -> tuple[Flow, ...]:  # noqa: ANN401 (what `list_flows` takes)
    return tuple(dataclasses.replace(flow, receiver=BOREALIA) for flow in list_flows(terms, **fields))


def forget_history(terms: Terms, **fields: Any) -> tuple[Flow, ...]:  # noqa: ANN401
    return tuple(dataclasses.replace(flow, history=Threshold()) for flow in list_flows(terms, **fields))


def begin_every_feed_now(terms: Terms, **fields: Any) -> tuple[Flow, ...]:  # noqa: ANN401
    return list_flows(terms, **{**fields, "floors": {}})


def take_joiners_for_founders(terms: Terms, **fields: Any) -> tuple[Flow, ...]:  # noqa: ANN401
    """By the history of the channel, whoever the receiver is."""
    settled = {flow.channel: flow.history for flow in list_flows(terms, **fields) if not flow.joined}
    return tuple(
        dataclasses.replace(flow, history=settled.get(flow.channel, flow.history))
        for flow in list_flows(terms, **fields)
    )


def forget_sanitising(scope: Scope, label: Label, *, recipient: PartyId) -> Decision:
    return decide(dataclasses.replace(scope, sanitise="tear_line_allowed"), label, recipient=recipient)


def forget_attribution(scope: Scope, label: Label, *, recipient: PartyId) -> Decision:
    return decide(dataclasses.replace(scope, attribution="may"), label, recipient=recipient)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "mutant"),
    [
        ("comity.release.preview.find_refused", forget_audience),
        ("comity.release.preview.decide", release_whole),
        ("comity.store.counts.read_inventory", count_once),
        ("comity.store.counts.read_inventory", count_every_version),
        ("comity.node.preview.list_flows", give_one_receiver),
        ("comity.node.preview.list_flows", forget_history),
        ("comity.node.preview.list_flows", begin_every_feed_now),
        ("comity.node.preview.list_flows", take_joiners_for_founders),
        ("comity.release.preview.decide", forget_sanitising),
        ("comity.release.preview.decide", forget_attribution),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mutant_of_the_preview_is_noticed(
    monkeypatch: pytest.MonkeyPatch, place: str, mutant: Callable[..., object]
) -> None:
    monkeypatch.setattr(place, mutant)
    with pytest.raises((AssertionError, ValueError)):
        check_many(examples=100)
