# SPDX-License-Identifier: Apache-2.0
"""A node that gave what it may not have given is found out by its own log; one that did not, is not."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.drafting import convert_terms
from comity.agreement.events import EventKind
from comity.canonical import Json, sha256_digest
from comity.errors import LogMismatch
from comity.exchange import parse_message
from comity.ids import AgreementId, Digest, Instant, PartyId, parse_instant
from comity.node import standing
from comity.node.audit import Audit, audit_folder
from comity.node.correspond import receive_any
from comity.node.node import Node
from comity.node.parties import find_party, read_node_key
from comity.node.poll import PollRequest, Selection, poll
from comity.node.recording import put_event
from comity.release.contents import parse_disclosure
from comity.release.disclosure import Answer, EntryType, format_disclosure, format_listing
from comity.release.grounds import format_grounds, tag_grounds
from comity.report import sum_by
from comity.stix.labels import format_label
from comity.store import log, logs, objects
from tests.unit.node.test_agree import forge
from tests.worlds import BASIS, World, make_object, object_id

BOREALIA = PartyId("borealia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia", at=parse_instant("2026-06-01T00:00:00Z"))
    yield made
    made.close()


def examine(world: World, **more: Any) -> Audit:  # noqa: ANN401
    return audit_folder(world.nodes["aurelia"].folder, now=world.now, **more)


def problems(world: World) -> list[str]:
    return [finding.problem for finding in examine(world).findings]


@dataclass(kw_only=True)
class Forgery:
    """A disclosure of the report `name` as a node would put it on record that asks nobody: what is None is as it is."""

    name: str = "a"
    digest: Digest | None = None
    version: str | None = None
    redacted: tuple[str, ...] = ()
    terms: Digest | None = None
    channel: str = "main"
    epoch: int | None = None
    recipient: PartyId = BOREALIA
    count: int = 1
    times: int = 1
    floor: int = 0
    label: Digest | None = None
    policy: bytes | None = None
    tag: Digest | None = None
    grounds: bool = True

    def record(self, node: Node, agreement: str) -> None:
        with node.act() as act:
            dossier = standing.find_agreement(node, act.transaction, agreement)
            held = next(iter(objects.read_versions_of(act.transaction, [object_id("report", self.name)])), None)
            version = self.version or (held.version if held else "2025-01-02T00:00:00.000000Z")
            digest = self.digest or (held.digest if held else sha256_digest(b"never"))
            listing = log.Text(
                format_listing([(object_id("report", self.name), version, digest, self.redacted)] * self.times)
            )
            label = self.label
            if label is None and held is not None:
                label = sha256_digest(format_label(objects.read_label(act.transaction, held.label)))
            policy = log.Text((node.folder / "recognition.toml").read_bytes() if self.policy is None else self.policy)
            text = log.Text(
                format_grounds(floor=self.floor, labels=[label or sha256_digest(b"gone")], policy=policy.digest)
            )
            key = read_node_key(act.transaction)
            tag = self.tag or tag_grounds(key, text.digest, at=act.now, listing=listing.digest)
            content = format_disclosure(
                answer=Answer.OBJECTS,
                channel=self.channel,
                epoch=dossier.epoch if self.epoch is None else self.epoch,
                grounds=tag,
                listing=listing.digest,
            )
            act.record(
                EntryType.DISCLOSURE,
                content,
                terms=self.terms or dossier.versions[-1].hash,
                recipient=self.recipient,
                count=self.count,
                listing=listing,
                grounds=log.Grounds(text=text, policy=policy) if self.grounds else None,
            )


def test_what_was_given_by_the_rules_is_clean(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b", kind="indicator"), make_object("c", subjects=["other:x"]))
    world.tick()
    assert len(world.poll("borealia").items) == 2
    world.poll("borealia", limit=1)
    suspension = world.act("aurelia", agreement, EventKind.SUSPEND)
    world.deliver()
    world.tick()
    world.act("aurelia", agreement, EventKind.RESUME, re=suspension.event.digest)
    world.deliver()
    world.add("aurelia", make_object("a", day=3, tlp="red"))
    world.poll("borealia")
    found = examine(world)
    assert (found.found, found.decided, found.log.disclosures) == (0, 3, 3)
    assert found.agreements[0].state == "in force"
    assert found.agreements[0].events["suspend"] == 1


def test_a_recipient_cannot_tell_which_objects_have_one_label(world: World) -> None:
    """It can open the content of each disclosure to it, where the grounds are named."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"))
    for limit in (1, 2, 1, 2):
        world.tick()
        world.poll("borealia", limit=limit)
    with world.nodes["aurelia"].store.read() as transaction:
        openings = log.read_openings(transaction, 0, log.count_entries(transaction)).values()
        assert len(set(log.read_grounds(transaction, 0, log.count_entries(transaction)).values())) == 1
    said = [parse_disclosure(opening.content).grounds for opening in openings if opening.listing]
    assert len(said) == len(set(said)) == 4
    assert examine(world).found == 0


