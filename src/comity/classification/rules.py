# SPDX-License-Identifier: Apache-2.0
"""Pure: a rule set: conditions on the few fields that are read of an object, and what is said of those that meet them.

    format = "comity-rules/1"
    name = "harbour"

    [[rules]]
    id = "relays"
    why = "Addresses of the harbour's relays, case 12."
    [rules.when]                            # every field that is given must hold, each by one of its words
    types = ["indicator"]
    pattern_parts = ["198.51.100."]
    [rules.say]
    regions = ["IQ"]
    kinds = ["indicator"]

    [[rules]]
    id = "on-the-list"
    why = "Named on the list of the Security Council."
    [rules.when]
    named_on = "unsc"                       # a name or alias of good quality there; its subject is said of the object
    [rules.say]
    kinds = ["identity"]

A rule looks at type, names, pattern, labels, external ids, subjects and the names of files, and at nothing else. It
cannot ask for special categories of data, nor for words that say a religion or an ethnicity (`classification.traits`):
such a set is refused whole, and the refusal names the clause. What may be said includes special categories: that keeps
an object back.

Not here: which objects are held, and who applies a set (`node.rules`).
"""

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final

from comity.agreement.drafting import parse_toml, with_line
from comity.agreement.reader import Reader
from comity.agreement.recognition import Refusal
from comity.canonical import Json, canonical_bytes, parse_signed_json, sha256_digest
from comity.classification.traits import CLAUSE, find_trait, is_trait_alone
from comity.classification.words import FIELDS, check_word
from comity.errors import MalformedJson, MalformedRequest, MalformedTerms
from comity.ids import Digest
from comity.stix.tags import read_tags
from comity.vocabulary import SPECIAL_CATEGORIES, TYPE

__all__ = [
    "RULES_FORMAT",
    "Condition",
    "Facts",
    "Names",
    "Rule",
    "RuleSet",
    "Said",
    "convert_rules",
    "find_said_by",
    "fold_name",
    "parse_rules",
    "read_facts",
]

RULES_FORMAT = "comity-rules/1"
_MAX_RULES = 256
_MAX_SAID = 64
_SHORTEST_PART = 3
"""Characters of what is looked for inside of names and patterns: less is in nearly all of them."""

Names = Mapping[str, Mapping[str, frozenset[str]]]
"""Per list: the subjects that have a name, by the name as `fold_name` gives it."""

