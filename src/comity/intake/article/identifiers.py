# SPDX-License-Identifier: Apache-2.0
"""Pure: ids that follow from what an object is, so that the same article read again gives the same objects.

An SCO has the id that STIX 2.1 §2.9 derives from its properties. Whatever else is drafted has one derived from the
article and what it stands for there: a person in two articles is two objects until people say that both are one. A state
is one object for every article that is read with the same table.
"""

import uuid
from collections.abc import Mapping
from typing import Final

from comity.canonical import Json, canonical_bytes
from comity.ids import Digest, ObjectId

__all__ = ["SCO_TYPES", "make_article_id", "make_sco_id", "make_state_id"]

_SCO: Final = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""The namespace of SCOs (STIX 2.1 §2.9)."""

_DRAFTS: Final = uuid.UUID("0d6cf2a0-6a0e-5d0f-9f43-5a5b8f2f1c75")
"""The namespace of drafts of articles, of this program alone."""

SCO_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "domain-name": ("value",),
    "email-addr": ("value",),
    "ipv4-addr": ("value",),
    "ipv6-addr": ("value",),
    "url": ("value",),
    "file": ("hashes",),
    "user-account": ("account_type", "user_id"),
}
"""The SCOs that are drafted here, with the properties that make their ids, as far as they are set here."""

_HASH_ORDER: Final = ("MD5", "SHA-1", "SHA-256", "SHA-512")


def make_sco_id(properties: Mapping[str, Json]) -> ObjectId:
    """The id of an SCO of `SCO_TYPES` by its properties (STIX 2.1 §2.9, §6)."""
    kind = str(properties["type"])
    named = {name: properties[name] for name in SCO_TYPES[kind] if name in properties}
    hashes = named.get("hashes")
    if isinstance(hashes, dict):
        first = next((name for name in _HASH_ORDER if name in hashes), None)
        named["hashes"] = {first: hashes[first]} if first is not None else dict(hashes)
    return ObjectId(f"{kind}--{uuid.uuid5(_SCO, canonical_bytes(named).decode('utf-8'))}")


def make_article_id(kind: str, article: Digest, key: str) -> ObjectId:
    """The id of what `key` stands for in one article, as an object of the type `kind`."""
    return ObjectId(f"{kind}--{uuid.uuid5(_DRAFTS, f'{article} {kind} {key}')}")


def make_state_id(key: str) -> ObjectId:
    """The id of the location of a state, a capital or a region, the same for every article."""
    return ObjectId(f"location--{uuid.uuid5(_DRAFTS, f'location {key}')}")
