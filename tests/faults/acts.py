# SPDX-License-Identifier: Apache-2.0
"""One act of each kind that a node does, each at a node that has just what the act needs, ready to fail at any step."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from comity.agreement.events import EventKind
from comity.agreement.people import Person, Role
from comity.classification.lists import parse_subject_list
from comity.config import WitnessedLogs
from comity.ids import Digest, Instant, PartyId, PersonId
from comity.letters.request import Urgency
from comity.node import accept, correspond, intake, people, receive, retention
from comity.node.acknowledge import acknowledge, settle_acknowledgement, take_acknowledgement
from comity.node.agree import propose
from comity.node.articledeletion import delete_article
from comity.node.articles import ArticlePlan, add_article, confirm
from comity.node.backup import make_backup, note_backup, restore_backup
from comity.node.classify import say
from comity.node.cosigning import OwnWitness, keep_cosignatures, note_problem, read_own_head
from comity.node.delivery import expect_receipt, keep_missing
from comity.node.files import Bytes
from comity.node.follow import plan_pull
from comity.node.lineage import receive_lineage
from comity.node.lists import load_list
from comity.node.matters import approve_matter, decline_matter
from comity.node.node import Node
from comity.node.outbox import list_due, settle
from comity.node.parties import add_party, authenticate, create_credential, export_manifest
from comity.node.people import Actor, Waiting
from comity.node.poll import VersionChoice
from comity.node.purge import Forgotten, Selection, purge_by_order
from comity.node.readers import add_reader
from comity.node.receipts import give_consistency, give_receipt
from comity.node.recovery import recover_folder
from comity.node.reports import ReportPlan, make_report
from comity.node.requests import Sent, send_request, withdraw_request
from comity.node.retraction import retract
from comity.node.rotation import name_tls_keys, renew_manifest, rotate_keys
from comity.node.steps import finish
from comity.node.witness import add_checkpoint
from comity.release.delivery import Shown, find_sizes, verify_next
from comity.signing import Role as KeyRole
from comity.signing import parse_signed_document
from comity.tlog.cosignature import sign_cosignature
from comity.tlog.note import SignatureType, VerifierKey, parse_note
from tests.signers import SeedSigner
from tests.witnesses import History
from tests.worlds import World, make_object, object_id

__all__ = ["ACTS", "Act", "Staged", "stage"]

AURELIA, BOREALIA = PartyId("aurelia"), PartyId("borealia")
A = object_id("report", "a")
DAY = 86_400_000_000
NORTH = VerifierKey(
    name="north.example", type=SignatureType.ED25519_COSIGNATURE, public_key=SeedSigner("north").public_key
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a node does: `prepare` makes what it needs, once; `run` is the act, by the node of `by`."""

    name: str
    prepare: Callable[[World], Any]
    run: Callable[[World, Any], object]
    by: str = "aurelia"
    opens: bool = True
    """Whether the node is open when it begins; else the act opens what it needs."""

    repeats: bool = False
    """Whether the same again is another act: then a retry of what was done does it a second time."""

    fresh: bool = False
    """Whether it makes keys or names of its own: then two runs come to stores that are alike in numbers alone."""

    restarts: bool = False
    """Whether one that was cut short behind its commit is done anew: a recovery names the log once more, on purpose."""

    beside: str | None = None
    """The table of what is kept beside the store too, before its COMMIT: cut short in between, it counts as done."""

    spares: bool = False
    """Whether what it does last can fail without the act failing; `gone` of what comes back then says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Where an act begins: the folder of its node, and what it is given."""

    act: Act
    world: World
    given: Any

    @property
    def folder(self) -> Path:
        return self.world.folder / self.act.by

    def begin(self, place: Path) -> World:
        """A copy of it, of the one node, at the very same time and with randomness that is the same each time."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        shutil.copytree(self.folder, place / self.act.by)
        world = World(place, manifests=self.world.manifests, badges=self.world.badges, now=self.world.now)
        if (self.world.folder / "backup").exists():
            shutil.copytree(self.world.folder / "backup", place / "backup")
        return world


@dataclass(slots=True)
class Drawn:
    """Randomness that is the same in every run, for each of the processes that follow upon one another."""

    process: int
    count: int = 0

    def __call__(self, count: int) -> bytes:
        self.count += 1
        return (sha256(b"%d %d" % (self.process, self.count)).digest() * (count // 32 + 1))[:count]


def stage(act: Act, folder: Path) -> Staged:
    """Two partners with an agreement in force, objects, disclosures and receipts; and what the act needs beside."""
    world = World(folder)
    world.found("aurelia", "borealia", "meridia")
    for name in ("a", "b"):
        world.add("aurelia", make_object(name))
    world.sign_all(world.terms())
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
    add_party(world.nodes["borealia"], export_manifest(world.nodes["aurelia"]), digest=None, url="http://127.0.0.1:1")
    for _ in range(2):
        world.tick()
        world.poll("borealia")
    given = act.prepare(world)
    world.close()
    return Staged(act=act, world=world, given=given)


# --- what acts need ---------------------------------------------------------------------------------------------------


def agreement(world: World, *, giver: str = "aurelia") -> str:
    """The agreement in which `giver` gives."""
    rows = world.nodes["aurelia"].store.row(
        "SELECT agreement FROM terms WHERE instr(CAST(document AS TEXT), ?) > 0", (f'"giver":"{giver}"',)
    )
    assert rows is not None
    return str(rows[0])


def nothing(_: World) -> None:
    return None


def take_list(world: World, more: str = "") -> object:
    """A list of a person and of a record that cannot be read."""
    person = "<INDIVIDUAL><FIRST_NAME>Ondrej {}</FIRST_NAME><REFERENCE_NUMBER>{}</REFERENCE_NUMBER></INDIVIDUAL>"
    people = person.format(more, "QDi.901") + person.format("", "")
    text = f"<CONSOLIDATED_LIST dateGenerated='1'><INDIVIDUALS>{people}</INDIVIDUALS></CONSOLIDATED_LIST>"
    return intake.take_file(node(world), Bytes("list.xml", text.encode()), intake.Plan())


def node(world: World) -> Node:
    return world.nodes["aurelia"]


def polled(world: World) -> bytes:
    return b'{"objects":[' + b",".join(item.data for item in world.poll("borealia").items) + b"]}"


def show(world: World, number: int) -> Shown:
    expected = expect_receipt(world.nodes["borealia"], AURELIA, number)
    data = give_receipt(world.nodes["aurelia"], BOREALIA, number)
    sizes = find_sizes(data, expected.seen)
    proof = b"" if sizes is None else give_consistency(world.nodes["aurelia"], BOREALIA, *sizes)
    return verify_next(data, proof, expected, now=world.now)


def page_with_receipt(world: World) -> tuple[bytes, receive.Received, list[Shown]]:
    page = polled(world)
    (target,) = plan_pull(world.nodes["borealia"], AURELIA)
    received = receive.Received(
        giver=AURELIA,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=Instant(world.now),
    )
    keep_missing(world.nodes["borealia"], [show(world, 1)])
    keep_missing(world.nodes["borealia"], [show(world, 2)])
    return page, received, [show(world, 3)]


def pull(world: World, given: tuple[bytes, receive.Received, list[Shown]]) -> object:
    page, received, (shown,) = given
    return receive.receive_shown(world.nodes["borealia"], page, received, shown)


def missing_receipts(world: World) -> list[Shown]:
    return [show(world, 1)]


def by_both(world: World, name: str, act: Callable[[Actor], object]) -> object:
    done = act(world.actor(name, Role.LIAISON))
    return act(world.actor(name, Role.LEGAL)) if isinstance(done, Waiting) else done


def suspended(world: World) -> str:
    name = agreement(world)
    world.act("aurelia", name, EventKind.SUSPEND)
    world.deliver()
    return name


def act_on(kind: EventKind, **fields: Any) -> Callable[[World, str], object]:  # noqa: ANN401
    return lambda world, name: world.act_on("aurelia", name, kind, **fields)


def proposed(world: World) -> str:
    """A proposal by borealia that aurelia has not answered."""
    recorded = world.propose("borealia", world.terms(giver="borealia", receivers=("aurelia",), title="Another one"))
    world.deliver()
    return str(recorded.event.terms)  # type: ignore[union-attr]


def half_proposed(world: World) -> Digest:
    """What the liaison officer of aurelia would propose, and has brought."""
    waits = propose(node(world), world.terms(title="A third one"), by=world.actor("aurelia", Role.LIAISON))
    assert isinstance(waits, Waiting), waits
    world.tick()
    return waits.matter.digest


def proposed_itself(world: World) -> str:
    recorded = world.propose("aurelia", world.terms(title="Another one"))
    return str(recorded.event.terms)  # type: ignore[union-attr]


def message_of_borealia(world: World) -> bytes:
    world.act("borealia", agreement(world), EventKind.SUSPEND)
    (message,) = [item for item in list_due(world.nodes["borealia"]) if item.party == AURELIA]
    return message.envelope


def waiting_message(world: World) -> Any:  # noqa: ANN401
    world.act("aurelia", agreement(world), EventKind.SUSPEND)
    (message,) = [item for item in list_due(node(world)) if item.party == BOREALIA]
    return message


def receipt_kept(world: World) -> None:
    keep_missing(world.nodes["borealia"], [show(world, 1)])


def acknowledged(world: World) -> bytes:
    receipt_kept(world)
    made = acknowledge(world.nodes["borealia"], AURELIA)
    assert made is not None
    return made[1]


def written(world: World) -> tuple[str, bytes]:
    target = accept.list_write_collections(node(world), BOREALIA)[0]
    return target.id, json.dumps({"objects": [make_object("written"), make_object("second")]}).encode()


def write(world: World, given: tuple[str, bytes]) -> object:
    return accept.accept_objects(node(world), given[1], giver=BOREALIA, collection=given[0])


def written_before(world: World) -> str:
    """Where borealia wrote what it takes back."""
    name, data = written(world)
    write(world, (name, data))
    world.tick()
    return name


def take_back(world: World, collection: str) -> object:
    return retract(
        node(world),
        giver=BOREALIA,
        collection=collection,
        item=object_id("report", "written"),
        versions=VersionChoice(every=True),
    )


def asked(world: World) -> Digest:
    """A request of aurelia's to borealia."""
    done = send_request(
        node(world),
        agreement(world),
        to=BOREALIA,
        question="When?",
        urgency=Urgency.SOON,
        by=world.actor("aurelia", Role.LIAISON),
    )
    assert isinstance(done, Sent), done
    world.tick()
    return done.letter.digest


