# SPDX-License-Identifier: Apache-2.0
"""Histories made up by Hypothesis: each rule draws one plain step, or a few, that somebody could take next."""

from contextlib import ExitStack
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from comity.agreement.events import EventKind
from comity.agreement.transitions import MAY, State
from comity.node.outbox import list_due
from tests.simulation.drafts import POLICIES
from tests.simulation.play import LAST_FAILURE, save_history, set_stage
from tests.simulation.template import PARTIES

__all__ = ["History"]

_NAMES = ("n1", "n2", "n3")
_HOURS = st.sampled_from((1, 1, 3, 6))
_SKEWS = st.sampled_from((-600, -30, -1, 0, 0, 1, 30, 600))
_FAULTS = st.sampled_from((None,) * 4 + ("not done", "done"))
_SOME = st.sampled_from((False,) * 4 + (True,))
_STOPPING = {EventKind.TERMINATE, EventKind.LEAVE, EventKind.REJECT, EventKind.WITHDRAW}


class History(RuleBasedStateMachine):
    """One history; saved when it fails."""

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        self.stage = self._open.enter_context(set_stage())
        self.simulation = self.stage.simulation
        self.failed = False

    def teardown(self) -> None:
        try:
            if self.simulation.names and not self.failed:
                self.guard(self.stage.end)
        finally:
            self._open.close()

    def take(self, **step: Any) -> str:  # noqa: ANN401 (whatever JSON holds)
        plain = {"do" if key == "do_" else key.rstrip("_"): value for key, value in step.items() if value is not None}
        return str(self.guard(lambda: self.stage.take(plain)))

    def guard(self, act: Any) -> Any:  # noqa: ANN401 (what the act gives)
        """What `act` gives; when it fails, the history until here is kept, and the shortest one is kept last."""
        try:
            return act()
        except BaseException as error:
            self.failed = True
            save_history(LAST_FAILURE, self.simulation.history, about=str(error).partition("\n")[0])
            note(f"kept as {LAST_FAILURE}; play it again: python -m tests.simulation.replay {LAST_FAILURE}")
            raise

    # ---- what to draw from -----------------------------------------------------------------------------------------

    def party(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self.simulation.names))

    def find_able(self, *kinds: EventKind) -> list[tuple[str, str, EventKind]]:
        """Who could say what of which agreement, by the state at its own node."""
        return [
            (name, handle, kind)
            for name in self.simulation.names
            for handle in self.known(name)
            for kind in sorted(MAY[self.state(name, handle)])
            if kind in kinds
        ]

    def draw_terms(self, data: st.DataObject, *, among: tuple[str, ...], all_of_them: bool = False) -> dict[str, Any]:
        """Terms between some of `among`, with dates inside of what a history spans."""
        draw = data.draw
        count = len(among) if all_of_them else draw(st.integers(2, len(among)))
        founders = draw(st.permutations(among).map(lambda names: names[:count]))
        spec: dict[str, Any] = {"founders": list(founders)}
        if draw(_SOME):
            spec["consent"] = True
        if count > 2 or draw(_SOME):
            accession = draw(st.sampled_from(("closed", "any_member", "majority", "unanimous")))
            spec |= {"group": True, "accession": accession}
        if draw(_SOME):
            spec["until"] = draw(st.integers(2, 24))
        for name in ("bases", "assurances"):
            if draw(_SOME):
                spec[name] = {draw(st.sampled_from(founders)): draw(st.integers(1, 24))}
        if draw(_SOME):
            spec["reservable"] = True
        if draw(_SOME):
            spec["history"] = "none"
        spec["tlp"] = draw(st.sampled_from(("green", "amber")))
        if draw(_SOME):
            spec["originators"] = sorted(draw(st.sets(st.sampled_from(self.simulation.names), min_size=1)))
        if draw(_SOME):
            spec["onward"] = sorted(draw(st.sets(st.sampled_from(self.simulation.names), min_size=1)))
        return spec

    def known(self, name: str) -> list[str]:
        """The agreements on the record of `name`."""
        return [handle for handle in self.simulation.agreements if self.simulation.dossier(name, handle) is not None]

    def state(self, name: str, handle: str) -> State:
        dossier = self.simulation.dossier(name, handle)
        assert dossier is not None
        return dossier.standing(now=self.simulation.clock(name)).state

    def sign(self, data: st.DataObject, spec: dict[str, Any], **step: str) -> None:
        """Propose, and perhaps let all sign at once, so that most histories begin with something in force."""
        outcome = self.take(terms=spec, **step)
        if outcome != "done" or not data.draw(st.sampled_from((True,) * 7 + (False,))):
            return
        handle = step.get("as_", step.get("agreement", ""))
        self.take(do_="exchange")
        for name in spec["founders"]:
            if name != step["by"]:
                self.take(do_="act", by=name, agreement=handle, kind="accept")
        self.take(do_="exchange")

    # ---- the stage -------------------------------------------------------------------------------------------------

    @initialize(data=st.data(), parties=st.sampled_from((2, 3, 3, 3, 4, 5, 8)))
    def found(self, data: st.DataObject, parties: int) -> None:
        names = PARTIES[:parties]
        skew = {name: skewed for name in names if (skewed := data.draw(_SKEWS))}
        self.take(do_="found", parties=parties, skew=skew)
        for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
            self.take(do_="add", by=name, name="n1")
        spec = self.draw_terms(data, among=names)
        if len(names) > 2 and data.draw(st.booleans()):
            accession = data.draw(st.sampled_from(("any_member", "any_member", "majority", "unanimous")))
            spec |= {"founders": spec["founders"][: len(names) - 1], "group": True, "accession": accession}
        self.sign(data, spec, do_="propose", by=data.draw(st.sampled_from(spec["founders"])), as_="a0")
        for name in names[: data.draw(st.integers(0, 2))]:
            self.take(do_="add", by=name, name="n2", granular=data.draw(st.booleans()) or None)

    # ---- what people do --------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.simulation.agreements) < 3)
    @rule(data=st.data())
    def propose(self, data: st.DataObject) -> None:
        spec = self.draw_terms(data, among=self.simulation.names)
        handle = f"a{len(self.simulation.agreements)}x{len(self.simulation.history)}"
        self.sign(data, spec, do_="propose", by=data.draw(st.sampled_from(spec["founders"])), as_=handle)

    @rule(data=st.data(), reserve=_SOME, fault=_FAULTS)
    def amend(self, data: st.DataObject, reserve: bool, fault: str | None) -> None:
        able = self.find_able(EventKind.PROPOSE, EventKind.COUNTER)
        if not able:
            return
        name, handle, _ = data.draw(st.sampled_from(able))
        dossier = self.simulation.dossier(name, handle)
        assert dossier is not None
        among = self.choose_founders(data, tuple(sorted(dossier.versions[-1].founders)))
        spec = self.draw_terms(data, among=among, all_of_them=data.draw(st.sampled_from((True, True, True, False))))
        if data.draw(_SOME):
            self.sign(data, spec, do_="amend", by=name, agreement=handle)
            return
        self.take(do_="amend", by=name, agreement=handle, terms=spec, reserve=reserve or None, fault=fault, spared=1)

    def choose_founders(self, data: st.DataObject, founders: tuple[str, ...]) -> tuple[str, ...]:
        """Mostly the same parties as before; now and then any."""
        others = [name for name in self.simulation.names if name not in founders]
        if others and data.draw(_SOME):
            return (*founders, data.draw(st.sampled_from(others)))
        return founders

    @rule(data=st.data(), reserve=_SOME, fault=_FAULTS)
    def accept(self, data: st.DataObject, reserve: bool, fault: str | None) -> None:
        self.act(data, EventKind.ACCEPT, reserve=reserve or None, fault=fault, spared=1)

    @rule(data=st.data(), fault=_FAULTS)
    def talk(self, data: st.DataObject, fault: str | None) -> None:
        self.act(data, EventKind.CLARIFY, EventKind.ANSWER, fault=fault)

    @rule(data=st.data(), fault=_FAULTS, whole=st.booleans())
    def suspend(self, data: st.DataObject, fault: str | None, whole: bool) -> None:
        channel = None if whole else data.draw(st.sampled_from(("main", "back")))
        self.act(data, EventKind.SUSPEND, channel=channel, fault=fault)

    @precondition(lambda self: len(self.simulation.history) > 25)
    @rule(data=st.data(), fault=_FAULTS)
    def stop(self, data: st.DataObject, fault: str | None) -> None:
        """What ends a text or an agreement, not too early in a history."""
        self.act(data, *_STOPPING, fault=fault)

    def act(self, data: st.DataObject, *kinds: EventKind, **step: Any) -> None:  # noqa: ANN401
        able = self.find_able(*kinds)
        if able:
            name, handle, kind = data.draw(st.sampled_from(able))
            self.take(do_="act", by=name, agreement=handle, kind=kind.value, **step)

    @rule(data=st.data(), fault=_FAULTS, whole=st.booleans())
    def resume(self, data: st.DataObject, fault: str | None, whole: bool) -> None:
        held = sorted((name, agreement) for (name, agreement), locks in self.simulation.stopped.items() if locks)
        if not held:
            return
        name, agreement = data.draw(st.sampled_from(held))
        handle = next(key for key, value in self.simulation.agreements.items() if value == agreement)
        channel = None if whole else data.draw(st.sampled_from(("main", "back")))
        self.take(do_="resume", by=name, agreement=handle, channel=channel, fault=fault)

    @rule(data=st.data())
    def join(self, data: st.DataObject) -> None:
        """Somebody outside a group is admitted by some of its founders; what they know is told, or not yet."""
        able = [
            (handle, joiner)
            for founder, handle, _ in self.find_able(EventKind.ADMIT)
            for dossier in [self.simulation.dossier(founder, handle)]
            if dossier is not None and dossier.versions[-1].structure.accession != "closed"
            for joiner in self.simulation.names
            if joiner not in dossier.standing(now=self.simulation.now).members
        ]
        if not able:
            return
        handle, joiner = data.draw(st.sampled_from(able))
        for founder, known, _ in self.find_able(EventKind.ADMIT):
            if known == handle and founder != joiner and data.draw(st.sampled_from((True, True, False))):
                self.take(do_="admit", by=founder, agreement=handle, joiner=joiner)
        if data.draw(st.booleans()):
            self.take(do_="exchange")
        self.accede(data)

    @rule(data=st.data())
    def accede(self, data: st.DataObject) -> None:
        able = [
            (name, handle)
            for name, handle, _ in self.find_able(EventKind.ACCEDE)
            for dossier in [self.simulation.dossier(name, handle)]
            if dossier is not None and name not in dossier.standing(now=self.simulation.now).members
        ]
        if able:
            name, handle = data.draw(st.sampled_from(able))
            self.take(do_="accede", by=name, agreement=handle, until=data.draw(st.sampled_from((None, None, 6, 12))))

    @rule(
        data=st.data(),
        policy=st.sampled_from((None, *POLICIES, "recognises", "recognises", "recognises")),
        fault=_FAULTS,
    )
    def look_at_policy(self, data: st.DataObject, policy: str | None, fault: str | None) -> None:
        name = self.party(data)
        if policy is not None and policy != self.simulation.policies[name]:
            self.take(do_="policy", by=name, policy=policy)
        if data.draw(st.booleans()):
            self.take(do_="keep_up", by=name, fault=fault)

    @rule(
        data=st.data(),
        name=st.sampled_from(_NAMES),
        tlp=st.sampled_from(("green", "green", "amber", "red")),
        about=st.sampled_from((True, True, True, False)),
        granular=st.booleans(),
    )
    def add(self, data: st.DataObject, name: str, tlp: str, about: bool, granular: bool) -> None:
        refs = data.draw(
            st.lists(st.tuples(st.sampled_from(self.simulation.names), st.sampled_from(_NAMES)), max_size=1)
        )
        self.take(
            do_="add",
            by=self.party(data),
            name=name,
            tlp=tlp,
            about=about,
            granular=granular or None,
            refs=[" ".join(ref) for ref in refs] or None,
        )

    # ---- what nodes and the world do -------------------------------------------------------------------------------

    @rule(data=st.data(), lose=_SOME, limit=st.sampled_from((1, 2, 5)), fault=_FAULTS)
    def pull(self, data: st.DataObject, lose: bool, limit: int, fault: str | None) -> None:
        giver, name = data.draw(st.permutations(self.simulation.names).map(lambda names: names[:2]))
        self.take(do_="pull", by=name, from_=giver, lose=lose or None, limit=limit, fault=fault)

    @rule(data=st.data(), kind=st.sampled_from(("resume", "resume", "withdraw", "reject", "confirm", "accept")))
    def forge(self, data: st.DataObject, kind: str) -> None:
        able = [(name, handle) for name in self.simulation.names for handle in self.known(name)]
        if able:
            name, handle = data.draw(st.sampled_from(able))
            self.take(do_="forge", by=name, agreement=handle, kind=kind)

    @precondition(lambda self: len(self.simulation.names) > 2)
    @rule(data=st.data())
    def intrude(self, data: st.DataObject) -> None:
        able = [
            (name, handle)
            for handle in self.simulation.agreements
            for name in self.simulation.names
            if handle not in self.known(name)
        ]
        if able:
            name, handle = data.draw(st.sampled_from(able))
            others = [each for each in self.simulation.names if each != name]
            named = data.draw(st.sets(st.sampled_from(others), min_size=1))
            self.take(do_="intrude", by=name, agreement=handle, named=[name, *sorted(named)])

    @rule()
    def pull_everything(self) -> None:
        for giver in self.simulation.names:
            for name in self.simulation.names:
                if name != giver:
                    self.take(do_="pull", by=name, from_=giver, limit=5)

    @rule(
        data=st.data(),
        fate=st.sampled_from(("ok", "ok", "lost", "late", "late", "twice", "unheard")),
        pick=st.integers(0, 5),
    )
    def deliver(self, data: st.DataObject, fate: str, pick: int) -> None:
        due = [name for name in self.simulation.names if list_due(self.simulation.nodes[name])]
        if due:
            self.take(do_="deliver", from_=data.draw(st.sampled_from(due)), pick=pick, fate=fate)

    @precondition(lambda self: self.simulation.late)
    @rule(pick=st.integers(0, 5), keep=_SOME)
    def arrive(self, pick: int, keep: bool) -> None:
        self.take(do_="arrive", pick=pick, keep=keep or None)

    @rule(data=st.data(), heal=st.booleans())
    def divide(self, data: st.DataObject, heal: bool) -> None:
        names = self.simulation.names
        left = (
            []
            if heal
            else data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=len(names) - 1))
        )
        self.take(do_="divide", groups=[left, [name for name in names if name not in left]] if left else [])

    @rule(data=st.data(), what=st.sampled_from(("exchange", "exchange", "crash", "advance", "retry", "skew")))
    def go_on(self, data: st.DataObject, what: str) -> None:
        match what:
            case "exchange":
                self.take(do_="exchange", backwards=data.draw(st.booleans()) or None)
            case "crash":
                self.take(do_="crash", by=self.party(data))
            case "advance":
                self.take(do_="advance", hours=data.draw(_HOURS))
            case "retry":
                self.take(do_="advance", seconds=301)
            case _:
                self.take(do_="skew", by=self.party(data), seconds=data.draw(_SKEWS))

    @rule(data=st.data())
    def carry_file(self, data: st.DataObject) -> None:
        handles = list(self.simulation.agreements)
        if handles:
            handle = data.draw(st.sampled_from(handles))
            self.take(do_="file", from_=self.party(data), by=self.party(data), agreement=handle)