def test_a_later_label_is_told_and_no_finding(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    world.add("aurelia", make_object("a", day=3, tlp="red"))
    found = examine(world)
    assert (found.found, found.decided) == (0, 1)
    assert list(found.open) == ["objects of it have another label at present than the one it was decided by"]


def test_what_was_given_with_something_removed_is_clean(world: World) -> None:
    marking: list[Json] = [
        {"marking_ref": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "selectors": ["name"]}
    ]
    world.sign_all(world.terms(channel_extra='sanitise = "tear_line_allowed"'))
    world.add("aurelia", make_object("a", kind="indicator", more={"granular_markings": marking}))
    (item,) = world.poll("borealia").items
    assert item.redacted == ("name",)
    assert examine(world).found == 0


@pytest.mark.parametrize(
    ("forgery", "said"),
    [
        (Forgery(digest=sha256_digest(b"other")), "other bytes left"),
        (Forgery(redacted=("name",)), "other bytes left"),
        (Forgery(name="red"), "tlp"),
        (Forgery(name="far"), "regions"),
        (Forgery(name="never"), "neither held nor deleted"),
        (Forgery(version="2025-01-03T00:00:00.000000Z"), "neither held nor deleted"),
        (Forgery(count=2), "counts 2 objects"),
        (Forgery(channel="other"), "no channel other"),
        (Forgery(epoch=1), "decided by 1"),
        (Forgery(recipient=PartyId("cervia")), "cervia nothing"),
        (Forgery(tag=sha256_digest(b"tag")), "grounds are not those"),
        (Forgery(grounds=False), "grounds are not those"),
        (Forgery(policy=b""), "recognises none"),
        (Forgery(terms=sha256_digest(b"terms")), "not on record"),
    ],
)
def test_what_may_not_have_been_given_is_found(world: World, forgery: Forgery, said: str) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("red", tlp="red"), make_object("far", regions=["FR"]))
    Forgery().record(world.nodes["aurelia"], agreement)
    assert problems(world) == []
    forgery.record(world.nodes["aurelia"], agreement)
    (first, *_) = problems(world)
    assert said in first


