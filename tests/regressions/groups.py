# SPDX-License-Identifier: Apache-2.0
"""A state in two groups: Aurelia receives from Borealia in the first, and gives to Meridia in the second.

Two worlds are made of one: the same keys, clocks and random draws, the same agreements and the same objects of Aurelia.
In one of them Borealia also gives what Meridia must never learn of. Then everything that Meridia can ask is asked in
both, and the answers are compared as they came over the wire.
"""

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from comity.canonical import Json
from comity.ids import AgreementId, ObjectId, PartyId
from comity.node import receive
from comity.node.gate import list_open_collections
from comity.node.ingest import Intake
from comity.node.parties import create_credential
from comity.node.standing import collection_id, find_agreement
from tests.served import Served, basic, without_date
from tests.worlds import World, make_object

__all__ = [
    "EVERY_TYPE",
    "Asked",
    "Groups",
    "add",
    "ask_all",
    "ask_partner",
    "make",
    "make_groups",
    "pull",
    "read_told",
    "see",
    "tell",
]

AURELIA, BOREALIA, MERIDIA = (PartyId(name) for name in ("aurelia", "borealia", "meridia"))
PARTIES = (AURELIA, BOREALIA, MERIDIA)
EVERY_TYPE = (
    *("attack-pattern", "grouping", "identity", "indicator", "ipv4-addr", "language-content", "location", "malware"),
    *("marking-definition", "note", "observed-data", "opinion", "relationship", "report", "sighting", "threat-actor"),
)
NOWHERE = "00000000-0000-4000-8000-000000000000"
_FIELDS: Mapping[str, dict[str, Json]] = {
    "grouping": {"context": "suspicious-activity"},
    "language-content": {"contents": {"de": {"description": "auf Deutsch"}}},
    "location": {"country": "IQ"},
    "malware": {"is_family": False},
    "note": {"content": "a note"},
    "observed-data": {
        "first_observed": "2025-01-01T00:00:00Z",
        "last_observed": "2025-01-01T00:00:00Z",
        "number_observed": 1,
    },
    "opinion": {"opinion": "agree"},
    "relationship": {"relationship_type": "related-to"},
    "sighting": {"count": 1},
}
_WITHOUT_NAME = {"language-content", "note", "observed-data", "opinion", "relationship", "sighting"}


def make(kind: str, name: str, /, **fields: Json) -> dict[str, Json]:
    """An object of a type with what its type needs; its id follows from its name."""
    value = make_object(name, kind=kind) | _FIELDS.get(kind, {}) | fields
    if kind in _WITHOUT_NAME:
        del value["name"]
    return value


def add(world: World, name: str, *items: dict[str, Json]) -> Intake:
    """Take objects in at the node of `name`; none of them may be bad."""
    intake = world.add(name, *items)
    assert not intake.bad, intake.bad
    return intake


def pull(world: World, receiver: str, *, giver: str, agreement: AgreementId) -> Intake:
    """What a pull by `receiver` brings of all that `giver` gives it now under `agreement`, but for the network."""
    page = world.poll(receiver, giver=giver, every=True)
    assert not page.more
    node = world.nodes[receiver]
    with node.store.read() as transaction:
        terms = find_agreement(node, transaction, agreement).versions[-1]
    channel = terms.channel("main")
    assert channel is not None
    received = receive.Received(
        giver=PartyId(giver),
        terms=terms.hash,
        channel=channel,
        collection=collection_id(agreement, "main", giver=PartyId(giver), recipient=node.party),
        added_after=page.items[-1].at if page.items else None,
    )
    return receive.receive_page(node, b'{"objects":[' + b",".join(item.data for item in page.items) + b"]}", received)


# ---- everything that a partner can ask -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One partner of a node that is served: what it sends with each request, and its collection there."""

    served: Served
    party: PartyId
    headers: Mapping[str, str]
    collection: str

    def ask(self, path: str, *, method: str = "GET", **more: str) -> bytes:
        """The answer without its Date."""
        return without_date(self.served.ask(method, path, headers={**self.headers, **more}))


