# SPDX-License-Identifier: Apache-2.0
"""Writes the vectors beside it: `python -m tests.vectors.terms.make`.

Each file holds one document that differs in one thing from a good one: {"desc", "in": {"document"}, "expect"}. The
document is text, so that white space, a float or a repeated key can be shown; `expect` is the terms hash of a good
document, or the code of the error and the JSON pointer (or line:column) that it names.
"""

import json
from pathlib import Path

from comity.canonical import Json, sha256_digest
from tests.vectors.terms.changes import (
    GOOD,
    HASH,
    Case,
    at,
    change_document,
    change_text,
    drop_field,
    repeat,
    set_field,
    set_in,
)
from tests.vectors.terms.duties import DUTIES

__all__ = ["FOLDER", "vectors"]

FOLDER = Path(__file__).parent
_CASES: dict[str, Case] = {
    "ok": ("the document that the others are made from", GOOD.document.decode(), ""),
    "ok-second-version": (
        "a later version",
        change_document(lambda v: v.update(version=2, agreement=HASH, supersedes=HASH)),
        "",
    ),
    "ok-no-end": ("no end of validity", set_field("validity", {"from": "2026-01-01T00:00:00Z"}), ""),
    "ok-own-type": ("a type of one's own", set_in("channels", 0, types=["x-ledger-entry"]), ""),
    "ok-listed": (
        "a channel that lists who may be told",
        set_in("channels", 0, onward="listed", releasable_to=["meridia"]),
        "",
    ),
    "agreement-without-supersedes": (
        "version 2 without what it supersedes",
        change_document(lambda v: v.update(version=2, agreement=HASH)),
        "/version",
    ),
    "basis-force-unknown": (
        "a force that is not in the list",
        set_in("legal_bases", 0, force="binds"),
        "/legal_bases/0/force",
    ),
    "basis-kind-unknown": (
        "a kind of legal basis that is not in the list",
        set_in("legal_bases", 0, kind="custom"),
        "/legal_bases/0/kind",
    ),
    "basis-none": ("no legal basis at all", set_field("legal_bases", []), "/legal_bases"),
    "basis-of-a-stranger": (
        "a legal basis of a party that is not in the agreement",
        set_in("legal_bases", 0, party="meridia"),
        "/legal_bases/0/party",
    ),
    "basis-runs-backwards": (
        "a basis that ends before it begins",
        set_in("legal_bases", 0, valid_from="2027-01-01T00:00:00Z", valid_until="2026-01-01T00:00:00Z"),
        "/legal_bases/0/valid_until",
    ),
    "channel-id-in-capitals": (
        "a channel id with a capital letter",
        set_in("channels", 0, id="Main"),
        "/channels/0/id",
    ),
    "channel-id-twice": ("two channels with the same id", set_in("channels", 1, id="aurelia"), "/channels"),
    "channels-none": ("no channel", set_field("channels", []), "/channels"),
    "channels-too-many": ("65 channels", repeat("channels", 65), "/channels"),
    "float": ("a number with a fraction", change_text('"version":1', '"version":1.0'), "/version"),
    "form-unknown": ("a form that is not in the list", set_field("form", "gentlemens_agreement"), "/form"),
    "format-of-later": ("the format of a later version", set_field("format", "comity-terms/2"), "/format"),
    "framework-excluded": ("a framework that is also excluded", set_field("framework", "coalition-dawn"), "/framework"),
    "giver-receives": (
        "the giver among its own receivers",
        set_in("channels", 0, receivers=["aurelia", "borealia"]),
        "/channels/0/receivers",
    ),
    "giver-a-stranger": ("a giver that is not a party", set_in("channels", 0, giver="meridia"), "/channels/0/giver"),
    "hidden-character": (
        "a title with a character that turns the direction of the text",
        set_field("title", "Exchange \u202eno"),
        "/title",
    ),
    "integer-as-text": ("a version that is text", set_field("version", "1"), "/version"),
    "key-twice": ("a field twice", change_text('"version":1}', '"version":1,"version":1}'), "/version"),
    "listed-without-a-list": (
        "onward is listed, and nobody is",
        set_in("channels", 0, onward="listed"),
        "/channels/0/releasable_to",
    ),
    "manifest-short": (
        "a manifest digest that is cut short",
        set_in("parties", 0, manifest="7" * 63),
        "/parties/0/manifest",
    ),
    "marking-unknown": (
        "a marking that nobody can let through",
        set_in("channels", 0, markings=["unresolved-reference"]),
        "/channels/0/markings",
    ),
    "nfd": ("text that is not in Unicode form NFC", change_text("Ashfall", "Ashfa\u0308ll"), "/title"),
    "not-canonical": ("white space between members", change_text(',"form"', ', "form"'), "1:415"),
    "null": ("a field that is null", change_text('"version":1}', '"version":null}'), "/version"),
    "onward-unknown": (
        "an onward rule that is not in the list",
        set_in("channels", 0, onward="community"),
        "/channels/0/onward",
    ),
    "party-alone": ("one party only", change_document(lambda v: v.update(parties=[at(v, "parties", 0)])), "/parties"),
    "party-id-with-space": ("a party id with a space", set_in("parties", 0, id="aure lia"), "/parties/0/id"),
    "party-twice": (
        "a party twice",
        change_document(lambda v: v.update(parties=[at(v, "parties", 0)] * 2)),
        "/parties",
    ),
    "party-without-manifest": (
        "a party without the digest of its manifest",
        set_in("parties", 0, manifest=None),
        "/parties/0/manifest",
    ),
    "parties-too-many": ("33 parties", repeat("parties", 33), "/parties"),
    "permitted-actions-unknown": (
        "an action that is not one of the five",
        set_field("permitted_actions", "all"),
        "/permitted_actions",
    ),
    "person-class-unknown": (
        "a class of persons that is not in the list",
        set_in("channels", 0, person_classes=["believer"]),
        "/channels/0/person_classes",
    ),
    "purpose-none": ("no purpose", set_field("purposes", []), "/purposes"),
    "purpose-unknown": ("a purpose that is not in the list", set_field("purposes", ["targeting"]), "/purposes"),
    "receiver-a-stranger": (
        "a receiver that is not a party",
        set_in("channels", 0, receivers=["meridia"]),
        "/channels/0/receivers",
    ),
    "receiver-none": ("nobody receives", set_in("channels", 0, receivers=[]), "/channels/0/receivers"),
    "region-in-small-letters": (
        "a region in small letters",
        set_in("channels", 0, regions=["iq"]),
        "/channels/0/regions",
    ),
    "region-none": ("no region", set_in("channels", 0, regions=[]), "/channels/0/regions"),
    "region-unknown": (
        "a region without an ISO 3166-1 code",
        set_in("channels", 0, regions=["XK"]),
        "/channels/0/regions",
    ),
    "releasable-without-listed": (
        "a list of whom to tell where nobody may be told",
        set_in("channels", 0, releasable_to=["meridia"]),
        "/channels/0/releasable_to",
    ),
    "subject-of-unknown-scheme": (
        "a subject of an unknown scheme",
        set_in("channels", 0, subjects=["religion:any"]),
        "/channels/0/subjects",
    ),
    "subject-without-scheme": (
        "a subject without a scheme",
        set_in("channels", 0, subjects=["QDe.901"]),
        "/channels/0/subjects",
    ),
    "subject-twice": (
        "a subject twice",
        set_in("channels", 0, subjects=["unsc:QDe.901", "unsc:QDe.901"]),
        "/channels/0/subjects",
    ),
    "subjects-too-many": (
        "1,001 subjects",
        set_in("channels", 0, subjects=[f"national:n{n}" for n in range(1001)]),
        "/channels/0/subjects",
    ),
    "text-too-long": ("a title of 4,001 characters", set_field("title", "a" * 4001), "/title"),
    "title-missing": ("no title", drop_field("title"), "/title"),
    "title-empty": ("an empty title", set_field("title", ""), "/title"),
    "tlp-unknown": (
        "a TLP label of the older version",
        set_in("channels", 0, tlp_ceiling="white"),
        "/channels/0/tlp_ceiling",
    ),
    "tlp-unmarked": (
        "a ceiling that would let unmarked objects through",
        set_in("channels", 0, tlp_ceiling="unmarked"),
        "/channels/0/tlp_ceiling",
    ),
    "type-misspelt": (
        "a type that STIX 2.1 does not know",
        set_in("channels", 0, types=["indicater"]),
        "/channels/0/types",
    ),
    "unknown-clause": ("a clause that nobody knows", set_in("channels", 0, weather="fair"), "/channels/0/weather"),
    "unknown-field": ("a field that nobody knows", set_field("colour", "green"), "/colour"),
    "validity-backwards": (
        "an end before the beginning",
        set_field("validity", {"from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        "/validity/until",
    ),
    "validity-local-time": (
        "a time with an offset",
        set_field("validity", {"from": "2026-01-01T00:00:00+03:00"}),
        "/validity/from",
    ),
    "validity-no-such-day": (
        "a day that does not exist",
        set_field("validity", {"from": "2026-02-30T00:00:00Z"}),
        "/validity/from",
    ),
    "version-one-with-supersedes": (
        "version 1 that supersedes something",
        change_document(lambda v: v.update(agreement=HASH, supersedes=HASH)),
        "/version",
    ),
    "version-two-without-supersedes": (
        "version 2 that says nothing of the one before",
        set_field("version", 2),
        "/version",
    ),
    "version-zero": ("version 0", set_field("version", 0), "/version"),
}


def vectors() -> dict[str, bytes]:
    """The content of every file by its name."""
    return {f"{name}.json": _format(*case) for name, case in (_CASES | DUTIES).items()}


def _format(desc: str, document: str, where: str) -> bytes:
    good: dict[str, Json] = {"terms": sha256_digest(document.encode())}
    expect = {"error": "malformed-terms", "where": where} if where else good
    vector = {"desc": desc, "in": {"document": document}, "expect": expect}
    return (json.dumps(vector, ensure_ascii=True, indent=1) + "\n").encode()


def main() -> None:
    """Write every file, and take away what is no vector any more."""
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, content in vectors().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