def received_long_ago(world: World) -> None:
    """Objects of borealia's at aurelia whose time is over."""
    keeping = 'retention = { review_after = "P90D", maximum = "P300D", no_decision = "delete" }'
    terms = world.terms(giver="borealia", receivers=("aurelia",), title="Not for long", extra=keeping)
    agreed = world.sign_all(terms, proposer="borealia")
    (target,) = [
        item for item in accept.list_write_collections(node(world), BOREALIA) if item.terms.agreement_id == agreed
    ]
    write(world, (target.id, written(world)[1]))
    world.tick(200 * DAY)


def order_purge(world: World, _: None) -> object:
    done = by_both(
        world,
        "aurelia",
        lambda by: purge_by_order(
            node(world), Selection(until=Instant(world.now - 1_500_000)), reason="order 12", by=by
        ),
    )
    assert isinstance(done, Forgotten), done
    return done


def rotated_elsewhere(world: World) -> bytes:
    by_both(world, "borealia", lambda by: rotate_keys(world.nodes["borealia"], list(KeyRole), by=by))
    (message,) = [item for item in list_due(world.nodes["borealia"]) if item.party == AURELIA]
    return message.envelope


def head_of_borealia(world: World) -> bytes:
    log = History(12, origin="comity/borealia")
    log.signer = world.nodes["borealia"].signers[KeyRole.LOG]  # type: ignore[assignment]
    return log.request(0, 12)


