# SPDX-License-Identifier: Apache-2.0
"""Shell: the report of an article, made of what people confirmed, in one act.

The act puts on record who made it, of which drafts and how marked; makes the objects (`intake.article.assembly`); and
takes them in as every object of this party is taken in (`node.ingest`). It is done whole or not at all: a crash leaves
the article as it was. Making again makes a new version of what would be said otherwise, and changes nothing where
nothing would.

Without a level of TLP everything that is made is marked as not marked yet: no terms can name that marking. What was
said at the last making stays said until it is said anew.

Words for a religion or an ethnic group in what is quoted, in the title or in the caption, or in what people put in
their place, hold back what has them, as fields do (`node.necessity`): it goes to nobody before two people have decided.
The object itself does not say so.

What is shared by all articles of this party, the location of a state for one, is kept as it is held where it admits as
much as this report needs; else it gets the marking of this one. It says nothing of the article.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from comity.agreement.people import Approval
from comity.agreement.recognition import Refusal
from comity.canonical import OBJECT_LIMITS, Json, parse_json
from comity.errors import ConflictError, MalformedObject, MalformedRequest, NotFoundError
from comity.ids import Instant, ObjectId, PartyId, format_instant
from comity.intake.article.assembly import REPORT_KEY, Review, assemble_report
from comity.intake.article.numbering import format_numbers
from comity.intake.article.reading import Reading
from comity.intake.article.review import Decision, State, Step, find_special, is_shared, revise_drafts, warn_corrected
from comity.intake.article.rules import Rules
from comity.intake.article.text import Article, Span
from comity.intake.making import Maker, renew
from comity.intake.marking import TLP_WORDS, read_marking
from comity.node.articles import (
    ReviewedArticle,
    StoredArticle,
    check_url,
    count_states,
    find_article,
    normalise_value,
    review_article,
)
from comity.node.classify import describe_person, record
from comity.node.ingest import Intake, join_intakes
from comity.node.node import Act, Node
from comity.node.own import NO_TAGS, take_own
from comity.node.people import Actor, Approved, Waiting, act_alone
from comity.node.tagging import find_plain
from comity.node.wording import find_rules
from comity.release.classification import ClassificationChange
from comity.stix.labels import UNDECIDED, Tags, join_tags, make_tags
from comity.store import Transaction, articles, objects, parties

__all__ = ["UNMARKED_WORDS", "Made", "ReportPlan", "make_report"]

UNMARKED_WORDS: Final = "not marked by anybody yet"
"""The words of the marking of what people have not marked."""

_MILLISECOND: Final = 1_000
_LEVELS: Final[Mapping[ObjectId, int]] = {name: index for index, name in enumerate(TLP_WORDS.values())}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPlan:
    """What a person says of a report; None is as it was said at the last making, or else as it was read.

    `audience` are the only parties that it may ever reach, this one besides; `strikes_open` strikes what is open.
    Subjects, regions and kinds are said of every object that is made. `seen` is how many decisions on its drafts the
    person saw, and `made` when the report was made last by what the person saw ("": it was not), where it was said.
    """

    tlp: str | None = None
    subjects: Collection[str] = ()
    regions: Collection[str] = ()
    kinds: Collection[str] = ()
    audience: frozenset[PartyId] | None = None
    title: str | None = None
    published: str | None = None
    publisher: str | None = None
    url: str | None = None
    strikes_open: bool = False
    seen: int | None = None
    made: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A report that was made: which versions came in by it (`added`), and what was held already.

    `notes` say what was left out, `undecided` what goes to nobody before people have decided that it is strictly
    necessary (`node.necessity`). `already` says that it was made so before, and that nothing was done.
    """

    article: StoredArticle
    report: ObjectId
    tlp: str | None
    audience: frozenset[PartyId] | None
    added: tuple[ObjectId, ...]
    known: int
    struck: tuple[int, ...]
    notes: tuple[str, ...]
    undecided: tuple[ObjectId, ...]
    already: bool
    approvals: tuple[Approval, ...] = ()


