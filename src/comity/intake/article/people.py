# SPDX-License-Identifier: Apache-2.0
"""Pure: persons whom an article names, with the office and the state by which it names them.

A name counts beside an office ("Foreign Minister Ilse Verhoeven", "Ana Freixo, Portugal's environment minister"),
behind "Mr." and the like, beside a verb of saying when it has two words, and again by its surname. Nobody is read out
of a text by what people he or she belongs to: offices of a religion are in no table, and a class of people is no
person.

Two names are one person here when the surname agrees, the first name sounds alike and offices do not contradict, within
this article alone. That two articles speak of one person is for people to say.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

from comity.intake.article.bodies import Beside, Body
from comity.intake.article.mentions import Kind, Mention
from comity.intake.article.names import Namer
from comity.intake.article.places import Place
from comity.intake.article.scene import Scene
from comity.intake.article.words import Hit, choose_longest, fold

__all__ = ["Named", "Person", "find_people", "list_people_mentions"]

_BACK = 8
"""Words from an office back to the comma before it."""
_MOST_ALIKE = 32
"""Persons of one surname that a name is held against: an article has two or three."""
_VOWELS = frozenset("aeiouyjw")
_CLAUSES = frozenset({"who", *(str(age) for age in range(10, 100))})
"""Behind a comma and a name: a clause of whom is named, or an age."""
_ARTICLES = frozenset({"a", "an", "the", "its", "their", "his", "her", "our"})


class Named(NamedTuple):
    """A name where it stands: words by number, where the surname begins, and what was read beside it."""

    first: int
    last: int
    surname: int
    rule: str
    office: str = ""
    state: str = ""
    person: int = -1
    """Whom it names: the place in the list of persons."""


class Person(NamedTuple):
    """A person of one article."""

    name: str
    office: str
    state: str
    spellings: tuple[str, ...]
    """Other forms of the name in the article."""


def find_people(
    scene: Scene, places: Sequence[Place], bodies: Sequence[Body], organisations: Sequence[Hit]
) -> tuple[list[Person], list[Named]]:
    """The persons, and every place where one is named, in the order of the text."""
    offices = choose_longest(scene.list_hits("office", "office-with", "office-past"))
    taken = _list_taken(places, bodies, organisations, offices)
    namer = Namer(scene, taken)
    found = list(_read_by_office(scene, namer, Beside(scene, places), offices))
    found += _read_by_honorific(scene, namer)
    found += _read_by_speech(scene, namer)
    found += _read_by_clause(scene, namer)
    chosen = _choose(found)
    persons, chosen = _join(namer, _inherit_states(chosen, bodies))
    again = _find_again(scene, namer, persons, chosen)
    return persons, sorted((*chosen, *again), key=lambda one: one.first)


def list_people_mentions(
    scene: Scene, persons: Sequence[Person], named: Sequence[Named], *, drafts: Sequence[str]
) -> Iterator[Mention]:
    """The mentions of the persons; `drafts` are those of the persons."""
    words = scene.words
    for one in named:
        yield Mention(
            kind=Kind.PERSON,
            start=words.starts[one.first],
            end=words.ends[one.last - 1],
            rule=one.rule,
            value=persons[one.person].name,
            draft=drafts[one.person],
        )


def _list_taken(
    places: Sequence[Place], bodies: Sequence[Body], organisations: Sequence[Hit], offices: Sequence[Hit]
) -> frozenset[int]:
    spans = [(place.hit.first, place.hit.last) for place in places]
    spans += [(body.first, body.last) for body in bodies]
    spans += [(hit.first, hit.last) for hit in (*organisations, *offices)]
    return frozenset(index for first, last in spans for index in range(first, last))


# --- beside an office -------------------------------------------------------------------------------------------------


def _read_by_office(scene: Scene, namer: Namer, beside: Beside, offices: Sequence[Hit]) -> Iterator[Named]:
    by_last = {hit.last: hit for hit in offices}
    for hit in offices:
        if hit.sense.kind != "office":
            continue
        title, first = _read_modifiers(scene, hit, by_last)
        before = beside.find_before(first)
        start = before.hit.first if before is not None else first
        named = _read_after(scene, namer, beside, hit, before) or _read_before(scene, namer, beside, hit, start)
        if named is None:
            continue
        state = next((place.code for place in (before, named[1]) if place is not None), "")
        one = named[0]
        yield one._replace(office=title, state=state)


def _read_modifiers(scene: Scene, hit: Hit, by_last: dict[int, Hit]) -> tuple[str, int]:
    """The office with "deputy" and the like before it, and where it begins; "former" is passed over."""
    title, first = hit.sense.value, hit.first
    while (
        (other := by_last.get(first)) is not None
        and other.sense.kind != "office"
        and scene.words.gaps[first - 1] in " -"
    ):
        if other.sense.kind == "office-with":
            title = f"{other.sense.value} {title}"
        first = other.first
    return title, first


def _read_after(
    scene: Scene, namer: Namer, beside: Beside, hit: Hit, before: Place | None
) -> tuple[Named, Place | None] | None:
    """The name behind an office: directly, behind "of Borealia", or behind a comma where a state or "the" is before."""
    words, at = scene.words, hit.last
    if at >= len(words.values):
        return None
    place = beside.find_after(at)
    if place is not None:
        at = place.hit.last
        if at >= len(words.values):
            return None
    gap = words.gaps[at - 1]
    direct = gap == " " or (gap == ". " and words.text[hit.end - 1] == ".")
    own = before is not None or place is not None or _is_owned(scene, hit)
    if gap == " " and own and (comma := _find_comma(scene, at)) is not None:
        last = namer.read_forward(at)
        at = at if last > at else comma
    elif gap != " " and not (gap == ", " and own) and not direct:
        return None
    last = namer.read_forward(at)
    if last == at or (last - at < 2 and not (direct and hit.sense.rule == "before")):  # noqa: PLR2004
        return None  # a surname alone is no name behind a comma or a word that is no title
    after = beside.find_after(last)
    return _name(namer, at, last, "office-before-name"), place or after


def _is_owned(scene: Scene, hit: Hit) -> bool:
    """Whether "the", "her" or somebody's stands before an office: "the charity's treasurer"."""
    words = scene.words
    before = words.values[max(0, hit.first - 3) : hit.first]
    return not _ARTICLES.isdisjoint(before) or "s" in before[-1:]


