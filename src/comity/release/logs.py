# SPDX-License-Identifier: Apache-2.0
"""Pure: what the log of the house says of the logs of relationships.

    opening  {"agreement":"…","format":"comity-log-opening/1","origin":"comity/aurelia/9f86d081884c7d65",
              "recipient":"borealia"}
    heads    {"format":"comity-log-heads/1","heads":[{"origin":"…","root":"…","size":7}]}

The opening names a log with the act whose first entry it gets, so that none can be missing from what an overseer reads.
Heads are named with the next act that is put into the house's log: whatever is in a log of a relationship up to there
came before that act or with it, and can be neither taken out nor put in later.

The name of a log is a keyed hash over what it is of, under the secret of the giver's store: so it tells nobody
anything, and a copy of the store that goes on apart from it gives the same log the same name, in which two histories
are a fork. It depends on the name of the house's log, which is another one after a recovery.

Not here: that the logs are as they are named (`audit`).
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from comity.canonical import Json, canonical_bytes, parse_signed_json
from comity.errors import MalformedError, MalformedJson
from comity.ids import AgreementId, PartyId, parse_digest, parse_party_id
from comity.release.disclosure import EntryType, Leaf
from comity.tlog.origin import TOKEN_BYTES, next_origin, parse_origin

__all__ = [
    "MAX_HEADS",
    "LogOpening",
    "NamedHead",
    "derive_origin",
    "format_heads",
    "format_opening",
    "parse_heads",
    "parse_opening",
]

MAX_HEADS = 1_000
"""In one entry; where more logs have grown there are several."""

_NAME = "comity-log-name/1"
_OPENING = "comity-log-opening/1"
_HEADS = "comity-log-heads/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOpening:
    """A log that was opened, and for which relationship."""

    origin: str
    agreement: AgreementId
    recipient: PartyId


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedHead:
    """The head of a log, without its signature."""

    origin: str
    size: int
    root: bytes


def derive_origin(key: bytes, *, party: PartyId, house: str, agreement: AgreementId, recipient: PartyId) -> str:
    """The name of the log of a relationship of `party`, whose house's log is called `house`."""
    said = f"{_NAME}\n{house}\n{agreement}\n{recipient}\n"
    return next_origin(party, hmac.digest(key, said.encode(), "sha256")[:TOKEN_BYTES])


def format_opening(opening: LogOpening) -> bytes:
    """The content of an entry that opens a log, canonical."""
    return canonical_bytes(
        {
            "format": _OPENING,
            "origin": opening.origin,
            "agreement": opening.agreement,
            "recipient": opening.recipient,
        }
    )


def parse_opening(leaf: Leaf, content: bytes) -> LogOpening | None:
    """The log that an entry with this leaf and content opens; None for every other type.

    Raises:
        MalformedJson: it is of the type and opens none that this version knows.
    """
    if leaf.type is not EntryType.LOG_OPENING:
        return None
    match parse_signed_json(content):
        case {
            "format": "comity-log-opening/1",
            "origin": str(origin),
            "agreement": str(agreement),
            "recipient": str(recipient),
            **rest,
        } if not rest:
            try:
                parse_origin(origin)
                return LogOpening(
                    origin=origin,
                    agreement=AgreementId(parse_digest(agreement)),
                    recipient=parse_party_id(recipient),
                )
            except MalformedError as error:
                raise MalformedJson(f"the opening of a log is wrong: {error.detail}") from error
        case _:
            raise MalformedJson(f"not the opening of a log of the format {_OPENING}")


def format_heads(heads: Iterable[NamedHead]) -> bytes:
    """The content of an entry that names heads, canonical."""
    listed: list[Json] = [{"origin": head.origin, "size": head.size, "root": head.root.hex()} for head in heads]
    return canonical_bytes({"format": _HEADS, "heads": listed})


def parse_heads(leaf: Leaf, content: bytes) -> tuple[NamedHead, ...]:
    """The heads that an entry with this leaf and content names; none for every other type.

    Raises:
        MalformedJson: it is of the type and names none that this version knows, or as many as the leaf does not count.
    """
    if leaf.type is not EntryType.LOG_HEADS:
        return ()
    match parse_signed_json(content):
        case {"format": "comity-log-heads/1", "heads": list(listed), **rest} if not rest:
            heads = tuple(map(_read_head, listed))
        case _:
            raise MalformedJson(f"not heads of logs of the format {_HEADS}")
    if not heads or len(heads) != leaf.count or len({head.origin for head in heads}) < len(heads):
        raise MalformedJson("the heads that are named are none, twice the same, or not as many as the leaf counts")
    return heads


def _read_head(value: Json) -> NamedHead:
    match value:
        case {"origin": str(origin), "size": int(size), "root": str(root), **rest} if (
            not rest and size > 0 and not isinstance(size, bool)
        ):
            try:
                parse_origin(origin)
                return NamedHead(origin=origin, size=size, root=bytes.fromhex(parse_digest(root)))
            except MalformedError as error:
                raise MalformedJson(f"the head of a log is wrong: {error.detail}") from error
        case _:
            raise MalformedJson("the head of a log has origin, size and root")
