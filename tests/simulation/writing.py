# SPDX-License-Identifier: Apache-2.0
"""Histories made up by chance in which parties pass things on, write letters of all kinds, and one of them cheats.

Each seed is one history, the same in every run. What is drawn is weighed: of letters that nobody can send, and of
answers to nothing, there would be nine in ten otherwise.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random
from typing import Any

from comity.letters.bodies import LetterKind
from comity.node.outbox import list_due
from comity.store import letters as kept
from comity.store.letters import LetterState
from tests.simulation.cheats import CHEATS
from tests.simulation.play import Stage
from tests.simulation.template import PARTIES

__all__ = ["walk"]

_OPEN = frozenset({LetterState.OPEN})
_FATES = ("ok", "ok", "ok", "lost", "late", "late", "twice", "unheard")
_FORGED = ("recall", "recall", "acknowledgement", "grant", "grant", "revocation", "question", "reply")
_SKEWS = (-600, -30, -1, 0, 0, 0, 1, 30, 600)


def walk(stage: Stage, seed: int, *, steps: int) -> None:
    """Play the history of that seed to its end.

    Raises:
        AssertionError: an invariant that does not hold.
    """
    made = _Walk(stage, Random(seed))
    made.found()
    for _ in range(steps):
        made.step()
    stage.end()


class _Walk:
    def __init__(self, stage: Stage, random: Random) -> None:
        self._stage = stage
        self._simulation = stage.simulation
        self._random = random
        self._cheater: str | None = None
        self._steps: list[tuple[int, Callable[[], None]]] = [
            (10, self._pull),
            (4, self._pull_along),
            (6, self._deliver),
            (8, self._exchange),
            (3, self._arrive),
            (5, self._add),
            (7, self._recall),
            (2, self._keep),
            (8, self._ask),
            (8, self._grant),
            (1, self._deny),
            (3, self._revoke),
            (3, self._question),
            (4, self._reply),
            (3, self._advance),
            (3, self._disturb),
            (3, self._agree),
        ]

    @property
    def _names(self) -> tuple[str, ...]:
        return self._simulation.names

    def take(self, do: str, **step: Any) -> str:  # noqa: ANN401 (whatever JSON holds)
        plain = {
            "do": do,
            **{key.rstrip("_"): value for key, value in step.items() if value is not None and value is not False},
        }
        if do in {"recall", "ask", "grant", "revoke", "pull", "keep"} and self._happens(0.08):
            plain |= {"fault": self._random.choice(("not done", "done")), "spared": self._random.choice((0, 0, 1))}
        return self._stage.take(plain)

    def found(self) -> None:
        """The nodes, agreements from each to the next and some across, and what each has."""
        random, parties = self._random, self._random.choice((3, 3, 4, 4, 5, 6, 8))
        names = PARTIES[:parties]
        skew = {name: skewed for name in names if (skewed := random.choice(_SKEWS))}
        self.take("found", parties=parties, skew=skew)
        self._cheater = random.choice((None, None, *names[:-1]))
        if self._cheater is not None:
            self._steps += [(7, self._cheat), (5, self._forge), (2, self._lie)]
        for name in names[:2]:
            self.take("add", by=name, name="n1")
        pairs = list(pairwise(names))
        across = [(giver, name) for giver in names for name in names if giver != name and (giver, name) not in pairs]
        for place, pair in enumerate(pairs + random.sample(across, min(2, len(across)))):
            self._sign(pair, f"p{place}")
        self._pull_along()

    def _sign(self, pair: tuple[str, str], handle: str) -> None:
        random = self._random
        others = [name for name in self._names if name != pair[1]]
        spec: dict[str, Any] = {"founders": [*pair], "originators": [*self._names]}
        match random.choice(("consent", "consent", "all", "some", "none")):
            case "consent":
                spec["consent"] = True
            case "all":
                spec["onward"] = others
            case "some":
                spec["onward"] = sorted(random.sample(others, random.randint(1, len(others))))
            case _:
                pass
        if self._happens(0.3):
            spec["retention"] = True
        if self._happens(0.3):
            spec["response"] = random.choice((8, 72))
        if self._happens(0.1):
            spec["until"] = random.choice((6, 30, 100))
        self.take("propose", by=pair[0], as_=handle, terms=spec)
        self.take("exchange")
        self.take("act", by=pair[1], agreement=handle, kind="accept")
        self.take("exchange")

    def step(self) -> None:
        """One that is drawn, or several that belong together."""
        weights, acts = zip(*self._steps, strict=True)
        self._random.choices(acts, weights)[0]()

    # ---- objects ---------------------------------------------------------------------------------------------------

    def _pull(self) -> None:
        giver, name = self._random.sample(self._names, 2)
        lose, anew = self._happens(0.1), self._happens(0.3)
        self.take("pull", by=name, from_=giver, lose=lose, anew=anew, limit=self._random.choice((1, 2, 5)))

    def _pull_along(self) -> None:
        for giver, name in pairwise(self._names):
            self.take("pull", by=name, from_=giver, limit=5)

    def _add(self) -> None:
        """Something new, a newer version, or what refers to something that came."""
        name, refs = self._random.choice(self._names), None
        if self._happens(0.3) and (came := self._list_came(name)):
            refs = [self._random.choice(came)]
        granular = self._happens(0.2)
        self.take("add", by=name, name=self._random.choice(("n1", "n1", "n2")), refs=refs, granular=granular)

    def _list_came(self, name: str) -> list[str]:
        """What came to `name`, by the names that steps gave it."""
        ids = {version[0] for pull in self._simulation.pulls if pull.recipient == name for version in pull.kept}
        return sorted({item for made, item in self._list_made() if made in ids})

    def _list_made(self) -> Iterator[tuple[str, str]]:
        for (item, _), step in self._simulation.items.items():
            yield item, f"{step['by']} {step['name']}"

    def _draw_held(self, *, own: bool) -> tuple[str, str] | None:
        """Somebody, and something that came to it, or that it made."""
        held = [(name, item) for name in self._names for item in self._list_came(name)]
        if own:
            held += [(item.partition(" ")[0], item) for _, item in self._list_made()]
        return self._random.choice(sorted(set(held))) if held else None

    # ---- letters ---------------------------------------------------------------------------------------------------

    def _recall(self) -> None:
        if held := self._draw_held(own=True):
            owner, _, name = held[1].partition(" ")
            if self._happens(0.4):
                self.take("add", by=owner, name=name)
                self.take("recall", by=owner, object=held[1], change="correct")
            else:
                self.take("recall", by=owner if self._happens(0.6) else held[0], object=held[1], change="withdraw")

    def _keep(self) -> None:
        if held := self._draw_held(own=False):
            self.take("keep", by=held[0], object=held[1])

    def _ask(self) -> None:
        """Mostly by whoever has an agreement with the one that it is to go to."""
        held = self._draw_held(own=False)
        if held is None:
            return
        place = self._names.index(held[0])
        near = self._names[place + 1 : place + 2] or self._names[:1]
        to = self._random.choice((*near, *near, *near, self._random.choice(self._names)))
        hours = self._random.choice((None, None, 6, 48))
        self.take("ask", by=held[0], object=held[1], to=to, hours=hours)
        self._perhaps_exchange()

    def _grant(self) -> None:
        hours = self._random.choice((1, 6, 48))
        conditions = "keep it shut" if self._happens(0.2) else None
        if self._answer(LetterKind.CONSENT_REQUEST, "grant", hours=hours, conditions=conditions):
            self._perhaps_exchange()
            self._pull_along()

    def _deny(self) -> None:
        self._answer(LetterKind.CONSENT_REQUEST, "deny")

    def _revoke(self) -> None:
        if self._answer(LetterKind.CONSENT_GRANT, "revoke", sent=True, back=self._happens(0.5)):
            self._perhaps_exchange()

    def _question(self) -> None:
        handles = sorted(self._simulation.agreements)
        handle = self._random.choice(handles)
        dossier = self._simulation.dossier(self._random.choice(self._names), handle)
        if dossier is None:
            return
        name, to = self._random.sample(sorted(dossier.parties()), 2)
        came = self._list_came(name)
        self.take(
            "question",
            by=name,
            to=to,
            agreement=handle,
            urgency=self._random.choice(("immediate", "soon", "routine")),
            object=self._random.choice(came) if came and self._happens(0.5) else None,
        )
        self._perhaps_exchange()

    def _reply(self) -> None:
        self._answer(LetterKind.REQUEST, "reply", decline=self._happens(0.3))

    def _answer(self, kind: LetterKind, do: str, *, sent: bool = False, **words: Any) -> bool:  # noqa: ANN401
        """Whether there was somebody whom a letter of that kind waits for, and who took the step."""
        able = [name for name in self._names if self._has(name, kind, sent=sent)]
        if able:
            self.take(do, by=self._random.choice(able), pick=self._random.randint(0, 3), **words)
        return bool(able)

    def _has(self, name: str, kind: LetterKind, *, sent: bool) -> bool:
        with self._simulation.nodes[name].store.read() as transaction:
            states = frozenset(LetterState) if sent else _OPEN
            return bool(kept.list_letters(transaction, kind, sent=sent, states=states, limit=1))

    # ---- the network, and time -------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        due = [name for name in self._names if list_due(self._simulation.nodes[name])]
        if due:
            name, pick, fate = self._random.choice(due), self._random.randint(0, 5), self._random.choice(_FATES)
            self.take("deliver", from_=name, pick=pick, fate=fate)

    def _exchange(self) -> None:
        self.take("exchange", backwards=self._happens(0.5))

    def _perhaps_exchange(self) -> None:
        if self._happens(0.6):
            self._exchange()

    def _arrive(self) -> None:
        if self._simulation.late:
            self.take("arrive", pick=self._random.randint(0, 5), keep=self._happens(0.3))

    def _advance(self) -> None:
        match self._random.randrange(4):
            case 0:
                self.take("advance", hours=self._random.choice((1, 6, 24)))
            case 1:
                self.take("keep_up", by=self._random.choice(self._names))
            case _:
                self.take("advance", seconds=301)

    def _disturb(self) -> None:
        name = self._random.choice(self._names)
        match self._random.randrange(4):
            case 0:
                self.take("crash", by=name)
            case 1:
                self.take("skew", by=name, seconds=self._random.choice(_SKEWS))
            case _:
                left = self._random.sample(self._names, self._random.randint(1, len(self._names) - 1))
                groups = [left, [each for each in self._names if each not in left]]
                self.take("divide", groups=[] if self._simulation.apart and self._happens(0.6) else groups)

    def _agree(self) -> None:
        """What changes an agreement meanwhile."""
        handle = self._random.choice(sorted(self._simulation.agreements))
        name = self._random.choice(self._names)
        dossier = self._simulation.dossier(name, handle)
        if dossier is None or name not in dossier.parties():
            return
        match self._random.randrange(8):
            case 0 | 1 | 2:
                self.take("act", by=name, agreement=handle, kind="suspend", channel=None)
            case 3 | 4 | 5:
                self.take("resume", by=name, agreement=handle)
            case 6:
                self.take("policy", by=name, policy=self._random.choice(("recognises", "recognises", "nothing")))
            case _:
                self.take("act", by=name, agreement=handle, kind="terminate")

    # ---- who cheats ------------------------------------------------------------------------------------------------

    def _cheat(self) -> None:
        name = self._random.choice([each for each in self._names if each != self._cheater])
        if self._happens(0.6):
            self.take("add", by=self._cheater, name="n2")
        if self._cheater in self._simulation.twins and self._happens(0.5):
            self.take("pull", by=name, from_=self._cheater, twin=True)
            return
        self.take("pull", by=name, from_=self._cheater, cheat=self._random.choice(sorted(CHEATS)))

    def _forge(self) -> None:
        others = [each for each in self._names if each != self._cheater]
        to = self._random.choice(others)
        if self._happens(0.2):
            self.take("replay_letter", to=to, pick=self._random.randint(0, 9))
            return
        held = self._list_came(to) or [f"{to} n1"]
        self.take(
            "forge_letter",
            by=self._cheater,
            to=to,
            kind=self._random.choice(_FORGED),
            object=self._random.choice(held),
            recipient=self._random.choice(self._names),
            pick=self._random.randint(0, 9),
        )
        if self._happens(0.7):
            self.take("arrive", pick=len(self._simulation.late) - 1)

    def _lie(self) -> None:
        if self._happens(0.4):
            self.take("twin", by=self._cheater)
        else:
            self.take("add", by=self._cheater, name="n3", tlp="red")
            self.take("mislabel", by=self._cheater)

    def _happens(self, probability: float) -> bool:
        return self._random.random() < probability
