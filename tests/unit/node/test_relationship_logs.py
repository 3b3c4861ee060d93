# SPDX-License-Identifier: Apache-2.0
"""Each relationship has a log of its own: it tells its parties nothing of others, and the house's log binds it."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from comity.agreement.events import EventKind
from comity.errors import NotFoundError, ReceiptRefused, RolledBack
from comity.ids import Instant, PartyId
from comity.node import sealing
from comity.node.audit import audit_folder
from comity.node.delivery import expect_receipt, keep_missing
from comity.node.gate import list_open_collections
from comity.node.heads import split_heads, write_head
from comity.node.journal import list_entries, list_relationships, read_checkpoint, verify_folder
from comity.node.node import Node, open_node
from comity.node.parties import create_credential
from comity.node.poll import PollRequest, poll_together
from comity.node.readers import find_part, read_part
from comity.node.receipts import give_consistency, give_receipt
from comity.node.rotation import Rotated, rotate_keys
from comity.node.sealing import Act
from comity.node.soundness import examine_folder
from comity.node.upkeep import keep_up
from comity.release.delivery import Shown, find_sizes, verify_next
from comity.release.disclosure import Answer, EntryType, parse_leaf
from comity.release.logs import parse_heads, parse_opening
from comity.release.receipt import parse_receipt, verify_receipt
from comity.signing import Role
from comity.store import log, logs
from comity.store.feeds import Selection
from comity.tlog.merkle import leaf_hash, verify_inclusion
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.origin import find_token, is_origin
from tests.worlds import World, make_object

GIVER, P, OTHER = PartyId("aurelia"), PartyId("borealia"), PartyId("meridia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """`borealia` and `meridia` are given the same by `aurelia`, each under an agreement of its own."""
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    made.add("aurelia", make_object("a"), make_object("b"))
    made.sign_all(made.terms(title="Of one"))
    made.sign_all(made.terms(receivers=["meridia"], title="Of another"))
    yield made
    made.close()


def disclose(node: Node, recipient: PartyId, times: int = 1) -> None:
    """So many disclosures to the recipient, as many in one commit as come."""
    (collection,) = list_open_collections(node, recipient)
    request = PollRequest(
        recipient=recipient,
        collection=collection.id,
        answer=Answer.OBJECTS,
        selection=Selection(after=Instant(0)),
    )
    pages = poll_together(node, [request] * times)
    assert all(page is not None and page.items for page in pages)
    node.keep_head()


def find_origin(node: Node, recipient: PartyId) -> str:
    (found,) = (each.origin for each in list_relationships(node) if each.recipient == recipient and not each.closed_at)
    return found


def read_log(node: Node, recipient: PartyId) -> dict[str, bytes]:
    """Every part of its log that the recipient can read."""
    token = find_token(find_origin(node, recipient)) or ""
    found = dict[str, bytes]()
    for width in range(1, 257):
        for name in ("checkpoint", f"tile/0/000.p/{width}", f"tile/entries/000.p/{width}", "tile/0/000"):
            try:
                number, rest = find_part(node, f"{token}/{name}", party=recipient)
                found[name] = read_part(node, rest, number)
            except NotFoundError:
                continue
    return found


# --- what a party learns of others ------------------------------------------------------------------------------------


def draw_from(seed: str) -> Callable[[int], bytes]:
    """Randomness that is the same in both worlds, whatever was drawn between."""
    state = hashlib.shake_256(seed.encode())
    drawn = 0

    def draw(count: int) -> bytes:
        nonlocal drawn
        drawn += count
        return state.digest(drawn)[-count:]

    return draw


@dataclass(frozen=True)
class Told:
    """All that one party is told of the log of its giver."""

    receipts: list[bytes]
    log: dict[str, bytes]
    proofs: dict[tuple[str, int], bytes | None]


def live(folder: Path, now: Instant, *, others: int) -> Told:
    """What borealia is told, in a world in which meridia is given something so many times between."""
    with closing(open_node(folder)) as node:
        node.clock = lambda: now
        for number in range(1, 4):
            node.draw = draw_from(f"to borealia {number}")
            disclose(node, P)
            node.draw = draw_from(f"to meridia {number}")
            give_others(node, others)
        given = [give_receipt(node, P, number) for number in range(1, 4)]
        origin = parse_receipt(given[0]).checkpoint.origin
        names = (origin, "comity/aurelia", "comity/aurelia/0000000000000000")
        proofs = {(name, new): ask_proof(node, name, new) for new in range(1, 40) for name in names}
        return Told(receipts=given, log=read_log(node, P), proofs=proofs)


def give_others(node: Node, times: int) -> None:
    for _ in range(times // 50):
        disclose(node, OTHER, 50)
    if times:
        create_credential(node, OTHER)


def ask_proof(node: Node, origin: str, new_size: int) -> bytes | None:
    try:
        return give_consistency(node, P, origin, 1, new_size)
    except NotFoundError:
        return None


def test_a_party_is_told_the_same_bytes_whatever_others_were_given(world: World, tmp_path: Path) -> None:
    now = world.now
    world.close()
    told = list[Told]()
    for others in (0, 500):
        folder = tmp_path / f"{others} others" / "aurelia"
        shutil.copytree(world.folder / "aurelia", folder)
        told.append(live(folder, now, others=others))
        verified = verify_folder(folder)
        assert verified.disclosures == 3 + 3 * others
    assert told[0] == told[1]
    assert [parse_receipt(data).checkpoint.size for data in told[0].receipts] == [3, 3, 3]
    assert told[0].log.keys() >= {"checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"}
    assert {new for (_, new), proof in told[0].proofs.items() if proof is not None} == {1, 2, 3}


# --- which entry goes where -------------------------------------------------------------------------------------------


def test_disclosures_go_to_the_log_of_their_relationship_and_all_else_to_the_house(world: World) -> None:
    node = world.nodes["aurelia"]
    disclose(node, P)
    disclose(node, OTHER, 3)
    create_credential(node, OTHER)
    disclose(node, P)
    entries = list_entries(node, start=0, limit=1_000)
    assert [entry.position for entry in entries] == list(range(len(entries)))
    for entry in entries:
        of = entry.leaf.recipient
        assert entry.origin == ("comity/aurelia" if of is None else find_origin(node, of))
        assert is_origin(entry.origin, GIVER)
    for recipient, size in ((P, 2), (OTHER, 3)):
        own = [entry for entry in entries if entry.leaf.recipient == recipient]
        assert [entry.place for entry in own] == list(range(size))
        assert [entry.leaf.sequence for entry in own] == list(range(1, size + 1))
    kinds = [entry.leaf.type for entry in entries if entry.leaf.type in {EntryType.LOG_OPENING, EntryType.LOG_HEADS}]
    # An act that opens a log ends with its head; the credential names that of the log that has grown since.
    assert kinds == [EntryType.LOG_OPENING, EntryType.LOG_HEADS] * 2
    assert verify_folder(node.folder).size == len(entries)
    audit = audit_folder(node.folder, now=world.now)
    assert (audit.findings, audit.decided) == ((), 5)
    assert examine_folder(node.folder).is_sound


def test_an_act_of_the_house_names_the_heads_of_what_has_grown(world: World) -> None:
    node = world.nodes["aurelia"]
    disclose(node, P)
    disclose(node, P, 2)
    disclose(node, OTHER)
    create_credential(node, P)
    size = node.store.row("SELECT COUNT(*) FROM log_entry")
    create_credential(node, P)
    again = node.store.row("SELECT COUNT(*) FROM log_entry")
    assert size is not None
    assert again == (size[0] + 1,)
    with node.store.read() as transaction:
        rows = log.read_logged(transaction, 0, 1_000)
    named = [
        [(head.origin, head.size) for head in parse_heads(parse_leaf(leaf), opening[1])]
        for _, leaf, opening, *_ in rows
        if opening is not None and parse_leaf(leaf).type is EntryType.LOG_HEADS
    ]
    one, other = find_origin(node, P), find_origin(node, OTHER)
    assert named == [[(one, 1)], [(one, 3), (other, 1)]]
    opened = [parse_opening(parse_leaf(leaf), opening[1]) for _, leaf, opening, *_ in rows if opening is not None]
    assert [each.recipient for each in opened if each is not None] == [P, OTHER]


def test_what_was_given_a_day_ago_is_named_though_nothing_else_happened(world: World) -> None:
    node = world.nodes["aurelia"]
    disclose(node, P)
    size = len(list_entries(node, start=0, limit=99))
    world.tick()
    disclose(node, P)
    for hours, more in ((23, 0), (1, 1), (48, 0)):
        world.tick(hours * 3_600_000_000)
        keep_up(node)
        size += more
        assert len(list_entries(node, start=0, limit=99)) == size + 1
    entries = list_entries(node, start=0, limit=99)
    assert (entries[-1].leaf.type, entries[-1].origin) == (EntryType.LOG_HEADS, "comity/aurelia")
    assert verify_folder(node.folder).size == len(entries)
    kept = split_heads((node.folder / "head").read_bytes())
    assert kept == [read_checkpoint(node)]


def test_one_commit_signs_one_head_for_each_log_it_touched(world: World) -> None:
    node = world.nodes["aurelia"]
    disclose(node, P, 20)
    disclose(node, OTHER)
    with node.store.read() as transaction:
        assert [size for size, _ in log.read_heads(transaction, 1)] == [20]
        assert [size for size, _ in log.read_heads(transaction, 2)] == [1]


# --- who reads --------------------------------------------------------------------------------------------------------


def test_a_party_reads_its_own_log_and_no_other(world: World) -> None:
    node = world.nodes["aurelia"]
    disclose(node, P, 3)
    disclose(node, OTHER)
    parts = read_log(node, P)
    checkpoint = parse_checkpoint(parse_note(parts["checkpoint"]).text)
    assert (checkpoint.origin, checkpoint.size) == (find_origin(node, P), 3)
    bundle, leaves = parts["tile/entries/000.p/3"], list[bytes]()
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        leaves.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    assert [parse_leaf(leaf).recipient for leaf in leaves] == [P] * 3
    assert b"".join(map(leaf_hash, leaves)) == parts["tile/0/000.p/3"]
    own, other = (find_token(find_origin(node, of)) for of in (P, OTHER))
    for path in ("checkpoint", "tile/0/000.p/1", f"{other}/checkpoint", f"{own}x/checkpoint", f"{'0' * 16}/checkpoint"):
        with pytest.raises(NotFoundError):
            find_part(node, path, party=P)
    # A reader whom the operator permitted reads all.
    assert find_part(node, f"{other}/checkpoint") == (2, "checkpoint")
    assert find_part(node, "checkpoint") == (log.HOUSE, "checkpoint")


# --- what shows that a store is an older one --------------------------------------------------------------------------


def test_a_store_without_the_last_entry_of_any_log_does_not_open(world: World, tmp_path: Path) -> None:
    node = world.nodes["aurelia"]
    disclose(node, P)
    disclose(node, OTHER)
    for recipient in (P, OTHER):
        node.close()
        shutil.copytree(node.folder, tmp_path / f"before {recipient}")
        node = open_node(node.folder)
        disclose(node, recipient)
        kept = (node.folder / "head").read_bytes()
        heads = [parse_checkpoint(parse_note(note).text) for note in split_heads(kept)]
        assert [head.origin for head in heads] == ["comity/aurelia", find_origin(node, recipient)]
        write_head(tmp_path / f"before {recipient}", kept)
        with pytest.raises(RolledBack, match=f"log {find_origin(node, recipient)} but this node has signed"):
            open_node(tmp_path / f"before {recipient}")
    node.close()
    world.nodes["aurelia"] = world.open("aurelia")


# --- a key that was followed by another ---


def test_a_log_that_has_not_grown_since_is_vouched_for_by_the_new_key(world: World) -> None:
    """Whoever knows the present keys alone can verify what was given before: over the same tree."""
    node = world.nodes["aurelia"]
    disclose(node, P)
    before, parts = parse_receipt(give_receipt(node, P, 1)), read_log(node, P)
    done = world.both("aurelia", lambda by: rotate_keys(node, (Role.LOG,), by=by))  # type: ignore[arg-type,return-value]
    assert isinstance(done, Rotated)
    data = give_receipt(node, P, 1)
    after = parse_receipt(data)
    assert verify_receipt(after, manifests=[done.manifest]).size == 1
    assert (after.note.text, len(after.note.signatures)) == (before.note.text, 2)
    assert parse_note(read_log(node, P)["checkpoint"]) == after.note
    assert {name: data for name, data in read_log(node, P).items() if name != "checkpoint"} == {
        name: data for name, data in parts.items() if name != "checkpoint"
    }
    with pytest.raises(ReceiptRefused):
        verify_receipt(before, manifests=[done.manifest])
    disclose(node, P)
    assert len(parse_receipt(give_receipt(node, P, 1)).note.signatures) == 1
    assert verify_folder(node.folder).disclosures == 2


# --- a store of before ------------------------------------------------------------------------------------------------

_AS_BEFORE = """
    DROP TABLE relationship_log;
    DROP TRIGGER log_entry_kept;
    DROP INDEX log_entry_by_place;
    ALTER TABLE log_entry DROP COLUMN log;
    ALTER TABLE log_entry DROP COLUMN place;
    CREATE TRIGGER log_entry_kept BEFORE UPDATE ON log_entry BEGIN SELECT RAISE(ABORT, 'x'); END;
    ALTER TABLE log_tile RENAME TO t;
    CREATE TABLE log_tile (level INTEGER NOT NULL, position INTEGER NOT NULL, hashes BLOB NOT NULL,
        PRIMARY KEY (level, position)) STRICT, WITHOUT ROWID;
    INSERT INTO log_tile SELECT level, position, hashes FROM t;
    DROP TABLE t;
    DROP TRIGGER log_head_kept;
    DROP TRIGGER log_head_stays;
    ALTER TABLE log_head RENAME TO h;
    CREATE TABLE log_head (size INTEGER PRIMARY KEY, checkpoint BLOB NOT NULL) STRICT;
    INSERT INTO log_head SELECT size, checkpoint FROM h;
    DROP TABLE h;
    CREATE TRIGGER log_head_kept BEFORE UPDATE ON log_head BEGIN SELECT RAISE(ABORT, 'x'); END;
    CREATE TRIGGER log_head_stays BEFORE DELETE ON log_head BEGIN SELECT RAISE(ABORT, 'x'); END;
    DELETE FROM meta WHERE name = 'house-shown';
    DROP TABLE cosignature;
    CREATE TABLE cosignature (size INTEGER NOT NULL, witness TEXT NOT NULL, timestamp INTEGER NOT NULL,
        line BLOB NOT NULL, PRIMARY KEY (size, witness)) STRICT, WITHOUT ROWID;
    ALTER TABLE seen_checkpoint RENAME TO s;
    CREATE TABLE seen_checkpoint (party TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL,
        checkpoint BLOB NOT NULL, seen_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO seen_checkpoint SELECT party, size, root, checkpoint, seen_at FROM s;
    DROP TABLE s;
    DROP TABLE ended_log;
    DROP INDEX receipt_by_log;
    DROP INDEX receipt_by_tree;
    ALTER TABLE receipt DROP COLUMN origin;
    ALTER TABLE receipt DROP COLUMN place;
    ALTER TABLE receipt DROP COLUMN tree;
    DROP TABLE lost_head;
    DROP TABLE witnessed_earlier;
    DROP TABLE witnessed_name;
"""


def make_as_before(folder: Path) -> None:
    """Let the store have the schema that it had when there was one log."""
    connection = apsw.Connection(str(folder / "store.db"))
    connection.execute(_AS_BEFORE)
    for name in ("logs", "origins"):
        (script,) = (Path(logs.__file__).parent / "migrations").glob(f"*_{name}.sql")
        digest = hashlib.sha256(script.read_bytes()).hexdigest()
        connection.execute("DELETE FROM migration WHERE digest = ?", (digest,))
        assert connection.changes() == 1
    connection.close()


def show(world: World, number: int) -> Shown:
    """What the receipt of that number shows, as `peers` asks for it."""
    expected = expect_receipt(world.nodes["borealia"], GIVER, number)
    data = give_receipt(world.nodes["aurelia"], P, number)
    sizes = find_sizes(data, expected.seen)
    proof = b"" if sizes is None else give_consistency(world.nodes["aurelia"], P, *sizes)
    return verify_next(data, proof, expected, now=world.now)


@pytest.fixture
def before(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Three disclosures in one log, of which the receipts for the first two were kept; then the stores of before."""
    with monkeypatch.context() as patched:
        patched.setattr(Act, "_find_log", lambda *_: log.HOUSE)
        patched.setattr(logs, "read_shown_size", log.read_size)
        for _ in range(3):
            disclose(world.nodes["aurelia"], P)
        for number in (1, 2):
            keep_missing(world.nodes["borealia"], [show(world, number)])
    world.close()
    for name in ("aurelia", "borealia"):
        make_as_before(world.folder / name)
        world.open(name)
    world.open("meridia")
    return world


def test_a_store_of_before_opens_and_what_is_given_next_is_in_a_log_of_its_own(before: World) -> None:
    node, house = before.nodes["aurelia"], read_checkpoint(before.nodes["aurelia"])
    assert verify_folder(node.folder).logs == ()
    old = [give_receipt(node, P, number) for number in (1, 2, 3)]
    for data in old:
        assert verify_receipt(parse_receipt(data), manifests=[before.manifests["aurelia"]]).recipient == P
        assert parse_receipt(data).proof.checkpoint == house
    disclose(node, P)
    new = parse_receipt(give_receipt(node, P, 4))
    assert (new.checkpoint.origin, new.checkpoint.size, new.leaf.sequence) == (find_origin(node, P), 1, 4)
    verify_inclusion(leaf_hash(new.leaf_data), 0, 1, new.proof.hashes, new.checkpoint.root)
    assert [give_receipt(node, P, number) for number in (1, 2, 3)] == old
    assert (verify_folder(node.folder).disclosures, audit_folder(node.folder, now=before.now).findings) == (4, ())
    assert examine_folder(node.folder).is_sound


def test_partners_see_of_the_log_of_before_what_it_was_and_not_what_it_becomes(before: World) -> None:
    node = before.nodes["aurelia"]
    size = parse_checkpoint(parse_note(read_checkpoint(node)).text).size
    assert give_consistency(node, P, "comity/aurelia", 1, size)
    disclose(node, OTHER)
    create_credential(node, OTHER)
    assert parse_checkpoint(parse_note(read_checkpoint(node)).text).size > size
    with pytest.raises(NotFoundError):
        give_consistency(node, P, "comity/aurelia", 1, size + 1)
    with pytest.raises(NotFoundError):  # meridia has no receipt from it
        give_consistency(node, OTHER, "comity/aurelia", 1, size)
    assert give_consistency(node, OTHER, find_origin(node, OTHER), 1, 1) == b""
    assert parse_receipt(give_receipt(node, P, 3)).checkpoint.size == size


def test_a_receiver_goes_over_to_the_new_log_once(before: World, monkeypatch: pytest.MonkeyPatch) -> None:
    giver, receiver = before.nodes["aurelia"], before.nodes["borealia"]
    keep_missing(receiver, [show(before, 3)])
    disclose(giver, P, 2)
    keep_missing(receiver, [show(before, 4)])
    origin = find_origin(giver, P)
    assert set(expect_receipt(receiver, GIVER, 5).bound.values()) == {origin}
    # Back to the log of before, or on to a third one, it does not go.
    with giver.store.write() as transaction:
        logs.close_logs(transaction, now=before.now)
    monkeypatch.setattr(sealing, "derive_origin", lambda *_, **__: "comity/aurelia/1111111111111111")
    disclose(giver, P)
    keep_missing(receiver, [show(before, 5)])
    with pytest.raises(ReceiptRefused, match=f"under this agreement is in {origin}"):
        show(before, 6)
    expected = expect_receipt(receiver, GIVER, 6)
    old = give_receipt(giver, P, 3)
    with pytest.raises(ReceiptRefused):
        verify_next(old, b"", expected, now=before.now)


def test_a_suspended_relationship_keeps_its_log(world: World) -> None:
    node = world.nodes["aurelia"]
    disclose(node, P)
    origin = find_origin(node, P)
    agreement = next(each.agreement for each in list_relationships(node))
    world.act_on("aurelia", agreement, EventKind.SUSPEND)
    world.act_on("aurelia", agreement, EventKind.RESUME)
    disclose(node, P)
    assert find_origin(node, P) == origin
    assert parse_receipt(give_receipt(node, P, 2)).checkpoint.origin == origin
    assert audit_folder(node.folder, now=world.now).findings == ()