def cosigned(world: World) -> Any:  # noqa: ANN401
    head = read_own_head(node(world))
    assert head is not None
    line = sign_cosignature(parse_note(head.note).text, NORTH, SeedSigner("north"), timestamp=world.now // 1_000_000)
    return (
        head,
        OwnWitness(name=NORTH.name, keys=(NORTH,), url="http://127.0.0.1:1", party=None, logs=WitnessedLogs.HOUSE),
        line,
    )


def backed_up(world: World, _: None) -> object:
    place = world.folder / "backup"
    shutil.rmtree(place, ignore_errors=True)
    made = make_backup(node(world).folder, place, secrets=True)
    note_backup(
        node(world),
        name=made.id,
        made_at=world.now,
        place=str(place),
        size=made.size,
        count=made.bytes,
        with_keys=True,
    )
    return made


def restored(world: World) -> None:
    """The folder of aurelia as restored from a backup, and the people's badges put back."""
    folder = node(world).folder
    make_backup(folder, world.folder / "backup", secrets=True)
    world.poll("borealia")
    node(world).close()
    shutil.copytree(folder / "badges", world.folder / "badges")
    shutil.rmtree(folder)
    restore_backup(world.folder / "backup", folder)
    shutil.copytree(world.folder / "badges", folder / "badges")


def recover(world: World, _: None) -> object:
    done: object = None
    for role in (Role.LIAISON, Role.LEGAL):
        done = recover_folder(
            world.folder / "aurelia", reason="disk lost", badge=world.badges["aurelia", role], role=None, why=None
        )
    return done


def restore(world: World, _: None) -> object:
    return restore_backup(world.folder / "backup", world.folder / "restored")


def load(world: World, version: str, *subjects: str) -> object:
    entries = [{"subject": subject, "kind": "entity", "names": ["One"]} for subject in subjects]
    value = {"format": "comity-subject-list/1", "list": "national", "version": version, "entries": entries}
    return load_list(node(world), parse_subject_list(json.dumps(value).encode()), reason="r", by=world.actor("aurelia"))


def credential(world: World) -> str:
    return create_credential(node(world), BOREALIA)


ARTICLE = b"Rain\n\n3 May 2031\n\nGermany denied that it rained in Lisbon, and said so to Ivan Petrov."


def article_confirmed(world: World) -> None:
    add_article(node(world), ARTICLE, "talks.txt", ArticlePlan())
    confirm(node(world), "1", [1, 2, 3], by=world.actor("aurelia"))


ACTS = (
    Act(
        name="ingest",
        prepare=nothing,
        run=lambda world, _: world.add(
            "aurelia", make_object("new"), make_object("newer", refs=[object_id("report", "new")])
        ),
    ),
    Act(
        name="ingest a newer version",
        prepare=nothing,
        run=lambda world, _: world.add("aurelia", make_object("a", day=3, tlp="red")),
    ),
    Act(name="take in a file", prepare=nothing, run=lambda world, _: take_list(world)),
    Act(
        name="take in a changed file",
        prepare=take_list,
        run=lambda world, _: take_list(world, "B."),
    ),
    Act(name="poll", prepare=nothing, run=lambda world, _: world.poll("borealia"), repeats=True),
    Act(
        name="poll that catches up",
        prepare=lambda world: world.add("aurelia", *[make_object(f"late {number}") for number in range(3)]),
        run=lambda world, _: world.poll("borealia"),
        repeats=True,
    ),
    Act(name="pull with its receipt", prepare=page_with_receipt, run=pull, by="borealia"),
    Act(
        name="keep a receipt of what did not arrive",
        prepare=missing_receipts,
        run=lambda world, shown: keep_missing(world.nodes["borealia"], shown),
        by="borealia",
    ),
    Act(
        name="propose",
        prepare=lambda world: world.terms(title="A third one"),
        run=lambda world, toml: world.propose("aurelia", toml),
    ),
    Act(
        name="complete what waits for a second person",
        prepare=half_proposed,
        run=lambda world, name: approve_matter(node(world), name, by=world.actor("aurelia")),
    ),
    Act(
        name="decline what waits for a second person",
        prepare=half_proposed,
        run=lambda world, name: decline_matter(node(world), name, by=world.actor("aurelia"), reason="No."),
    ),
    Act(name="accept", prepare=proposed, run=act_on(EventKind.ACCEPT)),
    Act(name="suspend", prepare=agreement, run=act_on(EventKind.SUSPEND)),
    Act(name="resume", prepare=suspended, run=act_on(EventKind.RESUME)),
    Act(name="withdraw", prepare=proposed_itself, run=act_on(EventKind.WITHDRAW)),
    Act(name="terminate", prepare=agreement, run=act_on(EventKind.TERMINATE)),
    Act(
        name="take a message",
        prepare=message_of_borealia,
        run=lambda world, envelope: correspond.receive_any(node(world), envelope),
    ),
    Act(
        name="note that a message was delivered",
        prepare=waiting_message,
        run=lambda world, message: settle(node(world), message, problem=None),
    ),
    Act(
        name="note that a message was not",
        prepare=waiting_message,
        run=lambda world, message: settle(node(world), message, problem="no answer"),
    ),
    Act(name="take what a partner writes", prepare=written, run=write, repeats=True),
    Act(name="take back what a partner wrote", prepare=written_before, run=take_back, repeats=True),
    Act(
        name="take back a request",
        prepare=asked,
        run=lambda world, name: withdraw_request(node(world), name, by=world.actor("aurelia", Role.LIAISON)),
    ),
    Act(
        name="delete an object",
        prepare=nothing,
        run=lambda world, _: retention.delete(node(world), object_id("report", "a"), reason="asked for"),
        spares=True,
    ),
    Act(
        name="delete what is due",
        prepare=received_long_ago,
        run=lambda world, _: retention.delete_due(node(world)),
        spares=True,
    ),
    Act(
        name="say what an object is about",
        prepare=nothing,
        run=lambda world, _: say(node(world), A, {"handling": ["H2"]}, reason="read", by=world.actor("aurelia")),
    ),
    Act(
        name="add an article",
        prepare=nothing,
        run=lambda world, _: add_article(node(world), ARTICLE, "talks.txt", ArticlePlan()),
    ),
    Act(
        name="confirm drafts of an article",
        prepare=lambda world: add_article(node(world), ARTICLE, "talks.txt", ArticlePlan()),
        run=lambda world, _: confirm(node(world), "1", [1, 2], by=world.actor("aurelia")),
    ),
    Act(
        name="make the report of an article",
        prepare=article_confirmed,
        run=lambda world, _: make_report(node(world), "1", ReportPlan(strikes_open=True), by=world.actor("aurelia")),
    ),
    Act(
        name="delete an article",
        prepare=article_confirmed,
        run=lambda world, _: finish(delete_article(node(world), "1", reason="by mistake", by=world.actor("aurelia"))),
        spares=True,
    ),
    Act(
        name="load a list that somebody has left",
        prepare=lambda world: load(world, "1", "national:ashfall", "national:b"),
        run=lambda world, _: load(world, "2", "national:b"),
    ),
    Act(name="purge entries", prepare=nothing, run=order_purge, spares=True),
    Act(
        name="make a credential",
        prepare=nothing,
        run=lambda world, _: create_credential(node(world), BOREALIA),
        repeats=True,
    ),
    Act(
        name="use a credential",
        prepare=credential,
        run=lambda world, secret: authenticate(node(world), secret=secret),
        spares=True,
    ),
    Act(
        name="let somebody read the log",
        prepare=nothing,
        run=lambda world, _: add_reader(node(world), "oversight"),
        repeats=True,
    ),
    Act(
        name="register a person",
        prepare=nothing,
        run=lambda world, _: people.add_person(
            node(world), Person(id=PersonId("new"), name="New", roles=frozenset({Role.LIAISON}))
        ),
    ),
    Act(
        name="rotate keys",
        prepare=nothing,
        run=lambda world, _: by_both(world, "aurelia", lambda by: rotate_keys(node(world), list(KeyRole), by=by)),
        repeats=True,
        fresh=True,
    ),
    Act(
        name="renew the manifest",
        prepare=nothing,
        run=lambda world, _: by_both(world, "aurelia", lambda by: renew_manifest(node(world), by=by)),
        repeats=True,
    ),
    Act(
        name="name TLS keys",
        prepare=nothing,
        run=lambda world, _: by_both(
            world, "aurelia", lambda by: name_tls_keys(node(world), [Digest("0a" * 32)], by=by)
        ),
        repeats=True,
    ),
    Act(
        name="take a partner's new keys",
        prepare=rotated_elsewhere,
        run=lambda world, envelope: receive_lineage(node(world), parse_signed_document(envelope)),
    ),
    Act(
        name="cosign a partner's head",
        prepare=head_of_borealia,
        run=lambda world, body: add_checkpoint(node(world), BOREALIA, body),
        beside="witnessed_head",
    ),
    Act(
        name="keep what a witness cosigned",
        prepare=cosigned,
        run=lambda world, given: keep_cosignatures(node(world), given[0], [(given[1], [given[2]])]),
    ),
    Act(
        name="note that a witness did not answer",
        prepare=cosigned,
        run=lambda world, given: note_problem(node(world), given[1], "no answer"),
    ),
    Act(
        name="acknowledge what was received",
        prepare=receipt_kept,
        run=lambda world, _: acknowledge(world.nodes["borealia"], AURELIA),
        by="borealia",
    ),
    Act(
        name="note that an acknowledgement arrived",
        prepare=acknowledged,
        run=lambda world, _: settle_acknowledgement(world.nodes["borealia"], AURELIA, 1),
        by="borealia",
    ),
    Act(
        name="take an acknowledgement",
        prepare=acknowledged,
        run=lambda world, envelope: take_acknowledgement(node(world), envelope),
    ),
    Act(name="back up", prepare=nothing, run=backed_up, repeats=True, fresh=True),
    Act(name="restore", prepare=lambda world: backed_up(world, None), run=restore, opens=False),
    Act(name="recover", prepare=restored, run=recover, opens=False, fresh=True, restarts=True),
    Act(name="open", prepare=nothing, run=lambda world, _: world.open("aurelia"), opens=False),
)
