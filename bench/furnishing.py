# SPDX-License-Identifier: Apache-2.0
"""A world in which every page of the console has something to show: what is taken in, said, asked and recalled.

It is a world of `worlds` with more in it. All but the entries of disclosures is done by the node's own functions, as
people do it: what is listed by pages has several hundred of each, some hundred of these still to be decided.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from bench.worlds import FORM, GIVER, READER, WRITER, Built, find_world, make_envelope, make_mixed_envelope
from comity.agreement.people import Role, parse_badge
from comity.canonical import Json
from comity.classification.lists import parse_subject_list
from comity.classification.rules import RuleSet, convert_rules
from comity.ids import Digest, Instant, PartyId, PersonId
from comity.intake.article.mentions import Kind
from comity.intake.formats import Format
from comity.intake.listing import LISTING_EXTENSION
from comity.letters.recall import Change
from comity.letters.request import Urgency
from comity.node import (
    agree,
    articles,
    assess,
    classify,
    due,
    identity,
    lists,
    necessity,
    recall,
    requests,
    retention,
    rules,
)
from comity.node.articles import ArticlePlan, add_article
from comity.node.clock import read_clock
from comity.node.files import Bytes
from comity.node.follow import plan_pull
from comity.node.ingest import add_objects
from comity.node.intake import Plan, take_file
from comity.node.node import Act, open_node
from comity.node.parties import export_manifest
from comity.node.people import Actor
from comity.node.programs import make_program
from comity.node.receive import Received, receive_page
from comity.node.standing import Dossier, list_dossiers
from comity.node.steps import finish
from comity.release.disclosure import Answer, EntryType, format_disclosure, format_listing
from comity.release.grounds import format_grounds
from comity.signing import parse_manifest, parse_signed_document
from comity.stix.labels import make_tags
from comity.store import log
from tests.chains import give_all, introduce, pull_all
from tests.worlds import World, badge_path, make_object, object_id

__all__ = ["DRAFT", "PERSON", "SUBJECTS", "find_furnished", "make_list"]

_FORM = 1
"""Raised when what is furnished changes."""

PERSON = PersonId("vera")
"""Who has every role."""

DRAFT = "draft.toml"
"""What the text of a draft lies in, in the folder of the world."""

PERSONS, SUBJECTS, LEFT = 20_000, 5_000, 200
RECEIVED, RECALLED, ASKED, ARTICLES = 20_000, 200, 300, 150
LISTED, GROUPS = 20, 100
DAY = 86_400_000_000
_RETENTION = 'retention = { review_after = "P20D", maximum = "P300D", no_decision = "delete" }'
_GROUP = '[structure]\nkind = "group"\naccession = "any_member"'
_BATCH = 1_000
_OPEN = 80
"""Requests that wait at once; a node takes no more than some of one partner."""
_BUNDLE = b'{"type":"bundle","id":"bundle--4b2e5f2e-8f0e-4a52-9d0c-111111111119",'
_FIRST = ("Ondrej", "Bea", "Karim", "Lena", "Tomas", "Noor", "Ivo", "Salma", "Pavel", "Rana", "Milan", "Dana", "Omar")
_LAST = ("Marrow", "Roth", "Haddad", "Vesely", "Brandt", "Kovac", "Saleh", "Novak", "Aziz", "Horak", "Lind", "Weir")
_ARTICLE = """Lucent and Norrhaven talk, part {number}

March 4, 2031

Russian Foreign Minister Ivan Petrov denied reports that Germany had paid the rebels in Lisbon.

{more}

