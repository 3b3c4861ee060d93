# SPDX-License-Identifier: Apache-2.0
"""Pure: what each field of an agreement's text means to a machine that keeps it, in sentences for people.

    tlp_ceiling = "amber"   objects marked TLP:CLEAR, GREEN or AMBER; unmarked and stricter ones are withheld
    history, absent         nothing that the giver held before every party had signed

Two tables, of the whole text and of a channel, have a row for every field that a document can have, present or not:
what is left out means something too. Where no machine keeps a field, its sentence says that it binds the parties.

Not here: the tests themselves (`release.clauses`, `release.history`, `release.decision`), which these sentences tell.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from comity.agreement.channels import Channel
from comity.agreement.phrases import (
    ACTIONS,
    ADMITTING,
    ASSURED,
    BASES,
    CATEGORIES,
    DUTY,
    EXISTING,
    FORCE,
    FORM,
    HANDLED,
    INFORMATION,
    MARKED,
    PERSONS,
    PURPOSE,
    QUESTIONS,
    RESPONSE,
    TLP,
    USES,
    list_words,
    say_duration,
)
from comity.agreement.terms import LegalBasis, Terms
from comity.canonical import SIGNED_LIMITS, Json, parse_json
from comity.ids import Instant, format_instant
from comity.vocabulary import PERSON_CLASSES, TLP_LEVELS

__all__ = ["CHANNEL_FIELDS", "GATE_FIELDS", "Meaning", "explain_channel", "explain_gate", "say_basis", "say_time"]

_BINDS = "It binds the parties; no machine of the giver can see to it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One field: its name as a clarification would name it, how it is written (None: left out), and its sentences."""

    clause: str
    written: str | None
    sentences: tuple[str, ...]


def explain_gate(terms: Terms) -> tuple[Meaning, ...]:
    """The meaning of every field of the whole text, the parts of its channels left out."""
    values = _read_table(parse_json(terms.document, limits=SIGNED_LIMITS))
    values["channels"] = [channel.id for channel in terms.channels]
    return tuple(
        Meaning(clause=name, written=_write(name, values), sentences=tuple(explain(terms)))
        for name, explain in GATE_FIELDS.items()
    )


def explain_channel(terms: Terms, channel: Channel) -> tuple[Meaning, ...]:
    """The meaning of every field of one channel of the text."""
    listed = _read_table(parse_json(terms.document, limits=SIGNED_LIMITS))["channels"]
    tables = [_read_table(item) for item in (listed if isinstance(listed, list) else [])]
    values = next(table for table in tables if table["id"] == channel.id)
    return tuple(
        Meaning(clause=f"channels.{channel.id}.{name}", written=_write(name, values), sentences=tuple(explain(channel)))
        for name, explain in CHANNEL_FIELDS.items()
    )


def say_basis(basis: LegalBasis) -> str:
    """One legal basis, as recorded; never that it holds in law."""
    begins = "" if basis.valid_from is None else f", from {say_time(basis.valid_from)}"
    ends = "" if basis.valid_until is None else f", until {say_time(basis.valid_until)}"
    where = "" if basis.paragraph is None else f", {basis.paragraph}"
    return f"{BASES[basis.kind]}: {basis.reference}{where} ({FORCE[basis.force]}){begins}{ends}"


def say_time(instant: Instant) -> str:
    """The time to the second, or with its fraction where it has one."""
    text = format_instant(instant)
    return text.replace(".000000Z", "Z")


def _read_table(value: Json) -> dict[str, Json]:
    assert isinstance(value, dict)  # noqa: S101 (the terms were read from this very document)
    return dict(value)


def _write(name: str, values: Mapping[str, Json]) -> str | None:
    """The field as its author would write it in TOML; None where it is left out."""
    return f"{name} = {_write_value(values[name])}" if name in values else None