def make_report(node: Node, prefix: str, plan: ReportPlan, *, by: Actor) -> Made | Waiting | Refusal:
    """The report of the article and what was confirmed of it, objects of this party from here on.

    Raises:
        NotFoundError: the article, or a party of the audience is not pinned here.
        ConflictError: drafts are open, others decided more or made it since, or an object cannot be taken in; then
            nothing was done.
        MalformedRequest: nothing is confirmed, no day of publication is known, or what was said is not of its form.
    """
    if isinstance(refused := act_alone(by, ClassificationChange.MAKE_REPORT), Refusal):
        return refused
    rules = find_rules(node)
    with node.act() as act:
        found = review_article(act.transaction, find_article(act.transaction, prefix))
        if plan.seen not in {None, count_states(act.transaction, found.article).decisions}:
            raise ConflictError("its drafts were decided on since you looked: look at what would be in the report")
        made_at = found.article.made_at
        if plan.made not in {None, "" if made_at is None else format_instant(made_at)}:
            raise ConflictError("the report was made since you looked: look at what is said of it, and make it then")
        open_numbers = tuple(each.item.number for each in found.drafts if each.state is State.OPEN)
        if open_numbers and not plan.strikes_open:
            raise ConflictError(
                f"{len(open_numbers)} draft{'s are' if len(open_numbers) > 1 else ' is'} open"
                f" ({format_numbers(open_numbers)[:80]}): confirm or strike each, or say --strike-open"
            )
        _check_known(act.transaction, plan.audience or ())
        said = _read_said(plan, found.article)
        making = _make(act, found, said, rules)
        decided = count_states(act.transaction, found.article).last > found.article.made_through
        if not (open_numbers or decided or making.new) and found.article.made == said.describe():
            return _describe(act.transaction, found, making, said, already=True)
        done = record(
            act, by, ClassificationChange.MAKE_REPORT, _describe_act(found, making, said, open_numbers), reason=""
        )
        if not isinstance(done, Approved):
            return done
        who = describe_person(done.approvals)
        struck = [Decision(number=number, step=Step.STRIKE, at=act.now, by=who) for number in open_numbers]
        articles.add_decisions(act.transaction, found.article.number, struck)
        intake = _take_in(act, making, said)
        if intake.bad:
            bad = intake.bad[0]
            raise ConflictError(f"{bad.id or 'an object'} cannot be made: {bad.detail}; correct or strike its draft")
        articles.set_made(
            act.transaction,
            found.article.number,
            report=making.report,
            made=said.describe(),
            now=act.now,
            by=who,
        )
        stored = find_article(act.transaction, str(found.article.number))
        result = _describe(act.transaction, replace(found, article=stored), making, said, already=False)
    return replace(result, added=intake.added, known=intake.known, struck=open_numbers, approvals=done.approvals)


def _check_known(transaction: Transaction, audience: Collection[PartyId]) -> None:
    for party in sorted(audience):
        if parties.read_party(transaction, party) is None:
            raise NotFoundError(
                f"{party} is not a party this node knows: name it as `party list` has it, or pin it first with"
                " `party add FILE --digest D`"
            )


def _take_in(act: Act, making: "_Making", said: "_Said") -> Intake:
    """Definitions first, then what is shared and gets another marking, each with what was said of it before too."""
    intakes = [_take(act, making.definitions)] if making.definitions else []
    intakes += [_take(act, [data], tags=join_tags(said.read_tags(), before)) for data, before in making.marked_anew]
    audiences = dict.fromkeys(making.own, said.audience) if said.audience is not None else {}
    bundle = _bundle(making.objects)
    intakes.append(take_own(act, bundle, tags=said.read_tags(), audiences=audiences, found=making.found))
    return join_intakes(intakes, ())


def _take(act: Act, data: Sequence[bytes], *, tags: Tags = NO_TAGS) -> Intake:
    return take_own(act, _bundle(data), tags=tags)


def _bundle(data: Sequence[bytes]) -> bytes:
    return b'{"objects":[' + b",".join(data) + b"]}"


