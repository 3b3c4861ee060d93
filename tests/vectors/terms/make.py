# SPDX-License-Identifier: Apache-2.0
"""Writes the vectors beside it: `python -m tests.vectors.terms.make`.

Each file holds one document that differs in one thing from a good one: {"desc", "in": {"document"}, "expect"}. The
document is text, so that white space, a float or a repeated key can be shown; `expect` is the terms hash of a good
document, or the code of the error and the JSON pointer (or line:column) that it names.
"""

import json
from collections.abc import Callable
from pathlib import Path

from comity.canonical import Json, canonical_bytes, sha256_digest
from tests.parties import AURELIA, BOREALIA, make_terms

__all__ = ["FOLDER", "vectors"]

FOLDER = Path(__file__).parent
_Table = dict[str, Json]
_GOOD = make_terms(AURELIA, BOREALIA)


def _document(change: Callable[[_Table], object]) -> str:
    value: _Table = json.loads(_GOOD.document)
    change(value)
    return canonical_bytes(value).decode()


def _text(old: str, new: str) -> str:
    """The good document with one place written otherwise."""
    document = _GOOD.document.decode()
    assert document.count(old) >= 1
    return document.replace(old, new, 1)


def _set(name: str, item: Json) -> str:
    return _document(lambda value: value.update({name: item}))


def _drop(name: str) -> str:
    return _document(lambda value: value.pop(name))


def _at(value: _Table, name: str, index: int) -> _Table:
    """The table at a place of a list of tables."""
    items = value[name]
    assert isinstance(items, list)
    item = items[index]
    assert isinstance(item, dict)
    return item


def _in(name: str, index: int, **fields: Json) -> str:
    """The good document with fields set in one table of a list; None takes a field out."""

    def change(value: _Table) -> None:
        item = _at(value, name, index)
        item.update(fields)
        for field in [field for field, given in fields.items() if given is None]:
            del item[field]

    return _document(change)


def _repeat(name: str, count: int, **fields: Json) -> str:
    def change(value: _Table) -> None:
        value[name] = [{**_at(value, name, 0), **fields} for _ in range(count)]

    return _document(change)


