# SPDX-License-Identifier: Apache-2.0
"""The console of a node, served to a real browser, with somebody signed in who may see all of it."""

import asyncio
import json
import re
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import TypeVar

import httpx
from starlette.routing import Route, compile_path

from comity.agreement.events import EventKind
from comity.agreement.people import Person, Role
from comity.canonical import Json
from comity.classification.rules import RuleSet, convert_rules
from comity.config import Address, ConsoleSetting
from comity.console.app import SCREENS
from comity.console.serving import ConsoleServer
from comity.ids import Instant, PartyId
from comity.intake.formats import Format
from comity.letters.recall import Change
from comity.letters.request import Urgency
from comity.node import agree, intake
from comity.node.agree import Recorded
from comity.node.articles import ArticlePlan, add_article
from comity.node.assess import Assessed, NewAssessment, assess
from comity.node.files import Bytes
from comity.node.identity import judge_persons
from comity.node.lists import Loaded, load_list, read_list
from comity.node.necessity import decide_necessity, end_necessity
from comity.node.people import Actor, Waiting
from comity.node.recall import Recalling, recall
from comity.node.requests import Sent, send_request
from comity.node.retention import delete
from comity.node.rules import AppliedRules, apply_rules
from comity.node.steps import finish
from tests.chains import introduce, pull_all
from tests.consoles import Desk
from tests.e2e.conftest import PATIENCE
from tests.worlds import World, make_object, object_id

__all__ = [
    "ARTICLE",
    "EVIL",
    "PAGES",
    "RIGHT_TO_LEFT",
    "ServedDesk",
    "ask_and_recall",
    "assess_group",
    "crowd",
    "furnish",
    "furnish_with_hostile_words",
    "load_versions",
]

_T = TypeVar("_T")
_TOKEN = "token-of-vera"
_MOST_OF_A_PAGE = 12
"""More than `furnish` makes agreements: some links stand on the page of one alone, and ids fall as they may."""
ARTICLE = """Lucent and Norrhaven talk

March 4, 2031

Russian Foreign Minister Ivan Petrov denied reports that Germany had paid the rebels in Lisbon.
"""
RULES = """format = "comity-rules/1"
name = "harbour"
[[rules]]
id = "relays"
why = "Relays of the harbour."
[rules.when]
types = ["indicator"]
[rules.say]
kinds = ["indicator"]
"""
_DAY = 86_400_000_000
EXAMPLES = Path(__file__).parents[3] / "examples"
BUNDLE = EXAMPLES / "bundle.json"
_RECOGNISED = '[[recognised]]\nkind = "unsc_resolution"\nreference = "*"\n'

EVIL = (
    '<script>window.ran=1</script><img src=x onerror="window.ran=2">\'"><svg onload=window.ran=3>{{7*7}}${7*7}'
    "</title></textarea><a href=javascript:window.ran=4>go</a>"
)
"""What would run if a page took it for markup."""

RIGHT_TO_LEFT = "\u202eevil\u202c \u0633\u0644\u0627\u0645 \u05e9\u05dc\u05d5\u05dd \u2066\u2067"

_PATHS = [
    route.path for screen in SCREENS for route in screen if isinstance(route, Route) and "GET" in (route.methods or ())
]
PAGES = tuple(
    path for path in _PATHS if (f"{path}.json" in _PATHS and not path.endswith("/certificate")) or path == "/"
)
"""The path of every page, as its route has it; a certificate, and what has no twin, is a document or a file to keep."""


