# SPDX-License-Identifier: Apache-2.0
"""Fictional MISP events for tests."""

import json

from comity.canonical import Json

Fields = dict[str, Json]

GROUP = "5a9f9c3e-0b7c-4a2b-9a39-0f3a0f6c1c11"
ORGANISATION = "7d1f6a54-3c41-4d8e-8f0e-2f5b6a7c8d90"
EVENT = "0f6b0c8e-9d8e-4f0b-8c6e-1f2a3b4c5d60"


def name_part(number: int) -> str:
    """The UUID of a part."""
    return f"00000000-0000-4000-8000-{number:012d}"


def make_attribute(number: int, **more: Json) -> Fields:
    """An attribute that is an address."""
    plain: Fields = {"uuid": name_part(number), "type": "ip-dst", "category": "Network activity", "to_ids": True}
    return plain | {"value": f"198.51.100.{number}", "timestamp": "1603642920", "distribution": "5"} | more


def make_object(number: int, *attributes: Fields, **more: Json) -> Fields:
    """An object that is a file."""
    plain: Fields = {"uuid": name_part(number), "name": "file", "meta-category": "file", "timestamp": "1603642920"}
    return plain | {"distribution": "5", "Attribute": list(attributes)} | more


def make_filename(number: int, **more: Json) -> Fields:
    """The attribute of such an object."""
    name: Fields = {
        "type": "filename",
        "object_relation": "filename",
        "category": "Payload delivery",
        "value": f"{number}.exe",
    }
    return make_attribute(number) | name | more


def make_event(*attributes: Fields, objects: tuple[Fields, ...] = (), **more: Json) -> Fields:
    """A published event for all communities, with no tags."""
    plain: Fields = {"uuid": EVENT, "info": "Relays at Marrow Ford", "date": "2026-03-03", "timestamp": "1603642920"}
    organisation: Json = {"name": "Marrow Ford CERT", "uuid": ORGANISATION}
    levels: Fields = {"distribution": "3", "published": True, "threat_level_id": "2", "analysis": "2"}
    parts: Fields = {"Orgc": organisation, "Org": organisation, "Attribute": list(attributes), "Object": list(objects)}
    return plain | levels | parts | {"Tag": []} | more


def tag(*names: str) -> list[Json]:
    """Tags of these names."""
    return [{"name": name} for name in names]


def write(*events: Fields) -> bytes:
    """The file that MISP's API answers with."""
    return json.dumps({"response": [{"Event": event} for event in events]}).encode()
