# SPDX-License-Identifier: Apache-2.0
"""Pure: what people decide of the drafts of an article, and the drafts as they have corrected them.

    reviewed = review_drafts(drafts, decisions)     each draft with its state, by whom and when, and its corrections
    revise_drafts(reviewed, stances)                the drafts as they would be made, and what stands for an object held

The last decision on a draft counts, and the last correction of each field. A draft that nobody decided on is open.

| Type | Fields, the first of which is meant where none is named |
| --- | --- |
| identity | `name`, `role` |
| location, threat-actor, intrusion-set | `name` |
| note of a statement | `stance` (one that the rules know), `speaker` (the number of an identity among the drafts) |
| note of a day | `day` (YYYY-MM-DD, YYYY-MM or YYYY, or two of one form with "/" between) |
| opinion | `opinion` (STIX 2.1 §10.3), `speaker` |
| observable | `value` |

Whoever's name is corrected is called so in what that one said too. Whatever a draft is, `stands-for` names an object
that the node holds in its place. What is shared by all articles, as the location of a state, is an object of its own
once a person has corrected it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from comity.canonical import Json
from comity.errors import MalformedRequest
from comity.ids import Instant, ObjectId
from comity.intake.article.assembly import Correction
from comity.intake.article.dates import is_value
from comity.intake.article.drafts import Draft
from comity.intake.article.mentions import Kind
from comity.intake.article.numbering import Numbered
from comity.intake.article.observables import find_observables
from comity.intake.article.rules import Rules
from comity.intake.article.words import split_words

__all__ = [
    "STANDS_FOR",
    "Decision",
    "Reviewed",
    "State",
    "Step",
    "check_correction",
    "find_fields",
    "find_special",
    "is_shared",
    "review_drafts",
    "revise_drafts",
    "warn_corrected",
]

STANDS_FOR: Final = "stands-for"

_NAMED: Final = frozenset({"location", "threat-actor", "intrusion-set"})
_VALUED: Final = frozenset({"ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr"})
_OPINIONS: Final = ("strongly-disagree", "disagree", "neutral", "agree", "strongly-agree")
_MOST_CHARACTERS: Final = 2_000


class State(StrEnum):
    """How a draft stands."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    STRUCK = "struck"


class Step(StrEnum):
    """What a person does of a draft; `restore` takes all corrections of it back."""

    CONFIRM = "confirm"
    STRIKE = "strike"
    CORRECT = "correct"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One thing that a person decided of one draft; `field` and `value` are those of a correction."""

    number: int
    step: Step
    at: Instant
    by: str
    reason: str | None = None
    field: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A draft as it stands: `last` is the decision that made its state, None while it is open."""

    item: Numbered
    state: State = State.OPEN
    last: Decision | None = None
    corrections: Mapping[str, Decision] = field(default_factory=dict)
    """The good correction of each field."""


def review_drafts(drafts: Iterable[Numbered], decisions: Iterable[Decision]) -> tuple[Reviewed, ...]:
    """The drafts by number, each as the decisions, in their order, have left it."""
    found = {item.number: Reviewed(item=item) for item in drafts}
    for decision in decisions:
        found[decision.number] = _decide(found[decision.number], decision)
    return tuple(found[number] for number in sorted(found))


def _decide(before: Reviewed, decision: Decision) -> Reviewed:
    match decision.step:
        case Step.CONFIRM:
            return replace(before, state=State.CONFIRMED, last=decision)
        case Step.STRIKE:
            return replace(before, state=State.STRUCK, last=decision)
        case Step.CORRECT:
            return replace(before, corrections={**before.corrections, str(decision.field): decision})
        case Step.RESTORE:
            return replace(before, corrections={})


# --- corrections ------------------------------------------------------------------------------------------------------


def is_shared(draft: Draft) -> bool:
    """Whether the draft is one object for all articles of this party: a place, or an organisation of the gazetteer."""
    return draft.names[:1] in {("place",), ("known",)}


def find_fields(draft: Draft) -> tuple[str, ...]:
    """What of a draft people can correct, the field that is meant where none is named in front."""
    if draft.held is not None:
        return (STANDS_FOR,)
    fields: tuple[str, ...] = ()
    if draft.type == "identity":
        fields = ("name", "role")
    elif draft.type in _NAMED:
        fields = ("name",)
    elif draft.type == "opinion":
        fields = ("opinion", "speaker")
    elif draft.type == "note" and draft.key.startswith("statement/"):
        fields = ("stance", "speaker")
    elif draft.kind is Kind.DATE:
        fields = ("day",)
    elif draft.type in _VALUED or draft.type == "user-account":
        fields = ("value",)
    return (*fields, STANDS_FOR)


def check_correction(item: Numbered, name: str, value: str, *, drafts: Mapping[int, Numbered], rules: Rules) -> None:
    """Return when that field of the draft can be corrected to that; what stands for it the caller finds.

    Raises:
        MalformedRequest: it cannot; the message says what can.
    """
    fields = find_fields(item.draft)
    if name not in fields:
        raise MalformedRequest(
            f"draft {item.number} is a {item.draft.type}, of which people correct {', '.join(fields)}; strike it where"
            " something else of it is wrong",
            where="--field",
        )
    if not value.strip() or len(value) > _MOST_CHARACTERS or not value.isprintable():
        raise MalformedRequest(f"a value is 1 to {_MOST_CHARACTERS} characters that show, in one line", where="--value")
    if name == "stance" and value not in rules.stances:
        raise MalformedRequest(
            f"{value[:40]!r} is no stance that the rules know; use one of {', '.join(rules.stances)}", where="--value"
        )
    if name == "opinion" and value not in _OPINIONS:
        raise MalformedRequest(f"{value[:40]!r} is no opinion; use one of {', '.join(_OPINIONS)}", where="--value")
    if name == "day" and not is_value(value):
        raise MalformedRequest(
            f"{value[:40]!r} is no day; say it as YYYY-MM-DD, YYYY-MM or YYYY, or two of them with / between",
            where="--value",
        )
    if name == "value":
        _check_observable(item, value, rules)
    if name == "speaker":
        speaker = drafts.get(int(value)) if value.isascii() and value.isdigit() else None
        if speaker is None or speaker.draft.type != "identity":
            raise MalformedRequest(
                "a speaker is the number of an identity among the drafts of the article", where="--value"
            )


