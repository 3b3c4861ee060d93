# SPDX-License-Identifier: Apache-2.0
"""What a giver has to show before anything it sends is taken in; each thing that it does not is named."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from comity.agreement.terms import MAX_DOCUMENT_BYTES
from comity.canonical import sha256_digest
from comity.errors import ReceiptRefused
from comity.ids import Digest, Instant
from comity.release.contents import list_whole, parse_listing
from comity.release.delivery import (
    Expected,
    Seen,
    Shown,
    find_sizes,
    verify_next,
    verify_objects,
    verify_page,
)
from comity.release.disclosure import Answer
from comity.release.receipt import format_receipt, parse_receipt
from comity.stix.objects import parse_bundle
from comity.tlog.merkle import consistency_proof, leaf_hash, root_hash
from comity.tlog.proof import format_hashes
from tests.parties import AURELIA, BOREALIA, MANIFESTS, MERIDIA
from tests.receipts import OBJECTS, TERMS, make_checkpoint, make_content, make_leaf, receipt
from tests.signers import EXPIRES, NOW
from tests.trees import TileStore

DATA = format_receipt(receipt())
IDENTITY = (
    b'{"type":"identity","spec_version":"2.1","id":"identity--00000000-0000-4000-8000-000000000001","name":"x",'
    b'"created":"2025-01-01T00:00:00Z","modified":"2025-01-01T00:00:00Z"}'
)
PAGE = b'{"more":false,"objects":[' + b",".join(OBJECTS) + b"]}"


def make_store(size: int = 20) -> TileStore:
    """The log of `tests.receipts.receipt`, grown on."""
    entries = [b"another entry %d" % number for number in range(size)]
    entries[5] = make_leaf(make_content())
    return TileStore([[leaf_hash(entry) for entry in entries]])


def see(size: int, store: TileStore | None = None) -> Seen:
    store = make_store() if store is None else store
    return Seen(size=size, root=root_hash(store.read, size), checkpoint=make_checkpoint(store, size))


def expect(seen: Seen | None = None) -> Expected:
    return Expected(
        giver=AURELIA,
        recipient=BOREALIA,
        sequence=7,
        manifest=MANIFESTS[AURELIA],
        seen={} if seen is None else {"comity/aurelia": seen},
        policy=None,
    )


def prove(sizes: tuple[str, int, int] | None) -> bytes:
    return b"" if sizes is None else format_hashes(consistency_proof(make_store().read, *sizes[1:]))


def show(expected: Expected, *, proof: bytes | None = None, now: Instant = NOW, data: bytes = DATA) -> Shown:
    return verify_next(data, prove(find_sizes(data, expected.seen)) if proof is None else proof, expected, now=now)


def blame(refused: pytest.ExceptionInfo[ReceiptRefused]) -> str:
    return str(refused.value.facts["part"])


@pytest.mark.parametrize(("before", "after"), [(None, 11), (3, 11), (10, 11), (11, 11), (15, 15)])
def test_the_largest_checkpoint_that_was_seen_is_remembered(before: int | None, after: int) -> None:
    seen = None if before is None else see(before)
    shown = show(expect(seen))
    assert (shown.before, shown.seen.size) == (seen, after)
    assert shown.seen.root == root_hash(make_store().read, after)


@pytest.mark.parametrize("before", [3, 10, 11, 15])
def test_another_history_is_refused_whatever_the_proof(before: int) -> None:
    other = TileStore([[leaf_hash(b"another history %d" % number) for number in range(20)]])
    sizes = find_sizes(DATA, {"comity/aurelia": see(before, other)})
    for tree in (other, make_store()):
        proof = b"" if sizes is None else format_hashes(consistency_proof(tree.read, *sizes[1:]))
        with pytest.raises(ReceiptRefused) as refused:
            show(expect(see(before, other)), proof=proof)
        assert blame(refused) == "consistency"


def test_what_is_given_under_an_agreement_is_in_the_log_that_was_seen_for_it() -> None:
    """A giver that would show one history in a new log each time is refused at the second."""
    terms = show(expect()).verified.terms
    bound = replace(expect(), bound={terms: "comity/aurelia/0123456789abcdef"})
    with pytest.raises(ReceiptRefused, match="under this agreement is in comity/aurelia/0123456789abcdef"):
        show(bound)
    assert show(replace(expect(), bound={terms: "comity/aurelia", Digest("ab" * 32): "x"})).seen.size == 11


def test_a_log_that_ended_shows_no_tree_beyond_its_end() -> None:
    with pytest.raises(ReceiptRefused, match="ended with 10 entries, and it shows one of 11") as refused:
        show(replace(expect(), ended={"comity/aurelia": 10}))
    assert blame(refused) == "log"
    assert show(replace(expect(), ended={"comity/aurelia": 11, "comity/aurelia/0123456789abcdef": 1})).seen.size == 11


def test_what_was_seen_of_another_log_is_no_measure() -> None:
    expected = replace(expect(), seen={"comity/aurelia/0123456789abcdef": see(15)})
    assert find_sizes(DATA, expected.seen) is None
    assert show(expected).before is None


@pytest.mark.parametrize("proof", [b"", b"nonsense", b"AAAA\n", prove(("", 3, 12)), prove(("", 3, 11))[:-1]])
def test_a_proof_that_is_none_is_refused(proof: bytes) -> None:
    with pytest.raises(ReceiptRefused) as refused:
        show(expect(see(3)), proof=proof)
    assert blame(refused) == "consistency"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"sequence": 6}, "sequence"),
        ({"sequence": 8}, "sequence"),
        ({"recipient": MERIDIA}, "recipient"),
        ({"manifest": MANIFESTS[BOREALIA]}, "checkpoint"),
    ],
)
def test_a_receipt_that_is_not_the_one_expected_is_refused(change: dict[str, object], part: str) -> None:
    with pytest.raises(ReceiptRefused) as refused:
        show(replace(expect(), **change))  # type: ignore[arg-type]
    assert blame(refused) == part


def test_a_manifest_that_ran_out_shows_nothing() -> None:
    show(expect(), now=Instant(EXPIRES - 1))
    with pytest.raises(ReceiptRefused, match="ran out"):
        show(expect(), now=EXPIRES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"terms": b"x" * (MAX_DOCUMENT_BYTES + 1)}, "its terms have 262145 bytes"),
        ({"leaf_data": b"x" * (65 * 1024)}, "beside its terms and its listing"),
        ({"content": b"x" * (65 * 1024)}, "beside its terms and its listing"),
        ({"proof": replace(receipt().proof, checkpoint=b"x" * (65 * 1024))}, "beside its terms and its listing"),
    ],
)
def test_a_receipt_that_is_longer_than_one_can_be_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ReceiptRefused, match=said) as refused:
        verify_next(replace(parse_receipt(DATA), **change), b"", expect(), now=NOW)
    assert blame(refused) == "receipt"


def test_what_is_no_receipt_is_refused() -> None:
    with pytest.raises(ReceiptRefused) as refused:
        show(expect(), data=b"{}", proof=b"")
    assert blame(refused) == "receipt"


# --- pages --------------------------------------------------------------------------------------------------------


def take(page: bytes, *, terms: Digest = TERMS.hash, channel: str = "aurelia") -> None:
    verify_page(show(expect()).verified, page, terms=terms, channel=channel)


def join(objects: Sequence[bytes]) -> bytes:
    return b'{"objects":[' + b",".join(objects) + b"]}"


def test_the_page_that_is_listed_is_taken() -> None:
    take(PAGE)
    take(join(OBJECTS))


@pytest.mark.parametrize(
    "page",
    [
        join(OBJECTS[:2]),
        join([*OBJECTS, OBJECTS[0]]),
        join([OBJECTS[1], OBJECTS[0], OBJECTS[2]]),
        join([OBJECTS[0] + b" ", OBJECTS[1].replace(b"1", b"2"), OBJECTS[2]]),
        b"{}",
    ],
)
def test_another_page_is_refused(page: bytes) -> None:
    with pytest.raises(ReceiptRefused) as refused:
        take(page)
    assert blame(refused) == "listing"


@pytest.mark.parametrize(("terms", "channel"), [(Digest("0" * 64), "aurelia"), (TERMS.hash, "borealia")])
def test_what_was_given_under_other_terms_is_refused(terms: Digest, channel: str) -> None:
    with pytest.raises(ReceiptRefused) as refused:
        take(PAGE, terms=terms, channel=channel)
    assert blame(refused) == "terms"


def test_a_page_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ReceiptRefused) as refused:
        take(PAGE[:-1])
    assert blame(refused) == "page"


def test_a_manifest_of_ids_is_no_page_of_objects() -> None:
    verified = replace(show(expect()).verified, answer=Answer.MANIFEST)
    with pytest.raises(ReceiptRefused) as refused:
        verify_page(verified, PAGE, terms=TERMS.hash, channel="aurelia")
    assert blame(refused) == "listing"


def test_what_lists_the_whole_page_is_taken_for_it_byte_for_byte_alone() -> None:
    """A receipt that says something else of one object, or that it was cut, is looked into object by object."""
    parsed = parse_bundle(join([IDENTITY, IDENTITY.replace(b"000001", b"000002")]))
    objects = [item for item, _ in parsed.good]
    known = list_whole(objects)
    assert known.objects == parse_listing(known.data)
    assert parse_listing(known.data, known=known) is known.objects
    shown = show(expect()).verified
    page = join([item.data for item in objects])
    for alter, good in (
        (bytes, True),
        (lambda data: data.replace(b"000002", b"000003"), False),
        (lambda data: data.replace(b"01-01T", b"01-02T"), False),
        (lambda data: data.replace(b'"redacted":[]', b'"redacted":["name"]'), True),
    ):
        verified = replace(shown, objects=parse_listing(alter(known.data), known=known))
        verify_page(verified, page, terms=TERMS.hash, channel="aurelia", listing=known)
        if good:
            verify_objects(verified, objects, parsed.places)
            continue
        with pytest.raises(ReceiptRefused, match="listed as"):
            verify_objects(verified, objects, parsed.places)
    verified = replace(shown, objects=parse_listing(known.data.replace(objects[1].digest.encode(), b"0" * 64)))
    with pytest.raises(ReceiptRefused, match="object 1 of the page is not"):
        verify_page(verified, page, terms=TERMS.hash, channel="aurelia", listing=known)


@pytest.mark.parametrize("change", [{}, {"id": "identity--00000000-0000-4000-8000-00000000000f"}, {"version": "other"}])
def test_ids_and_versions_are_those_of_the_objects(change: dict[str, str]) -> None:
    parsed = parse_bundle(join([IDENTITY]))
    (item,) = (item for item, _ in parsed.good)
    verified = show(expect()).verified
    listed = replace(verified.objects[0], id=item.id, version=item.version, digest=sha256_digest(IDENTITY))
    verified = replace(verified, objects=(replace(listed, **change),))  # type: ignore[arg-type]
    if not change:
        verify_objects(verified, [item], parsed.places)
        return
    with pytest.raises(ReceiptRefused) as refused:
        verify_objects(verified, [item], parsed.places)
    assert blame(refused) == "listing"
