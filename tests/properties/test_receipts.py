# SPDX-License-Identifier: Apache-2.0
"""Any bytes give a receipt, a proof or an acknowledgement, or a named error; whoever edits one is found out."""

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.canonical import Json, canonical_bytes
from comity.errors import MalformedError, MalformedReceipt, ReceiptRefused
from comity.ids import Digest, Instant
from comity.release.acknowledgement import Acknowledgement, parse_acknowledgement, sign_acknowledgement
from comity.release.receipt import find_handling, format_receipt, parse_receipt, verify_receipt
from comity.tlog.proof import LogProof, format_hashes, format_proof, parse_hashes, parse_proof
from tests.parties import AURELIA, BOREALIA, MANIFESTS
from tests.receipts import receipt
from tests.signers import SeedSigner

RECEIPT = format_receipt(receipt())
PROOF = format_proof(receipt().proof)
ACKNOWLEDGEMENT = sign_acknowledgement(
    Acknowledgement(
        giver=AURELIA, recipient=BOREALIA, sequence=3, leaf=Digest("0" * 64), unreceived=0, at=Instant(1_790_000_000)
    ),
    [SeedSigner("borealia log")],
)
HASH = st.binary(min_size=32, max_size=32)


@st.composite
def edited(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with some cut out, put in elsewhere, doubled or overwritten."""
    start = draw(st.integers(0, len(data)))
    stop = draw(st.integers(start, min(len(data), start + 40)))
    new = draw(
        st.binary(max_size=12) | st.just(data[start:stop] * 2) | st.sampled_from([b"", b'"', b"\\n", b"null", b"{"])
    )
    return data[:start] + new + data[stop:]


@pytest.mark.parametrize(
    ("parse", "good"),
    [
        (parse_receipt, RECEIPT),
        (parse_proof, PROOF),
        (parse_hashes, format_hashes([bytes(32)] * 3)),
        (parse_acknowledgement, ACKNOWLEDGEMENT),
    ],
)
@given(data=st.data())
def test_any_bytes_give_a_value_or_a_named_error(
    parse: Callable[[bytes], object], good: bytes, data: st.DataObject
) -> None:
    for given_bytes in (data.draw(st.binary(max_size=200)), data.draw(edited(good))):
        with suppress(MalformedError):
            parse(given_bytes)


@settings(max_examples=400)
@given(edited(RECEIPT))
def test_an_edited_receipt_verifies_only_where_nothing_was_changed_but_lines_that_nobody_asked_for(data: bytes) -> None:
    try:
        read = parse_receipt(data)
        verified = verify_receipt(read, manifests=[MANIFESTS[AURELIA]])
        if read.terms is not None:
            find_handling(verified, read.terms)
    except (MalformedReceipt, ReceiptRefused):
        return
    # Signature lines by keys that are not known are passed over (C2SP signed-note). Nothing else may differ.
    known = json.loads(RECEIPT)
    said: dict[str, Json] = json.loads(data)
    own = str(known["proof"]).split("— ")[1]
    assert canonical_bytes({**said, "proof": known["proof"]}) == RECEIPT
    assert own in str(said["proof"])


@given(
    st.integers(0, 2**63 - 2),
    st.lists(HASH, max_size=63),
    st.binary(min_size=1, max_size=40) | st.none(),
    st.binary(max_size=80),
)
def test_a_proof_is_read_as_it_was_written(
    index: int, hashes: list[bytes], extra: bytes | None, checkpoint: bytes
) -> None:
    proof = LogProof(index=index, hashes=tuple(hashes), checkpoint=checkpoint, extra=extra)
    assert parse_proof(format_proof(proof)) == proof
    assert parse_hashes(format_hashes(hashes)) == tuple(hashes)
