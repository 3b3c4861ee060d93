# SPDX-License-Identifier: Apache-2.0
"""Histories made up by Hypothesis in which parties pass things on, write letters of all kinds, and one of them cheats."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from comity.letters.bodies import LetterKind
from comity.store import letters as kept
from comity.store.letters import LetterState
from tests.simulation.cheats import CHEATS
from tests.simulation.machine import FAULTS, SKEWS, SOME, History
from tests.simulation.template import PARTIES

__all__ = ["LetterHistory"]

_NAMES = ("n1", "n2")
_HOURS = st.sampled_from((1, 6, 48))
_OPEN = {LetterState.OPEN}


class LetterHistory(History):
    """One history: agreements along a chain and across it, with objects that have come some way before it begins."""

    @initialize(data=st.data(), parties=st.sampled_from((3, 3, 4, 4, 5, 6, 8)))
    def found(self, data: st.DataObject, parties: int) -> None:
        names = PARTIES[:parties]
        skew = {name: skewed for name in names if (skewed := data.draw(SKEWS))}
        self.take(do_="found", parties=parties, skew=skew)
        self.cheater = data.draw(st.sampled_from((None, *names)))
        for name in names[: data.draw(st.integers(1, 2))]:
            for item in _NAMES[: data.draw(st.integers(1, 2))]:
                self.take(do_="add", by=name, name=item)
        for place, pair in enumerate(self.draw_pairs(data)):
            self.sign(data, self.draw_passing(data, pair), do_="propose", by=pair[0], as_=f"p{place}")
        if data.draw(st.sampled_from((True, True, True, False))):
            self.pull_along()

    def draw_pairs(self, data: st.DataObject) -> list[tuple[str, str]]:
        """Who gives whom: each the next, and some beyond."""
        names = self.simulation.names
        pairs = list(zip(names, names[1:], strict=False))
        across = [(giver, name) for giver in names for name in names if giver < name and (giver, name) not in pairs]
        return pairs + data.draw(st.lists(st.sampled_from(across), unique=True, max_size=2))

    def draw_passing(self, data: st.DataObject, pair: tuple[str, str]) -> dict[str, Any]:
        """Terms under which what is given is passed on, to anybody, to some, or by consent."""
        others = [name for name in self.simulation.names if name != pair[1]]
        spec: dict[str, Any] = {"founders": [*pair], "originators": [*self.simulation.names]}
        way = data.draw(st.sampled_from(("consent", "consent", "all", "some", "none")))
        spec["consent"] = way == "consent" or None
        spec["onward"] = {"all": others, "some": data.draw(st.lists(st.sampled_from(others), unique=True))}.get(way)
        spec["retention"] = data.draw(SOME) or None
        spec["response"] = data.draw(st.sampled_from((None, None, 8, 72)))
        return {name: value for name, value in spec.items() if value}

    def pull_along(self) -> None:
        names = self.simulation.names
        for giver, name in zip(names, names[1:], strict=False):
            self.take(do_="pull", by=name, from_=giver, limit=5)

    # ---- letters ---------------------------------------------------------------------------------------------------

    def draw_held(self, data: st.DataObject) -> tuple[str, str] | None:
        """Somebody, and something that came to it or that it made, by its name."""
        made = {item: f"{step['by']} {step['name']}" for (item, _), step in self.simulation.items.items()}
        held = sorted({(name, made[item]) for pull in self.simulation.pulls for name, item in self.list_kept(pull)})
        own = sorted({(step["by"], f"{step['by']} {step['name']}") for step in self.simulation.items.values()})
        return data.draw(st.sampled_from(held * 2 + own)) if held or own else None

    @staticmethod
    def list_kept(pull: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 (a page that came)
        return [(pull.recipient, version[0]) for version in pull.kept]

    @rule(data=st.data(), change=st.sampled_from(("withdraw", "withdraw", "correct")), fault=FAULTS)
    def recall(self, data: st.DataObject, change: str, fault: str | None) -> None:
        held = self.draw_held(data)
        if held is None:
            return
        name, item = held
        if change == "correct":
            owner, _, short = item.partition(" ")
            self.take(do_="add", by=owner, name=short)
            name = owner
        self.take(do_="recall", by=name, object=item, change=change, fault=fault)

    @rule(data=st.data())
    def keep(self, data: st.DataObject) -> None:
        if held := self.draw_held(data):
            self.take(do_="keep", by=held[0], object=held[1])

    @rule(data=st.data(), hours=st.sampled_from((None, None, 6, 48)), fault=FAULTS)
    def ask(self, data: st.DataObject, hours: int | None, fault: str | None) -> None:
        if held := self.draw_held(data):
            to = data.draw(st.sampled_from(self.simulation.names))
            self.take(do_="ask", by=held[0], object=held[1], to=to, hours=hours, fault=fault)
            if data.draw(st.booleans()):
                self.take(do_="exchange")

    @rule(data=st.data(), pick=st.integers(0, 3), hours=_HOURS, fault=FAULTS, conditions=SOME)
    def grant(self, data: st.DataObject, pick: int, hours: int, fault: str | None, conditions: bool) -> None:
        words = {"hours": hours, "conditions": "keep it shut" if conditions else None, "fault": fault, "spared": 1}
        if self.answer(data, LetterKind.CONSENT_REQUEST, "grant", pick=pick, **words) and data.draw(st.booleans()):
            self.take(do_="exchange")

    @rule(data=st.data(), pick=st.integers(0, 3))
    def deny(self, data: st.DataObject, pick: int) -> None:
        self.answer(data, LetterKind.CONSENT_REQUEST, "deny", pick=pick)

    @rule(data=st.data(), pick=st.integers(0, 3), back=st.booleans(), fault=FAULTS)
    def revoke(self, data: st.DataObject, pick: int, back: bool, fault: str | None) -> None:
        able = [name for name in self.simulation.names if self.has(name, LetterKind.CONSENT_GRANT, sent=True)]
        if able:
            name = data.draw(st.sampled_from(able))
            self.take(do_="revoke", by=name, pick=pick, back=back or None, fault=fault)

    @rule(data=st.data(), urgency=st.sampled_from(("immediate", "soon", "routine")), about=st.booleans())
    def question(self, data: st.DataObject, urgency: str, about: bool) -> None:
        if not self.simulation.agreements:
            return
        held = self.draw_held(data) if about else None
        name = held[0] if held else self.party(data)
        handle = data.draw(st.sampled_from(sorted(self.simulation.agreements)))
        to = data.draw(st.sampled_from(self.simulation.names))
        item = held[1] if held else None
        self.take(do_="question", by=name, to=to, agreement=handle, urgency=urgency, object=item)

    @rule(data=st.data(), pick=st.integers(0, 3), decline=SOME)
    def reply(self, data: st.DataObject, pick: int, decline: bool) -> None:
        self.answer(data, LetterKind.REQUEST, "reply", pick=pick, decline=decline or None)

    def answer(self, data: st.DataObject, kind: LetterKind, do: str, **words: Any) -> bool:  # noqa: ANN401
        """Whether somebody whom a letter of that kind waits for answered it, or tried."""
        able = [name for name in self.simulation.names if self.has(name, kind, sent=False)]
        if able:
            self.take(do_=do, by=data.draw(st.sampled_from(able)), **words)
        return bool(able)

    def has(self, name: str, kind: LetterKind, *, sent: bool) -> bool:
        states = frozenset(LetterState) if sent else _OPEN
        with self.simulation.nodes[name].store.read() as transaction:
            return bool(kept.list_letters(transaction, kind, sent=sent, states=states, limit=1))

    @rule()
    def pull_on(self) -> None:
        self.pull_along()

    # ---- who cheats ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.cheater is not None)
    @rule(data=st.data(), cheat=st.sampled_from(sorted(CHEATS)), more=st.booleans())
    def cheat(self, data: st.DataObject, cheat: str, more: bool) -> None:
        able = [name for name in self.simulation.names if name != self.cheater]
        if more:
            self.take(do_="add", by=self.cheater, name=data.draw(st.sampled_from(_NAMES)))
        twin = self.cheater in self.simulation.twins and data.draw(st.booleans())
        name = data.draw(st.sampled_from(able))
        self.take(do_="pull", by=name, from_=self.cheater, cheat=None if twin else cheat, twin=twin or None)

    @precondition(lambda self: self.cheater is not None)
    @rule(data=st.data(), what=st.sampled_from(("twin", "mislabel", "replay", "replay", "forge", "forge", "forge")))
    def lie(self, data: st.DataObject, what: str) -> None:
        others = [name for name in self.simulation.names if name != self.cheater]
        pick = data.draw(st.integers(0, 9))
        match what:
            case "twin":
                self.take(do_="twin", by=self.cheater)
            case "mislabel":
                self.take(do_="add", by=self.cheater, name="n3", tlp="red")
                self.take(do_="mislabel", by=self.cheater)
            case "replay":
                self.take(do_="replay_letter", to=data.draw(st.sampled_from(others)), pick=pick)
            case _:
                self.forge_some(data, others, pick)

    def forge_some(self, data: st.DataObject, others: list[str], pick: int) -> None:
        held = self.draw_held(data)
        kinds = ("recall", "recall", "acknowledgement", "grant", "grant", "revocation", "question", "reply")
        self.take(
            do_="forge_letter",
            by=self.cheater,
            to=data.draw(st.sampled_from(others)),
            kind=data.draw(st.sampled_from(kinds)),
            object=held[1] if held else "nobody n1",
            recipient=data.draw(st.sampled_from(self.simulation.names)),
            pick=pick,
        )
