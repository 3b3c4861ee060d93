# SPDX-License-Identifier: Apache-2.0
"""A fictional MISP event with one of everything that a MISP user would miss."""

from comity.canonical import Json
from tests.unit.intake.misp_events import (
    EVENT,
    ORGANISATION,
    Fields,
    make_attribute,
    make_event,
    make_object,
    name_part,
    tag,
)

SEEN: Fields = {"first_seen": "2026-01-01T00:00:00.123456+00:00", "last_seen": "2026-01-02T00:00:00+00:00"}
SENSOR: Json = {"uuid": name_part(401), "name": "Sensor Desk", "id": "2"}
AT = "2026-01-05 10:00:00"


def make_cluster(number: int, kind: str, value: str, **meta: Json) -> Fields:
    """A cluster of a galaxy, with what is known of it."""
    cluster: Fields = {"uuid": name_part(number), "type": kind, "value": value, "source": "Desk", "version": "3"}
    cluster |= {"tag_name": f'misp-galaxy:{kind}="{value}"', "description": "A fictional group", "authors": ["Anna"]}
    return cluster | {"collection_uuid": name_part(number + 500), "meta": {"synonyms": ["AC", "Column"], **meta}}


def make_galaxy(number: int, kind: str, name: str, *clusters: Json) -> Fields:
    """A galaxy with some clusters."""
    plain: Fields = {"uuid": name_part(number), "name": name, "type": kind, "description": "Fictional.", "version": "3"}
    return plain | {"icon": "user-secret", "namespace": "misp", "GalaxyCluster": list(clusters)}


def make_inner(number: int, relation: str, kind: str, value: str, **more: Json) -> Fields:
    """An attribute in an object."""
    plain: Fields = {"object_relation": relation, "type": kind, "value": value, "category": "Other", "comment": "in it"}
    return make_attribute(number) | plain | {"timestamp": "1603642921", "disable_correlation": False} | more


def make_data(number: int, kind: str, about: int, **more: Json) -> Fields:
    """An analyst's note, opinion or relationship."""
    plain: Fields = {"uuid": name_part(number), "object_uuid": name_part(about), "object_type": "Attribute"}
    return plain | {"authors": "anna@example.org", "created": AT, "modified": AT, "distribution": "5"} | more


def make_sighting(number: int, kind: str) -> Fields:
    """A sighting (0), a false positive (1), an end (2)."""
    plain: Fields = {"uuid": name_part(number), "type": kind, "date_sighting": "1603642925", "source": "sensor"}
    return plain | {"Organisation": SENSOR}


def make_rich_event(**more: Json) -> Fields:
    """One of everything, marked green throughout."""
    group = make_galaxy(
        101, "threat-actor", "Threat Actor", make_cluster(111, "threat-actor", "Ashfall", country=["XX"])
    )
    first = make_attribute(
        1,
        comment="seen by the desk",
        disable_correlation=True,
        Galaxy=[group],
        Tag=tag('misp-galaxy:threat-actor="Ashfall"', "relay"),
        Sighting=[make_sighting(number, kind) for number, kind in ((301, "0"), (302, "1"), (303, "2"))],
        Note=[make_data(311, "Note", 1, note="Analyst's words", language="en")],
        Opinion=[make_data(312, "Opinion", 1, opinion="80", comment="agree")],
        Relationship=[
            make_data(
                313,
                "Relationship",
                1,
                related_object_uuid=name_part(2),
                related_object_type="Attribute",
                relationship_type="connected-to",
            )
        ],
        **SEEN,
    )
    plain = [
        make_attribute(2, to_ids=False, comment="no detection"),
        make_attribute(3, type="comment", category="Other", value="plain words", to_ids=False),
        make_attribute(5, type="ip-src|port", value="198.51.100.5|80"),
        make_attribute(6, type="target-user", category="Targeting data", value="someone", to_ids=False),
        make_attribute(
            7, type="attachment", category="External analysis", value="x.txt", data="aGVsbG8=", to_ids=False
        ),
        make_attribute(9, type="filename|md5", category="Payload delivery", value="a.exe|" + "b" * 32),
        make_attribute(12, type="campaign-name", category="Attribution", value="Night Ford", to_ids=False),
        make_attribute(13, type="sigma", category="Payload installation", value="title: x\ndetection: z"),
    ]
    malware = make_galaxy(103, "malware", "Malware", make_cluster(113, "malware", "Gravel"))
    references: list[Json] = [
        {"uuid": name_part(201), "object_uuid": name_part(21), "referenced_uuid": name_part(1), "comment": "why",
         "relationship_type": "connects-to", "timestamp": "1603642930"},
        {"uuid": name_part(202), "object_uuid": name_part(21), "referenced_uuid": name_part(31), "comment": "",
         "relationship_type": "drops", "timestamp": "1603642931"},
    ]  # fmt: skip
    objects = (
        make_object(
            21,
            make_inner(22, "filename", "filename", "one.exe", Tag=tag("in-object"), Galaxy=[malware], **SEEN),
            make_inner(23, "md5", "md5", "c" * 32, disable_correlation=True, timestamp="1603642999"),
            make_inner(24, "size-in-bytes", "size-in-bytes", "77", to_ids=False),
            ObjectReference=references,
            comment="an object",
            description="A file",
            template_uuid="688c46fb-5edb-40a3-8273-1af7923e2215",
            template_version="24",
            **SEEN,
        ),
        make_object(
            31,
            make_inner(32, "domain", "domain", "relay.example"),
            make_inner(33, "ip", "ip-dst", "198.51.100.33"),
            make_inner(34, "ip", "ip-dst", "198.51.100.34"),
            name="domain-ip",
        ),
        make_object(
            41, make_inner(42, "thing", "text", "words"), make_inner(43, "thing", "text", "words"), name="desk-thing"
        ),
        make_object(
            51, make_inner(52, "first-name", "first-name", "Odd"), make_inner(53, "last-name", "last-name", "Person"),
            name="person",
        ),
        make_object(
            71,
            make_inner(72, "from", "email-src", "a@example.org"),
            make_inner(74, "to", "email-dst", "b@example.org"),
            name="email",
        ),
    )  # fmt: skip
    technique = make_cluster(112, "mitre-attack-pattern", "Phishing - T1566", external_id=["T1566"])
    parts: Fields = {
        "Galaxy": [
            make_galaxy(102, "mitre-attack-pattern", "Attack Pattern", technique),
            make_galaxy(104, "desk-galaxy", "Desk", make_cluster(114, "desk-galaxy", "Homemade", size=["3"])),
        ],
        "EventReport": [
            {"uuid": name_part(321), "name": "What happened", "content": f"@[attribute]({name_part(1)})",
             "timestamp": "1603642920", "distribution": "5", "deleted": False},
        ],
        "Note": [make_data(331, "Note", 0, note="On the event", object_uuid=EVENT, object_type="Event")],
        "Tag": [{"name": "relay", "colour": "#ff0000"}, *tag("tlp:green", 'estimative-language:confidence="high"')],
        "threat_level_id": "1",
        "analysis": "1",
        "extends_uuid": name_part(999),
        "publish_timestamp": "1603642950",
        "Orgc": {"name": "Marrow Ford CERT", "uuid": ORGANISATION, "id": "7", "local": True},
    }  # fmt: skip
    return make_event(first, *plain, objects=objects, **{**parts, **more})
