# SPDX-License-Identifier: Apache-2.0
"""Shell: the outbound calls to witnesses: each is asked to cosign heads of this node's logs (C2SP tlog-witness).

Each call is bounded in time and in bytes and follows no redirect, as those of `peers`. What goes wrong at one witness
stays with it, is noted, and is tried again: a head that nobody cosigned yet is a good head. One answer is not about the
witness but about this node: that it has cosigned a greater head than this node has, or another one. Then the store is
an older copy, or was changed, and what this node signs from here on would be a second history.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import httpx

from comity.calls import open_client
from comity.config import WitnessedLogs
from comity.counting import say_count
from comity.errors import MalformedNote, RolledBack
from comity.node.cosigning import (
    HOUSE,
    OwnHead,
    OwnWitness,
    has_cosigned_key,
    keep_cosignatures,
    list_shown_heads,
    list_witnesses,
    make_request,
    note_problem,
    plan_cosigning,
    read_own_head,
)
from comity.node.follow import make_token
from comity.node.heads import split_heads
from comity.node.node import Node
from comity.release.recovery import Asked
from comity.tlog.note import NoteSignature, parse_checkpoint, parse_note
from comity.tlog.witness import MAX_REQUEST_BYTES, find_told_size, parse_cosignatures, parse_size

__all__ = ["Cosigned", "Rounds", "ask_last_sizes", "gather_cosignatures", "verify_not_behind"]

_TOTAL_SECONDS = 20.0
_START_SECONDS = 5.0
"""How long a start waits for all witnesses together: one that does not answer keeps no node from serving."""

_FIRST_REST_SECONDS = 5.0
_LONGEST_REST_SECONDS = 300.0

_TRIES = 2
"""The second one with the size that the witness says it has cosigned last."""

_log = logging.getLogger("comity.witness")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """What a round of asking brought: who cosigned, who did not and why, and who contradicts this node's own logs.

    `heads` are those that were shown; the house's stands first, if it was. `others` are those who did not cosign the
    head of another log than the house's, which they need not know.
    """

    heads: tuple[OwnHead, ...] = ()
    cosigned: tuple[str, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    contradicted: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    """How many entries of the one log that was shown each that said so has cosigned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What one witness said: lines, or a problem; `contradicts` when it is one of this node's log."""

    lines: tuple[NoteSignature, ...] = ()
    problem: str | None = None
    contradicts: bool = False
    size: int | None = None


async def gather_cosignatures(
    node: Node, *, besides: Collection[str] = (), besides_others: Collection[str] = ()
) -> Cosigned:
    """Ask every witness that has not cosigned the last heads, all at once but those named, and keep what they say.

    Those in `besides_others` are asked for the house's log alone. Logs come one after the other. Who does not cosign
    one is not asked for the others in this round.

    Raises:
        StoreFull: it could not be kept.
    """
    return await _ask_for(node, plan_cosigning(node, besides=besides, besides_others=besides_others))