def test_a_label_that_is_gone_is_told(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    Forgery(label=sha256_digest(b"gone")).record(world.nodes["aurelia"], agreement)
    found = examine(world)
    assert found.found == 0
    assert "labels that it was decided by are gone with the last object that had them" in found.open


def test_what_left_in_spite_of_a_suspension_is_found_by_the_order_of_the_log(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    with world.nodes["aurelia"].store.read() as transaction:
        before = standing.find_agreement(world.nodes["aurelia"], transaction, agreement).epoch
    world.act("borealia", agreement, EventKind.SUSPEND)
    world.deliver()
    Forgery().record(world.nodes["aurelia"], agreement)
    # It says that it knew nothing of the suspension; the log says that it had it.
    Forgery(epoch=before).record(world.nodes["aurelia"], agreement)
    found = examine(world)
    assert [finding.entry for finding in found.findings] == [found.log.size - 2, found.log.size - 1, found.log.size - 1]
    assert "status" in found.findings[0].problem
    assert f"decided by {before}" in found.findings[1].problem


def test_a_replaced_text_is_not_in_force(world: World) -> None:
    first = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    node = world.nodes["aurelia"]
    Forgery(terms=Digest(first)).record(node, first)
    world.sign_all(world.terms(version=2, agreement=first, supersedes=first, tlp="green"))
    assert problems(world) == []
    Forgery(terms=Digest(first)).record(node, first)
    assert any("not those in force" in problem for problem in problems(world))


def test_what_ran_out_by_the_clock_was_not_in_force(world: World) -> None:
    agreement = world.sign_all(world.terms(until="2027-01-01T00:00:00Z"))
    world.add("aurelia", make_object("a"))
    world.now = parse_instant("2026-12-31T23:59:59Z")
    Forgery().record(world.nodes["aurelia"], agreement)
    assert problems(world) == []
    world.now = parse_instant("2027-01-01T00:00:00Z")
    Forgery().record(world.nodes["aurelia"], agreement)
    assert any("not in force" in problem for problem in problems(world))


def test_nothing_goes_to_whose_manifest_had_run_out(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.now = Instant(max(manifest.expires_at for manifest in world.manifests.values()))
    Forgery().record(world.nodes["aurelia"], agreement)
    assert any("no manifest of borealia" in problem for problem in problems(world))


def test_what_came_in_before_the_last_signature_is_history(world: World) -> None:
    world.add("aurelia", make_object("a"))
    agreement = world.sign_all(world.terms(history="none"))
    world.add("aurelia", make_object("b"))
    assert list(world.read("borealia")) == [object_id("report", "b")]
    assert problems(world) == []
    with world.nodes["aurelia"].store.read() as transaction:
        floor = transaction.row("SELECT floor FROM feed")
    assert floor is not None
    Forgery(floor=floor[0]).record(world.nodes["aurelia"], agreement)
    assert any("history" in problem for problem in problems(world))


def alter(world: World, *statements: str) -> Path:
    """The folder of a copy of Aurelia's store that somebody edited who can edit files."""
    source, folder = world.nodes["aurelia"].folder, world.folder / "copy"
    folder.mkdir()
    for name in ("node.toml", "head", "recognition.toml"):
        (folder / name).write_bytes((source / name).read_bytes())
    reading, writing = sqlite3.connect(source / "store.db"), sqlite3.connect(folder / "store.db")
    reading.backup(writing)
    writing.execute("PRAGMA journal_mode=DELETE")
    for (name,) in writing.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        writing.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        writing.execute(statement)
    writing.commit()
    reading.close()
    writing.close()
    return folder


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE log_grounds SET data = CAST(replace(data, 'floor', 'flood') AS BLOB)", "grounds"),
        ("UPDATE log_opening SET grounds = NULL", "grounds are not those"),
        ("UPDATE object SET digest = substr(digest, 2) || 'a'", "not those of the digest"),
        ("DELETE FROM object", "neither held nor deleted"),
        ("DELETE FROM event WHERE kind = 'suspend'", "in the log and not on record"),
        ("UPDATE event SET position = -position", "that comes next"),
        ("UPDATE event SET envelope = CAST(replace(envelope, 'signatures', 'gisnatures') AS BLOB)", "cannot be read"),
        ("UPDATE log_policy SET data = CAST('' AS BLOB)", "with other bytes"),
    ],
)
def test_a_store_that_was_altered_is_found(world: World, statement: str, said: str) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    world.act("aurelia", agreement, EventKind.SUSPEND)
    found = audit_folder(alter(world, statement), now=world.now)
    assert any(said in finding.problem for finding in found.findings), found.findings


def test_a_log_that_does_not_fit_together_ends_the_audit(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    with pytest.raises(LogMismatch, match="entry"):
        audit_folder(
            alter(world, "UPDATE log_entry SET leaf = CAST(leaf || ' ' AS BLOB) WHERE position = 2"), now=world.now
        )


@pytest.mark.parametrize("signed", [False, True])
def test_a_text_that_names_an_unknown_manifest_is_a_finding_once_this_party_has_signed_it(
    world: World, *, signed: bool
) -> None:
    own, other = find_party(world.nodes["aurelia"], PartyId("aurelia")).manifest.digest, "ab" * 32
    document = convert_terms(world.terms(title="Another").replace(own.encode(), other.encode()))
    named: dict[str, object] = {"terms": sha256_digest(document), "document": document}
    receive_any(world.nodes["aurelia"], forge(world, EventKind.PROPOSE, party="borealia", signer="borealia", **named))
    if signed:
        envelope = forge(world, EventKind.ACCEPT, party="aurelia", signer="aurelia", **named)
        with world.nodes["aurelia"].act() as act:
            put_event(act, parse_message(envelope).event, envelope=envelope)
    found = [each for each in problems(world) if "none of those that are pinned" in each]
    assert len(found) == signed


def test_figures_count_what_left_by_basis_recipient_and_month(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"))
    world.now = parse_instant("2026-12-30T00:00:00Z")
    world.poll("borealia")
    world.poll("borealia", limit=1)
    world.now = parse_instant("2027-01-01T00:00:00Z")
    node = world.nodes["aurelia"]
    collection = world_collection(node)
    for answer in (Answer.MANIFEST, Answer.OBJECTS):
        poll(
            node,
            PollRequest(
                recipient=BOREALIA, collection=collection, answer=answer, selection=Selection(after=Instant(0))
            ),
        )
    found = examine(world)
    rows = [(row.month, row.sums.answers, row.sums.objects, row.sums.ids) for row in found.given]
    assert rows == [("2026-12", 2, 3, 0), ("2027-01", 2, 2, 2)]
    assert {row.bases for row in found.given} == {(f"unsc_resolution {BASIS}",)}
    assert list(sum_by(found.given, lambda row: [row.recipient])) == ["borealia"]
    assert sum_by(found.given, lambda row: row.bases)[f"unsc_resolution {BASIS}"].objects == 5
    year = examine(world, since=parse_instant("2027-01-01T00:00:00Z"), until=parse_instant("2028-01-01T00:00:00Z"))
    assert [(row.month, row.sums.answers) for row in year.given] == [("2027-01", 2)]
    assert year.decided == found.decided == 4
    assert year.kinds[EntryType.DISCLOSURE] == 2


def world_collection(node: Node) -> str:
    with node.store.read() as transaction:
        (item,) = standing.list_collections(node, transaction, BOREALIA)
    return item.id


def test_what_was_received_is_counted_by_giver_and_month(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    found = audit_folder(world.nodes["borealia"].folder, now=world.now)
    assert found.taken == ()


def test_a_disclosure_of_before_there_were_grounds_is_open_where_it_would_be_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement, written = world.sign_all(world.terms()), format_disclosure
    world.add("aurelia", make_object("a"))

    def format_as_before(**said: Any) -> bytes:  # noqa: ANN401
        whole = written(**said)
        return whole.replace(b"disclosure/3", b"disclosure/2").replace(
            b'"grounds":"' + said["grounds"].encode() + b'",', b""
        )

    monkeypatch.setitem(Forgery.record.__globals__, "format_disclosure", format_as_before)
    Forgery(grounds=False).record(world.nodes["aurelia"], agreement)
    found = examine(world)
    assert (found.found, found.decided) == (0, 1)
    assert found.open == {"no grounds are on record: it was decided again by what there is at present": 1}
    world.add("aurelia", make_object("a", day=3, tlp="red"))
    found = examine(world)
    assert found.found == 0
    assert "no grounds are on record, and by the labels of the present it would be withheld" in found.open


def test_only_the_first_problems_of_one_disclosure_are_listed(world: World) -> None:
    agreement = world.sign_all(world.terms())
    Forgery(name="never", times=9, count=9).record(world.nodes["aurelia"], agreement)
    found = problems(world)
    assert len(found) == 6
    assert found[-1] == "and 4 more of the same disclosure"


def test_a_disclosure_in_the_log_of_another_agreement_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each log fits together, and what is given under the second agreement is in that of the first."""
    first = world.sign_all(world.terms(title="First"))
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    world.act("aurelia", first, EventKind.TERMINATE)
    world.deliver()
    world.sign_all(world.terms(title="Second"))
    with world.nodes["aurelia"].store.read() as transaction:
        number = logs.find_open_log(transaction, AgreementId(first), PartyId("borealia"))
    monkeypatch.setattr(logs, "find_open_log", lambda *_: number)
    world.poll("borealia")
    found = examine(world)
    assert found.found == 1
    assert found.findings[0].problem == f"it is in the log of what is given under {first}"
