# SPDX-License-Identifier: Apache-2.0
"""Shell: what the rule sets in force say of objects of this party that come in, in the very act that takes them in.

A set that two people applied stands until people take it back (`node.rules`). Whatever comes in later, newer versions
too, gets the words of each set that stands before anything else sees it: a word that restricts is there before the
first poll could give the object.

Here words only begin. What no longer meets a condition loses its words when people apply the set again, so that a
restriction does not go because an object was written anew. A word that a person took off is not said again by the set
that had said it. An object that would have more words than one can have is not taken in, and listed as bad.

Names are looked up in the version of a list that people applied the set with: a later one may have been loaded by one
person, and nothing goes by it that two have not seen. What keeps back is also said by the last version.

Sets that were applied before they stood for later objects (`StoredRules.standing`) say nothing here until people apply
them again: nobody agreed to more.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from comity.agreement.recognition import Refusal
from comity.classification.lists import index_names
from comity.classification.rules import Facts, Names, RuleSet, Said, find_said_by, parse_rules, read_facts
from comity.errors import ConflictError, MalformedObject
from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.node.lasting import KEEP_BACK
from comity.node.tagging import is_own, settle
from comity.stix.labels import Label
from comity.stix.objects import StixObject
from comity.store import Transaction, files, objects, rulesets, subjects, tags
from comity.store.objects import Holding, StoredObject
from comity.store.rulesets import RuleStep
from comity.store.tags import StoredTag

__all__ = ["MAX_SAID", "RULES", "Ruling", "make_tag"]

MAX_SAID = 64
"""Words of this party on one object."""

RULES = "the rules"
"""Who ended a word that a rule set began to say, where it was the set itself."""


class Ruling:
    """What the sets that stand say of the objects of a part that comes in, from files called `names`."""

    def __init__(
        self,
        transaction: Transaction,
        ids: Collection[ObjectId],
        own: PartyId,
        holding: Holding,
        *,
        names: Collection[str],
    ) -> None:
        self._transaction = transaction
        self._own = own
        self._files = frozenset(names)
        # What a partner or a source gives is for people to look at.
        self.is_ours = holding.received_under is None and holding.originator == own
        standing = rulesets.list_standing(transaction) if self.is_ours else []
        self._sets = [_parse(stored.text) for stored in standing]
        self._pinned: dict[Digest, Names] = {}
        self._latest: dict[Digest, Names] = {}
        for rules, stored in zip(self._sets, standing, strict=True):
            self._find_names(rules, stored.lists)
        self._room: dict[ObjectId, int] = {}
        self._settled: dict[Digest, set[tuple[ObjectId, str, str]]] = {}
        self._begins: dict[Digest, list[RuleStep]] = {}
        self._meets: dict[Digest, set[tuple[ObjectId, str, str]]] = {}
        if self._sets:
            good = tags.read_good(transaction, ids)
            self._room = {name: MAX_SAID - len(said) for name, said in good.items()}
            for rules in self._sets:
                self._settled[rules.digest] = {
                    (name, tag.field, tag.word)
                    for name, said in good.items()
                    for tag in said
                    if tag.rules == rules.digest
                } | tags.read_taken_off(transaction, rules.digest, ids, besides=RULES)

    def look_at(
        self,
        item: StixObject,
        label: Label,
        *,
        same: StoredObject | None,
        held: Sequence[StoredObject],
    ) -> None:
        """An object is about to come in, whose own label this is, or comes once more.

        `same` is this very version, where it is held already, and `held` are all that are. As when a set is applied,
        only the newest version of what is of this party alone is looked at.

        Raises:
            MalformedObject: more words would be said of it than an object can have.
        """
        if not self._sets:
            return
        of = label if same is None else objects.read_label(self._transaction, same.own_label)
        if not is_own(of, self._own) or any(known.version_at > item.version_at for known in held):
            return
        known = (
            frozenset() if same is None else files.read_names(self._transaction, [same.pk]).get(same.pk, frozenset())
        )
        facts = read_facts(json.loads(item.data), files=self._files | known)
        begins = [(rules.digest, step) for rules in self._sets for step in self._find(rules, item.id, facts)]
        room = self._room.get(item.id, MAX_SAID)
        if len(begins) > room:
            raise MalformedObject(
                f"more than {MAX_SAID} words would be said of it by the rules in force; take some back (classify"
                " remove), or end a rule set"
            )
        self._room[item.id] = room - len(begins)
        for digest, step in begins:
            self._begins.setdefault(digest, []).append(step)
            self._settled[digest].add((item.id, step.field, step.word))

    def _find(self, rules: RuleSet, item: ObjectId, facts: Facts) -> list[RuleStep]:
        found = find_said_by(rules, facts, names=self._pinned[rules.digest])
        for said, why in find_said_by(rules, facts, names=self._latest[rules.digest]).items() if rules.lists else ():
            if said[0] in KEEP_BACK:
                found.setdefault(said, why)
        self._meets.setdefault(rules.digest, set()).update((item, *said) for said in found)
        settled = self._settled[rules.digest]
        return [_begin(item, said, why) for said, why in found.items() if (item, *said) not in settled]

    def _find_names(self, rules: RuleSet, versions: Mapping[str, str]) -> None:
        """The names of the lists that the set looks up: in `versions`, as people applied it, and in the last ones.

        Of a version of which no entries are kept any more there are none.
        """
        pinned, latest = dict[str, Mapping[str, frozenset[str]]](), dict[str, Mapping[str, frozenset[str]]]()
        for name in rules.lists:
            loaded = [item for item in subjects.list_lists(self._transaction) if item.list == name]
            of_version = {item.version: item.key for item in loaded}
            for names, version in ((pinned, versions.get(name)), (latest, loaded[0].version if loaded else None)):
                key = None if version is None else of_version.get(version)
                entries = {} if key is None else subjects.read_entries(self._transaction, key)
                names[name] = index_names(entries.values())
        self._pinned[rules.digest], self._latest[rules.digest] = pinned, latest

    def say(self, *, now: Instant) -> None:
        """Say what was found, of all that is kept; labels follow.

        What an application of a set has yet to end of it stays: it was decided on what was held before.
        """
        for digest, meets in self._meets.items():
            rulesets.drop_ends(self._transaction, digest, meets)
        new = [
            make_tag(self._transaction, step, digest, now=now)
            for digest, steps in self._begins.items()
            for step in steps
        ]
        if new:
            tags.add_tags(self._transaction, new)
            settle(self._transaction, {tag.object for tag in new}, self._own)


def make_tag(transaction: Transaction, step: RuleStep, digest: Digest, *, now: Instant) -> StoredTag:
    """The word that a rule set begins to say with this step."""
    listed: tuple[str | None, str | None] = (None, None)
    if step.field == "subjects":
        latest = subjects.read_latest(transaction, step.word.partition(":")[0])
        if latest is not None and subjects.find_entry(transaction, latest.key, step.word) is not None:
            listed = latest.list, latest.version
    return StoredTag(
        key=0,
        object=step.object,
        field=step.field,
        word=step.word,
        list=listed[0],
        version=listed[1],
        person=None,
        rules=digest,
        said_at=now,
        reason=step.why,
    )


def _begin(item: ObjectId, said: Said, why: str) -> RuleStep:
    return RuleStep(object=item, field=said[0], word=said[1], why=why, ends=False)


@lru_cache(maxsize=64)
def _parse(text: bytes) -> RuleSet:
    """A set that was applied, and so was no refusal by the words that were known then.

    Raises:
        ConflictError: by those that are known now it is one; nothing comes in that it would have spoken of.
    """
    parsed = parse_rules(text)
    if isinstance(parsed, Refusal):
        raise ConflictError(
            f"a rule set that stands is refused by now: {parsed.reason}; `comity rules list` shows it. End it"
            " (`comity rules end`), and apply it without that rule"
        )
    return parsed