def _find_comma(scene: Scene, at: int) -> int | None:
    """The word behind the comma in "ambassador in Lucent, Nils Odegard": at most four words away."""
    words = scene.words
    if at >= len(words.values) or words.values[at] not in {"in", "to", "at", "for"}:
        return None
    for index in range(at, min(at + 4, len(words.values) - 1)):
        if words.gaps[index] == ", ":
            return index + 1
    return None


def _read_before(scene: Scene, namer: Namer, beside: Beside, hit: Hit, start: int) -> tuple[Named, Place | None] | None:
    """The name before an office, with a comma between: "Karl Osterman, the Estonian president"."""
    words, at = scene.words, start
    for _ in range(_BACK):
        if at == 0:
            return None
        gap = words.gaps[at - 1]
        if gap == ", ":
            break
        if gap != " " or words.values[at - 1] not in {
            *_ARTICLES,
            "former",
            "then",
            "new",
            "outgoing",
            "who",
            "is",
            "was",
        }:
            return None
        at -= 1
    else:
        return None
    first = namer.read_back(at)
    if at - first < 2:  # noqa: PLR2004 (a surname alone before an office is too little)
        return None
    return _name(namer, first, at, "name-before-office"), beside.find_after(hit.last)


def _name(namer: Namer, first: int, last: int, rule: str) -> Named:
    return Named(first=first, last=last, surname=namer.split_surname(first, last), rule=rule)


# --- without an office ------------------------------------------------------------------------------------------------


def _read_by_honorific(scene: Scene, namer: Namer) -> Iterator[Named]:
    for hit in scene.list_hits("honorific"):
        if hit.last < len(scene.words.values) and scene.words.gaps[hit.last - 1] in {" ", ". "}:
            last = namer.read_forward(hit.last)
            if last > hit.last:
                yield _name(namer, hit.last, last, "honorific")


def _read_by_speech(scene: Scene, namer: Namer) -> Iterator[Named]:
    """Two words or more with capitals beside a verb of saying; not in a title, where every word may have one."""
    words = scene.words
    for hit in scene.list_hits("speech"):
        if scene.is_title(hit.start):
            continue
        if hit.sense.value in {"verb", "weak", "quoting"} and hit.first and words.gaps[hit.first - 1] == " ":
            first = namer.read_back(hit.first)
            if hit.first - first > 1:
                yield _name(namer, first, hit.first, "speaker")
        if hit.last < len(words.values) and words.gaps[hit.last - 1] == " ":
            last = namer.read_forward(hit.last)
            if last - hit.last > 1:
                yield _name(namer, hit.last, last, "speaker")


def _read_by_clause(scene: Scene, namer: Namer) -> Iterator[Named]:
    """Two words or more with capitals before ", who" or an age: "Ruth Zammit, 51, …"."""
    words = scene.words
    values = words.values
    last = len(values) - 1
    for index in compress(range(len(values)), map(_CLAUSES.__contains__, values)):
        if index == 0 or words.gaps[index - 1] != ", ":
            continue
        if values[index] != "who" and (index == last or words.gaps[index] != ", "):
            continue
        first = namer.read_back(index)
        if index - first > 1 and scene.find_part(words.starts[first]) is not None:
            yield _name(namer, first, index, "clause")