def ask_all(asked: Asked, *, about: Iterable[ObjectId], kinds: Iterable[str] = EVERY_TYPE) -> dict[str, bytes]:
    """The answer to everything that a partner can ask of its collection, and of objects whose ids it guessed.

    With each page the receipt is asked for that stands behind it.
    """
    answers = dict[str, bytes]()

    def ask(path: str) -> bytes:
        answers[path] = asked.ask(path, **{"Comity-Receipt": "?1"})
        for number in re.findall(rb"(?i)^comity-receipt: (\d+)\r$", answers[path], re.MULTILINE):
            receipt = f"/comity/receipts/{number.decode()}"
            answers[f"{path} {receipt}"] = asked.ask(receipt)
        return answers[path]

    root = f"/taxii2/{asked.party}"
    base = f"{root}/collections/{asked.collection}"
    for path in ("/taxii2/", f"{root}/", f"{root}/collections/", f"{base}/", f"{root}/status/{NOWHERE}/"):
        ask(path)
    for what in ("objects", "manifest"):
        _ask_pages(ask, f"{base}/{what}/")
        for asking in (
            *("", "?limit=2", "?limit=0", "?match[version]=all", "?match[version]=first,last", "?next=AAAA"),
            *("?match[spec_version]=2.1", "?match[spec_version]=2.0", "?added_after=x", "?match[nothing]=x"),
            *(f"?match[type]={kind}" for kind in kinds),
            *(f"?match[id]={name}" for name in about),
            f"?match[id]={','.join(about)}&match[version]=all&limit=1",
        ):
            ask(f"{base}/{what}/{asking}")
    for name in about:
        for rest in ("", "?match[version]=all", "versions/", "versions/?limit=1"):
            ask(f"{base}/objects/{name}/{rest}")
        answers[f"HEAD {name}"] = asked.ask(f"{base}/objects/{name}/", method="HEAD")
        answers[f"DELETE {name}"] = asked.ask(f"{base}/objects/{name}/", method="DELETE")
    return answers


def _ask_pages(ask: Callable[[str], bytes], path: str) -> None:
    """Read to the end by one object a page, as a client would by `next`, and by `added_after` of the last header."""
    following: str | None = ""
    while following is not None:
        answer = ask(f"{path}?limit=1{following}")
        found = re.search(rb'"next":"([^"]+)"', answer)
        following = f"&next={found[1].decode()}" if found else None
        if last := re.search(rb"(?i)x-taxii-date-added-last: (\S+)", answer):
            ask(f"{path}?added_after={last[1].decode()}")