class Rounds:
    """Rounds of asking, in which who did not cosign is left in peace for longer each time, to five minutes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._resting: dict[tuple[str, bool], tuple[float, float]] = {}
        self._told: dict[str, str] = {}

    def wake(self) -> None:
        """Let the next round ask everybody: what kept a witness from cosigning may be gone, such as an old manifest."""
        self._resting.clear()

    async def ask(self) -> Cosigned:
        """What one round brought.

        Raises:
            StoreFull: it could not be kept.
        """
        now = asyncio.get_running_loop().time()
        resting = [key for key, (until, _) in self._resting.items() if until > now]
        found = await gather_cosignatures(
            self._node,
            besides=[name for name, house in resting if house],
            besides_others=[name for name, house in resting if not house],
        )
        for name in found.cosigned:
            for key in ((name, True), (name, False)):
                if key not in resting:  # it was asked for these
                    self._resting.pop(key, None)
        for name, what in found.contradicted.items():
            if self._told.get(name) != what:
                _log.error("the witness %s contradicts the log of this node: %s; see `comity witness list`", name, what)
            self._told[name] = what
        failed = [(name, True) for name in (*found.problems, *found.contradicted)]
        for key in (*failed, *((name, False) for name in found.others)):
            rest = min(2 * self._resting.get(key, (0.0, _FIRST_REST_SECONDS))[1], _LONGEST_REST_SECONDS)
            self._resting[key] = (now + rest, rest)
        return found


async def verify_not_behind(node: Node) -> None:
    """Return when no witness that answers in time has seen a greater head of this node's log than it has, or another.

    Raises:
        RolledBack: one has.
    """
    witnesses = [each for each in list_witnesses(node) if each.problem is None]
    if not witnesses:
        return
    shown = list_shown_heads(node)
    if read_own_head(node) is None:
        # A log without entries has no signed head in its store; a witness that has seen one is asked with the kept one.
        note = split_heads((node.folder / "head").read_bytes())[0]
        house = [each for each in witnesses if each.logs is not WitnessedLogs.OWN]
        shown = [(OwnHead(size=0, note=note), house)]
    asked = [(head, [(each, head.size) for each in those]) for head, those in shown]
    found = await _ask_for(node, asked, seconds=_START_SECONDS)
    if found.contradicted:
        said = "; ".join(f"{name}: {what}" for name, what in sorted(found.contradicted.items()))
        raise RolledBack(
            f"the log of this node contradicts what its witnesses have seen ({said}): the store is an older copy, or"
            " was changed. Serving it would fork the log, and so would any command that acts here: put the newest store"
            " back if there is one, else restore the newest backup and let the log go on under another name with"
            " `comity recover`. If it is the witness that is wrong, take it out of node.toml"
        )


async def ask_last_sizes(node: Node) -> list[Asked]:
    """What each witness of this node says of how many entries of its logs it has cosigned, all asked at once.

    Takes five seconds at most. Each is asked for every log that it is shown, as `node.cosigning` lists them. Who has
    seen no more than there is cosigns what there is; whoever contradicts it without naming a size has answered too.
    """
    witnesses = list_witnesses(node)
    left = {each.name for each in witnesses if each.problem is None}
    problems = {each.name: each.problem for each in witnesses if each.problem is not None}
    sizes: dict[str, dict[str, int]] = {}
    heard = set[str]()
    until = asyncio.get_running_loop().time() + _START_SECONDS
    for head, those in list_shown_heads(node):
        shown = [(each, head.size) for each in those if each.name in left]
        seconds = max(0.0, until - asyncio.get_running_loop().time())
        found = await _ask_all(node, head, shown, seconds=seconds)
        origin = parse_checkpoint(parse_note(head.note).text).origin
        for name, size in found.sizes.items():
            sizes.setdefault(name, {})[origin] = size
        # Who did not say how much it has of one log is not asked for the next: it has not answered.
        heard |= found.sizes.keys() | found.contradicted.keys()
        problems = {**found.contradicted, **found.problems, **problems}
        left -= found.problems.keys() - found.sizes.keys()
    asked = list[Asked]()
    for each in witnesses:
        name, seen = each.name, sizes.get(each.name, {})
        answered = name in heard and name in left
        problem = problems.get(name) if answered else problems.get(name, "there is no head here to show it")
        others = {origin: size for origin, size in seen.items() if origin != node.origin}
        asked.append(Asked(name=name, size=seen.get(node.origin), problem=problem, answered=answered, others=others))
    return asked


async def _ask_for(
    node: Node,
    plan: Sequence[tuple[OwnHead, Sequence[tuple[OwnWitness, int]]]],
    *,
    seconds: float = _TOTAL_SECONDS,
) -> Cosigned:
    """What all heads of the plan brought."""
    cosigned, problems, contradicted, others = set[str](), dict[str, str](), dict[str, str](), dict[str, str]()
    heads = list[OwnHead]()
    for head, wanted in plan:
        out = problems.keys() | contradicted.keys() | others.keys()
        left = [(each, size) for each, size in wanted if each.name not in out]
        if not left:
            continue
        found = await _ask_all(node, head, left, seconds=seconds)
        heads.append(head)
        cosigned |= set(found.cosigned)
        if head.closed:
            continue  # who has seen more of a log that lost its end says nothing of those that go on
        contradicted |= found.contradicted
        if head.log == HOUSE:
            problems |= found.problems
        else:
            others |= found.problems
    good = cosigned - problems.keys() - contradicted.keys() - others.keys()
    return Cosigned(
        heads=tuple(heads),
        cosigned=tuple(sorted(good)),
        problems=problems,
        contradicted=contradicted,
        others=others,
    )


async def _ask_all(
    node: Node, head: OwnHead, wanted: Sequence[tuple[OwnWitness, int]], *, seconds: float = _TOTAL_SECONDS
) -> Cosigned:
    async with open_client(node) as client:
        answers = await asyncio.gather(
            *(_ask_in_time(client, node, head, each, old_size, seconds=seconds) for each, old_size in wanted)
        )
    asked = [each for each, _ in wanted]
    given = [(each, answer.lines) for each, answer in zip(asked, answers, strict=True) if answer.lines]
    good = {each.name for each in keep_cosignatures(node, head, given)}
    problems, contradicted = dict[str, str](), dict[str, str]()
    sizes = dict.fromkeys(good, head.size)
    for each, answer in zip(asked, answers, strict=True):
        if each.name in good:
            continue
        if answer.size is not None:
            sizes[each.name] = answer.size
        problem = answer.problem or "what it answered is no cosignature of it over this head"
        (contradicted if answer.contradicts else problems)[each.name] = problem
        if not head.closed:
            note_problem(node, each, problem)
    return Cosigned(
        heads=(head,), cosigned=tuple(sorted(good)), problems=problems, contradicted=contradicted, sizes=sizes
    )


async def _ask_in_time(
    client: httpx.AsyncClient, node: Node, head: OwnHead, each: OwnWitness, old_size: int, *, seconds: float
) -> _Answer:
    try:
        async with asyncio.timeout(seconds):
            return await _ask(client, node, head, each, old_size)
    except TimeoutError:
        return _Answer(problem=f"{each.url} did not answer in {seconds:.0f} seconds")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return _Answer(problem=f"{each.url} did not answer ({str(error) or type(error).__name__})")
    except MalformedNote as error:
        return _Answer(problem=f"{each.url} answered with something else than a witness does: {error.detail}")


async def _ask(client: httpx.AsyncClient, node: Node, head: OwnHead, each: OwnWitness, old_size: int) -> _Answer:
    """What the witness answers; asked again where it has another head than this node remembers."""
    for _ in range(_TRIES):
        status, body = await _post(client, node, each, make_request(node, head, old_size=old_size))
        if status == httpx.codes.OK:
            return _Answer(lines=parse_cosignatures(body))
        if status != httpx.codes.CONFLICT:
            return _read_refusal(node, head, each, old_size=old_size, status=status, body=body)
        seen = parse_size(body)
        if seen > head.size:
            return _Answer(
                problem=f"it has cosigned a head over {say_count(seen, 'entry')}, and this node has {head.size}",
                contradicts=True,
                size=seen,
            )
        if seen == old_size:
            # Asked from the size that it names itself it has nothing to say but that this log is not the one it knows.
            return _Answer(problem=f"it has cosigned another head over {say_count(seen, 'entry')}", contradicts=True)
        old_size = seen
    return _Answer(problem=f"{each.url} names another size with each answer")


def _read_refusal(node: Node, head: OwnHead, each: OwnWitness, *, old_size: int, status: int, body: bytes) -> _Answer:
    """What an answer says that is neither a cosignature nor a size."""
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return _Answer(
            problem=f"it does not find the head over {say_count(head.size, 'entry')} to follow from the one it cosigned"
            f" over {old_size}",
            contradicts=True,
        )
    if status == httpx.codes.FORBIDDEN and (contradiction := _read_forbidden(node, head, each, body)) is not None:
        return contradiction
    unknown = f": {_say_unknown(each)}" if status in {httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND} else ""
    return _Answer(problem=f"{each.url} answered {status}{unknown}")


def _read_forbidden(node: Node, head: OwnHead, each: OwnWitness, body: bytes) -> _Answer | None:
    """What it says of this node's log that a witness refuses the key which signed its head; None where it says nothing.

    It may not know yet that the key was rotated. But it knows of a later one where it has cosigned under this key.
    """
    seen = find_told_size(body)
    if seen > head.size:
        return _Answer(
            problem=f"it has cosigned a head over {say_count(seen, 'entry')}, and this node has {head.size}",
            contradicts=True,
            size=seen,
        )
    if has_cosigned_key(node, head, each):
        return _Answer(
            problem="it has cosigned heads under the log key of this node, and takes it no more: another key has"
            " followed it, which this node does not have",
            contradicts=True,
        )
    return None


def _say_unknown(each: OwnWitness) -> str:
    """What has to happen before a witness cosigns that does not know the log, or not by the key in force."""
    if each.party is None:
        return "it does not know the key of this log; who runs it adds the one in `witness list` (`witness add-log`)"
    return (
        f"{each.party} does not have this party pinned, or not yet its newest manifest, or has not heard yet that its"
        " log goes on under another name"
    )


async def _post(client: httpx.AsyncClient, node: Node, each: OwnWitness, request: bytes) -> tuple[int, bytes]:
    """The status and the whole body, at most MAX_REQUEST_BYTES of it.

    Raises:
        MalformedNote: it is over the bound.
    """
    headers = {"content-type": "text/plain; charset=utf-8"}
    if each.party is not None:
        headers["authorization"] = f"Bearer {make_token(node, each.party)}"
    body = bytearray()
    async with client.stream("POST", f"{each.url}/add-checkpoint", content=request, headers=headers) as answer:
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MAX_REQUEST_BYTES:
                raise MalformedNote(f"over {MAX_REQUEST_BYTES} bytes")
    return answer.status_code, bytes(body)