@dataclass
class ServedDesk:
    """A console at `url`; `addresses` holds for each path of PAGES the addresses that links lead to."""

    world: World
    url: str
    addresses: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def start(cls, world: World, name: str, person: Person) -> Iterator["ServedDesk"]:
        """Serve the console of the node of `name`, where `person` is signed in, until the block ends."""
        desk = Desk(world.nodes[name], sessions={_TOKEN: person})
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="console")
        thread.start()
        try:
            setting = ConsoleSetting(listen=Address(host="127.0.0.1", port=0))
            server = ConsoleServer(setting, ask=desk.ask, find_person=desk.find_person, door=desk.door)
            served = cls(world, _run(loop, server.start()))
            try:
                served._follow_links()
                yield served
            finally:
                _run(loop, server.stop())
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(PATIENCE)
            loop.close()

    @property
    def cookies(self) -> dict[str, str]:
        """What a browser holds whose person is signed in."""
        return {"comity": _TOKEN}

    def find(self, page: str) -> list[str]:
        """The addresses under which a page of PAGES can be reached."""
        return self.addresses.get(page, [])

    def list_addresses(self) -> list[str]:
        """Two addresses of each page that links lead to."""
        return [address for page in PAGES for address in self.find(page)[:2]]

    def find_link(self, address: str, pattern: str, *, shown: str = "") -> str:
        """The first link on the page at `address` that the pattern fits, and whose words hold `shown`."""
        answer = httpx.get(self.url + address, cookies=self.cookies, trust_env=False, timeout=PATIENCE)
        found = re.search(rf'href="({pattern})"[^>]*>(?:<[^>]*>)*[^<]*{re.escape(shown)}', answer.text)
        assert found is not None, address
        return unescape(found[1])

    def _follow_links(self) -> None:
        patterns = [(page, compile_path(page)[0]) for page in sorted(PAGES, key=lambda page: page.count("{"))]
        due, seen = ["/"], {"/"}
        with httpx.Client(base_url=self.url, cookies=self.cookies, trust_env=False, timeout=PATIENCE) as client:
            while due:
                address = due.pop(0)
                path = address.partition("?")[0]
                page = next((page for page, pattern in patterns if pattern.fullmatch(path)), None)
                if page is None or len(self.find(page)) >= _MOST_OF_A_PAGE or path.endswith(".json"):
                    continue
                answer = client.get(address)
                if "text/html" not in answer.headers.get("content-type", "") or answer.status_code != 200:
                    continue
                self.addresses.setdefault(page, []).append(address)
                links = {unescape(link): None for link in re.findall(r'<a [^>]*href="(/[^"#]*)', answer.text)}
                due += [link for link in links if link not in seen]
                seen |= links.keys()


def furnish(world: World) -> Person:
    """The parties, terms and objects of the demonstration: something for every page of Aurelia.

    What comes back is somebody there who may see all of it.
    """
    vera = Person(id=world.register("aurelia", "vera", *Role).person, name="Vera", roles=frozenset(Role))
    aurelia = world.nodes["aurelia"]
    taken = intake.take_file(aurelia, Bytes(BUNDLE.name, BUNDLE.read_bytes()), intake.Plan())
    assert taken.added
    for name in ("aurelia", "borealia"):
        (world.folder / name / "recognition.toml").write_text(_RECOGNISED)
    world.sign_all(_fill(world, "bilateral.toml"))
    world.tick()
    world.poll("borealia", limit=50)
    reports = world.sign_all(world.terms(title="Exchange of reports on the Ashfall Column", types=("report",)))
    world.tick()
    world.act("aurelia", reports, EventKind.SUSPEND, text="A source may be at risk.")
    _send(
        world.propose(
            "aurelia", world.terms(title="Exchange of reports", agreement=reports, supersedes=reports, version=2)
        )
    )
    world.deliver()
    receivers = ("borealia", "meridia")
    world.sign_all(world.terms(title="Exchange of three on the border posts", receivers=receivers))
    group = '[structure]\nkind = "group"\naccession = "any_member"'
    world.sign_all(world.terms(title="Group on the Ashfall Column", types=("indicator",), extra=group))
    joined = world.sign_all(
        world.terms(giver="borealia", receivers=("meridia",), title="Group on the border posts", extra=group),
        proposer="borealia",
    )
    world.admit("borealia", joined, "aurelia")
    world.deliver()
    offered = world.terms(giver="borealia", receivers=("aurelia",), title="Exchange of letters on sightings")
    _send(world.propose("borealia", offered))
    world.deliver()
    world.tick()
    by = world.actor("aurelia", Role.LIAISON)
    assert isinstance(agree.propose(aurelia, world.terms(title="Reports on the smuggling ring"), by=by), Waiting)
    assert isinstance(agree.act_on(aurelia, reports, EventKind.RESUME, by=by, text="The source is safe."), Waiting)
    add_article(aurelia, ARTICLE.encode(), "talks.txt", ArticlePlan(form=Format.TEXT))
    _furnish_safeguards(world, by)
    load_versions(world, "Marrow Ford", "Jan of the Ford")
    _apply_rules(world)
    for days in (1, 20, 90):
        assess_group(world, f"What is expected within {days} days", days=days)
    world.tick(2 * _DAY)
    ask_and_recall(world, question="Was it seen\nafter May?", reason="The source was not reliable.")
    return vera