# --- what is said of it -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    tlp: str | None
    audience: frozenset[PartyId] | None
    head: Mapping[str, str]
    tags: Mapping[str, Sequence[str]]

    def read_tags(self) -> Tags:
        """What is said of every object that is made."""
        return make_tags(**self.tags)

    def describe(self) -> dict[str, Json]:
        """As it is kept with the article, and in the log."""
        return {
            "tlp": self.tlp,
            "audience": None if self.audience is None else [*sorted(self.audience)],
            "said": dict(self.head),
            "tags": {name: [*listed] for name, listed in self.tags.items()},
        }


def _read_said(plan: ReportPlan, article: StoredArticle) -> _Said:
    if plan.tlp is not None and plan.tlp not in TLP_WORDS:
        raise MalformedRequest(f"{plan.tlp[:32]!r} is no TLP level; use one of {', '.join(TLP_WORDS)}", where="--tlp")
    before: Mapping[str, Any] = article.made or {}
    listed = before.get("audience")
    kept = None if listed is None else frozenset(PartyId(name) for name in listed)
    if plan.url is not None:
        check_url(plan.url)
    asked = {name: getattr(plan, name) for name in ("title", "published", "publisher", "url")}
    tags = {
        name: sorted(set(getattr(plan, name))) or list(before.get("tags", {}).get(name, []))
        for name in ("subjects", "regions", "kinds")
    }
    try:
        make_tags(**tags)
    except MalformedObject as error:
        raise MalformedRequest(error.detail, where=error.where) from error
    head = {name: normalise_value(value) for name, value in asked.items() if value is not None}
    return _Said(
        tlp=plan.tlp or before.get("tlp"),
        audience=kept if plan.audience is None else plan.audience,
        head={**before.get("said", {}), **head},
        tags=tags,
    )


def _describe_act(
    found: ReviewedArticle, making: "_Making", said: "_Said", open_numbers: Collection[int]
) -> dict[str, Json]:
    confirmed = [each.item.number for each in found.drafts if each.state is State.CONFIRMED]
    return {
        "article": found.article.digest,
        "report": making.report,
        "confirmed": format_numbers(confirmed),
        "struck": format_numbers(open_numbers),
        **said.describe(),
    }


def _describe(
    transaction: Transaction, found: ReviewedArticle, making: "_Making", said: "_Said", *, already: bool
) -> Made:
    return Made(
        article=found.article,
        report=making.report,
        tlp=said.tlp,
        audience=said.audience,
        added=(),
        known=len(making.definitions) + len(making.objects),
        struck=(),
        notes=making.notes,
        undecided=tuple(sorted(objects.find_marked(transaction, UNDECIDED) & making.own)),
        already=already,
    )


# --- the objects ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Making:
    """The objects as they come beside what is held, how many of them are `new`, and which are of this article alone.

    `definitions` come before them, and `marked_anew` is what is shared and comes in another version, each with what is
    said of the version that is held. `found` are the special categories that the words of an object may hold, by its
    place.
    """

    report: ObjectId
    definitions: Sequence[bytes]
    marked_anew: Sequence[tuple[bytes, Tags]]
    objects: Sequence[bytes]
    new: int
    own: frozenset[ObjectId]
    found: Mapping[int, frozenset[str]]
    notes: tuple[str, ...]