def _write_value(value: Json) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{name} = {_write_value(item)}" for name, item in value.items()) + " }"
        case list() if any(isinstance(item, dict) for item in value):
            return "[\n" + "".join(f"  {_write_value(item)},\n" for item in value) + "]"
        case list():
            return "[" + ", ".join(_write_value(item) for item in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


# --- the whole text ---------------------------------------------------------------------------------------------------


def _explain_version(terms: Terms) -> Iterable[str]:
    yield f"This is version {terms.version} of the agreement."


def _explain_agreement(terms: Terms) -> Iterable[str]:
    if terms.agreement is None:
        yield "This is the first version: its own hash is the agreement's id."
    else:
        yield f"A later version of the agreement {terms.agreement}."


def _explain_supersedes(terms: Terms) -> Iterable[str]:
    if terms.supersedes is None:
        yield "It replaces no other version."
    else:
        yield f"It follows the version {terms.supersedes}, and replaces it once every party has signed."


def _explain_structure(terms: Terms) -> Iterable[str]:
    if terms.structure.group:
        yield "A group: a member can leave, and it goes on while two are left."
    else:
        yield "Between two: when one of them ends it, it has ended."
    yield ADMITTING[terms.structure.accession]


def _explain_framework(terms: Terms) -> Iterable[str]:
    if terms.framework is None:
        yield "It belongs to no framework."
        return
    yield f"It belongs to the framework {terms.framework}."
    yield "A party whose own policy refuses that framework neither signs nor gives anything."


def _explain_excluded(terms: Terms) -> Iterable[str]:
    if not terms.excluded_frameworks:
        yield "No framework is excluded."
        return
    named = list_words(terms.excluded_frameworks, last="or")
    yield f"Nothing given here may be used or passed on inside {named}. {_BINDS}"


def _explain_parties(terms: Terms) -> Iterable[str]:
    for party in terms.parties:
        watched = "no body of oversight is named" if party.oversight is None else f"overseen by {party.oversight}"
        yield f"{party.id} signs with the keys of its manifest {party.manifest} or of one that follows it; {watched}."
    yield "In force needs the signature and the confirmation of each of them."


def _explain_bases(terms: Terms) -> Iterable[str]:
    for basis in terms.legal_bases:
        yield f"{basis.party} records {say_basis(basis)}."
    yield "Whether a basis is recognised is each party's own position; who recognises none cited for it gives nothing."
    yield "A party of which no recorded basis is within its validity neither gives nor receives."


def _explain_validity(terms: Terms) -> Iterable[str]:
    yield f"Nothing is given before {say_time(terms.valid_from)}."
    if terms.valid_until is None:
        yield "It has no end of its own."
    else:
        yield f"From {say_time(terms.valid_until)} on nothing is given any more; unsigned by then, it has lapsed."
    if terms.reviews:
        dates = ", ".join(say_time(date) for date in terms.reviews)
        yield f"The parties review it at {dates}."
    else:
        yield "No date of review is set."


def _explain_purposes(terms: Terms) -> Iterable[str]:
    yield f"What is received may be used for {list_words(terms.purposes, PURPOSE)}, and for nothing else. {_BINDS}"


def _explain_actions(terms: Terms) -> Iterable[str]:
    yield f"{ACTIONS[terms.permitted_actions]} {_BINDS}"


def _explain_prohibited(terms: Terms) -> Iterable[str]:
    if terms.prohibited_uses:
        yield f"What is received must not be used for {list_words(terms.prohibited_uses, USES, last='or')}. {_BINDS}"
    else:
        yield "No use is prohibited by name."


def _explain_assurances(terms: Terms) -> Iterable[str]:
    for each in terms.assurances:
        until = say_time(each.valid_until)
        yield f"{each.given_by} assures {ASSURED[each.kind]}, in the document {each.document}, until {until}."
    if terms.assurances:
        yield "From the end of an assurance on, the party that gave it neither gives nor receives."
    else:
        yield "No assurance is given."


def _explain_retention(terms: Terms) -> Iterable[str]:
    if terms.retention is None:
        yield "No rule of retention was agreed: how long something is kept is the receiver's own rule."
        return
    yield f"What is received is reviewed after {say_duration(terms.retention.review_after)}; what is not is deleted."
    if terms.retention.maximum is None:
        yield "Reviewed each time, it may be kept without an end."
    else:
        yield f"After {say_duration(terms.retention.maximum)} it is deleted, reviewed or not."


def _explain_survival(terms: Terms) -> Iterable[str]:
    if terms.survival.duties:
        yield f"After the agreement has ended, these still bind: {list_words(terms.survival.duties, DUTY)}."
    else:
        yield "No duty outlives the agreement."
    within = terms.survival.delete_within
    if within is None:
        yield "What was received may be kept."
    else:
        yield f"What was received is deleted within {say_duration(within)} after the end."


def _explain_existence(terms: Terms) -> Iterable[str]:
    yield EXISTING[terms.existence]


def _explain_public_line(terms: Terms) -> Iterable[str]:
    if terms.public_line is None:
        yield "No sentence for the public was agreed."
    else:
        yield f"What is said in public is: {terms.public_line}"


def _explain_response_times(terms: Terms) -> Iterable[str]:
    for name, duration in terms.response_times.items():
        yield f"{RESPONSE[name].capitalize()} is to be answered within {say_duration(duration)}."
    if not terms.response_times:
        yield "No time for an answer was agreed."


def _explain_query_rules(terms: Terms) -> Iterable[str]:
    rules = terms.query_rules
    if rules is None or rules.mode == "none":
        yield QUESTIONS["none"]
        return
    yield (
        f"{QUESTIONS[rules.mode]}, each with {rules.min_identifiers} identifiers or more,"
        f" at most {rules.quota_per_day} a day."
    )


def _explain_reservations(terms: Terms) -> Iterable[str]:
    if terms.reservable:
        yield f"A party may sign with a reservation on {list_words(terms.reservable, last='or')}."
        yield "A reservation on a channel, or on a part of it, closes that channel for who made it."
        yield "Signed with any other reservation, the text counts as rejected."
    else:
        yield "The text is signed as it stands: signed with a reservation, it counts as rejected."


def _explain_texts(terms: Terms) -> Iterable[str]:
    for text in terms.texts:
        binds = "authentic: it binds beside this text" if text.authentic else "a translation: it does not bind"
        yield f"The text in {text.language} is the file {text.digest}, {binds}."
    if not terms.texts:
        yield "No text in another language belongs to it."


def _explain_channels(terms: Terms) -> Iterable[str]:
    count = len(terms.channels)
    yield f"{count} channel{'s' if count > 1 else ''}; each can be suspended by itself, and is explained by itself."


GATE_FIELDS: Mapping[str, Callable[[Terms], Iterable[str]]] = {
    "format": lambda _: ["A program that does not know this form refuses the document."],
    "title": lambda _: ["What people call it; it decides nothing."],
    "version": _explain_version,
    "agreement": _explain_agreement,
    "supersedes": _explain_supersedes,
    "form": lambda terms: [f"It is called {FORM[terms.form]}; that decides nothing."],
    "structure": _explain_structure,
    "framework": _explain_framework,
    "excluded_frameworks": _explain_excluded,
    "parties": _explain_parties,
    "legal_bases": _explain_bases,
    "validity": _explain_validity,
    "purposes": _explain_purposes,
    "permitted_actions": _explain_actions,
    "prohibited_uses": _explain_prohibited,
    "assurances": _explain_assurances,
    "retention": _explain_retention,
    "survival": _explain_survival,
    "existence": _explain_existence,
    "public_line": _explain_public_line,
    "response_times": _explain_response_times,
    "query_rules": _explain_query_rules,
    "reservations": _explain_reservations,
    "texts": _explain_texts,
    "channels": _explain_channels,
}
"""Every field that the document of an agreement can have, in the order in which people write them."""


# --- a channel --------------------------------------------------------------------------------------------------------


def _explain_giver(channel: Channel) -> Iterable[str]:
    yield "Each member gives, joiners among them." if channel.giver is None else f"{channel.giver} gives."


def _explain_receivers(channel: Channel) -> Iterable[str]:
    if channel.receivers is None:
        yield "Every other member receives, whoever is one at the time."
    else:
        yield f"{list_words(channel.receivers)} receive{'' if channel.receivers[1:] else 's'}."
    yield "An object whose originator does not let it go to a receiver does not go there (its audience)."


def _explain_types(channel: Channel) -> Iterable[str]:
    yield f"Objects of these STIX types: {list_words(channel.scope.types)}; others are withheld."
    yield "An object is held against this and the next clauses together with all that it refers to, near or far."


def _explain_tlp(channel: Channel) -> Iterable[str]:
    levels = TLP_LEVELS[: TLP_LEVELS.index(channel.scope.tlp_ceiling) + 1]
    named = [TLP[level] for level in levels]
    said = " or ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
    stricter = "unmarked ones are" if levels == TLP_LEVELS else "unmarked and stricter ones are"
    yield f"Objects marked {said}; {stricter} withheld."


def _explain_markings(channel: Channel) -> Iterable[str]:
    if channel.scope.markings:
        yield f"Besides TLP, objects may carry {list_words(channel.scope.markings, MARKED)}; others are withheld."
    else:
        yield "Objects that carry a marking besides TLP are withheld."


def _explain_originators(channel: Channel) -> Iterable[str]:
    own = ["the giver itself"] if channel.own else []
    named = " or ".join([*own, *sorted(channel.scope.originators)])
    yield f"Objects that first came from {named}; those that came from others are withheld."


def _explain_subjects(channel: Channel) -> Iterable[str]:
    named = list_words(channel.scope.subjects, last="or")
    yield f"Objects that are said to be about {named}; those about none of them are withheld."


def _explain_regions(channel: Channel) -> Iterable[str]:
    named = list_words(channel.scope.regions, last="or")
    yield f"Objects that are said to be about {named} (ISO 3166-1); those about none of them are withheld."


def _explain_kinds(channel: Channel) -> Iterable[str]:
    if channel.scope.kinds is None:
        yield "Any kind of information, named or not."
    else:
        yield f"Only {list_words(channel.scope.kinds, INFORMATION)}; objects of no named kind are withheld."


def _explain_persons(channel: Channel) -> Iterable[str]:
    classes = channel.scope.person_classes
    if not classes:
        yield "Objects that say why a person is in them are withheld."
        return
    kept = list_words(PERSON_CLASSES - classes, PERSONS)
    yield f"Persons only as {list_words(classes, PERSONS)}." + (f" Withheld: {kept}." if kept else "")


def _explain_special(channel: Channel) -> Iterable[str]:
    for item in channel.special_categories:
        yield f"Objects with {CATEGORIES[item.category]} may go: {item.necessity}. Approved by {item.approver}."
    if channel.special_categories:
        yield "Objects with any other special category of data are withheld; nothing is ever selected by one."
    else:
        yield "Objects with a special category of data are withheld."


def _explain_handling(channel: Channel) -> Iterable[str]:
    if channel.scope.handling:
        codes = list_words(channel.scope.handling, HANDLED)
        yield f"Objects may carry the handling codes {codes}; others are withheld."
    else:
        yield "Objects that carry a handling code are withheld."


def _explain_onward(channel: Channel) -> Iterable[str]:
    yield {
        "none": "The receivers may pass nothing on.",
        "originator_consent": "The receivers may pass an object on where its originator has consented.",
        "listed": f"The receivers may pass it on to {list_words(channel.releasable_to)}, and to nobody else.",
    }[channel.onward]


def _explain_releasable(channel: Channel) -> Iterable[str]:
    if channel.releasable_to:
        yield f"The list that `onward` speaks of: {list_words(channel.releasable_to)}."
    else:
        yield "No party is listed."


def _explain_history(channel: Channel) -> Iterable[str]:
    history = channel.history
    if history.all:
        yield "Everything that the giver holds counts, whenever it came in."
    elif history.since is not None:
        yield f"What the giver took in at {say_time(history.since)} or later counts."
    else:
        yield "Nothing that the giver held before every party had signed."
    yield "A joiner gets nothing from before it joined, whatever stands here."


def _explain_sanitise(channel: Channel) -> Iterable[str]:
    yield {
        "none": "An object with a part marked above the ceiling is withheld whole.",
        "tear_line_allowed": "Parts that are marked above the ceiling are taken out; the rest of the object goes.",
        "tear_line_required": "Only those parts of an object go that are marked for it by themselves.",
    }[channel.scope.sanitise]


def _explain_attribution(channel: Channel) -> Iterable[str]:
    yield {
        "may": "Receivers may say from whom it came.",
        "must": f"Receivers say from whom it came. {_BINDS}",
        "must-not": "Receivers do not say from whom it came; who made an object is taken out before it goes,"
        " and what else names that one where the object can lack it.",
    }[channel.scope.attribution]


CHANNEL_FIELDS: Mapping[str, Callable[[Channel], Iterable[str]]] = {
    "id": lambda channel: [f"The name by which the channel is suspended or asked about: {channel.id}."],
    "giver": _explain_giver,
    "receivers": _explain_receivers,
    "types": _explain_types,
    "tlp_ceiling": _explain_tlp,
    "markings": _explain_markings,
    "originators": _explain_originators,
    "subjects": _explain_subjects,
    "regions": _explain_regions,
    "kinds": _explain_kinds,
    "person_classes": _explain_persons,
    "special_categories": _explain_special,
    "handling": _explain_handling,
    "onward": _explain_onward,
    "releasable_to": _explain_releasable,
    "history": _explain_history,
    "sanitise": _explain_sanitise,
    "attribution": _explain_attribution,
}
"""Every field that a channel can have, in the order of the clause table, with what is about the channel around it."""
