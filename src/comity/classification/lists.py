# SPDX-License-Identifier: Apache-2.0
"""Pure: lists of subjects, version by version: who stands on one, by which names; what a next version changes.

    {"format": "comity-subject-list/1", "list": "unsc", "version": "2026-03-01",
     "entries": [{"subject": "unsc:QDe.901", "kind": "entity", "names": ["Marrow Ford"],
                  "aliases": [{"name": "MF Group", "quality": "good"}, {"name": "The Ford", "quality": "low"}]}]}

The list is the scheme of its subjects. Versions are texts that sort in the order of time, such as dates. Whoever is on
no later version is delisted: absence says it, and nothing else does. An alias of low quality is kept and shown, and
selects nobody.

What is said of persons here is no more than what tells them apart on the list. Not here: what follows from a delisting
(`node.lists`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from comity.agreement.reader import Reader
from comity.canonical import Json, Limits, canonical_bytes, parse_json, sha256_digest
from comity.classification.rules import fold_name
from comity.classification.traits import CLAUSE, is_trait_alone
from comity.errors import MalformedJson, MalformedRequest
from comity.ids import Digest
from comity.stix.tags import VOCABULARIES

__all__ = [
    "LIST_FORMAT",
    "Alias",
    "Changes",
    "Entry",
    "SubjectList",
    "compare_lists",
    "format_entry",
    "index_names",
    "is_called",
    "parse_entry",
    "parse_subject_list",
]

LIST_FORMAT = "comity-subject-list/1"
_MAX_ENTRIES = 20_000
_MAX_NAMES = 100
_LIMITS = Limits(max_bytes=32 << 20, max_depth=8, max_items=1_000_000)
_KINDS = ("entity", "individual")
_QUALITIES = ("good", "low")


@dataclass(frozen=True, slots=True, order=True)
class Alias:
    """Another name, and whether it is good enough to select by."""

    name: str
    good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who stands on a list under one reference."""

    subject: str
    kind: str
    names: tuple[str, ...]
    aliases: tuple[Alias, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectList:
    """One version of a list, by the SHA-256 of its canonical form; by subject entries, and the form of each."""

    list: str
    version: str
    digest: Digest
    entries: Mapping[str, Entry]
    forms: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a version of a list says otherwise than the one before: subjects, sorted."""

    listed: tuple[str, ...]
    delisted: tuple[str, ...]
    changed: tuple[str, ...]


def parse_subject_list(data: bytes) -> SubjectList:
    """The version of a list that `data` is.

    Raises:
        MalformedRequest: what is wrong, where, and what is allowed there. So is an entry of which no name says more
            than a religion or an ethnicity: it would be no group on a list.
    """
    try:
        value = parse_json(data, limits=_LIMITS)
    except MalformedJson as error:
        raise MalformedRequest(f"not a list of subjects: {error.detail}", where=error.where) from error
    reader = Reader(value, "", MalformedRequest).open()
    if reader.text("format") != LIST_FORMAT:
        raise reader.refuse("format", f"must be {LIST_FORMAT!r}")
    scheme, version = reader.label("list"), reader.text("version", most=64)
    entries: dict[str, Entry] = {}
    for item in reader.items("entries", least=1, most=_MAX_ENTRIES):
        entry = _read_entry(item, scheme)
        if entry.subject in entries:
            raise item.refuse("subject", f"{entry.subject} stands on the list twice")
        entries[entry.subject] = entry
    reader.close()
    digest = sha256_digest(canonical_bytes(value))
    forms = {subject: format_entry(entry) for subject, entry in entries.items()}
    return SubjectList(list=scheme, version=version, digest=digest, entries=entries, forms=forms)


def compare_lists(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Changes:
    """What the entries `after` say otherwise than those `before`, each in its canonical form."""
    return Changes(
        listed=tuple(sorted(after.keys() - before.keys())),
        delisted=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
    )


def index_names(entries: Iterable[Entry]) -> dict[str, frozenset[str]]:
    """The subjects that have a name, by it; left out are aliases of low quality, and what says what many people are."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        for name in (*entry.names, *(alias.name for alias in entry.aliases if alias.good)):
            if not is_trait_alone(name):
                found.setdefault(fold_name(name), set()).add(entry.subject)
    return {name: frozenset(subjects) for name, subjects in found.items()}


def is_called(entry: Mapping[str, Json], wanted: str) -> bool:
    """Whether `wanted` stands in the subject, a name or an alias of an entry in its JSON form; capitals do not count.

    It is for people who look through a list: an alias of low quality counts here too.
    """
    folded, aliases, names = fold_name(wanted), entry["aliases"], entry["names"]
    texts: list[Json] = [entry["subject"], *(names if isinstance(names, list) else [])]
    texts += [item["name"] for item in (aliases if isinstance(aliases, list) else []) if isinstance(item, dict)]
    return any(folded in fold_name(str(text)) for text in texts)


def format_entry(entry: Entry) -> bytes:
    """The canonical form of an entry."""
    aliases: list[Json] = [{"name": item.name, "quality": _QUALITIES[not item.good]} for item in entry.aliases]
    return canonical_bytes(
        {"subject": entry.subject, "kind": entry.kind, "names": list[Json](entry.names), "aliases": aliases}
    )


def parse_entry(data: bytes) -> Entry:
    """The entry whose canonical form `data` is.

    Raises:
        MalformedRequest: it is none.
    """
    try:
        reader = Reader(parse_json(data, limits=_LIMITS), "", MalformedRequest)
    except MalformedJson as error:
        raise MalformedRequest(f"not an entry of a list: {error.detail}", where=error.where) from error
    subject = reader.open().text("subject")
    return _read_entry(reader, subject.partition(":")[0])


def _read_entry(reader: Reader, scheme: str) -> Entry:
    item = reader.open()
    subject = item.text("subject")
    if not VOCABULARIES["subjects"][0](subject) or subject.partition(":")[0] != scheme:
        raise item.refuse("subject", f"{subject[:80]!r} is not of the form {scheme}:reference")
    names = tuple(sorted(item.texts("names", least=1)))
    aliases = (
        tuple(sorted(map(_read_alias, item.items("aliases", least=0, most=_MAX_NAMES))))
        if (item.has("aliases"))
        else ()
    )
    entry = Entry(subject=subject, kind=item.word("kind", _KINDS), names=names, aliases=aliases)
    item.close()
    if all(map(is_trait_alone, names)):
        raise item.refuse("names", f"{names[0][:80]!r} is everybody of a religion or an ethnicity ({CLAUSE})")
    return entry


def _read_alias(reader: Reader) -> Alias:
    item = reader.open()
    alias = Alias(item.text("name"), item.word("quality", _QUALITIES) == "good")
    item.close()
    return alias