def _make(act: Act, found: ReviewedArticle, said: _Said, rules: Rules) -> _Making:
    at = Instant(act.now - act.now % _MILLISECOND)
    maker = Maker(party=act.party, at=at)
    definitions: tuple[bytes, ...] = ()
    if said.tlp is None:
        marked = read_marking(UNMARKED_WORDS, maker=maker)
        definitions, markings = marked.definitions, marked.markings
    else:
        markings = (TLP_WORDS[said.tlp],)
    maker = Maker(party=act.party, at=at, markings=markings)
    drafts, corrections = revise_drafts(found.drafts, rules.stances)
    drafts = warn_corrected(found.drafts, drafts, rules)
    reading = Reading(
        article=_build_article(act.transaction, found), mentions=(), drafts=drafts, persons=(), statements=()
    )
    review = Review(
        confirmed=frozenset(each.item.draft.key for each in found.drafts if each.state is State.CONFIRMED),
        corrections=corrections,
        title=said.head.get("title"),
        published=said.head.get("published"),
        publisher=said.head.get("publisher"),
        url=said.head.get("url"),
    )
    made = assemble_report(reading, review, maker)
    shared = {maker.find_id(draft.type, draft.names) for draft in drafts.values() if is_shared(draft)}
    beside = [*definitions, *made.objects]
    names = [_read_id(data) for data in beside]
    # What others gave under an id that follows from this party's name is not what this party said: it clashes.
    current = objects.read_current(act.transaction, set(names))
    held = {name: item for name, item in current.items() if item.originator == act.party}
    bodies = {name: objects.read_body(act.transaction, item.pk) for name, item in held.items()}
    versions = {
        name: data if name not in held else _place_beside(data, bodies[name], at=at, is_shared=name in shared)
        for name, data in zip(names, beside, strict=True)
    }
    anew = [name for name in versions if name in shared & held.keys() and versions[name] != bodies[name]]
    plain = find_plain(act.transaction, [held[name] for name in anew])
    report = maker.find_id("report", ("article", found.article.digest, REPORT_KEY))
    special = {report: find_special(said.head.values(), rules).union(found.article.head["special"])} | {
        maker.find_id(draft.type, draft.names): frozenset(draft.warnings) for draft in drafts.values() if draft.warnings
    }
    own = [name for name in names[len(definitions) :] if name not in anew]
    return _Making(
        report=report,
        definitions=[versions[name] for name in names[: len(definitions)]],
        marked_anew=[(versions[name], plain[held[name].pk]) for name in anew],
        objects=[versions[name] for name in own],
        new=sum(bodies.get(name) != data for name, data in versions.items()),
        own=frozenset(own) - shared,
        found={place: special[name] for place, name in enumerate(own) if special.get(name)},
        notes=made.notes,
    )


def _place_beside(made: bytes, held: bytes, *, at: Instant, is_shared: bool) -> bytes:
    """The version that `made` is beside what is held; of what is shared, what is held where it admits as much."""
    if is_shared and _read_level(held) <= _read_level(made) and _read_bare(made) == _read_bare(held):
        return held
    return renew(made, held, at=at)


def _read_level(data: bytes) -> int:
    """From the widest marking that is understood to what is not, which no terms admit."""
    listed = _read_object(data).get("object_marking_refs")
    marked = [ObjectId(str(name)) for name in listed] if isinstance(listed, list) else []
    return max((_LEVELS.get(name, len(_LEVELS)) for name in marked), default=len(_LEVELS))


def _read_bare(data: bytes) -> dict[str, Json]:
    left_out = {"created", "modified", "object_marking_refs"}
    return {name: value for name, value in _read_object(data).items() if name not in left_out}


def _read_object(data: bytes) -> dict[str, Json]:
    value = parse_json(data, limits=OBJECT_LIMITS)
    return value if isinstance(value, dict) else {}


def _read_id(data: bytes) -> ObjectId:
    return ObjectId(str(_read_object(data)["id"]))


def _build_article(transaction: Transaction, found: ReviewedArticle) -> Article:
    """The article as it was read."""
    stored, head = found.article, found.article.head
    return Article(
        format=stored.format,
        received=articles.read_bytes(transaction, stored.number),
        digest=stored.digest,
        encoding=head["encoding"],
        encoded_by=head["encoded_by"],
        text=found.text,
        title=_build_span(head["title_at"]),
        caption=_build_span(head["caption_at"]),
        paragraphs=tuple(Span(start, end) for start, end in head["paragraphs"]),
        published=head["published"],
        published_at=_build_span(head["published_at"]),
        publisher=head["publisher"],
        url=head["url"],
        language=head["language"],
        retrieved_at=stored.retrieved_at,
    )


def _build_span(value: Sequence[int] | None) -> Span | None:
    return None if value is None else Span(*value)
