# SPDX-License-Identifier: Apache-2.0
"""Pure: the names of persons among the words of an article: where one begins and ends, and the surname in it."""

from collections.abc import Collection
from dataclasses import dataclass

from comity.intake.article.scene import Scene

__all__ = ["Namer", "is_capital_name"]

_MAX_WORDS = 5
_INSIDE = frozenset({" ", "-", "'"})


@dataclass(frozen=True, slots=True)
class Namer:
    """Reads names; `taken` are the numbers of words that belong to a place, an organisation or an office."""

    scene: Scene
    taken: Collection[int]

    def read_forward(self, first: int) -> int:
        """The number after the last word of the name that begins at `first`; `first` itself where none does."""
        words, at, count = self.scene.words, first, 0
        while at < len(words.values) and count < _MAX_WORDS:
            if at > first and not self._joins(at - 1):
                break
            if self._is_part(at):
                count += 1
            elif not (at > first and self._is_particle(at)):
                # "de Wit": a particle alone begins a name only behind an office, where the caller asks for it.
                break
            at += 1
        while at > first and not self._is_part(at - 1):
            at -= 1
        return at

    def read_back(self, last: int) -> int:
        """The number of the first word of the name that ends before `last`; `last` itself where none does."""
        words, at, count = self.scene.words, last, 0
        while at > 0 and count < _MAX_WORDS:
            if at < last and not self._joins(at - 1):
                break
            if self._is_part(at - 1):
                count += 1
            elif not (at < last and words.values[at - 1] in self.scene.rules.particles):
                break
            at -= 1
        while at < last and not self._is_part(at):
            at += 1
        return at

    def read_text(self, first: int, last: int) -> str:
        """The name as it stands, white space as one space."""
        words = self.scene.words
        return " ".join(words.text[words.starts[first] : words.ends[last - 1]].split())

    def split_surname(self, first: int, last: int) -> int:
        """The number of the word where the surname begins: the last word, with the particles before it."""
        words, at = self.scene.words, last - 1
        while at > first and words.gaps[at - 1] in {"-", "'"}:
            at -= 1
        while at > first and words.values[at - 1] in self.scene.rules.particles:
            at -= 1
        return at

    def _joins(self, index: int) -> bool:
        """Whether the word and the one after it can belong to one name."""
        words = self.scene.words
        gap = words.gaps[index]
        if gap in _INSIDE:
            return "\n\n" not in words.text[words.ends[index] : words.starts[index + 1]]
        return gap == ". " and len(words.values[index]) == 1

    def _is_part(self, index: int) -> bool:
        return index not in self.taken and is_capital_name(self.scene, index)

    def _is_particle(self, index: int) -> bool:
        words = self.scene.words
        following = index + 1 < len(words.values) and self._joins(index)
        return words.values[index] in self.scene.rules.particles and following


def is_capital_name(scene: Scene, index: int) -> bool:
    """Whether a word can be a part of a name: a capital letter, no digit, no word that is none."""
    words = scene.words
    value = words.values[index]
    return words.capitals[index] and value not in scene.rules.no_names and value.isalpha()
