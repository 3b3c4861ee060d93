# SPDX-License-Identifier: Apache-2.0
"""CONSENTED: nobody is ever given anything but what each way it came lets go: by a list, or by a grant that is good.

Three to five real nodes; between any two an agreement whose channel is passed on by consent or to a random list.
Objects go along random pulls; consent is asked for, granted, refused and revoked, by letters that are lost, doubled and
overtaken; some are forged. After each step some node is asked for all that it gives another, and a second reading of
what was said, made without the code under test, must allow every object of it.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import pytest

from comity.agreement.people import Role
from comity.canonical import sha256_digest
from comity.errors import ComityError
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.letters.bodies import Body
from comity.letters.consent import ConsentGrant, ConsentRequest, ConsentRevocation
from comity.letters.letter import About, Draft, Letter, make_letter, parse_letter
from comity.node import correspond
from comity.node.audit import audit_folder
from comity.node.consent import Said, grant_consent, refuse_consent, request_consent, revoke_consent
from comity.node.follow import plan_pull
from comity.node.granting import Offer
from comity.node.outbox import list_due, settle
from comity.node.people import Waiting
from comity.node.receive import Received, receive_page
from comity.signing import Role as KeyRole
from tests.chains import give_all, introduce, sign_consent, sign_onward
from tests.worlds import World, make_object, object_id

pytestmark = pytest.mark.slow

NAMES = ("aurelia", "borealia", "cimbria", "meridia", "ostania")
DAY = 86_400_000_000
STEPS = 150

Version = tuple[str, Digest]


@dataclass
class Grant:
    """A grant as its letter says it."""

    letter: Letter
    body: ConsentGrant


@dataclass
class Account:
    """What was said so far, noted from the bytes of letters and of pages alone."""

    lists: dict[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)
    """By giver and receiver: whom things may be passed on to; None: by consent."""
    agreements: dict[tuple[str, str], str] = field(default_factory=dict)
    own: dict[str, set[Version]] = field(default_factory=lambda: defaultdict(set))
    ways: dict[tuple[str, Version], set[str]] = field(default_factory=lambda: defaultdict(set))
    given: set[tuple[str, str, Version]] = field(default_factory=set)
    requests: dict[Digest, Letter] = field(default_factory=dict)
    grants: dict[str, list[Grant]] = field(default_factory=lambda: defaultdict(list))
    revoked: set[tuple[str, PartyId, Digest]] = field(default_factory=set)
    by_grant: int = 0

    def allows(self, giver: str, recipient: str, version: Version, *, now: int) -> bool:
        """Whether `giver` may give `recipient` that version at `now`."""
        if version in self.own[giver]:
            return True
        ways = self.ways[giver, version]
        return bool(ways) and all(self._way_allows(giver, way, recipient, version, now=now) for way in ways)

    def _way_allows(self, holder: str, giver: str, recipient: str, version: Version, *, now: int) -> bool:
        listed = self.lists[giver, holder]
        if listed is not None:
            return recipient in listed
        return any(
            self._is_good(holder, grant, giver=giver, recipient=recipient, version=version, now=now)
            for grant in self.grants[holder]
        )

    def _is_good(self, holder: str, grant: Grant, *, giver: str, recipient: str, version: Version, now: int) -> bool:
        letter, body = grant.letter, grant.body
        assert letter.answers is not None
        request = self.requests.get(letter.answers)
        if request is None or not isinstance(request.body, ConsentRequest) or body.expires_at is None:
            return False
        asked = request.body
        return (
            letter.sender == giver == request.to
            and request.sender == holder
            and letter.agreement == request.agreement == self.agreements[giver, holder]
            and body.recipient == asked.recipient == recipient
            and body.purpose == asked.purpose
            and now < body.expires_at
            and (asked.until is None or body.expires_at <= asked.until)
            and version in {(item.id, item.digest) for item in letter.about}
            and version in {(item.id, item.digest) for item in request.about}
            and (holder, letter.sender, letter.digest) not in self.revoked
        )

    def note(self, holder: str, envelope: bytes) -> None:
        """A letter that the node of `holder` took."""
        with suppress(ComityError):
            letter, _ = parse_letter(envelope)
            if isinstance(letter.body, ConsentGrant):
                self.grants[holder].append(Grant(letter, letter.body))
            if isinstance(letter.body, ConsentRevocation):
                self.revoked.add((holder, letter.sender, letter.body.grant))


def build(folder: pytest.TempPathFactory, size: int, random: Random) -> tuple[World, Account]:
    world, said = World(folder.mktemp("consents")), Account()
    names = NAMES[:size]
    world.found(*names)
    pairs = [(giver, receiver) for giver in names for receiver in names if giver != receiver]
    introduce(world, [(one, other) for one, other in pairs if one < other])
    for giver, receiver in pairs:
        others = [name for name in names if name != receiver]
        if random.random() < 0.7:
            said.lists[giver, receiver] = None
            said.agreements[giver, receiver] = sign_consent(world, giver, receiver)
        else:
            listed = random.sample(others, random.randint(0, len(others)))
            said.lists[giver, receiver] = frozenset(listed)
            said.agreements[giver, receiver] = sign_onward(world, giver, receiver, listed=listed)
    return world, said


@pytest.fixture(scope="module", params=(3, 4, 5))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Account]]:
    world, said = build(tmp_path_factory, request.param, Random(request.param))
    yield world, said
    world.close()


def check(world: World, said: Account, giver: str, recipient: str) -> dict[str, list[bytes]]:
    """What `giver` gives `recipient` now, by collection, once every object of it is allowed."""
    found = dict[str, list[bytes]]()
    for name, page in give_all(world, giver, recipient).items():
        found[name] = [item.data for item in page.items]
        for item in page.items:
            version = item.id, sha256_digest(item.data)
            assert said.allows(giver, recipient, version, now=world.now), (giver, recipient, version)
            said.given.add((giver, recipient, version))
            by_list = all(recipient in (said.lists[way, giver] or ()) for way in said.ways[giver, version])
            said.by_grant += version not in said.own[giver] and not by_list
    return found


def pull(world: World, said: Account, giver: str, receiver: str) -> None:
    """A pull; what came back to whoever had given it says nothing new (ADR 0068)."""
    for name, data in check(world, said, giver, receiver).items():
        (target,) = [item for item in plan_pull(world.nodes[receiver], PartyId(giver)) if item.collection == name]
        received = Received(
            giver=target.giver,
            terms=target.terms,
            channel=target.channel,
            collection=target.collection,
            added_after=None,
        )
        receive_page(world.nodes[receiver], b'{"objects":[' + b",".join(data) + b"]}", received)
        for item in data:
            with world.nodes[receiver].store.read() as transaction:
                digest = sha256_digest(item)
                row = transaction.row("SELECT id FROM object WHERE digest = ?", (digest,))
            version = (str(row[0]), digest) if row else None
            if version and (receiver, giver, version) not in said.given and version not in said.own[receiver]:
                said.ways[receiver, version].add(giver)


def post(world: World, said: Account, random: Random, name: str) -> None:
    """Some of the messages of `name` on their way: in any order, some twice, some lost and to be tried again."""
    messages = list_due(world.nodes[name])
    random.shuffle(messages)
    for message in messages:
        lost = random.random() < 0.3
        times = random.choice((0, 1)) if lost else random.choice((1, 1, 2))
        try:
            for _ in range(times):
                correspond.receive_any(world.nodes[message.party], message.envelope)
                said.note(message.party, message.envelope)
        except ComityError as error:
            settle(world.nodes[name], message, problem=error.detail)
        else:
            settle(world.nodes[name], message, problem="lost" if lost else None)


def ask(world: World, said: Account, random: Random, item: str) -> None:
    """A request by somebody to whom the object came, if there is anybody."""
    holders = sorted({holder for (holder, version), ways in said.ways.items() if version[0] == item and ways})
    name = random.choice(holders or sorted(world.nodes))
    to = random.choice([other for other in sorted(world.nodes) if other != name])
    until = random.choice((None, Instant(world.now + random.randint(1, 6) * DAY)))
    with suppress(ComityError):
        done = request_consent(
            world.nodes[name],
            [item],
            to=PartyId(to),
            purpose="exchange",
            reason="wanted",
            until=until,
            by=world.actor(name, Role.LIAISON),
        )
        if isinstance(done, Said):
            said.requests |= {letter.digest: letter for letter in done.letters}


def answer(world: World, random: Random, request: Letter) -> None:
    """An answer by the people of whom it was to, as far as their node lets them."""
    node, step = world.nodes[request.to], random.random()
    with suppress(ComityError):
        if step < 0.1:
            refuse_consent(node, request.digest, reason=None, by=world.actor(request.to, Role.LEGAL))
        elif step < 0.3:
            back = random.random() < 0.2
            revoke_consent(node, request.digest, reason=None, takes_back=back, by=world.actor(request.to, Role.LEGAL))
        else:
            offer = Offer(until=Instant(world.now + random.randint(1, 4) * DAY))
            done = grant_consent(node, request.digest, offer, by=world.actor(request.to, Role.LIAISON))
            if isinstance(done, Waiting):
                grant_consent(node, request.digest, offer, by=world.actor(request.to, Role.LEGAL))


def forge(world: World, said: Account, random: Random, request: Letter, items: list[About]) -> None:
    """A grant that a hostile party signs: another one than was asked, or for more, or of something else."""
    names = sorted(world.nodes)
    sender = random.choice([name for name in names if name != request.sender])
    body: Body = ConsentGrant(
        recipient=PartyId(random.choice([name for name in names if name != request.sender])),
        purpose=random.choice(("exchange", "research")),
        expires_at=Instant(world.now + random.randint(-1, 8) * DAY),
        actions=random.choice(("none", "internally-visible-actions", "externally-visible-direct-actions")),
    )
    if random.random() < 0.2 and said.grants[request.sender]:
        chosen = random.choice(said.grants[request.sender]).letter
        body = ConsentRevocation(grant=chosen.digest, recall=False)
    about = random.choice((request.about, (random.choice(items),), tuple({*request.about, random.choice(items)})))
    agreement, terms = request.agreement, request.terms
    if random.random() < 0.5 and (plans := plan_pull(world.nodes[request.sender], PartyId(sender))):
        agreement, terms = AgreementId(said.agreements[sender, request.sender]), plans[0].terms
    node = world.nodes[sender]
    draft = Draft(
        body=body,
        to=request.sender,
        agreement=agreement,
        terms=terms,
        about=about,
        answers=random.choice((request.digest, random.choice([*said.requests]))),
    )
    signers = [node.signers[KeyRole.AGREEMENT]]
    data = make_letter(draft, sender=node.party, at=world.now, nonce=node.draw(16), signers=signers)
    with suppress(ComityError):
        correspond.receive_any(world.nodes[request.sender], data)
        said.note(request.sender, data)


@pytest.mark.parametrize("seed", range(6))
def test_nobody_is_given_what_no_way_lets_go(made: tuple[World, Account], seed: int) -> None:
    world, said = made
    random, names = Random(seed), sorted(world.nodes)
    items = list[About]()
    for number in range(3):
        name, label = random.choice(names), f"{len(names)} {seed} {number}"
        refs = [items[-1].id] if items and random.random() < 0.3 else []
        world.add(name, make_object(label, refs=refs))
        items.append(note_own(world, said, name, object_id("report", label)))
    pairs = [(giver, receiver) for giver in names for receiver in names if giver != receiver]
    for _ in range(STEPS):
        step, waiting = random.random(), [*said.requests.values()][-20:]
        if step < 0.3:
            pull(world, said, *random.choice(pairs))
        elif step < 0.32:
            newer(world, said, items, random.randrange(len(items)))
        elif step < 0.45:
            ask(world, said, random, random.choice(items).id)
        elif step < 0.65 and waiting:
            answer(world, random, random.choice(waiting))
        elif step < 0.72 and waiting:
            forge(world, said, random, random.choice(waiting), items)
        else:
            for name in names:
                post(world, said, random, name)
        world.tick(random.choice((1, 400_000_000, DAY // 8)))
        check(world, said, *random.choice(pairs))


def newer(world: World, said: Account, items: list[About], place: int) -> None:
    """A newer version of an object, by whoever made it, which is about nothing else."""
    item = items[place]
    (name,) = (owner for owner, versions in said.own.items() if (item.id, item.digest) in versions)
    with world.nodes[name].store.read() as transaction:
        row = transaction.row(
            "SELECT b.data FROM object o JOIN body b ON b.object = o.pk WHERE o.digest = ?", (item.digest,)
        )
    assert row is not None
    value = json.loads(bytes(row[0]))
    world.add(name, value | {"modified": f"{int(value['modified'][:4]) + 1}{value['modified'][4:]}"})
    items[place] = note_own(world, said, name, item.id)


def note_own(world: World, said: Account, name: str, item: str) -> About:
    with world.nodes[name].store.read() as transaction:
        row = transaction.row("SELECT id, version, digest FROM object WHERE id = ? ORDER BY version DESC", (item,))
    assert row is not None
    said.own[name].add((str(row[0]), Digest(row[2])))
    return About(id=row[0], version=row[1], digest=Digest(row[2]))


def test_some_things_went_by_grants_alone_and_the_logs_say_so(made: tuple[World, Account]) -> None:
    world, said = made
    assert said.by_grant
    for name, node in world.nodes.items():
        audited = audit_folder(node.folder, now=world.now)
        assert audited.found == 0, (name, audited.findings)