Original url:
https://wire.example/{number}
"""
_PARAGRAPH = "Halcyon said that it had seen hxxp://a{number}[.]example/x, and Minister Anna Berg of France agreed.\n\n"
_RULES = """format = "comity-rules/1"
name = "harbour-{number}"
[[rules]]
id = "relays"
why = "Relays of the harbour."
[rules.when]
types = ["intrusion-set"]
[rules.say]
regions = ["{region}"]
"""


def find_furnished(kept: Path, *, objects: int, agreements: int, entries: int) -> Built:
    """The world of that size with so many entries in its log, built first if it is not in `kept`."""
    folder = kept / f"{objects}x{agreements}x{entries}-{FORM}-furnished-{_FORM}"
    if not (folder / "furnished").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(find_world(kept, objects=objects, agreements=agreements).folder, folder)
        with closing(_reopen(folder)) as world:
            _furnish(world, objects=objects, entries=entries)
        (folder / "furnished").touch()
    found = find_world(kept, objects=objects, agreements=agreements)
    return Built(**{**asdict(found), "folder": folder})


def make_list(version: str, first: int, count: int) -> bytes:
    """A version of a list of `count` subjects from number `first` on."""
    entries = [
        {
            "subject": f"harbour:s-{number}",
            "kind": "entity",
            "names": [f"Subject {number} of the harbour"],
            "aliases": [{"name": f"Alias {number}", "quality": "low"}],
        }
        for number in range(first, first + count)
    ]
    listed = {"format": "comity-subject-list/1", "list": "harbour", "version": version, "entries": entries}
    return json.dumps(listed).encode()


def _reopen(folder: Path) -> World:
    """The world in a folder, in the time of the machine."""
    world = World(folder, now=read_clock())
    for name in (GIVER, READER, WRITER):
        node = world.nodes[name] = open_node(folder / name)
        node.clock = lambda: world.now
        world.manifests[name] = parse_manifest(parse_signed_document(export_manifest(node)).payload)
        for role in (Role.LIAISON, Role.LEGAL):
            world.badges[name, role] = parse_badge(badge_path(folder / name, role).read_bytes())
    introduce(world, [(GIVER, WRITER), (GIVER, READER)])
    return world


def _furnish(world: World, *, objects: int, entries: int) -> None:
    world.register(GIVER, PERSON, *Role)
    for number in range(40):
        world.register(GIVER, f"analyst-{number}", Role.ANALYST)
    for number in range(15):
        make_program(world.nodes[GIVER], PERSON, name=f"Reader {number}", may=("objects", "log"), days=90)
    steps: Sequence[tuple[str, Callable[[], object]]] = (
        ("persons", lambda: _add_persons(world)),
        ("lists", lambda: _load_lists(world)),
        ("necessity", lambda: _decide_necessity(world)),
        ("identity", lambda: _judge_persons(world)),
        ("assessments", lambda: _assess(world)),
        ("received", lambda: _receive(world, objects)),
        ("recalls", lambda: _recall(world)),
        ("requests", lambda: _ask(world)),
        ("words", lambda: _say(world)),
        ("articles", lambda: _add_articles(world)),
        ("files", lambda: _take_files(world)),
        ("rules", lambda: _apply_rules(world)),
        ("matters", lambda: _propose(world)),
        ("log", lambda: _fill_log(world, entries)),
    )
    for name, step in steps:
        started = time.perf_counter()
        step()
        world.tick()
        print(f"furnished: {name} in {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)


def _by(world: World, role: Role = Role.LIAISON, name: str = GIVER) -> Actor:
    return world.actor(name, role)


def _add_persons(world: World) -> None:
    """Persons of few names, of whom every fiftieth is said to be ill, each about a subject of the list."""
    for first in range(0, PERSONS, 1_000):
        made = [_make_person(number) for number in range(first, first + 1_000)]
        intake = world.add(GIVER, *made)
        assert not intake.bad, intake.bad[:1]  # noqa: S101 (a benchmark of nothing must not print)


def _make_person(number: int) -> dict[str, Json]:
    name = f"{_FIRST[number % len(_FIRST)]} {_LAST[number // 7 % len(_LAST)]}"
    made = make_object(f"person-{number}", kind="identity", subjects=[f"harbour:s-{number % SUBJECTS}"])
    born: list[Json] = [{"date": f"{1950 + number % 45}-{1 + number % 12:02}-{1 + number % 28:02}"}]
    listed: dict[str, Json] = {"extension_type": "property-extension", "dates_of_birth": born}
    extensions = {**cast("dict[str, Json]", made["extensions"]), LISTING_EXTENSION: listed}
    ill: dict[str, Json] = {"x_health": "an illness"} if number % 50 == 0 else {}
    return made | {"name": name, "identity_class": "individual", "extensions": extensions} | ill


def _load_lists(world: World) -> None:
    """Versions of a list, of which the second has lost subjects; half of these are decided on."""
    node = world.nodes[GIVER]
    for place, first in enumerate((0, LEFT, LEFT, LEFT)):
        world.tick()
        listed = parse_subject_list(make_list(f"2026-{place + 1:02}", first, SUBJECTS + place))
        done = lists.load_list(node, listed, reason="As published.", by=_by(world))
        assert isinstance(done, lists.Loaded), done  # noqa: S101 (as above)
    for number in range(LEFT // 2):
        for role in (Role.LIAISON, Role.LEGAL):
            lists.decide_subject(node, f"harbour:s-{number}", "keep", reason="Another name.", by=_by(world, role))


def _decide_necessity(world: World) -> None:
    """Of those that wait the first are decided on, and some wait for a second person."""
    node, waiting = world.nodes[GIVER], necessity.list_undecided(world.nodes[GIVER])
    for place, item in enumerate(waiting[: len(waiting) // 2]):
        for role in (Role.LIAISON, Role.LEGAL)[: 1 + (place % 3 > 0)]:
            necessity.decide_necessity(node, item.id, reason="To find the child.", by=_by(world, role))


def _judge_persons(world: World) -> None:
    one = object_id("identity", "person-0")
    for number in range(1, 60):
        other = object_id("identity", f"person-{number}")
        identity.judge_persons(world.nodes[GIVER], one, other, same=False, reason="Brothers.", by=_by(world))


def _assess(world: World) -> None:
    groups = [f"group-{number}" for number in range(GROUPS)]
    world.add(GIVER, *(make_object(name, kind="intrusion-set") for name in groups))
    for number in range(5 * len(groups)):
        new = assess.NewAssessment(
            assessed=object_id("intrusion-set", groups[number % len(groups)]),
            title=f"What is expected, {number}",
            text="It has said that it will come back.",
            author="Desk 3",
            threat="may attack shipping",
            may_go_to=["JO"],
            may_return_to=["IQ"],
            basis="two reports",
            evaluation="admiralty:B2",
            tlp="green",
            expires_at=Instant(world.now + (1 + number) * DAY),
        )
        done = assess.assess(world.nodes[GIVER], new, by=_by(world))
        assert isinstance(done, assess.Assessed), done  # noqa: S101 (as above)


def _receive(world: World, objects: int) -> None:
    """Objects of a partner that are due for review, of which some are kept and some deleted."""
    kinds = ("indicator", "identity", "relationship", "report")
    toml = world.terms(giver=WRITER, receivers=(GIVER,), types=kinds, title="Kept for a while", extra=_RETENTION)
    agreement = world.sign_all(toml, proposer=WRITER)
    node = world.nodes[GIVER]
    (target,) = [item for item in plan_pull(node, WRITER) if item.agreement == agreement]
    way = Received(
        giver=target.giver, terms=target.terms, channel=target.channel, collection=target.collection, added_after=None
    )
    for first in range(objects, objects + RECEIVED, 1_000):
        world.tick()
        receive_page(node, make_mixed_envelope(first), way)
    names = [item.object.id for item in finish(due.look_through_due(node, after=None, most=1_000)).items]
    for name in names[:100]:
        retention.keep(node, name, reason="Case 12 is open.")
    for name in names[100:120]:
        retention.delete(node, name, reason="Nobody needs it.", by="desk")


def _recall(world: World) -> None:
    """What was given is recalled of some objects, and a partner recalls what it gave."""
    tags = make_tags(subjects=["national:ashfall"], regions=["IQ"])
    add_objects(world.nodes[WRITER], make_envelope(10_000_000), tags=tags)
    world.tick()
    given = [item for page in give_all(world, GIVER, READER).values() for item in page.items]
    pulled = sorted(pull_all(world, WRITER, GIVER))
    for name, ids in ((GIVER, [item.id for item in given]), (WRITER, pulled)):
        for item in ids[:RECALLED]:
            by, why = _by(world, name=name), "Not true."
            done = recall.recall(world.nodes[name], item, change=Change.WITHDRAW, versions=(), reason=why, by=by)
            assert isinstance(done, recall.Recalling), done  # noqa: S101 (as above)
    world.deliver()


def _ask(world: World) -> None:
    """Requests in both directions, of which some are answered and the last are not delivered."""
    node = world.nodes[GIVER]
    with node.store.read() as transaction:
        found = list_dossiers(node, transaction)
    (first,) = [item.id for item in found if item.versions[0].title == "Exchange on Ashfall"]
    for number in range(ASKED):
        _send(world, READER, first, to=PartyId(GIVER), number=number)
        if number % _OPEN == 0:
            world.deliver()
            _answer_all(world)
    world.deliver()
    for number in range(_OPEN):
        _send(world, GIVER, first, to=READER, number=number)


def _send(world: World, sender: str, agreement: str, *, to: PartyId, number: int) -> None:
    world.tick()
    by, question = _by(world, name=sender), f"Was {number} seen?"
    requests.send_request(world.nodes[sender], agreement, to=to, question=question, urgency=Urgency.ROUTINE, by=by)


def _answer_all(world: World) -> None:
    node = world.nodes[GIVER]
    for item in requests.list_requests(node, limit=ASKED)[1]:
        if not item.answers:
            requests.answer_request(node, item.stored.letter.digest, text="It was not.", by=_by(world))


def _say(world: World) -> None:
    """Words that people say of objects."""
    words = {"subjects": ["national:ashfall"], "regions": ["SY"]}
    for number in range(GROUPS):
        name = object_id("intrusion-set", f"group-{number}")
        classify.say(world.nodes[GIVER], name, words, reason="Named in it.", by=_by(world))


def _add_articles(world: World) -> None:
    """Articles, of which the first is long, and some are decided on."""
    node = world.nodes[GIVER]
    for number in range(ARTICLES):
        more = "".join(_PARAGRAPH.format(number=place) for place in range(400 if number == 0 else 3))
        text = _ARTICLE.format(number=number, more=more).encode()
        add_article(node, text, f"talks-{number}.txt", ArticlePlan(form=Format.TEXT))
        if number % 3 == 0:
            articles.confirm(node, str(number + 1), (), all_of=Kind.PERSON, by=_by(world))


def _take_files(world: World) -> None:
    """Small files of the party's own, and a large one."""
    for number in range(200):
        first, count = (20_000_000, 5_000) if number == 0 else (21_000_000 + 5 * number, 5)
        data = (
            b'{"type":"bundle","id":"bundle--4b2e5f2e-8f0e-4a52-9d0c-111111111119",' + make_envelope(first, count)[1:]
        )
        take_file(world.nodes[GIVER], Bytes(f"file-{number}.json", data), Plan())


