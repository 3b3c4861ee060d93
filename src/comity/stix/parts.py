# SPDX-License-Identifier: Apache-2.0
"""Pure: a bundle in parts that can be taken in one after another, each whole: no part refers to a later one.

What is judged by others is in no earlier part than they are. So whoever reads between two parts finds nothing judged
without what it refers to within the bundle. Objects that refer to each other in a circle are in one part, and so are
all versions of one object, since an older one is judged by the newest.

Objects can also refer to each other by way of what is held already. Where such a way leads to a new object, what is on
the way is withheld until that one is there; a new version of what is held would come too late for it. So everything of
which something is held is in the first part, with all that it refers to.

How much a part may be is said in objects. One that refers to very many others, or is very long, counts as several.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from comity.ids import ObjectId
from comity.stix.objects import StixObject
from comity.stix.references import find_circles

__all__ = ["divide", "weigh"]

_PASSES = 3
_REFERENCES = 16
_BYTES = 2_048
"""What an object may have for each that it counts as: to keep so much more costs as much as to keep another object."""


def weigh(item: StixObject) -> int:
    """How many objects it counts as."""
    return 1 + len(item.references) // _REFERENCES + len(item.data) // _BYTES


def divide(objects: Sequence[StixObject], *, held: Collection[ObjectId], most: int) -> list[list[int]]:
    """The places of `objects` in parts of at most `most`, but for a circle, or what is `held`, where that is more.

    Within a part they are in their order; so are the parts, as far as references allow it.
    """
    weights = [weigh(item) for item in objects]
    if sum(weights) <= most:
        return [[*range(len(objects))]]
    places: dict[ObjectId, list[int]] = {}
    for place, item in enumerate(objects):
        places.setdefault(item.id, []).append(place)
    sources = {
        name: {target for place in held for target in objects[place].references if target in places} - {name}
        for name, held in places.items()
    }
    first = _reach(sources, held)
    parts = [[place for name in first for place in places[name]]]
    weight = sum(weights[place] for place in parts[0])
    for group in _order({name: targets - first for name, targets in sources.items() if name not in first}):
        together = [place for name in group for place in places[name]]
        more = sum(weights[place] for place in together)
        if parts[-1] and weight + more > most:
            parts.append([])
            weight = 0
        parts[-1] += together
        weight += more
    return [sorted(part) for part in parts]


def _reach(sources: Mapping[ObjectId, set[ObjectId]], names: Collection[ObjectId]) -> set[ObjectId]:
    """`names` and everything that they refer to, near or far."""
    reached = {name for name in names if name in sources}
    left = [*reached]
    while left:
        further = sources[left.pop()] - reached
        reached |= further
        left += further
    return reached


def _order(sources: Mapping[ObjectId, set[ObjectId]]) -> Iterator[Sequence[ObjectId]]:
    """What refers to each other in a circle, together, and after everything else that it refers to."""
    left, done = [*sources], set[ObjectId]()
    for _ in range(_PASSES):
        # Most come after what they refer to already, or nearly so.
        looked_through, left = left, []
        for name in looked_through:
            if sources[name] <= done:
                done.add(name)
                yield (name,)
            else:
                left.append(name)
    numbers = {name: number for number, name in enumerate(left)}
    circles = find_circles(
        {number: sorted(numbers[one] for one in sources[name] if one in numbers) for name, number in numbers.items()}
    )
    for circle in circles:
        yield [left[number] for number in circle]