Said = tuple[str, str]
"""A field and a word of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What an object must have: of every field that is not empty one word; `named_on` is a list, or None."""

    types: frozenset[str]
    names: frozenset[str]
    name_words: frozenset[str]
    name_parts: frozenset[str]
    pattern_parts: frozenset[str]
    labels: frozenset[str]
    external_ids: frozenset[str]
    subjects: frozenset[str]
    files: frozenset[str]
    named_on: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is said of the objects that meet the condition, and why."""

    id: str
    why: str
    when: Condition
    say: frozenset[Said]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Rules under the SHA-256 of their canonical form, `text`; `lists` are the lists that they look names up on."""

    digest: Digest
    name: str
    text: bytes
    rules: tuple[Rule, ...]

    @property
    def lists(self) -> frozenset[str]:
        """The lists that names are looked up on."""
        return frozenset(rule.when.named_on for rule in self.rules if rule.when.named_on is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is read of an object; names, aliases, labels and words of names as `fold_name` gives them."""

    type: str
    names: frozenset[str]
    words: frozenset[str]
    pattern: str
    labels: frozenset[str]
    external_ids: frozenset[str]
    subjects: frozenset[str]
    files: frozenset[str]


_PROHIBITED: Final = SPECIAL_CATEGORIES | {
    "special_categories",
    "person_classes",
    "religion",
    "religions",
    "belief",
    "beliefs",
    "ethnicity",
    "ethnic_origin",
    "race",
    "nationality",
}
"""Fields that no condition may have, though somebody could wish for them."""


def convert_rules(toml: bytes) -> RuleSet | Refusal:
    """The rule set that people wrote as TOML, or why it may not be.

    Raises:
        MalformedTerms: what is wrong, with its line, and what is allowed there.
    """
    text, value = parse_toml(toml)
    try:
        return parse_rules(canonical_bytes(value))
    except MalformedTerms as error:
        raise with_line(error, text) from error


def parse_rules(document: bytes) -> RuleSet | Refusal:
    """The rule set whose canonical form `document` is, or why it may not be.

    Raises:
        MalformedTerms: a field that is missing, unknown or not of its form.
    """
    try:
        value = parse_signed_json(document)
    except MalformedJson as error:
        raise MalformedTerms(f"not rules: {error.detail}", where=error.where) from error
    if (refused := _find_prohibited(value)) is not None:
        return refused
    reader = Reader(value, "", MalformedTerms).open()
    if reader.text("format") != RULES_FORMAT:
        raise reader.refuse("format", f"must be {RULES_FORMAT!r}")
    rules = RuleSet(
        digest=sha256_digest(document),
        name=reader.label("name"),
        text=document,
        rules=tuple(_read_rule(item) for item in reader.items("rules", least=1, most=_MAX_RULES)),
    )
    reader.close()
    if len({rule.id for rule in rules.rules}) < len(rules.rules):
        raise reader.refuse("rules", "two rules have the same id")
    return next(filter(None, map(_refuse_trait, rules.rules)), rules)


def read_facts(value: dict[str, Json], *, files: Collection[str] = ()) -> Facts:
    """What rules may look at, of an object that was taken in, from files of these names."""
    names = {fold_name(text) for text in _texts([value.get("name")]) | _texts(value.get("aliases"))}
    pattern = value.get("pattern")
    references = value.get("external_references")
    return Facts(
        type=str(value.get("type")),
        names=frozenset(names),
        words=frozenset(word for name in names for word in _split(name)),
        pattern=pattern.casefold() if isinstance(pattern, str) else "",
        labels=frozenset(map(fold_name, _texts(value.get("labels")))),
        external_ids=frozenset(
            f"{item['source_name']}:{item['external_id']}"
            for item in (references if isinstance(references, list) else [])
            if isinstance(item, dict) and {"source_name", "external_id"} <= item.keys()
        ),
        subjects=read_tags(value).subjects,
        files=frozenset(map(fold_name, files)),
    )


def find_said_by(rules: RuleSet, facts: Facts, *, names: Names) -> dict[Said, str]:
    """What the rules say of an object with these facts, each word with the first rule that says it, and why."""
    found: dict[Said, str] = {}
    for rule in rules.rules:
        if (listed := _meets(rule.when, facts, names=names)) is not None:
            for said in sorted(rule.say | {("subjects", subject) for subject in listed}):
                found.setdefault(said, f"{rule.id}: {rule.why}")
    return found


def fold_name(text: str) -> str:
    """The name in small letters, compatibility forms folded, with one space between its parts."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _meets(when: Condition, facts: Facts, *, names: Names) -> frozenset[str] | None:
    """None where the condition does not hold; else the subjects on a list whose names the object has."""
    holds = (
        (not when.types or facts.type in when.types)
        and (not when.names or bool(when.names & facts.names))
        and (not when.name_words or bool(when.name_words & facts.words))
        and (not when.name_parts or any(part in name for part in when.name_parts for name in facts.names))
        and (not when.pattern_parts or any(part in facts.pattern for part in when.pattern_parts))
        and (not when.labels or bool(when.labels & facts.labels))
        and (not when.external_ids or bool(when.external_ids & facts.external_ids))
        and (not when.subjects or bool(when.subjects & facts.subjects))
        and (not when.files or bool(when.files & facts.files))
    )
    if not holds:
        return None
    if when.named_on is None:
        return frozenset()
    on_list = names.get(when.named_on, {})
    return frozenset[str]().union(*(on_list.get(name, frozenset()) for name in facts.names)) or None


def _read_rule(reader: Reader) -> Rule:
    item = reader.open()
    rule = Rule(
        id=item.label("id"),
        why=item.text("why"),
        when=_read_condition(next(_open_table(item, "when"))),
        say=frozenset(_read_said(next(_open_table(item, "say")))),
    )
    item.close()
    if not rule.say and rule.when.named_on is None:
        raise item.refuse("say", "a rule must say something")
    if len(rule.say) > _MAX_SAID:
        raise item.refuse("say", f"at most {_MAX_SAID} words are said by one rule")
    return rule


def _open_table(reader: Reader, name: str) -> Iterator[Reader]:
    """A reader of the table `name`; an empty one where it is absent."""
    value = reader.value
    table = value.get(name, {}) if isinstance(value, dict) and reader.has(name) else {}
    yield Reader(table, f"{reader.where}/{name}", MalformedTerms).open()


def _read_condition(reader: Reader) -> Condition:
    condition = Condition(
        types=reader.matching("types", TYPE, what="a STIX type"),
        names=frozenset(map(fold_name, reader.texts("names"))),
        name_words=frozenset(map(fold_name, reader.texts("name_words"))),
        name_parts=_read_parts(reader, "name_parts"),
        pattern_parts=_read_parts(reader, "pattern_parts"),
        labels=frozenset(map(fold_name, reader.texts("labels"))),
        external_ids=reader.texts("external_ids"),
        subjects=_check(reader, "subjects", reader.texts("subjects")),
        files=frozenset(map(fold_name, reader.texts("files"))),
        named_on=reader.label("named_on") if reader.has("named_on") else None,
    )
    reader.close()
    if condition == _EVERYTHING:
        raise MalformedTerms(
            f"a condition must ask for something; give one of {', '.join(f.name for f in fields(Condition))}",
            where=reader.where,
        )
    return condition


_EVERYTHING: Final = Condition(
    types=frozenset(),
    names=frozenset(),
    name_words=frozenset(),
    name_parts=frozenset(),
    pattern_parts=frozenset(),
    labels=frozenset(),
    external_ids=frozenset(),
    subjects=frozenset(),
    files=frozenset(),
    named_on=None,
)


def _read_parts(reader: Reader, name: str) -> frozenset[str]:
    parts = frozenset(text.casefold() for text in reader.texts(name))
    if short := sorted(part for part in parts if len(part) < _SHORTEST_PART):
        raise reader.refuse(name, f"{short[0]!r} is too short; give at least {_SHORTEST_PART} characters")
    return parts


def _read_said(reader: Reader) -> Iterator[Said]:
    for field in FIELDS:
        for word in sorted(_check(reader, field, reader.texts(field))):
            yield field, word
    reader.close()


def _check(reader: Reader, field: str, words: frozenset[str]) -> frozenset[str]:
    try:
        return frozenset(check_word(field, word) for word in words)
    except MalformedRequest as error:
        raise reader.refuse(field, error.detail) from error


def _find_prohibited(value: Json) -> Refusal | None:
    """A condition on data that nothing selects by; it is no unknown field, and the refusal says so."""
    rules = value.get("rules") if isinstance(value, dict) else None
    for rule in rules if isinstance(rules, list) else []:
        when = rule.get("when") if isinstance(rule, dict) else None
        asked = sorted(when.keys() & _PROHIBITED) if isinstance(when, dict) else []
        if asked:
            return Refusal(
                clause=CLAUSE, reason=f"a rule asks for {asked[0]}: no rule selects people by that ({CLAUSE})"
            )
    return None


def _refuse_trait(rule: Rule) -> Refusal | None:
    when = rule.when
    selectors = [
        *when.types,
        *when.names,
        *when.name_words,
        *when.labels,
        *when.external_ids,
        *when.subjects,
        *when.files,
        *([] if when.named_on is None else [when.named_on]),
    ]
    trait = find_trait(sorted(selectors), parts=sorted(when.name_parts | when.pattern_parts))
    if trait is None:
        return _refuse_said(rule)
    return Refusal(
        clause=CLAUSE,
        reason=f"the rule {rule.id} would select by {trait!r}, which says a religion or an ethnicity: no rule selects"
        f" people by that ({CLAUSE}). A group that stands on a list is chosen by named_on or by its subject",
    )


def _refuse_said(rule: Rule) -> Refusal | None:
    """A subject that is everybody of a religion: who selects by it would select by that."""
    for field, word in sorted(rule.say):
        if field == "subjects" and is_trait_alone(word.partition(":")[2]):
            return Refusal(
                clause=CLAUSE,
                reason=f"the rule {rule.id} would say {word!r}, which is everybody of a religion or an ethnicity, and"
                f" no subject to select people by ({CLAUSE})",
            )
    return None


def _split(name: str) -> list[str]:
    return [word for word in "".join(letter if letter.isalnum() else " " for letter in name).split() if word]


def _texts(value: Json) -> frozenset[str]:
    return frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()