def _choose(found: Sequence[Named]) -> list[Named]:
    """One for each place in the text: that with an office before others, the longest of those."""
    chosen = list[Named]()
    for one in sorted(found, key=lambda one: (one.first, not one.office, not one.state, -one.last)):
        if chosen and one.first < chosen[-1].last:
            continue
        chosen.append(one)
    return chosen


# --- who is who -------------------------------------------------------------------------------------------------------


def _inherit_states(named: Sequence[Named], bodies: Sequence[Body]) -> list[Named]:
    """A minister without a state has that of the ministry of the same department that is named last before."""
    by_title = dict[str, list[Body]]()
    for body in bodies:
        if body.state:
            by_title.setdefault(body.title, []).append(body)
    return [_inherit_state(one, by_title) for one in named]


def _inherit_state(one: Named, by_title: Mapping[str, Sequence[Body]]) -> Named:
    if one.state or not one.office.endswith(" Minister"):
        return one
    like = by_title.get(f"{one.office.removesuffix(' Minister').split(' ')[-1]} Ministry")
    if not like:
        return one
    near = bisect_right(like, one.first, key=lambda body: body.last)
    return one._replace(state=like[max(near - 1, 0)].state or "")


def _join(namer: Namer, named: Sequence[Named]) -> tuple[list[Person], list[Named]]:
    """The persons, and each name with whom it names."""
    persons = list[Person]()
    alike = dict[tuple[str, str], list[int]]()
    settled = list[Named]()
    # Whole names first, so that a surname finds them wherever it stands.
    for index in sorted(range(len(named)), key=lambda index: (named[index].surname == named[index].first, index)):
        one = named[index]
        name = namer.read_text(one.first, one.last)
        surname = fold(namer.read_text(one.surname, one.last))
        whole = one.surname > one.first
        sound = _sound(name)
        rivals = alike.get((surname, sound if whole else ""), [])[:_MOST_ALIKE]
        known = next((place for place in rivals if not whole or _is_same(persons[place], one, name)), None)
        if known is None:
            persons.append(Person(name=name, office=one.office, state=one.state, spellings=()))
            known = len(persons) - 1
            for key in {(surname, ""), (surname, sound)}:
                alike.setdefault(key, []).append(known)
        else:
            persons[known] = _add(persons[known], one, name, whole=whole)
        settled.append(one._replace(person=known))
    return persons, sorted(settled, key=lambda one: one.first)


def _is_same(person: Person, one: Named, name: str) -> bool:
    """Whether a name that sounds alike is of the same person: neither office nor state contradicts."""
    offices = not person.office or not one.office or person.office == one.office or person.name == name
    return offices and (not person.state or not one.state or person.state == one.state)


def _sound(name: str) -> str:
    """What two spellings of one first name share: "Sergei" and "Sergey", "Mohammed" and "Muhammad"."""
    bare = [char for char in fold(name.split(" ", 1)[0]) if char not in _VOWELS]
    return fold(name[:1]) + "".join(char for char, before in zip(bare, ["", *bare], strict=False) if char != before)


def _add(person: Person, one: Named, name: str, *, whole: bool) -> Person:
    spellings = person.spellings
    if whole and name != person.name and name not in spellings and len(spellings) < _MOST_ALIKE:
        spellings = (*spellings, name)
    return person._replace(office=person.office or one.office, state=person.state or one.state, spellings=spellings)


def _find_again(scene: Scene, namer: Namer, persons: Sequence[Person], named: Sequence[Named]) -> Iterator[Named]:
    """Every other place where a whole name or a surname stands alone."""
    words = scene.words
    covered = {index for one in named for index in range(one.first, one.last)}
    surnames = dict[str, list[Named]]()
    for one in named:
        surnames.setdefault(words.values[one.last - 1], []).append(one)
    for index in compress(range(len(words.values)), map(surnames.__contains__, words.values)):
        value = words.values[index]
        if index in covered or index in namer.taken or not words.capitals[index]:
            continue
        if scene.find_part(words.starts[index]) is None:
            continue
        first, last = namer.read_back(index + 1), namer.read_forward(index)
        if last > index + 1 and not scene.is_title(words.starts[index]):
            continue  # "Ekdal Street"
        like = surnames[value][0]
        if index - first >= 1 and not scene.is_title(words.starts[index]):
            whole = namer.read_text(first, index + 1)
            like_name = persons[like.person]
            if whole.casefold() not in {like_name.name.casefold(), *(s.casefold() for s in like_name.spellings)}:
                continue  # another person of that surname
            yield Named(first=first, last=index + 1, surname=index, rule="name-again", person=like.person)
        else:
            yield Named(first=index, last=index + 1, surname=index, rule="surname-again", person=like.person)
