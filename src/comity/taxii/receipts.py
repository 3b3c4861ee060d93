# SPDX-License-Identifier: Apache-2.0
"""Shell: receipts and proofs of consistency, for the party that they are about.

    Comity-Receipt: ?1                        in a request for a page: tell the number of the disclosure
    Comity-Receipt: 17                        in the answer: it is this party's disclosure 17
    GET /comity/receipts/17                   the receipt for it (comity-receipt/1)
    GET /comity/consistency/<TOKEN>/40/44     that the log of 44 entries begins with that of 40: hashes, a line each
    GET /comity/consistency/40/44             the same of the house's log, for who has receipts from it

    POST /comity/acknowledgements/            what a receiver acknowledges; its signature is its credential

The first two are given to the party that the disclosures were made to. A number that is wrong, or another's, does not
exist. The headers are structured fields (RFC 9651): a boolean and an integer.
"""

import re
from collections.abc import Iterable

from comity.errors import MalformedError, NotFoundError
from comity.ids import PartyId
from comity.node.acknowledge import take_acknowledgement
from comity.node.node import Node
from comity.node.receipts import give_consistency, give_receipt
from comity.taxii.responses import Response, respond
from comity.tlog.origin import first_origin, name_origin

__all__ = ["ACKNOWLEDGEMENTS_PATH", "answer", "is_asked", "is_receipt_path", "name_receipt", "take"]

ACKNOWLEDGEMENTS_PATH = "/comity/acknowledgements/"

_HEADER = b"comity-receipt"
_ASKED = (_HEADER, b"?1")
_PATH = re.compile(
    r"/comity/(?:receipts/(?P<sequence>[1-9][0-9]{0,17})"
    r"|consistency/(?:(?P<token>[0-9a-f]{16})/)?(?P<old>[1-9][0-9]{0,17})/(?P<new>[1-9][0-9]{0,17}))/?",
    re.ASCII,
)


def is_receipt_path(path: str) -> bool:
    """Whether a receipt or a proof could be at this path."""
    return path.startswith(("/comity/receipts/", "/comity/consistency/")) and _PATH.fullmatch(path) is not None


def is_asked(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether who asks for a page wants to know the number of its disclosure."""
    return _ASKED in headers


def name_receipt(sequence: int | None) -> tuple[tuple[bytes, bytes], ...]:
    """The header that tells it; none for a page with nothing on it, which discloses nothing."""
    return () if sequence is None else ((_HEADER, b"%d" % sequence),)


def answer(node: Node, party: PartyId, path: str) -> Response:
    """The receipt or proof at a path that `is_receipt_path`.

    Raises:
        NotFoundError: there is none for this party.
    """
    match = _PATH.fullmatch(path)
    assert match is not None  # noqa: S101 (asked before)
    if match["sequence"] is not None:
        receipt = give_receipt(node, party, int(match["sequence"]))
        return respond(200, receipt, headers={"content-type": "application/json"})
    token = match["token"]
    origin = first_origin(node.party) if token is None else name_origin(node.party, token)
    proof = give_consistency(node, party, origin, int(match["old"]), int(match["new"]))
    return respond(200, proof, headers={"content-type": "text/plain; charset=utf-8"})


def take(node: Node, body: bytes | None) -> Response:
    """An acknowledgement, on record. What is not a good one gets the answer that any path gets.

    Raises:
        NotFoundError, VerificationError: it is not one, or not for this party.
    """
    if body is None:
        raise NotFoundError("no such resource")
    try:
        take_acknowledgement(node, body)
    except MalformedError as error:
        raise NotFoundError(error.detail) from error
    return respond(202)
