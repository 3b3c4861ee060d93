# SPDX-License-Identifier: Apache-2.0
"""Pure: the release matrix: what of all that is held goes from whom to whom, as text that a lawyer can review.

                                      aurelia -> borealia  borealia -> aurelia
    warning                           release              -
      indicator, amber, unsc:QDe.901
    photo                             withhold: types      -

One row for each object, one column for each giver and receiver between whom an agreement has a channel, and one more
for each further agreement between them. "-" is an object that the giver does not hold. Lines have at most 120
characters; columns that do not fit stand in a table of their own below.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from comity.ids import AgreementId, Instant, PartyId, format_instant
from comity.scenario.expectations import format_verdict
from comity.scenario.parse import Scenario
from comity.scenario.views import Held, View
from comity.scenario.world import World
from comity.stix.labels import UNSPECIFIED, Label

__all__ = ["draw_head", "draw_matrix"]

_WIDTH = 120
_GAP = "  "
_NOT_HELD = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """What one party gives another under one agreement, or under none that is on record."""

    giver: PartyId
    receiver: PartyId
    under: AgreementId
    head: tuple[str, str]


def draw_head(scenario: Scenario) -> str:
    """Title and story."""
    return "\n".join([scenario.title, "=" * len(scenario.title), "", *_wrap(scenario.story), ""])


def draw_matrix(world: World, now: Instant) -> str:
    """The matrix of everything held at the time that `world` has reached, `now`."""
    title = _time(now)
    lines = [title, "-" * len(title), "", *_list_standings(world, now), ""]
    rows = _list_rows(world)
    columns = list(_list_columns(world, now))
    if not columns:
        lines += ["No agreement on record has a channel: nothing goes.", ""]
    cells = [[_draw_cell(world, column, name, now) for name, _ in rows] for column in columns]
    for start, end in _split(columns, cells, first=_first_width(rows)):
        lines += [*_draw_table(rows, columns[start:end], cells[start:end]), ""]
    return "\n".join(lines)


# --- agreements -------------------------------------------------------------------------------------------------------


def _list_agreements(world: World) -> dict[AgreementId, str]:
    """Each agreement by the name of its first version."""
    found: dict[AgreementId, str] = {}
    for name, terms in world.scenario.agreements.items():
        found.setdefault(terms.agreement_id, name)
    return found


def _list_standings(world: World, now: Instant) -> list[str]:
    """The sentence of each agreement; several where its parties have different messages on record."""
    lines = list[str]()
    for agreement, name in _list_agreements(world).items():
        said: dict[str, list[PartyId]] = {}
        for party, view in sorted(world.views.items()):
            standing = view.standing(agreement, now=now)
            if standing is not None and party in standing.members | standing.latest.founders:
                said.setdefault(standing.sentence, []).append(party)
        if not said:
            lines += _wrap(f"{name}: nothing is on record")
        for sentence, parties in said.items():
            seen = f" (as {', '.join(parties)} {'see' if len(parties) > 1 else 'sees'} it)" if len(said) > 1 else ""
            lines += _wrap(f"{name}{seen}: {_shorten(sentence)}")
    return lines


# --- rows and columns -------------------------------------------------------------------------------------------------


def _list_rows(world: World) -> list[tuple[str, str]]:
    """Name and facts of every object that anybody holds, in the order of the scenario."""
    rows = list[tuple[str, str]]()
    for item in world.scenario.items:
        view = world.views[item.originator]
        held = view.find_held(item.name)
        if held is not None:
            rows.append((item.name, _say_facts(view, held)))
    return rows


def _say_facts(view: View, held: Held) -> str:
    """What its originator's terms are held against: the object joined with all that it refers to."""
    label = view.labels[held.first_seq]
    facts = [
        f"from {view.party}",
        "+".join(sorted(label.types)),
        f"TLP {label.tlp}",
        *_say_groups(label),
        *(_say("kinds", label.kinds - {UNSPECIFIED})),
        *_say("persons", label.person_classes),
        *_say("special", label.special_categories),
        *_say("handling", label.handling),
        *_say("marked", frozenset(_shorten_marking(marking) for marking in label.markings)),
        *_say("in part", frozenset(f"{mark.property} {mark.tlp}" for mark in label.granular)),
    ]
    return "; ".join(facts)


def _say_groups(label: Label) -> Iterator[str]:
    """Subjects and regions: one group for each object that the label stands for."""
    for groups in (label.subjects, label.regions):
        yield " & ".join(sorted({"+".join(sorted(group)) or "unsaid" for group in groups}))


def _say(name: str, words: frozenset[str]) -> list[str]:
    return [f"{name} {', '.join(sorted(words))}"] if words else []


def _shorten_marking(marking: str) -> str:
    return marking.partition("--")[0].replace("unknown:", "unknown ") if "--" in marking else marking


def _list_columns(world: World, now: Instant) -> Iterator[_Column]:
    names = _list_agreements(world)
    for giver, view in world.views.items():
        for receiver in world.views:
            if giver == receiver or not view.held:
                continue
            under = dict.fromkeys(agreement for agreement, _, _ in view.list_channels(receiver, now=now))
            for agreement in under:
                head = (f"{giver} -> {receiver}", f"({names[agreement]})")
                yield _Column(giver=giver, receiver=receiver, under=agreement, head=head)


def _draw_cell(world: World, column: _Column, name: str, now: Instant) -> str:
    view = world.views[column.giver]
    held = view.find_held(name)
    if held is None:
        return _NOT_HELD
    return format_verdict(view.find_verdict(held, column.receiver, now=now, under=column.under))


# --- layout -----------------------------------------------------------------------------------------------------------


def _first_width(rows: Sequence[tuple[str, str]]) -> int:
    return max((len(name) for name, _ in rows), default=0)


def _width(column: _Column, cells: Sequence[str]) -> int:
    return max(map(len, [*column.head, *cells]))


def _split(columns: Sequence[_Column], cells: Sequence[Sequence[str]], *, first: int) -> Iterator[tuple[int, int]]:
    """Which columns stand together, so that their table is as wide as a line."""
    start, taken = 0, first
    for index, column in enumerate(columns):
        width = _width(column, cells[index]) + len(_GAP)
        if index > start and taken + width > _WIDTH:
            yield start, index
            start, taken = index, first
        taken += width
    if columns:
        yield start, len(columns)


def _draw_table(
    rows: Sequence[tuple[str, str]], columns: Sequence[_Column], cells: Sequence[Sequence[str]]
) -> list[str]:
    widths = [_first_width(rows), *(_width(column, each) for column, each in zip(columns, cells, strict=True))]
    lines = [_join(["", *(column.head[part] for column in columns)], widths) for part in (0, 1)]
    lines.append(_join(["-" * width for width in widths], widths))
    for number, (name, facts) in enumerate(rows):
        lines.append(_join([name, *(each[number] for each in cells)], widths))
        lines += _wrap(facts, indent="    ")
    return lines


def _join(words: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(word.ljust(width) for word, width in zip(words, widths, strict=True)).rstrip()


def _wrap(text: str, *, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width=_WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _time(instant: Instant) -> str:
    return _shorten(format_instant(instant))


def _shorten(text: str) -> str:
    """Times without a fraction that says nothing."""
    return text.replace(".000000Z", "Z")
