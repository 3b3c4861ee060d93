# SPDX-License-Identifier: Apache-2.0
"""An operator with the keys and the database lies about what lies beside the log, and the audit names it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role as PersonRole
from comity.canonical import sha256_digest
from comity.config import WitnessedLogs
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node import acknowledge, cosigning, retention, standing
from comity.node import witness as witnessing
from comity.node.audit import Audit, audit_folder
from comity.node.gate import list_open_collections
from comity.node.heads import sign_head
from comity.node.node import Node
from comity.node.parties import read_node_key
from comity.node.poll import PollRequest, poll
from comity.node.poll import Selection as PollSelection
from comity.node.purge import Selection, purge_by_order
from comity.node.rotation import renew_manifest
from comity.release.acknowledgement import Acknowledgement, sign_acknowledgement
from comity.release.disclosure import Answer, EntryType, commit_content, format_leaf, format_listing, parse_leaf
from comity.release.grounds import tag_grounds
from comity.signing import Role
from comity.stix.labels import format_label
from comity.store import deletions, log, objects
from comity.store.deletions import Tombstone
from comity.tlog.cosignature import sign_cosignature
from comity.tlog.merkle import append_leaves, leaf_hash, root_hash
from comity.tlog.note import format_signature_line, parse_note, parse_signature_lines
from tests.unit.node.test_audit import Forgery
from tests.worlds import World, make_object, object_id

AURELIA, BOREALIA = PartyId("aurelia"), PartyId("borealia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    yield made
    made.close()


def examine(world: World, name: str = "aurelia") -> Audit:
    return audit_folder(world.nodes[name].folder, now=world.now)


def problems(world: World, name: str = "aurelia") -> list[str]:
    return [finding.problem for finding in examine(world, name).findings]


def edit(world: World, *statements: str, values: tuple[Any, ...] = (), name: str = "aurelia") -> None:
    """What somebody does who can write the file: no trigger is in the way."""
    with world.nodes[name].store.write() as transaction:
        for (trigger,) in transaction.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            transaction.run(f"DROP TRIGGER {trigger}")
        for statement in statements:
            assert transaction.run(statement, values) > 0, statement


# --- formats ----------------------------------------------------------------------------------------------------------


def record_without_grounds(node: Node, agreement: str, name: str) -> None:
    with node.act() as act:
        dossier = standing.find_agreement(node, act.transaction, agreement)
        (held,) = objects.read_versions_of(act.transaction, [object_id("report", name)])
        listing = log.Text(format_listing([(held.id, held.version, held.digest, ())]))
        content = (
            f'{{"answer":"objects","channel":"main","epoch":{dossier.epoch},"format":"comity-disclosure/2",'
            f'"listing":"{listing.digest}"}}'
        ).encode()
        terms = dossier.versions[-1].hash
        act.record(EntryType.DISCLOSURE, content, terms=terms, recipient=BOREALIA, count=1, listing=listing)


@pytest.mark.parametrize("given", [True, False])
def test_an_old_format_is_a_finding_once_a_newer_one_was_written(world: World, given: bool) -> None:
    """Without grounds the audit can only say what it would decide at present: that a red object goes is then open."""
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a", tlp="red"), make_object("b"))
    record_without_grounds(world.nodes["aurelia"], agreement, "b")
    assert problems(world) == []
    assert examine(world).open == {"no grounds are on record: it was decided again by what there is at present": 1}
    if given:
        Forgery(name="b").record(world.nodes["aurelia"], agreement)
    else:  # that there are logs of relationships at all says which formats there were
        with world.nodes["aurelia"].act() as act:
            act._open_log(AgreementId(agreement), BOREALIA)
    record_without_grounds(world.nodes["aurelia"], agreement, "a")
    (found,) = examine(world).findings
    assert found.problem == "it is in the format comity-disclosure/2, and comity-disclosure/3 was written by then"


# --- labels, policies, bytes ------------------------------------------------------------------------------------------


def test_another_label_under_the_digest_of_the_one_that_decided_is_found(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a", tlp="red"), make_object("b"))
    Forgery(name="a").record(world.nodes["aurelia"], agreement)
    of = "(SELECT label FROM object WHERE id = '{}')"
    red, green = (of.format(object_id("report", name)) for name in "ab")
    edit(world, f"UPDATE label SET body = (SELECT body FROM label WHERE id = {green}) WHERE id = {red}")
    assert any("lies there with other bytes" in problem for problem in problems(world))


def test_another_policy_under_the_digest_of_the_one_that_decided_is_found(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    Forgery(policy=b"").record(world.nodes["aurelia"], agreement)
    text = (world.nodes["aurelia"].folder / "recognition.toml").read_bytes()
    edit(world, "UPDATE log_policy SET data = ?", values=(text,))
    assert any("policy" in problem and "other bytes" in problem for problem in problems(world))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (make_object("a", tlp="red"), "marked red, and the label says green"),
        (
            make_object("a", kind="malware", more={"is_family": False}),
            "of the type malware, and the label is of others",
        ),
        (
            make_object(
                "a", more={"object_marking_refs": ["marking-definition--" + "1" * 8 + "-1111-4111-8111-" + "1" * 12]}
            ),
            "carry the marking",
        ),
        (make_object("a", refs=[object_id("malware", "m")]), "refers to a malware, and the label counts none"),
        (
            make_object(
                "a",
                more={
                    "description": "who said so",
                    "granular_markings": [
                        {
                            "marking_ref": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
                            "selectors": ["description"],
                        }
                    ],
                },
            ),
            "its property description is marked red",
        ),
    ],
)
def test_an_object_that_was_given_the_label_of_another_is_found(world: World, made: dict[str, Any], said: str) -> None:
    """Present label, grounds and decision agree with one another: only the object's own bytes do not."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("m", kind="malware", more={"is_family": False}))
    world.add("aurelia", made, make_object("b"))
    green = f"(SELECT label FROM object WHERE id = '{object_id('report', 'b')}')"
    edit(world, f"UPDATE object SET label = {green}, own_label = {green} WHERE id = '{made['id']}'")
    assert len(world.poll("borealia").items) == 2
    (found,) = examine(world).findings
    assert said in found.problem