_HASH = "7" * 64
_CASES: dict[str, tuple[str, str, str]] = {
    "ok": ("the document that the others are made from", _GOOD.document.decode(), ""),
    "ok-second-version": (
        "a later version",
        _document(lambda v: v.update(version=2, agreement=_HASH, supersedes=_HASH)),
        "",
    ),
    "ok-no-end": ("no end of validity", _set("validity", {"from": "2026-01-01T00:00:00Z"}), ""),
    "ok-own-type": ("a type of one's own", _in("channels", 0, types=["x-ledger-entry"]), ""),
    "ok-listed": (
        "a channel that lists who may be told",
        _in("channels", 0, onward="listed", releasable_to=["meridia"]),
        "",
    ),
    "agreement-without-supersedes": (
        "version 2 without what it supersedes",
        _document(lambda v: v.update(version=2, agreement=_HASH)),
        "/version",
    ),
    "basis-force-unknown": (
        "a force that is not in the list",
        _in("legal_bases", 0, force="binds"),
        "/legal_bases/0/force",
    ),
    "basis-kind-unknown": (
        "a kind of legal basis that is not in the list",
        _in("legal_bases", 0, kind="custom"),
        "/legal_bases/0/kind",
    ),
    "basis-none": ("no legal basis at all", _set("legal_bases", []), "/legal_bases"),
    "basis-of-a-stranger": (
        "a legal basis of a party that is not in the agreement",
        _in("legal_bases", 0, party="meridia"),
        "/legal_bases/0/party",
    ),
    "basis-runs-backwards": (
        "a basis that ends before it begins",
        _in("legal_bases", 0, valid_from="2027-01-01T00:00:00Z", valid_until="2026-01-01T00:00:00Z"),
        "/legal_bases/0/valid_until",
    ),
    "channel-id-in-capitals": ("a channel id with a capital letter", _in("channels", 0, id="Main"), "/channels/0/id"),
    "channel-id-twice": ("two channels with the same id", _in("channels", 1, id="aurelia"), "/channels"),
    "channels-none": ("no channel", _set("channels", []), "/channels"),
    "channels-too-many": ("65 channels", _repeat("channels", 65), "/channels"),
    "float": ("a number with a fraction", _text('"version":1', '"version":1.0'), "/version"),
    "form-unknown": ("a form that is not in the list", _set("form", "gentlemens_agreement"), "/form"),
    "format-of-later": ("the format of a later version", _set("format", "comity-terms/2"), "/format"),
    "framework-excluded": ("a framework that is also excluded", _set("framework", "coalition-dawn"), "/framework"),
    "giver-receives": (
        "the giver among its own receivers",
        _in("channels", 0, receivers=["aurelia", "borealia"]),
        "/channels/0/receivers",
    ),
    "giver-a-stranger": ("a giver that is not a party", _in("channels", 0, giver="meridia"), "/channels/0/giver"),
    "hidden-character": (
        "a title with a character that turns the direction of the text",
        _set("title", "Exchange \u202eno"),
        "/title",
    ),
    "integer-as-text": ("a version that is text", _set("version", "1"), "/version"),
    "key-twice": ("a field twice", _text('"version":1}', '"version":1,"version":1}'), "/version"),
    "listed-without-a-list": (
        "onward is listed, and nobody is",
        _in("channels", 0, onward="listed"),
        "/channels/0/releasable_to",
    ),
    "manifest-short": (
        "a manifest digest that is cut short",
        _in("parties", 0, manifest="7" * 63),
        "/parties/0/manifest",
    ),
    "marking-unknown": (
        "a marking that nobody can let through",
        _in("channels", 0, markings=["unresolved-reference"]),
        "/channels/0/markings",
    ),
    "nfd": ("text that is not in Unicode form NFC", _text("Ashfall", "Ashfa\u0308ll"), "/title"),
    "not-canonical": ("white space between members", _text(',"form"', ', "form"'), "1:415"),
    "null": ("a field that is null", _text('"version":1}', '"version":null}'), "/version"),
    "onward-unknown": (
        "an onward rule that is not in the list",
        _in("channels", 0, onward="community"),
        "/channels/0/onward",
    ),
    "party-alone": ("one party only", _document(lambda v: v.update(parties=[_at(v, "parties", 0)])), "/parties"),
    "party-id-with-space": ("a party id with a space", _in("parties", 0, id="aure lia"), "/parties/0/id"),
    "party-twice": ("a party twice", _document(lambda v: v.update(parties=[_at(v, "parties", 0)] * 2)), "/parties"),
    "party-without-manifest": (
        "a party without the digest of its manifest",
        _in("parties", 0, manifest=None),
        "/parties/0/manifest",
    ),
    "parties-too-many": ("33 parties", _repeat("parties", 33), "/parties"),
    "permitted-actions-unknown": (
        "an action that is not one of the five",
        _set("permitted_actions", "all"),
        "/permitted_actions",
    ),
    "person-class-unknown": (
        "a class of persons that is not in the list",
        _in("channels", 0, person_classes=["believer"]),
        "/channels/0/person_classes",
    ),
    "purpose-none": ("no purpose", _set("purposes", []), "/purposes"),
    "purpose-unknown": ("a purpose that is not in the list", _set("purposes", ["targeting"]), "/purposes"),
    "receiver-a-stranger": (
        "a receiver that is not a party",
        _in("channels", 0, receivers=["meridia"]),
        "/channels/0/receivers",
    ),
    "receiver-none": ("nobody receives", _in("channels", 0, receivers=[]), "/channels/0/receivers"),
    "region-in-small-letters": ("a region in small letters", _in("channels", 0, regions=["iq"]), "/channels/0/regions"),
    "region-none": ("no region", _in("channels", 0, regions=[]), "/channels/0/regions"),
    "region-unknown": (
        "a region without an ISO 3166-1 code",
        _in("channels", 0, regions=["XK"]),
        "/channels/0/regions",
    ),
    "releasable-without-listed": (
        "a list of whom to tell where nobody may be told",
        _in("channels", 0, releasable_to=["meridia"]),
        "/channels/0/releasable_to",
    ),
    "subject-of-unknown-scheme": (
        "a subject of an unknown scheme",
        _in("channels", 0, subjects=["religion:any"]),
        "/channels/0/subjects",
    ),
    "subject-without-scheme": (
        "a subject without a scheme",
        _in("channels", 0, subjects=["QDe.901"]),
        "/channels/0/subjects",
    ),
    "subject-twice": (
        "a subject twice",
        _in("channels", 0, subjects=["unsc:QDe.901", "unsc:QDe.901"]),
        "/channels/0/subjects",
    ),
    "subjects-too-many": (
        "1,001 subjects",
        _in("channels", 0, subjects=[f"national:n{n}" for n in range(1001)]),
        "/channels/0/subjects",
    ),
    "text-too-long": ("a title of 4,001 characters", _set("title", "a" * 4001), "/title"),
    "title-missing": ("no title", _drop("title"), "/title"),
    "title-empty": ("an empty title", _set("title", ""), "/title"),
    "tlp-unknown": (
        "a TLP label of the older version",
        _in("channels", 0, tlp_ceiling="white"),
        "/channels/0/tlp_ceiling",
    ),
    "tlp-unmarked": (
        "a ceiling that would let unmarked objects through",
        _in("channels", 0, tlp_ceiling="unmarked"),
        "/channels/0/tlp_ceiling",
    ),
    "type-misspelt": (
        "a type that STIX 2.1 does not know",
        _in("channels", 0, types=["indicater"]),
        "/channels/0/types",
    ),
    "unknown-clause": ("a clause that nobody knows", _in("channels", 0, weather="fair"), "/channels/0/weather"),
    "unknown-field": ("a field that nobody knows", _set("colour", "green"), "/colour"),
    "unsupported-assurances": ("assurances, which this version would not keep", _set("assurances", []), "/assurances"),
    "unsupported-query-rules": (
        "query rules, which this version would not keep",
        _set("query_rules", {}),
        "/query_rules",
    ),
    "unsupported-response-times": (
        "response times, which this version would not keep",
        _set("response_times", {}),
        "/response_times",
    ),
    "unsupported-retention": (
        "retention, which this version would not keep",
        _set("retention", {"max": "P3Y"}),
        "/retention",
    ),
    "unsupported-sanitise": (
        "tear lines, which this version would not keep",
        _in("channels", 0, sanitise="none"),
        "/channels/0/sanitise",
    ),
    "unsupported-special-categories": (
        "special categories, for which no approver can be recorded",
        _in("channels", 0, special_categories=["health"]),
        "/channels/0/special_categories",
    ),
    "validity-backwards": (
        "an end before the beginning",
        _set("validity", {"from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        "/validity/until",
    ),
    "validity-local-time": (
        "a time with an offset",
        _set("validity", {"from": "2026-01-01T00:00:00+03:00"}),
        "/validity/from",
    ),
    "validity-no-such-day": (
        "a day that does not exist",
        _set("validity", {"from": "2026-02-30T00:00:00Z"}),
        "/validity/from",
    ),
    "version-one-with-supersedes": (
        "version 1 that supersedes something",
        _document(lambda v: v.update(agreement=_HASH, supersedes=_HASH)),
        "/version",
    ),
    "version-two-without-supersedes": ("version 2 that says nothing of the one before", _set("version", 2), "/version"),
    "version-zero": ("version 0", _set("version", 0), "/version"),
}
"""Name: (what is wrong, the document, where it is wrong; nowhere when the document is good)."""


def vectors() -> dict[str, bytes]:
    """The content of every file by its name."""
    return {f"{name}.json": _format(*case) for name, case in _CASES.items()}


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
