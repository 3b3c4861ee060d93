# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on articles: taking one in, looking at its drafts, deciding on them, making the report."""

import asyncio
from collections.abc import Mapping

from comity.agreement.recognition import Refusal
from comity.errors import MalformedRequest
from comity.ids import format_instant, parse_instant, parse_party_id
from comity.intake.article.numbering import MOST_DRAFTS, parse_numbers
from comity.intake.article.review import Reviewed, State, find_fields
from comity.intake.formats import parse_format
from comity.node import articledeletion, articles, reports, wording
from comity.node.articles import ArticlePlan, Counts, Decided, ReviewedArticle, StoredArticle
from comity.node.node import Node
from comity.node.people import Waiting, identify
from comity.node.reports import ReportPlan
from comity.node.steps import advance
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import (
    conclude_refused,
    conclude_waiting,
    describe_approvals,
    read_actor,
    read_badge,
    require_present,
)
from comity.operations.reply import Json

__all__ = ["add", "confirm", "correct", "delete", "list_all", "make", "show", "show_rules", "show_text", "strike"]

_AROUND = 80
"""Characters of the text that are shown on either side of what is mentioned."""

_MOST_WORDS = 1_000
_MOST_LISTED = 10_000
_MOST_SEEN = 999_999_999
_MOST_TEXT = 1_000_000


async def add(node: Node, arguments: Arguments) -> Outcome:
    """What became of one article; partners are answered while it is read."""
    form, retrieved, by = arguments.optional("format"), arguments.optional("retrieved"), arguments.by
    if by is None and (badge := read_badge(arguments)) is not None:
        by = identify(node, badge)
    plan = ArticlePlan(
        form=None if form is None else parse_format(form),
        url=arguments.optional("url"),
        publisher=arguments.optional("publisher"),
        published=arguments.optional("published"),
        retrieved_at=None if retrieved is None else parse_instant(retrieved),
        encoding=arguments.optional("encoding"),
        known=b"" if arguments.optional("known") is None else arguments.data("known"),
        person=None if by is None else by.id,
    )
    steps = articles.add_article_in_steps(node, arguments.data("data"), arguments.optional("name") or "-", plan)
    while (done := advance(steps)) is None:
        await asyncio.sleep(0)
        require_present(node, arguments)
    added = done.result
    return Outcome(result={**_describe_article(added.article, added.counts), "already": added.already})


def list_all(node: Node, arguments: Arguments) -> Outcome:
    """Articles, oldest first, and how their drafts stand."""
    listed = articles.list_articles(node, last=arguments.number("last", most=_MOST_LISTED))
    return Outcome(result={"articles": [_describe_article(item, counts) for item, counts in listed]})


def show_rules(node: Node, arguments: Arguments) -> Outcome:
    """The rules that the next article is read by, as TOML."""
    found = wording.find_wording(node)
    return Outcome(
        result={
            "rules": found.digest,
            "own": found.own_digest,
            "toml": wording.write_rules(node, arguments.texts("sections")),
        }
    )


def show(node: Node, arguments: Arguments) -> Outcome:
    """An article and some of its drafts: of a state, of a kind, from a number on."""
    state, kind = arguments.optional("state"), arguments.optional("kind")
    wanted = None if kind is None else articles.parse_kind(kind, where="--kind")
    if state is not None and state not in {one.value for one in State}:
        raise MalformedRequest(f"{state[:40]!r} is no state; use one of {', '.join(State)}", where="--state")
    first, most = arguments.number("from", most=MOST_DRAFTS), arguments.number("most", most=MOST_DRAFTS)
    found, counts = articles.show_article(node, arguments.text("id"))
    numbers = {each.item.draft.key: each.item.number for each in found.drafts}
    listed = [
        each
        for each in found.drafts
        if each.item.number >= first
        and (state is None or each.state.value == state)
        and (wanted is None or each.item.draft.kind is wanted)
    ]
    return Outcome(
        result={
            **_describe_article(found.article, counts),
            "decisions": counts.decisions,
            "drafts": [_describe_draft(each, found, numbers) for each in listed[:most]],
            "next": listed[most].item.number if len(listed) > most else None,
        }
    )