# --- deletions --------------------------------------------------------------------------------------------------------


def bury(world: World, name: str, **changed: Any) -> None:  # noqa: ANN401
    """Take an object out as the product does, and say nothing of it in the log."""
    node = world.nodes["aurelia"]
    with node.store.write() as transaction:
        (item,) = objects.read_versions_of(transaction, [object_id("report", name)])
        stone = Tombstone(
            id=item.id,
            version_at=item.version_at,
            version=item.version,
            digest=item.digest,
            originator=item.originator,
            terms=None,
            clause=None,
            by=None,
            reason="wrong",
            deleted_at=world.now,
        )
        deletions.delete_object(transaction, item, replace(stone, **changed))


def test_a_tombstone_without_its_purge_is_found(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    Forgery(digest=sha256_digest(b"quite another content")).record(world.nodes["aurelia"], agreement)
    bury(world, "a")
    found = problems(world)
    assert any("neither held nor deleted on record" in problem for problem in found)
    assert any("has a tombstone, and no purge of it is in the log" in problem for problem in found)


def test_what_left_is_held_against_what_was_purged(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"))
    Forgery(name="b").record(world.nodes["aurelia"], agreement)
    Forgery(digest=sha256_digest(b"quite another content")).record(world.nodes["aurelia"], agreement)
    for name in "ab":
        retention.delete(world.nodes["aurelia"], object_id("report", name), reason="wrong")
    (found,) = examine(world).findings
    assert "other bytes left than those that its purge names" in found.problem


def test_what_was_given_after_its_purge_is_found(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    with world.nodes["aurelia"].store.read() as transaction:
        (held,) = objects.read_versions_of(transaction, [object_id("report", "a")])
        label = sha256_digest(format_label(objects.read_label(transaction, held.label)))
    forgery = Forgery(version=held.version, digest=held.digest, label=label)
    forgery.record(world.nodes["aurelia"], agreement)
    world.tick()
    retention.delete(world.nodes["aurelia"], held.id, reason="wrong")
    assert problems(world) == []
    forgery.record(world.nodes["aurelia"], agreement)
    (found,) = examine(world).findings
    assert "was given after its purge" in found.problem


def test_what_was_purged_and_is_held_since_before_is_found(world: World) -> None:
    """The log says that it is gone, and it is not."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.tick()
    retention.delete(world.nodes["aurelia"], object_id("report", "a"), reason="wrong")
    world.tick()
    world.add("aurelia", make_object("a"))
    assert problems(world) == []
    edit(world, "UPDATE object SET added_at = added_at - 1500000")
    (found,) = examine(world).findings
    assert "was purged by this entry, and is held since before" in found.problem


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM tombstone", "in a version that has no tombstone"),
        ("UPDATE tombstone SET digest = '" + "0" * 64 + "'", "says otherwise than this purge"),
        ("UPDATE tombstone SET deleted_at = deleted_at - 1", "says otherwise than this purge"),
        ("UPDATE tombstone SET reason = 'due'", "says otherwise than this purge"),
        ("UPDATE tombstone SET originator = 'borealia'", "says otherwise than this purge"),
        ("UPDATE tombstone SET version_at = 0, version = '1970-01-01T00:00:00Z'", "no purge of it is in the log"),
    ],
)
def test_a_tombstone_that_says_otherwise_than_the_log_is_found(world: World, statement: str, said: str) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    retention.delete(world.nodes["aurelia"], object_id("report", "a"), reason="wrong")
    assert problems(world) == []
    edit(world, statement)
    assert any(said in problem for problem in problems(world))


def test_the_leaf_of_a_purge_stands_for_one_tombstone_alone(world: World) -> None:
    """Its content was purged by two people: it cannot cover for another object that went without a word."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"))
    retention.delete(world.nodes["aurelia"], object_id("report", "a"), reason="wrong")
    with world.nodes["aurelia"].store.read() as transaction:
        position = log.count_entries(transaction) - 1
    selection = Selection(entries=frozenset({position}))
    world.tick()
    world.both("aurelia", lambda by: purge_by_order(world.nodes["aurelia"], selection, reason="r", by=by))  # type: ignore[arg-type,return-value]
    assert problems(world) == []
    world.tick(-1_000_000)
    bury(world, "b")
    (found,) = examine(world).findings
    assert "no purge of it is in the log" in found.problem


# --- what others have signed ------------------------------------------------------------------------------------------


def take(
    world: World, *, sequence: int = 1, leaf: Digest | None = None, by: str = "borealia", said_by: str = ""
) -> bytes:
    """An acknowledgement that `by` signed as `said_by`, of the disclosure `sequence` in the log of Aurelia."""
    node, signer = world.nodes["aurelia"], world.nodes[by].signers[Role.LOG]
    with node.store.read() as transaction:
        leaves = [data for _, data in log.read_entries(transaction, 0, log.count_entries(transaction))]
    given = [data for data in leaves if parse_leaf(data).recipient == BOREALIA]
    hashed = Digest(leaf_hash(given[sequence - 1]).hex()) if leaf is None else leaf
    said = Acknowledgement(
        giver=AURELIA, recipient=PartyId(said_by or by), sequence=sequence, leaf=hashed, unreceived=0, at=world.now
    )
    return sign_acknowledgement(said, [signer])


def put(world: World, envelope: bytes, *, sequence: int = 1) -> None:
    """What the operator puts on record of it, whoever signed it."""
    with world.nodes["aurelia"].act() as act:
        acknowledge._keep(act, BOREALIA, envelope, sequence=sequence, sent=False)


@pytest.fixture
def given(world: World) -> World:
    """Two disclosures to Borealia, which has acknowledged the first."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"))
    world.poll("borealia", limit=1)
    acknowledge.take_acknowledgement(world.nodes["aurelia"], take(world))
    world.poll("borealia")
    return world


def test_an_honest_acknowledgement_is_clean(given: World) -> None:
    assert problems(given) == []


@pytest.mark.parametrize(
    ("made", "sequence", "said"),
    [
        (lambda world: take(world, leaf=sha256_digest(b"another")), 1, "acknowledges another leaf as disclosure 1"),
        (lambda world: take(world, sequence=3, leaf=sha256_digest(b"third")), 3, "and 2 to it are in the log before"),
        (lambda world: take(world, by="aurelia", said_by="borealia"), 1, "carries no signature of borealia"),
        (take, 2, "is another one than it says"),
        (lambda _: b"{}", 1, "cannot be read"),
    ],
)
def test_an_acknowledgement_that_does_not_fit_the_log_is_found(
    given: World, made: Callable[[World], bytes], sequence: int, said: str
) -> None:
    put(given, made(given), sequence=sequence)
    assert any(said in problem for problem in problems(given)), problems(given)


def test_what_this_party_acknowledged_and_has_no_receipt_of_is_found(given: World) -> None:
    node, leaf = given.nodes["aurelia"], sha256_digest(b"a receipt that was made away with")
    said = Acknowledgement(giver=BOREALIA, recipient=AURELIA, sequence=1, leaf=leaf, unreceived=0, at=given.now)
    with node.act() as act:
        envelope = sign_acknowledgement(said, [node.signers[Role.LOG]])
        acknowledge._keep(act, BOREALIA, envelope, sequence=1, sent=True)
    (found,) = examine(given).findings
    assert "this party acknowledged disclosure 1 of borealia, and keeps no receipt" in found.problem


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM acknowledgement", "of borealia is in the log and not kept"),
        ("UPDATE acknowledgement SET sequence = 2", "is not the last one in the log"),
        ("UPDATE acknowledgement SET recorded_at = recorded_at - 1", "is not the last one in the log"),
        ("UPDATE acknowledgement SET party = 'meridia'", "of meridia that is kept is not the last one in the log"),
    ],
)
def test_what_is_kept_of_acknowledgements_is_what_the_log_has(given: World, statement: str, said: str) -> None:
    edit(given, statement)
    assert any(said in problem for problem in problems(given))


def cosign(world: World) -> None:
    """Borealia's node cosigns the head of Aurelia's house log."""
    node, witness = world.nodes["aurelia"], world.nodes["borealia"]
    head = cosigning.read_own_head(node)
    assert head is not None
    (key,) = witnessing.find_witness_keys(world.manifests["borealia"])
    answer = witnessing.add_checkpoint(witness, AURELIA, cosigning.make_request(node, head, old_size=0))
    own = cosigning.OwnWitness(
        name=key.name, keys=(key,), url="https://witness.example", party=BOREALIA, logs=WitnessedLogs.HOUSE
    )
    assert cosigning.keep_cosignatures(node, head, [(own, parse_signature_lines(answer.body))])


def test_an_honest_cosignature_is_clean(given: World) -> None:
    cosign(given)
    assert problems(given) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE cosignature SET size = size + 1", "it was cut short"),
        ("UPDATE cosignature SET size = size - 1", "does not verify over the head of that size"),
        ("UPDATE cosignature SET timestamp = timestamp + 1", "does not verify"),
        ("UPDATE cosignature SET line = X'00'", "cannot be read"),
    ],
)
def test_a_cosignature_that_does_not_fit_the_log_is_found(given: World, statement: str, said: str) -> None:
    cosign(given)
    edit(given, statement)
    assert any(said in problem for problem in problems(given)), problems(given)


def test_a_cosignature_of_a_head_that_is_gone_is_found(given: World) -> None:
    """The heads of acts between are no part of the tree: it stands without them."""
    cosign(given)
    row = given.nodes["aurelia"].store.row("SELECT id FROM agreement")
    assert row is not None
    given.act("aurelia", row[0], EventKind.SUSPEND)
    edit(given, "DELETE FROM log_head WHERE log = 0 AND size = (SELECT size FROM cosignature)")
    assert any("no head of that size is kept" in problem for problem in problems(given))


def rewrite(world: World, position: int, name: str) -> None:
    """Write the house's log anew by its own key: the disclosure at `position` was of the report `name`."""
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        leaves = [data for _, data in log.read_entries(transaction, 0, log.count_entries(transaction))]
        sizes = [size for size, _ in log.read_heads(transaction)]
        opening = log.read_openings(transaction, position, position + 1)[position]
        (held,) = objects.read_versions_of(transaction, [object_id("report", name)])
        grounds, key = log.read_grounds(transaction, position, position + 1)[position], read_node_key(transaction)
    listing, leaf = format_listing([(held.id, held.version, held.digest, ())]), parse_leaf(leaves[position])
    tag = tag_grounds(key, sha256_digest(grounds), at=leaf.at, listing=sha256_digest(listing))
    said = json.loads(opening.content) | {"listing": sha256_digest(listing), "grounds": tag}
    content = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    leaves[position] = format_leaf(replace(leaf, commitment=commit_content(opening.salt, content)))
    hashes, head = list(map(leaf_hash, leaves)), b""
    with node.store.write() as transaction:
        for (trigger,) in transaction.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            transaction.run(f"DROP TRIGGER {trigger}")
        transaction.run("UPDATE log_entry SET leaf = ? WHERE position = ?", (leaves[position], position))
        transaction.run("UPDATE log_opening SET content = ? WHERE position = ?", (content, position))
        transaction.run(
            "UPDATE log_listing SET data = ?, digest = ?"
            " WHERE id = (SELECT listing FROM log_opening WHERE position = ?)",
            (listing, bytes.fromhex(sha256_digest(listing)), position),
        )
        log.write_tiles(transaction, append_leaves(lambda _level, _index: b"", 0, hashes))
        for size in sizes:
            tiles = {(tile.level, tile.index): tile.hashes for tile in append_leaves(lambda *_: b"", 0, hashes[:size])}
            root = root_hash(lambda level, index, tiles=tiles: tiles.get((level, index), b""), size)  # type: ignore[misc]
            head = sign_head(node.origin, size, root, signer=node.signers[Role.LOG])
            transaction.run("UPDATE log_head SET checkpoint = ? WHERE size = ?", (head, size))
    (node.folder / "head").write_bytes(head)


def test_a_log_that_was_written_anew_is_found_by_what_others_signed(world: World) -> None:
    """Every proof of it verifies, and every disclosure is decided as it was."""
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"))
    node = world.nodes["aurelia"]
    Forgery().record(node, agreement)
    with node.store.read() as transaction:
        position = log.count_entries(transaction) - 1
    rewrite(world, position, "b")
    assert problems(world) == []  # nobody had signed anything of it
    put(world, take(world))
    cosign(world)
    assert problems(world) == []
    rewrite(world, position, "a")
    found = problems(world)
    assert any(f"acknowledges another leaf as disclosure 1 than entry {position} is" in problem for problem in found)
    assert any("it saw another one" in problem for problem in found)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("moved", "said"), [(-3_600, "and the next entry is dated before that"), (3_600, None), (0, None)]
)
def test_a_clock_that_was_held_back_is_found_by_a_witness(given: World, moved: int, said: str | None) -> None:
    """The head was seen an hour ago by the witness's clock, and what comes after it is dated before that."""
    cosign(given)
    node = given.nodes["aurelia"]
    head = cosigning.read_own_head(node)
    assert head is not None
    text = parse_note(head.note).text
    key = witnessing.find_witness_keys(given.manifests["borealia"])[0]
    at = given.now // 1_000_000 - moved
    line = sign_cosignature(text, key, given.nodes["borealia"].signers[Role.WITNESS], timestamp=at)
    edit(
        given,
        "UPDATE cosignature SET timestamp = ?, line = ?",
        values=(at, format_signature_line(line).encode()),
    )
    if moved <= 0:
        given.register("aurelia", "third", PersonRole.LEGAL)
    found = problems(given)
    if said is None and moved > 0:
        assert any("and its last entry is dated" in problem for problem in found)
    else:
        assert (found == []) if said is None else any(said in problem for problem in found), found