def _apply_rules(world: World) -> None:
    """Sets of rules that two people applied."""
    for number, region in enumerate(("JO", "LB")):
        parsed = convert_rules(_RULES.format(number=number, region=region).encode())
        assert isinstance(parsed, RuleSet), parsed  # noqa: S101 (as above)
        for role in (Role.LIAISON, Role.LEGAL):
            finish(rules.apply_rules(world.nodes[GIVER], parsed, reason="Case 12.", by=_by(world, role)))


def _propose(world: World) -> None:
    """Proposals that one person has approved, some of a partner, groups to leave and to join, and a draft."""
    for number in range(30):
        agree.propose(world.nodes[GIVER], world.terms(title=f"Proposal {number}"), by=_by(world))
    for number in range(20):
        world.propose(READER, world.terms(title=f"Offer {number}"))
    world.sign_all(world.terms(receivers=(READER, WRITER), extra=_GROUP, title="A group"))
    world.sign_all(world.terms(extra=_GROUP, title="A pair"))
    opened = world.sign_all(
        world.terms(giver=READER, receivers=(WRITER,), extra=_GROUP, title="To join"), proposer=READER
    )
    world.admit(READER, opened, GIVER)
    world.deliver()
    (world.folder / DRAFT).write_bytes(world.terms(title="A draft"))


