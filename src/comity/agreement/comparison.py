# SPDX-License-Identifier: Apache-2.0
"""Pure: two texts of an agreement, clause by clause: what stands in one and not in the other.

    compare_texts(before, after) -> [TextChange(clause="channels.main.regions", added=("SY",), removed=()), …]

The documents are walked as they were signed, so that no field is missed. A clause is named by its place: fields by
their names, the members of a list by their `id`. The order of words in a list has no meaning and is not compared.
"""

from dataclasses import dataclass

from comity.agreement.terms import Terms
from comity.canonical import Json, canonical_bytes, parse_signed_json

__all__ = ["TextChange", "compare_texts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChange:
    """A clause that differs: its words before and after (None: the clause is not in that text), and which differ."""

    clause: str
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None

    @property
    def added(self) -> tuple[str, ...]:
        """The words that only the later text has."""
        return tuple(word for word in self.after or () if word not in (self.before or ()))

    @property
    def removed(self) -> tuple[str, ...]:
        """The words that only the earlier text has."""
        return tuple(word for word in self.before or () if word not in (self.after or ()))


def compare_texts(before: Terms, after: Terms) -> tuple[TextChange, ...]:
    """Every clause in which the texts differ, by name; none where only the order of words does."""
    old, new = _read_clauses(before), _read_clauses(after)
    return tuple(
        TextChange(clause=clause, before=old.get(clause), after=new.get(clause))
        for clause in sorted(old.keys() | new.keys())
        if old.get(clause) != new.get(clause)
    )


def _read_clauses(terms: Terms) -> dict[str, tuple[str, ...]]:
    """The words of every clause, sorted; a clause that is there and names nothing has none."""
    clauses = dict[str, tuple[str, ...]]()
    waiting: list[tuple[str, Json]] = [("", parse_signed_json(terms.document))]
    while waiting:
        place, value = waiting.pop()
        match value:
            case dict() if value:
                waiting += [(f"{place}.{name}" if place else name, item) for name, item in value.items()]
            case list() if value and all(_name(item) is not None for item in value):
                waiting += [(f"{place}.{_name(item)}", item) for item in value]
            case list():
                clauses[place] = tuple(sorted(_format(item) for item in value))
            case _:
                clauses[place] = (_format(value),)
    return clauses


def _name(item: Json) -> str | None:
    name = item.get("id") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def _format(value: Json) -> str:
    """A text as it is; anything else as canonical JSON."""
    return value if isinstance(value, str) else canonical_bytes(value).decode()