def _furnish_safeguards(world: World, by: Actor) -> None:
    """What waits for a decision or was decided, persons who may be one, and what is due for review or was deleted."""
    aurelia = world.nodes["aurelia"]
    for number, name in enumerate(("Ondrej Marrow", "Ondrej Marow", "Ondrej Marrow")):
        world.add("aurelia", _make_identity(str(number), name, x_health="an illness"))
    one, other, third = (object_id("identity", f"person {number}") for number in range(3))
    assert isinstance(decide_necessity(aurelia, one, reason="To find the child.", by=by), Waiting)
    for role in (Role.LIAISON, Role.LEGAL):
        decide_necessity(aurelia, other, reason="To warn a hospital.", by=world.actor("aurelia", role))
    end_necessity(aurelia, other, reason="It was warned.", by=by)
    judge_persons(aurelia, one, third, same=False, reason="Brothers.", by=by)
    reviewed = world.terms(
        giver="borealia",
        receivers=("aurelia",),
        title="Exchange with a review",
        extra='retention = { review_after = "P20D", maximum = "P300D", no_decision = "delete" }',
    )
    world.sign_all(reviewed, proposer="borealia")
    introduce(world, [("aurelia", "borealia")])
    world.add("borealia", *(make_object(f"for a while {number}") for number in range(2)))
    pull_all(world, "borealia", "aurelia")
    delete(aurelia, object_id("report", "for a while 1"), reason="It was wrong.", by="aurelia-liaison (liaison)")


def _make_identity(key: str, name: str, /, **more: Json) -> dict[str, Json]:
    """A person who is on no list."""
    made = make_object(f"person {key}", kind="identity")
    return made | {"name": name, "identity_class": "individual"} | more


def ask_and_recall(world: World, *, question: str, reason: str) -> None:
    """Aurelia and borealia ask each other about an object, and recall what they gave; of that aurelia has to decide."""
    introduce(world, [("aurelia", "borealia")])
    for giver, receiver in (("aurelia", "borealia"), ("borealia", "aurelia")):
        terms = world.terms(
            giver=giver,
            receivers=(receiver,),
            types=("report",),
            title=f"Letters of {giver}",
            extra='[retention]\nreview_after = "P6M"\nno_decision = "delete"',
        )
        agreement = world.sign_all(terms, proposer=giver)
        names = [f"{giver} {number}" for number in range(2)]
        world.add(giver, *(make_object(name) for name in names))
        pull_all(world, giver, receiver)
        world.tick()
        asked = send_request(
            world.nodes[receiver],
            agreement,
            to=PartyId(giver),
            question=question,
            urgency=Urgency.SOON,
            about=[object_id("report", names[0])],
            by=world.actor(receiver, Role.LIAISON),
        )
        assert isinstance(asked, Sent), asked
        done = recall(
            world.nodes[giver],
            object_id("report", names[1]),
            change=Change.WITHDRAW,
            versions=(),
            reason=reason,
            by=world.actor(giver, Role.LIAISON),
        )
        assert isinstance(done, Recalling), done
        world.deliver()
        world.tick()


def furnish_with_hostile_words(world: World) -> Person:
    """What others say of themselves, of objects and of agreements is markup, very long, or runs the other way."""
    vera = Person(id=world.register("aurelia", "vera", *Role).person, name=EVIL, roles=frozenset(Role))
    aurelia, by = world.nodes["aurelia"], world.actor("aurelia", Role.LIAISON)
    long = "W" * 9_000
    for number, name in enumerate((EVIL, RIGHT_TO_LEFT, long, EVIL + long)):
        world.add("aurelia", make_object(name, kind="report", day=number + 1, more={"description": name}))
    title = EVIL[:160] + "\u0633\u0644\u0627\u0645 \u05e9\u05dc\u05d5\u05dd"
    world.sign_all(world.terms(title=title))
    world.tick()
    world.poll("borealia")
    for number, name in enumerate((EVIL, RIGHT_TO_LEFT + " two", long, EVIL)):
        world.add("aurelia", _make_identity(str(number), name, x_health=EVIL))
    evil = object_id("identity", "person 0")
    assert isinstance(decide_necessity(aurelia, evil, reason=EVIL, by=by), Waiting)
    judge_persons(aurelia, evil, object_id("identity", "person 2"), same=False, reason=EVIL, by=by)
    reviewed = 'retention = { review_after = "P20D", no_decision = "delete" }'
    gives = world.terms(giver="borealia", receivers=("aurelia",), title=title, extra=reviewed)
    world.sign_all(gives, proposer="borealia")
    introduce(world, [("aurelia", "borealia")])
    world.add("borealia", *(make_object(f"{name} b", more={"name": name}) for name in (EVIL, long)))
    pull_all(world, "borealia", "aurelia")
    proposed = world.propose("borealia", world.terms(giver="borealia", receivers=("aurelia",), title="W" * 200))
    _send(proposed)
    world.deliver()
    said = f"Russian Foreign Minister Ivan Petrov {RIGHT_TO_LEFT} {long} denied it in Lisbon."
    hostile = f"{EVIL}\n\nMarch 4, 2031\n\n{said}\n"
    add_article(world.nodes["aurelia"], hostile.encode(), f"{long[:150]}.txt", ArticlePlan(form=Format.TEXT))
    load_versions(world, EVIL, "W" * 200)
    assess_group(world, EVIL, days=20)
    ask_and_recall(world, question=EVIL + long[:3_000], reason=EVIL + long[:1_500])
    return vera