def _check_observable(item: Numbered, value: str, rules: Rules) -> None:
    """It has to be what the rules would find, as it stands: `observable/ipv4/…` stays an address."""
    wanted = item.draft.key.split("/")[1]
    found = [(one.type, one.value) for one in find_observables(value, rules)]
    if found != [(wanted, value)]:
        raise MalformedRequest(
            f"{value[:80]!r} is no {wanted} as machines write it; strike the draft where it is something else",
            where="--value",
        )


def revise_drafts(
    reviewed: Sequence[Reviewed], stances: Mapping[str, str]
) -> tuple[dict[str, Draft], dict[str, Correction]]:
    """The drafts by key, as they are corrected, and which of them stand for an object that is held."""
    by_number = {each.item.number: each for each in reviewed}
    names = {
        str(each.item.draft.properties.get("name")): _find_name(each)
        for each in reviewed
        if each.item.draft.type == "identity" and "name" in each.corrections
    }
    drafts = {each.item.draft.key: _revise(_rename(each, names), by_number, stances) for each in reviewed}
    held = {
        each.item.draft.key: Correction(stands_for=ObjectId(str(each.corrections[STANDS_FOR].value)))
        for each in reviewed
        if STANDS_FOR in each.corrections
    }
    return drafts, held


def warn_corrected(reviewed: Sequence[Reviewed], drafts: Mapping[str, Draft], rules: Rules) -> dict[str, Draft]:
    """The drafts as they are corrected, with the special categories that what people put into them may hold."""
    before = {each.item.draft.key: each.item.draft.properties for each in reviewed}
    return {
        key: draft._replace(warnings=tuple(sorted({*draft.warnings, *find_special(said, rules)})))
        for key, draft in drafts.items()
        for said in [[text for name, text in draft.properties.items() if before[key].get(name) != text]]
    }


def find_special(said: Iterable[Json], rules: Rules) -> frozenset[str]:
    """The special categories of the words for a religion or an ethnic group that stand in these texts."""
    texts = [text for item in said for text in (item if isinstance(item, list) else [item]) if isinstance(text, str)]
    most = max((len(word.split()) for word in rules.safeguards), default=0)
    found = set[str]()
    for text in texts:
        words = split_words(text).values
        runs = {" ".join(words[at : at + length]) for at in range(len(words)) for length in range(1, most + 1)}
        found |= {rules.safeguards[run] for run in runs if run in rules.safeguards}
    return frozenset(found)


def _rename(each: Reviewed, names: Mapping[str, str]) -> Reviewed:
    """The draft with its author by the name that was corrected: who speaks is called alike in all that is made."""
    draft = each.item.draft
    listed = draft.properties.get("authors")
    before = str(listed[0]) if isinstance(listed, list) and listed else ""
    if before not in names:
        return each
    properties: dict[str, Json] = {**draft.properties, "authors": [names[before]]}
    if draft.type == "note":
        said = str(draft.properties.get("abstract", ""))
        properties["abstract"] = names[before] + said.removeprefix(before)
    return replace(each, item=replace(each.item, draft=draft._replace(properties=properties)))


def _revise(each: Reviewed, by_number: Mapping[int, Reviewed], stances: Mapping[str, str]) -> Draft:
    draft, said = each.item.draft, {name: str(one.value) for name, one in each.corrections.items()}
    said.pop(STANDS_FOR, None)
    if not said:
        return draft
    properties, refers = dict(draft.properties), draft.refers
    properties |= _name_properties(draft.type, said)
    if "speaker" in said:
        speaker = by_number[int(said["speaker"])]
        properties["authors"] = [_find_name(speaker)]
        refers = (speaker.item.draft.key,) if draft.type == "note" else refers
    if "day" in said:
        before = draft.key.removeprefix("date/")
        properties["abstract"] = said["day"] + str(properties.get("abstract", "")).removeprefix(before)
    elif draft.type == "note":
        before, _, means = str(draft.properties.get("abstract", "")).rpartition(": ")
        listed = properties.get("authors")
        who = str(listed[0]) if isinstance(listed, list) and "speaker" in said else before
        properties["abstract"] = f"{who}: {stances.get(said.get('stance', ''), means)}"
    names = ("corrected", draft.names[0], *draft.names[1:]) if is_shared(draft) else draft.names
    return draft._replace(properties=properties, refers=refers, names=names)


def _name_properties(object_type: str, said: Mapping[str, str]) -> dict[str, Json]:
    """The properties that fields of the same meaning stand for."""
    found: dict[str, Json] = {}
    if "name" in said:
        found["name"] = said["name"]
    if "role" in said:
        found["roles"] = [said["role"]]
    if "opinion" in said:
        found["opinion"] = said["opinion"]
    if "value" in said:
        found["user_id" if object_type == "user-account" else "value"] = said["value"]
    return found


def _find_name(speaker: Reviewed) -> str:
    corrected = speaker.corrections.get("name")
    return str(corrected.value) if corrected is not None else str(speaker.item.draft.properties.get("name", ""))