# ---- the log ---------------------------------------------------------------------------------------------------------


def _fill_log(world: World, entries: int) -> None:
    """Disclosures under all agreements in turn, until the log has so many entries."""
    node = world.nodes[GIVER]
    with node.store.read() as transaction:
        held = transaction.rows("SELECT id, version, digest FROM object ORDER BY pk LIMIT ?", (LISTED * 2_000,))
        size, known = log.count_entries(transaction), list_dossiers(node, transaction)
    listings = [_make_listing(held[start : start + LISTED]) for start in range(0, len(held), LISTED)]
    given = [item for item in known if item.versions[0].channels[0].giver == GIVER and item.epoch > 1]
    policy = log.Text(b"")
    text = log.Text(format_grounds(floor=0, labels=[policy.digest] * LISTED, policy=policy.digest))
    for turn, first in enumerate(range(size, entries, _BATCH)):
        world.tick(1_000)
        dossier = given[turn % len(given)]
        with node.act(keeps_head=False) as act:
            for number in range(min(_BATCH, entries - first)):
                listing = listings[(turn * 7 + number // 100) % len(listings)]
                _disclose(act, dossier, listing, log.Grounds(text=text, policy=policy))
    node.keep_head()


def _make_listing(rows: Sequence[Sequence[Any]]) -> log.Text:
    return log.Text(format_listing((item, version, Digest(digest), ()) for item, version, digest in rows))


def _disclose(act: Act, dossier: Dossier, listing: log.Text, grounds: log.Grounds) -> None:
    content = format_disclosure(
        answer=Answer.OBJECTS,
        channel="main",
        epoch=dossier.epoch,
        grounds=grounds.digest,
        listing=listing.digest,
    )
    act.record(
        EntryType.DISCLOSURE,
        content,
        terms=dossier.versions[0].hash,
        recipient=READER,
        count=LISTED,
        listing=listing,
        grounds=grounds,
        agreement=dossier.id,
    )


if __name__ == "__main__":
    find_furnished(Path(sys.argv[1]), objects=int(sys.argv[2]), agreements=int(sys.argv[3]), entries=int(sys.argv[4]))
