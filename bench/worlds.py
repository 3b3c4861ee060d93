# SPDX-License-Identifier: Apache-2.0
"""What is served: a node with so many objects and so many agreements, built once and copied for each run.

    aurelia     the node that is served: it holds the objects, and gives them to borealia under one of its agreements
    borealia    a partner; every agreement is between the two; the others let other subjects go, which nothing here has
    meridia     a partner that gives to aurelia: what is taken in comes from it

Everything is done by the node's own functions, as the commands do it: two people sign each act.
"""

import hashlib
import json
import shutil
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from comity.ids import Instant, PartyId, format_instant  # noqa: E402 (the tests' worlds are found from the root)
from comity.node.accept import list_write_collections  # noqa: E402
from comity.node.ingest import add_objects  # noqa: E402
from comity.node.parties import create_credential  # noqa: E402
from comity.node.standing import list_collections  # noqa: E402
from comity.stix.labels import make_tags  # noqa: E402
from tests.worlds import World  # noqa: E402

__all__ = ["ENVELOPE", "GIVER", "Built", "copy_world", "find_world", "make_envelope", "make_mixed_envelope"]

GIVER, READER, WRITER = "aurelia", PartyId("borealia"), PartyId("meridia")
ENVELOPE = 1_000
FORM = 3
"""Raised when what is built changes, so that no older world is taken for this one."""