# --- manifests --------------------------------------------------------------------------------------------------------


def test_what_went_after_the_manifest_in_force_ran_out_is_found(world: World) -> None:
    """The one before it would have been good for longer."""
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    Forgery().record(world.nodes["aurelia"], agreement)
    world.both("aurelia", lambda by: renew_manifest(world.nodes["aurelia"], days=1, by=by))  # type: ignore[arg-type,return-value]
    world.deliver()
    assert problems(world) == []
    world.tick(3 * 86_400_000_000)
    Forgery().record(world.nodes["aurelia"], agreement)
    (found,) = examine(world).findings
    assert "no manifest of aurelia that was in force there was good at that time" in found.problem


def test_a_partners_manifest_that_no_entry_brought_is_found(world: World) -> None:
    world.sign_all(world.terms())
    world.both("borealia", lambda by: renew_manifest(world.nodes["borealia"], days=1, by=by))  # type: ignore[arg-type,return-value]
    world.deliver()
    assert problems(world) == []
    assert [(one.party, one.version) for one in examine(world).trusted] == [("aurelia", 1), ("borealia", 1)]
    edit(
        world,
        "UPDATE party SET manifest = (SELECT digest FROM manifest WHERE party = 'borealia' AND version = 1)"
        " WHERE id = 'borealia'",
    )
    assert "the manifest of borealia that is in use is not the one that the log brought last" in problems(world)
    edit(world, "DELETE FROM manifest WHERE party = 'borealia' AND version = 2")
    assert any("which is not kept" in problem for problem in problems(world))


def test_a_log_that_is_kept_as_that_of_another_agreement_is_found(world: World) -> None:
    """Whoever looks into the table alone would take what was given under the one for given under the other."""
    world.sign_all(world.terms(title="First"))
    second = world.sign_all(world.terms(title="Second", subjects=("national:elsewhere",)))
    world.add("aurelia", make_object("a"))
    node = world.nodes["aurelia"]
    (first,) = [item for item in list_open_collections(node, BOREALIA) if item.dossier.id != second]
    poll(
        node,
        PollRequest(
            recipient=BOREALIA, collection=first.id, answer=Answer.OBJECTS, selection=PollSelection(after=Instant(0))
        ),
    )
    assert problems(world) == []
    edit(world, f"UPDATE relationship_log SET agreement = '{second}' WHERE agreement <> '{second}'")
    assert any("is kept as another one than the entry says that opened it" in problem for problem in problems(world))