def show_text(node: Node, arguments: Arguments) -> Outcome:
    """Some of the text of an article, and which drafts are in it: each at the first place where it is mentioned."""
    found, _ = articles.show_article(node, arguments.text("id"))
    first, most = arguments.number("from", most=len(found.text)), arguments.number("most", most=_MOST_TEXT)
    last = min(first + most, len(found.text))
    drafts: list[Json] = [
        {
            "number": each.item.number,
            "kind": each.item.draft.kind.value,
            "state": each.state.value,
            "offset": each.item.start,
            "length": each.item.end - each.item.start,
        }
        for each in found.drafts
        if each.item.start < last and each.item.end > first
    ]
    return Outcome(
        result={
            "number": found.article.number,
            "digest": found.article.digest,
            "title": articles.describe_head(found.article)["title"] or found.article.name,
            "characters": len(found.text),
            "from": first,
            "text": found.text[first:last],
            "drafts": drafts,
            "next": last if last < len(found.text) else None,
        }
    )


def confirm(node: Node, arguments: Arguments) -> Outcome:
    """Drafts that are confirmed from here on; none on which more was decided than the `seen` first decisions."""
    kind = arguments.optional("all_of")
    return _conclude_decided(
        articles.confirm(
            node,
            arguments.text("id"),
            parse_numbers(",".join(arguments.texts("numbers"))),
            all_of=None if kind is None else articles.parse_kind(kind),
            by=read_actor(node, arguments),
            seen=arguments.optional_number("seen", most=_MOST_SEEN),
        )
    )


def strike(node: Node, arguments: Arguments) -> Outcome:
    """Drafts that are struck from here on; `seen` as in `confirm`."""
    return _conclude_decided(
        articles.strike(
            node,
            arguments.text("id"),
            parse_numbers(",".join(arguments.texts("numbers"))),
            reason=arguments.optional("reason"),
            by=read_actor(node, arguments),
            seen=arguments.optional_number("seen", most=_MOST_SEEN),
        )
    )


def correct(node: Node, arguments: Arguments) -> Outcome:
    """A draft that says something else from here on, or again what was read; `seen` as in `confirm`."""
    prefix, value, by = arguments.text("id"), arguments.optional("value"), read_actor(node, arguments)
    numbers, name = parse_numbers(arguments.text("number")), arguments.optional("field")
    seen = arguments.optional_number("seen", most=_MOST_SEEN)
    if len(numbers) != 1:
        raise MalformedRequest("one draft is corrected at a time", where="N")
    if (value is None) == (not arguments.flag("undo")) or (value is None and name is not None):
        raise MalformedRequest("say what is right by --value, or take all corrections back by --undo", where="--value")
    if value is None:
        return _conclude_decided(articles.restore(node, prefix, numbers[0], by=by, seen=seen))
    return _conclude_decided(articles.correct(node, prefix, numbers[0], value, name=name, by=by, seen=seen))


def make(node: Node, arguments: Arguments) -> Outcome:
    """The report of an article, made; with `seen`, if no more than so many decisions on its drafts stand.

    With `made`, if it was made then last ("": never).
    """
    parties = arguments.texts("audience")
    plan = ReportPlan(
        tlp=arguments.optional("tlp"),
        subjects=arguments.texts("subjects"),
        regions=arguments.texts("regions"),
        kinds=arguments.texts("kinds"),
        audience=frozenset(map(parse_party_id, parties)) | {node.party} if parties else None,
        title=arguments.optional("title"),
        published=arguments.optional("published"),
        publisher=arguments.optional("publisher"),
        url=arguments.optional("url"),
        strikes_open=arguments.flag("strike_open"),
        seen=arguments.optional_number("seen", most=_MOST_SEEN),
        made=arguments.optional("made"),
    )
    match reports.make_report(node, arguments.text("id"), plan, by=read_actor(node, arguments)):
        case Refusal() as refused:
            return conclude_refused(refused)
        case Waiting() as waiting:
            return conclude_waiting(waiting)
        case reports.Made() as made:
            return Outcome(
                result={
                    "number": made.article.number,
                    "report": made.report,
                    "tlp": made.tlp,
                    "audience": None if made.audience is None else list[Json](sorted(made.audience)),
                    "added": list[Json](made.added),
                    "known": made.known,
                    "struck": list[Json](made.struck),
                    "notes": list[Json](made.notes),
                    "undecided": list[Json](made.undecided),
                    "already": made.already,
                    "approvals": describe_approvals(made.approvals),
                }
            )