_WORDS = (
    *("relay", "staging", "beacon", "archive", "mirror", "gateway", "sector"),
    *("convoy", "ledger", "harbour", "signal", "depot", "courier", "toll"),
)
_START = Instant(1_767_225_600_000_000)
_GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A world in a folder: how much is in it, and what its readers and its writer need to know."""

    folder: Path
    objects: int
    agreements: int
    agreement: str
    collection: str
    secret: str
    write_collection: str
    write_secret: str
    seconds_objects: float
    seconds_agreements: float

    @property
    def node(self) -> Path:
        """The folder of the node that is served."""
        return self.folder / GIVER

    @property
    def objects_path(self) -> str:
        """Where its objects are read."""
        return f"/taxii2/{READER}/collections/{self.collection}/objects/"

    @property
    def write_path(self) -> str:
        """Where its writer adds objects."""
        return f"/taxii2/{WRITER}/collections/{self.write_collection}/objects/"


def find_world(kept: Path, *, objects: int, agreements: int) -> Built:
    """The world of that size in `kept`, built first if it is not there."""
    folder = kept / f"{objects}x{agreements}-{FORM}"
    if not (folder / "world.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        built = _build(folder, objects=objects, agreements=agreements)
        (folder / "world.json").write_text(json.dumps({**asdict(built), "folder": ""}, indent=1), encoding="utf-8")
    return Built(**{**json.loads((folder / "world.json").read_text(encoding="utf-8")), "folder": folder})


def copy_world(built: Built, folder: Path) -> Built:
    """The same world in `folder`, so that what is done to it stays there."""
    shutil.copytree(built.folder, folder)
    return Built(**{**asdict(built), "folder": folder})


def _build(folder: Path, *, objects: int, agreements: int) -> Built:
    started = time.perf_counter()
    world = World(folder)
    world.found(GIVER, READER, WRITER)
    node = world.nodes[GIVER]
    tags = make_tags(subjects=["national:ashfall"], regions=["IQ"], kinds=["indicator"])
    for first in range(0, objects, ENVELOPE):
        intake = add_objects(node, make_envelope(first, min(ENVELOPE, objects - first)), tags=tags)
        assert not intake.bad, intake.bad[:1]  # noqa: S101 (a benchmark of nothing must not print)
    filled = time.perf_counter()
    agreement = world.sign_all(world.terms())
    with node.store.read() as transaction:
        (collection,) = list_collections(node, transaction, READER)
    for number in range(1, agreements):
        world.sign_all(world.terms(subjects=(f"national:group-{number}",), title=f"Exchange {number}"))
    kinds = ("indicator", "identity", "relationship", "report")
    given = world.terms(giver=WRITER, receivers=(GIVER,), types=kinds, title="What meridia gives")
    world.sign_all(given, proposer=WRITER)
    (written,) = list_write_collections(node, WRITER)
    secret, write_secret = create_credential(node, READER), create_credential(node, WRITER)
    world.close()
    _lift_limits(folder / GIVER / "node.toml")
    agreed = time.perf_counter()
    built = Built(
        folder=folder,
        objects=objects,
        agreements=agreements,
        agreement=agreement,
        collection=collection.id,
        secret=secret,
        write_collection=written.id,
        write_secret=write_secret,
        seconds_objects=round(filled - started, 1),
        seconds_agreements=round(agreed - filled, 1),
    )
    print(
        f"built: {objects} objects in {built.seconds_objects} s, {agreements} agreements in"
        f" {built.seconds_agreements} s",
        file=sys.stderr,
    )
    return built


def _lift_limits(settings: Path) -> None:
    """How much one asker may take must not decide what is measured."""
    text = settings.read_text(encoding="utf-8")
    quota = f"write_bytes_per_day = {2**50}\nwrite_objects_per_day = {2**50}\n"
    limits = f"[limits]\nrequests_per_second = {10**9}\nbytes_per_minute = {2**50}\n"
    settings.write_text(f"{quota}{text}{limits}", encoding="utf-8")


# ---- objects ---------------------------------------------------------------------------------------------------------


def make_envelope(first: int, count: int = ENVELOPE) -> bytes:
    """`count` indicators of about 1 kB, the same every time for the same numbers."""
    return b'{"objects":[' + b",".join(_make_indicator(number) for number in range(first, first + count)) + b"]}"


def make_mixed_envelope(first: int, count: int = ENVELOPE) -> bytes:
    """As many objects of four kinds that refer to each other: reports and relationships beside what they are about."""
    made = [_make_of_four(number, place) for place, number in enumerate(range(first, first + count))]
    return b'{"objects":[' + b",".join(made) + b"]}"


def _make_indicator(number: int) -> bytes:
    draw, at = hashlib.sha512(b"%d" % number).digest(), format_instant(Instant(_START + number * 1_000_000))
    words = " ".join(_WORDS[byte % len(_WORDS)] for byte in draw[:61])
    kind = ("malicious-activity", "anomalous-activity", "attribution")[draw[62] % 3]
    return (
        f'{{"type":"indicator","spec_version":"2.1","id":"indicator--{_make_uuid(draw)}","created":"{at}",'
        f'"modified":"{at}","name":"{words[:16]} {number}","description":"{words}","pattern":"[ipv4-addr:value = '
        f"'{draw[0]}.{draw[1]}.{draw[2]}.{draw[3]}' OR file:hashes.'SHA-256' = '{draw[:32].hex()}']\","
        f'"pattern_type":"stix","valid_from":"{at}","indicator_types":["{kind}"],"confidence":{draw[63] % 101},'
        f'"object_marking_refs":["{_GREEN}"]}}'
    ).encode()


def _make_of_four(number: int, place: int) -> bytes:
    """By place: an indicator, an identity, a relationship between the two before it, a report about all three."""
    if place % 4 == 0:
        return _make_indicator(number)
    draw, at = hashlib.sha512(b"%d" % number).digest(), format_instant(Instant(_START + number * 1_000_000))
    before = [_make_uuid(hashlib.sha512(b"%d" % (number - back)).digest()) for back in (0, 1, 2, 3)]
    words = " ".join(_WORDS[byte % len(_WORDS)] for byte in draw)
    refs = f'"indicator--{before[3]}","identity--{before[2]}","relationship--{before[1]}"'
    kind, more = (
        ("identity", '"identity_class":"organization","name":"Depot"'),
        (
            "relationship",
            f'"relationship_type":"indicates","source_ref":"indicator--{before[2]}","target_ref":"identity--{before[1]}"',
        ),
        (
            "report",
            f'"name":"Tolls","published":"{at}","report_types":["threat-report"],"object_refs":[{refs}]',
        ),
    )[place % 4 - 1]
    return (
        f'{{"type":"{kind}","spec_version":"2.1","id":"{kind}--{before[0]}","created":"{at}","modified":"{at}",{more},'
        f'"description":"{words}","labels":["first","second"],"confidence":{draw[63] % 101},'
        f'"object_marking_refs":["{_GREEN}"]}}'
    ).encode()


def _make_uuid(draw: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=draw[:16], version=4)


if __name__ == "__main__":
    find_world(Path(sys.argv[1]), objects=int(sys.argv[2]), agreements=int(sys.argv[3]))
