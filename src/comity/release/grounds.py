# SPDX-License-Identifier: Apache-2.0
"""Pure: what a disclosure was decided by, put on record with it, so that it can be decided again.

Terms, events and the time of a disclosure are on record anyway. Labels change with what comes in later, the policy with
its file, and a feed can begin anew: of these the grounds say which they were.

    grounds  {"floor":12,"format":"comity-grounds/1","labels":["…","…"],"of":"AAAAAQAB","policy":"…"}

`labels` are the SHA-256 of the labels' bodies; `of` names the label of each object of the listing, in its order, by its
place in `labels`: 16 bits each, the first byte first, in base64, and empty where all have the one label there is.

The grounds are this party's own. The content of a disclosure, which its recipient can open, names them by a keyed hash
(`tag_grounds`) over the time and the listing too: whoever has no key can neither read the labels from it, nor tell
whether two disclosures were decided by the same ones.

Not here: the decision (`release.decision`), and the reading of the store (`node.replay`).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack, unpack

from comity.canonical import Json, parse_signed_json
from comity.errors import MalformedError, MalformedJson
from comity.ids import Digest, Instant, parse_digest

__all__ = ["Grounds", "format_grounds", "parse_grounds", "tag_grounds"]

_FORMAT = "comity-grounds/1"
_DOMAIN = b"comity-grounds/1\n"
_FIELDS = frozenset({"floor", "format", "labels", "of", "policy"})
_PLACE_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What was decided by: the feed's floor, the label of each object, and the policy by the digest of its text.

    `of` are places in `labels`, one for each object; empty where there is one label, which all have.
    """

    floor: int
    labels: tuple[Digest, ...]
    of: tuple[int, ...]
    policy: Digest

    def label_of(self, place: int) -> Digest:
        """The digest of the label of the object at `place` in the listing.

        Raises:
            IndexError: there is none.
        """
        return self.labels[self.of[place] if self.of else 0]


def format_grounds(*, floor: int, labels: Sequence[Digest], policy: Digest) -> bytes:
    """The grounds, canonical, of objects with these labels, in the order of the listing.

    Digests and base64 hold nothing that JSON would escape.
    """
    known = sorted(set(labels))
    places = {label: place for place, label in enumerate(known)}
    packed = pack(f">{len(labels)}H", *map(places.__getitem__, labels)) if len(known) > 1 else b""
    named, of = ",".join(f'"{label}"' for label in known), base64.b64encode(packed).decode("ascii")
    return f'{{"floor":{floor},"format":"{_FORMAT}","labels":[{named}],"of":"{of}","policy":"{policy}"}}'.encode()


def parse_grounds(data: bytes) -> Grounds:
    """The grounds in canonical bytes.

    Raises:
        MalformedJson: not canonical, an unknown or missing field, or a value of the wrong kind.
    """
    value = parse_signed_json(data)
    if not isinstance(value, dict) or value.keys() != _FIELDS or value["format"] != _FORMAT:
        raise MalformedJson(f"not grounds of the format {_FORMAT}")
    match value:
        case {"floor": int(floor), "labels": list(labels), "of": str(of), "policy": str(policy)}:
            return _build(floor, labels, of, policy)
        case _:
            raise MalformedJson("a field of the grounds has a value of the wrong kind")


def tag_grounds(key: bytes, grounds: Digest, *, at: Instant, listing: Digest) -> Digest:
    """What a disclosure at that time, of that listing, names its grounds by; `grounds` is their SHA-256.

    HMAC-SHA-256 over a domain line, the time in microseconds, both digests, and a newline behind each.
    """
    said = f"{at}\n{listing}\n{grounds}\n".encode("ascii")
    return Digest(hmac.new(key, _DOMAIN + said, hashlib.sha256).hexdigest())


def _build(floor: int, labels: Sequence[Json], of: str, policy: str) -> Grounds:
    try:
        packed = base64.b64decode(of, validate=True)
        found = tuple(parse_digest(label) for label in labels if isinstance(label, str))
        named = parse_digest(policy)
    except (binascii.Error, MalformedError) as error:
        raise MalformedJson(f"a field of the grounds is wrong: {error}") from error
    if len(packed) % _PLACE_BYTES or len(found) < len(labels):
        raise MalformedJson("the labels of the grounds, or the places in them, are not what they should be")
    places = unpack(f">{len(packed) // _PLACE_BYTES}H", packed)
    if not found or any(place >= len(found) for place in places):
        raise MalformedJson("the grounds name a label that is not among them")
    return Grounds(floor=floor, labels=found, of=places, policy=named)
