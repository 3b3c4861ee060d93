# SPDX-License-Identifier: Apache-2.0
"""Pure: what a disclosure's entry says, read again: its content, and the listing that this names.

All formats that were ever written are read (`release.disclosure` writes the newest). Not here: whether they are those
that the leaf commits to (`disclosure.verify_opening`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from comity.canonical import SIGNED_LIMITS, Json, parse_json, parse_signed_json
from comity.errors import MalformedJson, MalformedRequest
from comity.ids import Digest, ObjectId, parse_digest, parse_object_id
from comity.release.disclosure import (
    DISCLOSURE_FORMAT,
    LISTING_FORMAT,
    USUAL_CONTENT,
    Answer,
    DisclosedObject,
    format_listing,
)
from comity.stix.objects import StixObject

__all__ = ["Disclosure", "Listing", "list_whole", "parse_disclosure", "parse_listing"]

_MAX_VERSION = 64
_SAID = frozenset({"answer", "channel", "epoch", "format"})
_SAID_BY = {
    "comity-disclosure/1": frozenset({"objects"}),
    "comity-disclosure/2": frozenset({"listing"}),
    DISCLOSURE_FORMAT: frozenset({"grounds", "listing"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """The content of a disclosure: which answer, in which channel, and how many events of the agreement there were.

    The objects stand in the listing with the digest `listing`; where that is None, they are `objects` themselves.
    `grounds` is the tag of what it was decided by; None in the first two formats.
    """

    answer: Answer
    channel: str
    epoch: int
    listing: Digest | None = None
    grounds: Digest | None = None
    objects: tuple[DisclosedObject, ...] = ()

    @property
    def edition(self) -> int:
        """Which of the formats it is in, counted from 1."""
        return 1 if self.listing is None else 2 if self.grounds is None else 3


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing that is known before one is read: its bytes, and the objects that they list."""

    data: bytes
    objects: tuple[DisclosedObject, ...]


def list_whole(objects: Iterable[StixObject]) -> Listing:
    """What the listing of a disclosure of these very bytes says, where nothing was removed from any of them."""
    said = [(item.id, item.version, item.digest, ()) for item in objects]
    listed = tuple([DisclosedObject(id=name, version=version, digest=digest) for name, version, digest, _ in said])
    return Listing(format_listing(said), listed)


def parse_disclosure(content: bytes) -> Disclosure:
    """The content of a disclosure.

    Raises:
        MalformedJson: not canonical, or of no format that this version knows.
    """
    usual = USUAL_CONTENT.fullmatch(content)
    if usual is not None and (usual[4] is None) == (b"disclosure/2" in content) and usual[1].decode() in {*Answer}:
        return Disclosure(
            answer=Answer(usual[1].decode()),
            channel=usual[2].decode(),
            epoch=int(usual[3]),
            listing=Digest(usual[5].decode()),
            grounds=None if usual[4] is None else Digest(usual[4].decode()),
        )
    value = parse_signed_json(content)
    written = value.get("format") if isinstance(value, dict) else None
    if not isinstance(value, dict) or value.keys() != _SAID | _SAID_BY.get(str(written), frozenset()):
        raise MalformedJson("not the content of a disclosure of a format that this version knows")
    objects = value.get("objects", [])
    match value:
        case {"answer": str(answer), "channel": str(channel), "epoch": int(epoch)} if (
            answer in {*Answer} and epoch is not True and epoch is not False and epoch >= 0
        ):
            return Disclosure(
                answer=Answer(answer),
                channel=channel,
                epoch=epoch,
                listing=_read_digest(value["listing"]) if "listing" in value else None,
                grounds=_read_digest(value["grounds"]) if "grounds" in value else None,
                objects=tuple(map(_read_listed, objects)) if isinstance(objects, list) else (),
            )
        case _:
            raise MalformedJson("a field of the content of a disclosure has a value of the wrong kind")


def parse_listing(listing: bytes, *, known: Listing | None = None) -> tuple[DisclosedObject, ...]:
    """The objects of a listing, in its order; those of `known`, where it is that one byte for byte.

    Raises:
        MalformedJson: not canonical, or not a listing.
    """
    if known is not None and listing == known.data:
        return known.objects
    match parse_json(listing, limits=SIGNED_LIMITS):
        case {"format": str(written), "objects": list(objects), **rest} if not rest and written == LISTING_FORMAT:
            listed = tuple(map(_read_listed, objects))
        case _:
            raise MalformedJson(f"not a listing of the format {LISTING_FORMAT}")
    # Written anew it is the same: many times as fast as to ask it of every value by itself.
    if format_listing((item.id, item.version, item.digest, item.redacted) for item in listed) != listing:
        raise MalformedJson("a listing that is not in its canonical form (RFC 8785)")
    return listed


def _read_id(text: str) -> ObjectId:
    try:
        return parse_object_id(text)
    except MalformedRequest as error:
        raise MalformedJson(f"an object of the listing: {error.detail}") from error


def _read_digest(value: Json) -> Digest:
    try:
        return parse_digest(str(value))
    except MalformedRequest as error:
        raise MalformedJson(f"a field of a disclosure is no digest: {error.detail}") from error


def _read_listed(value: Json) -> DisclosedObject:
    match value:
        case {
            "digest": (str() | None) as digest,
            "id": str(item),
            "redacted": list(redacted),
            "version": str(version),
            **rest,
        } if not rest and 0 < len(version) <= _MAX_VERSION and all(isinstance(name, str) for name in redacted):
            return DisclosedObject(
                id=_read_id(item),
                version=version,
                digest=None if digest is None else _read_digest(digest),
                redacted=tuple(str(name) for name in redacted),
            )
        case _:
            raise MalformedJson("an object of the listing is not id, version, digest and redacted")