async def delete(node: Node, arguments: Arguments) -> Outcome:
    """An article that is kept no more; with `seen` and `made` as in `make`, only if it is as it was seen.

    Partners are answered while the log is looked through.
    """
    steps = articledeletion.delete_article(
        node,
        arguments.text("id"),
        reason=arguments.text("reason"),
        by=read_actor(node, arguments),
        seen=arguments.optional_number("seen", most=_MOST_SEEN),
        made=arguments.optional("made"),
    )
    while (done := advance(steps)) is None:
        await asyncio.sleep(0)
        require_present(node, arguments)
    match done.result:
        case Refusal() as refused:
            return conclude_refused(refused)
        case Waiting() as waiting:
            return conclude_waiting(waiting)
        case articledeletion.DeletedArticle(article=article, counts=counts) as deleted:
            return Outcome(
                result={
                    "number": article.number,
                    "digest": article.digest,
                    "drafts": counts.open + counts.confirmed + counts.struck,
                    "decisions": counts.decisions,
                    "report": article.report,
                    "entries": list[Json](deleted.entries),
                    "gone": deleted.gone,
                    "approvals": describe_approvals(deleted.approvals),
                },
                deletes=True,
            )


def _conclude_decided(done: Decided | Waiting | Refusal) -> Outcome:
    match done:
        case Refusal() as refused:
            return conclude_refused(refused)
        case Waiting() as waiting:
            return conclude_waiting(waiting)
        case Decided() as decided:
            return Outcome(
                result={
                    "number": decided.article.number,
                    "drafts": list[Json](decided.numbers),
                    **_describe_counts(decided.article, decided.counts),
                    "approvals": describe_approvals(decided.approvals),
                }
            )


def _describe_counts(article: StoredArticle, counts: Counts) -> dict[str, Json]:
    return {
        "open": counts.open,
        "confirmed": counts.confirmed,
        "struck": counts.struck,
        "unmade": articles.is_unmade(article, counts),
    }


def _describe_article(article: StoredArticle, counts: Counts) -> dict[str, Json]:
    head, made = articles.describe_head(article), article.made or {}
    return {
        "number": article.number,
        "digest": article.digest,
        "name": article.name,
        "format": article.format,
        "bytes": article.bytes,
        "title": head["title"],
        "published": head["published"],
        "publisher": head["publisher"],
        "url": head["url"],
        "caption": head["caption"],
        "language": head["language"],
        "encoding": head["encoding"],
        "encoded_by": head["encoded_by"],
        "special": list[Json](head["special"]),
        "read_by": head.get("read_by"),
        "retrieved_at": format_instant(article.retrieved_at),
        "added_at": format_instant(article.added_at),
        "added_by": article.added_by,
        **_describe_counts(article, counts),
        "report": article.report,
        "made_at": None if article.made_at is None else format_instant(article.made_at),
        "made_by": article.made_by,
        "tlp": made.get("tlp"),
        "audience": made.get("audience"),
        **{name: list[Json](made.get("tags", {}).get(name, [])) for name in ("subjects", "regions", "kinds")},
    }


def _describe_draft(each: Reviewed, found: ReviewedArticle, numbers: Mapping[str, int]) -> dict[str, Json]:
    item, draft, last, text = each.item, each.item.draft, each.last, found.text
    return {
        "number": item.number,
        "kind": draft.kind.value,
        "type": draft.type,
        "title": draft.title,
        "text": text[item.start : min(item.end, item.start + _MOST_WORDS)],
        "before": text[max(0, item.start - _AROUND) : item.start],
        "after": text[item.end : item.end + _AROUND],
        "offset": item.start,
        "length": item.end - item.start,
        "rule": item.rule,
        "doubt": item.doubt,
        "places": item.places,
        "warnings": list[Json](draft.warnings),
        "notes": list[Json](draft.notes),
        "refers": list[Json]([numbers[key] for key in draft.refers if key in numbers]),
        "held": draft.held,
        "fields": list[Json](find_fields(draft)),
        "state": each.state.value,
        "by": None if last is None else last.by,
        "at": None if last is None else format_instant(last.at),
        "reason": None if last is None else last.reason,
        "corrections": [
            {"field": name, "value": one.value, "by": one.by, "at": format_instant(one.at)}
            for name, one in sorted(each.corrections.items())
        ],
    }