def crowd(world: World) -> Person:
    """Thousands of objects, hundreds of entries in the log, and dozens of agreements."""
    vera = Person(id=world.register("aurelia", "vera", *Role).person, name="Vera", roles=frozenset(Role))
    world.add("aurelia", *(make_object(f"finding {number}", kind="indicator") for number in range(3_000)))
    load_versions(world, *(f"Group {number}" for number in range(3_000)))
    for number in range(40):
        proposed = world.propose(
            "borealia", world.terms(giver="borealia", receivers=("aurelia",), title=f"No {number}")
        )
        _send(proposed)
    world.sign_all(world.terms())
    world.tick()
    for number in range(300):
        world.poll("borealia", limit=10)
        world.tick()
        world.add("aurelia", make_object(f"later {number}", kind="indicator"))
    return vera


def load_versions(world: World, *names: str) -> None:
    """Three versions of the list `national` at Aurelia: with the last all of these but the first have left it."""
    for number, listed in enumerate((names, (f"{names[0]}, of old", *names[1:]), (f"{names[0]}, of late",))):
        entries = [
            {
                "subject": f"national:{place:04}",
                "kind": "entity",
                "names": [name],
                "aliases": [{"name": f"{name}, too", "quality": "low"}],
            }
            for place, name in enumerate(listed)
        ]
        version = {"format": "comity-subject-list/1", "list": "national", "version": f"{number}", "entries": entries}
        read = read_list(world.nodes["aurelia"], json.dumps(version).encode())
        done = load_list(world.nodes["aurelia"], read, reason="As published.", by=world.actor("aurelia", Role.LIAISON))
        assert isinstance(done, Loaded), done


def assess_group(world: World, words: str, *, days: int) -> str:
    """The id of an assessment that Aurelia wrote, in these words, of a group that it holds."""
    world.add("aurelia", make_object("a group", kind="intrusion-set"))
    new = NewAssessment(
        assessed=object_id("intrusion-set", "a group"),
        title=words,
        text=words,
        author=words,
        threat=words,
        may_go_to=["IQ"],
        may_return_to=["SY"],
        basis=words,
        evaluation="admiralty:B2",
        tlp="amber",
        expires_at=Instant(world.now + days * _DAY),
    )
    done = assess(world.nodes["aurelia"], new, by=world.actor("aurelia", Role.LIAISON))
    assert isinstance(done, Assessed), done
    return done.id


def _apply_rules(world: World) -> None:
    rules = convert_rules(RULES.encode())
    assert isinstance(rules, RuleSet), rules
    first, second = (world.actor("aurelia", role) for role in (Role.LIAISON, Role.LEGAL))
    waiting = finish(apply_rules(world.nodes["aurelia"], rules, reason="Case 12.", by=first))
    assert isinstance(waiting, Waiting), waiting
    done = finish(apply_rules(world.nodes["aurelia"], rules, reason="Case 12.", by=second))
    assert isinstance(done, AppliedRules), done


def _fill(world: World, name: str) -> bytes:
    """The terms in that example, with the digests of the parties' manifests."""
    text = (EXAMPLES / "agreements" / name).read_text(encoding="utf-8")
    for party, manifest in world.manifests.items():
        text = text.replace(f"MANIFEST-OF-{party.upper()}", manifest.digest)
    return text.encode()


def _send(recorded: object) -> None:
    assert isinstance(recorded, Recorded), recorded


def _run(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[_T]) -> _T:
    async def wait() -> _T:
        return await awaitable

    return asyncio.run_coroutine_threadsafe(wait(), loop).result(PATIENCE)