_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4}){10,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def tell(answers: Mapping[str, bytes], *names: str) -> dict[str, list[str]]:
    """The requests whose answers have any of `names` in them, in whatever case; by name, those that are told at all."""
    found = {
        name: [
            path for path, answer in answers.items() if name.casefold().encode() in _without_asked(answer, path).lower()
        ]
        for name in names
    }
    return {name: paths for name, paths in found.items() if paths}


def _without_asked(answer: bytes, path: str) -> bytes:
    """The answer; where it is an error, without what it says back of the request itself.

    Of a receipt what its base64 stands for is read: in the letters of random bytes any short word stands now and then.
    """
    if "/comity/receipts/" in path:
        return _BASE64.sub(lambda found: base64.b64decode(found.group()), answer)
    return answer if answer.startswith(b"HTTP/1.1 200 ") else answer.replace(path.encode(), b"")


def read_told(answers: Mapping[str, bytes]) -> dict[str, dict[str, Json]]:
    """The objects of the whole collection, by id."""
    (path,) = (path for path in answers if re.fullmatch(r"/taxii2/[a-z]+/collections/[0-9a-f-]+/objects/", path))
    head, _, body = answers[path].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return {item["id"]: item for item in json.loads(body).get("objects", [])}


@contextmanager
def ask_partner(world: World, party: str, *, giver: str = "aurelia") -> Iterator[Asked]:
    """A partner of a node, which is served as long as the block lasts."""
    node = world.nodes[giver]
    secret = create_credential(node, PartyId(party))
    (collection,) = list_open_collections(node, PartyId(party))
    with Served.start(node) as served:
        yield Asked(served=served, party=PartyId(party), headers=basic(party, secret), collection=collection.id)


def see(world: World, party: str, *, about: Iterable[ObjectId], giver: str = "aurelia") -> dict[str, bytes]:
    """The answer to everything that `party` can ask at the node of `giver`."""
    with ask_partner(world, party, giver=giver) as asked:
        return ask_all(asked, about=about)


# ---- the two worlds --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The world before it is doubled: both groups have signed, and nothing was given yet."""

    world: World
    first: AgreementId
    second: AgreementId
    secret: str

    def collection(self) -> str:
        """The id of Meridia's collection at Aurelia's node."""
        return collection_id(self.second, "main", giver=AURELIA, recipient=MERIDIA)

    def copy(self, folder: Path) -> World:
        """The same nodes in another folder, at the same time; what they draw is always the same."""
        shutil.copytree(self.world.folder, folder)
        world = World(folder, manifests=dict(self.world.manifests), badges=dict(self.world.badges))
        for name in PARTIES:
            world.open(name).draw = bytes
        world.now = self.world.now
        return world

    def compare(
        self,
        folder: Path,
        play: Callable[[World, bool], None],
        *,
        about: Iterable[ObjectId] = (),
        secrets: Iterable[str] = (),
    ) -> dict[str, dict[str, Json]]:
        """What Meridia is given, after `play` in both worlds; the second argument says which has what is hidden.

        Every answer to Meridia is the same in both, and none has any of `secrets` in it.
        """
        with ExitStack() as stack:
            answers = list[dict[str, bytes]]()
            for hides in (True, False):
                world = stack.enter_context(closing(self.copy(folder / ("having" if hides else "lacking"))))
                play(world, hides)
                served = stack.enter_context(Served.start(world.nodes["aurelia"]))
                asked = Asked(
                    served=served,
                    party=MERIDIA,
                    headers=basic("meridia", self.secret),
                    collection=self.collection(),
                )
                answers.append(ask_all(asked, about=about))
        having, lacking = answers
        assert having.keys() == lacking.keys()
        different = [path for path in having if having[path] != lacking[path]]
        assert not different, (different[0], having[different[0]], lacking[different[0]])
        assert tell(having, *secrets) == {}
        return read_told(having)


@contextmanager
def make_groups(folder: Path, *, second: Mapping[str, str] | None = None) -> Iterator[Groups]:
    """Both groups in force: Borealia gives to Aurelia in the first, Aurelia to Meridia in the second.

    `second` is what the channel of the second says beside.
    """
    world = World(folder / "made")
    world.found(*PARTIES)
    try:
        secret = create_credential(world.nodes["aurelia"], MERIDIA)
        extra = 'structure = {kind = "group", accession = "unanimous"}'
        signed = list[AgreementId]()
        for giver, receiver, title in (("borealia", "aurelia", "The first"), ("aurelia", "meridia", "The second")):
            terms = world.terms(giver=giver, receivers=(receiver,), types=EVERY_TYPE, extra=extra, title=title)
            terms = terms.replace(f'receivers = ["{receiver}"]'.encode(), b'receivers = ["members"]')
            if giver == "aurelia":
                terms += "".join(f"\n{name} = {text}" for name, text in (second or {}).items()).encode()
            signed.append(AgreementId(world.sign_all(terms, proposer=giver)))
        for name in PARTIES:
            world.nodes[name].close()
        yield Groups(world=world, first=signed[0], second=signed[1], secret=secret)
    finally:
        world.close()
