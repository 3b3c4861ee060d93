# SPDX-License-Identifier: Apache-2.0
"""Shell: files of this party's own people, taken in: what is in them becomes objects of this node (`intake`, `ingest`).

A file is known by its digest and by what was asked of it: the same again, under whatever name, changes nothing. It is
read twice, first for its digest and to see whether it is whole, so that nothing is kept of one that is cut short. Then
it is taken in by groups of records, and each group by acts as a bundle is (`node.ingest`): others get their turn in
between. Each act keeps which file said each object and where; the last of a group keeps how far it is. A crash leaves
what was committed; the same file again goes on behind the last whole group, and finds known what is there of the next.

What is made of a record of another format is the same object whenever the record says the same, and a new version of it
when it says something else (`intake.making.renew`); objects of STIX are kept as they were received.

STIX of up to `WHOLE_BYTES` is one group, in which nothing is judged without what it refers to (`stix.parts`). What is
longer, or of another format, is taken in as several files would be, one after another: what refers to something that
has not come is withheld until it has.

Nothing of a partner comes this way: what is taken in here is this party's own, and `node.clashes` holds it to that.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from comity.conversion.events import Converter
from comity.errors import NotFoundError
from comity.ids import Instant, ObjectId
from comity.intake.formats import Format
from comity.intake.making import Maker
from comity.intake.marking import TLP_WORDS
from comity.intake.misp_mapping import MispMapping, parse_misp_mapping
from comity.intake.money import DATA_SET
from comity.intake.readers import Request, read_file
from comity.intake.records import Converted, Record, Unread
from comity.intake.restrictions import Restriction
from comity.node.again import check_data_set, find_known, keep_others_out, stands
from comity.node.files import File, Watched
from comity.node.groups import LIST_VERSION, MOST_PLACE, MOST_REMARK, Gathering, Group, open_group
from comity.node.ingest import PART_OBJECTS, Intake, join_intakes, take_part
from comity.node.looking import MOST_BYTES, WHOLE_BYTES, Look, Plan, check_plan, look_through, name_act
from comity.node.node import Act, Node
from comity.node.parts import Parts
from comity.node.reading import read_in_steps
from comity.node.steps import Steps, Tell, finish, tell_nobody
from comity.release.receiving import make_unrestricted
from comity.stix.markings import TLP_IDS
from comity.stix.objects import BadObject, BundleReading
from comity.store import files, sayings
from comity.store.files import Origin, Remark, TakenFile
from comity.store.objects import Holding

__all__ = [
    "MOST_BYTES",
    "MOST_LISTED",
    "WHOLE_BYTES",
    "Bad",
    "Origin",
    "Plan",
    "Remark",
    "Taken",
    "TakenFile",
    "find_file",
    "list_files",
    "list_origins",
    "list_remarks",
    "open_groups",
    "take_file",
    "take_in_steps",
]

MOST_LISTED: Final = 10_000
"""Ids of new objects that are given back."""

_MOST_NAME: Final = 200
_MOST_BAD: Final = files.MOST_REMARKS
_LISTED: Final = re.compile(r"/objects/([0-9]{1,15})(?=/|$)")
_TURN: Final = 0.005
"""Seconds for which others wait at most while a converter works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """What was not kept: where in the file, which object if that is legible, and why.

    `index` is the place of an object in a list of STIX objects.
    """

    place: str
    index: int | None
    id: ObjectId | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a file in this run; what is bad also in earlier ones, which were cut off.

    `added` are the first `MOST_LISTED` of `added_count`, `bad` the first thousand; `notes` are what people have to know
    of what was read. `already` says that the file was taken in before, and that nothing was done.
    """

    file: TakenFile
    added: tuple[ObjectId, ...]
    added_count: int
    known: int
    bad: tuple[Bad, ...]
    bad_count: int
    notes: tuple[Remark, ...]
    already: bool = False


def take_file(node: Node, file: File, plan: Plan) -> Taken:
    """What became of a file, all of it done when this returns.

    Raises:
        MalformedFile, MalformedJson, MalformedObject: it cannot be read as a whole; nothing was kept.
        MalformedRequest: what was asked does not fit it; nothing was kept.
        ConflictError: it was changed while it was read, and what was committed before stays; or it is being taken in.
        StoreFull: the parts before it were kept.
    """
    return finish(take_in_steps(node, file, plan))


def take_in_steps(node: Node, file: File, plan: Plan, *, tell: Tell = tell_nobody) -> Steps[Taken]:
    """`take_file`, and a turn for others between its parts; `tell` is told up to which byte of the file it came."""
    look = yield from look_through(file, plan)
    check_plan(plan, look.form)
    with keep_others_out(node, look.digest):
        return (yield from _take_in(node, file, look, plan, tell))


def _take_in(node: Node, file: File, look: Look, plan: Plan, tell: Tell) -> Steps[Taken]:
    check_data_set(node, look, plan)
    known = find_known(node, look, plan)
    if known is not None and stands(node, known):
        return _describe_known(node, known)
    cut_off = known if known is not None and known.done_at is None else None
    at, skipped = (node.clock(), 0) if cut_off is None else (cut_off.retrieved_at, cut_off.records)
    groups = _make_groups(node, file, look, plan, at=at, done=skipped)
    # What is wrong with the file as a whole shows with the first group, before anything of it is on record.
    first = yield from _wait_for(groups)
    assert first is not None  # noqa: S101 (there is a last group, though nothing be in it)
    reading = yield from open_group(node, first, look.form, at=at)
    begin = partial(_begin, file=file, known=known, look=look, plan=plan, at=at)
    taking = _Taking(node, begin, look.form, plan, at=at, tell=lambda position: tell(position, look.bytes))
    yield from taking.run(first, reading, groups)
    taken = taking.describe()
    return taken if cut_off is None else _with_earlier(node, taken)


def list_files(node: Node, *, last: int) -> list[TakenFile]:
    """The last files that were taken in, or are being, oldest first."""
    with node.store.read() as transaction:
        return files.list_files(transaction, limit=last)


def find_file(node: Node, prefix: str) -> tuple[TakenFile, list[Remark]]:
    """A file by its number, or the beginning of its digest, and what people have to know of it.

    Raises:
        NotFoundError: there is none, or several files begin so.
    """
    with node.store.read() as transaction:
        found = files.find_files(transaction, prefix)
        if len(found) != 1:
            many = "several files begin" if found else "no file that was taken in begins"
            raise NotFoundError(f"{many} with {prefix[:80]!r}; `comity object files` lists them")
        return found[0], files.list_remarks(transaction, found[0].number)


def list_remarks(node: Node, number: int) -> list[Remark]:
    """What people have to know of a file: the first thousand records that were not read, or not in full."""
    with node.store.read() as transaction:
        return files.list_remarks(transaction, number)


def list_origins(node: Node, key: int) -> list[Origin]:
    """Which files said the version of an object that has this key in the store."""
    with node.store.read() as transaction:
        return files.list_origins(transaction, key)


def open_groups(
    node: Node, file: File, look: Look, plan: Plan, *, at: Instant
) -> Iterator[tuple[Group, BundleReading] | None]:
    """The groups of a file as they would be taken in, each opened; None where others may get a turn. Nothing is kept.

    Raises:
        MalformedFile, MalformedJson, MalformedObject, MalformedRequest, ConflictError: as `take_file`.
    """
    check_data_set(node, look, plan)
    for group in _make_groups(node, file, look, plan, at=at, done=0):
        if group is None:
            yield None
        else:
            yield group, (yield from open_group(node, group, look.form, at=at))


# --- before anything is kept ----------------------------------------------------------------------------------------


def _describe_known(node: Node, known: TakenFile) -> Taken:
    done = Taken(
        file=known,
        added=(),
        added_count=0,
        known=known.added + known.known,
        bad=(),
        bad_count=0,
        notes=(),
        already=True,
    )
    return _with_earlier(node, done)


def _with_earlier(node: Node, done: Taken) -> Taken:
    """What became of a file, and all that was said of it in earlier runs: who corrects it has to know."""
    remarks = list_remarks(node, done.file.number)
    return replace(
        done,
        bad=tuple(
            Bad(place=one.place, index=_find_index(one.place), id=one.object, reason=one.remark)
            for one in remarks
            if one.is_unread
        ),
        bad_count=done.file.unread,
        notes=tuple(one for one in remarks if not one.is_unread),
    )


def _begin(act: Act, *, file: File, known: TakenFile | None, look: Look, plan: Plan, at: Instant) -> TakenFile:
    """The row of a file that is taken in from its beginning, or the one of a file that was cut off."""
    if known is not None:
        if known.done_at is not None:
            files.restart(act.transaction, known.number, at=at)
        return files.read_file(act.transaction, known.number)
    row = TakenFile(
        number=0,
        act=name_act(look, plan),
        digest=look.digest,
        name=file.name.encode("utf-8", "replace").decode()[-_MOST_NAME:],
        bytes=look.bytes,
        format=look.form.value,
        taken_by=plan.person,
        retrieved_at=at,
        facts={},
    )
    return files.add_file(act.transaction, row)


def _wait_for(groups: Iterator[Group | None]) -> Steps[Group | None]:
    """The next group, and a turn for others while it is made; None behind the last."""
    for group in groups:
        if group is not None:
            return group
        yield
    return None


def _make_groups(node: Node, file: File, look: Look, plan: Plan, *, at: Instant, done: int) -> Iterator[Group | None]:
    """The file in groups, without those that were taken in before it was cut off; None where others may get a turn."""
    if look.form is Format.STIX_21 and look.bytes <= WHOLE_BYTES:
        data = b"".join(Watched(file, look.digest).read())
        yield Group(whole=data, position=look.bytes)
        return
    watched = Watched(file, look.digest)
    gathering = Gathering(done=done, is_long=look.bytes > WHOLE_BYTES)
    if look.form is Format.MISP_EVENT:
        yield from _convert_events(node, watched, gathering, plan)
        return
    markings = () if plan.tlp is None else (TLP_WORDS[plan.tlp],)
    maker = Maker(party=node.party, at=at, markings=markings)
    request = Request(maker=maker, mapping=plan.mapping, source=plan.source or DATA_SET)
    for converted in read_file(watched.read(), look.form, request):
        yield from gathering.add(converted, watched.position)
        yield None
    yield gathering.close(watched.position)


def _convert_events(node: Node, watched: Watched, gathering: Gathering, plan: Plan) -> Iterator[Group | None]:
    """The events of a file of MISP, each a record, converted by a process of its own."""
    data = b"".join(watched.read())
    mapping = MispMapping() if plan.mapping is None else parse_misp_mapping(plan.mapping)
    floor = Restriction(tlp=None if plan.tlp is None else TLP_IDS[TLP_WORDS[plan.tlp]])
    with Converter(mapping, party=node.party, turn=_TURN, floor=floor) as converter:
        for item in converter.convert(data):
            match item:
                case None:
                    yield None
                case Record():
                    yield from gathering.add(Converted(records=(item,)), int(len(data) * converter.share))
                case Unread():
                    yield from gathering.add(Converted(records=(), unread=(item,)), int(len(data) * converter.share))
    yield gathering.close(watched.position)


# --- the acts -------------------------------------------------------------------------------------------------------


class _Taking:
    """One run over a file: its groups, taken in one after another."""

    def __init__(
        self,
        node: Node,
        begin: Callable[[Act], TakenFile],
        form: Format,
        plan: Plan,
        *,
        at: Instant,
        tell: Callable[[int], object],
    ) -> None:
        self._node = node
        self._begin = begin
        self._row: TakenFile | None = None
        self._at = at
        self._came_to = tell
        self._position = 0
        self._form = form
        self._tags = plan.tags
        self._added = list[ObjectId]()
        self._added_count, self._known, self._bad_count = 0, 0, 0
        self._bad, self._notes = list[Bad](), list[Remark]()

    def run(self, group: Group, reading: BundleReading, groups: Iterator[Group | None]) -> Steps[None]:
        """Take in all of them; the file is done with the last."""
        while True:
            # What comes behind it is read first, so that the act which keeps the end of the file knows that it is.
            following = yield from _wait_for(groups)
            yield from self._take(group, reading, is_last=following is None)
            if following is None:
                return
            group = following
            reading = yield from open_group(self._node, group, self._form, at=self._at)

    def describe(self) -> Taken:
        """What became of it."""
        assert self._row is not None  # noqa: S101 (there is a group at least, and it was taken in)
        with self._node.store.read() as transaction:
            row = files.read_file(transaction, self._row.number)
        return Taken(
            file=row,
            added=tuple(dict.fromkeys(self._added)),
            added_count=self._added_count,
            known=self._known,
            bad=tuple(self._bad),
            bad_count=self._bad_count,
            notes=tuple(self._notes),
        )

    def _take(self, group: Group, reading: BundleReading, *, is_last: bool) -> Steps[None]:
        read = yield from read_in_steps(reading, looks_at=self._node.clock())
        parts, intakes, told = Parts(read, most=PART_OBJECTS), list[Intake](), list[Bad]()
        while not parts.is_last():
            yield
            with self._node.act() as act:
                # With the first part: a file of which nothing came to be known is not on record.
                row = self._row or self._begin(act)
                intakes.append(self._take_part(act, row, parts, group))
                if parts.is_last():
                    told = self._describe_bad(group, join_intakes(intakes, read.checked.bad))
                    self._keep_progress(act, row, group, told, is_last=is_last)
            self._row = row
            self._came_to(self._position + int((group.position - self._position) * parts.share))
        self._position = group.position
        self._tell(group, join_intakes(intakes, ()), told)

    def _tell(self, group: Group, intake: Intake, bad: Sequence[Bad]) -> None:
        self._added += intake.added[: max(0, MOST_LISTED - len(self._added))]
        self._added_count += len(intake.added)
        self._known += intake.known
        self._bad_count += len(bad)
        self._bad += bad[: max(0, _MOST_BAD - len(self._bad))]
        self._notes += group.notes[: max(0, _MOST_BAD - len(self._notes))]

    def _take_part(self, act: Act, row: TakenFile, parts: Parts, group: Group) -> Intake:
        holding = Holding(originator=self._node.party, received_under=None, added_at=act.now)
        own = make_unrestricted(self._node.party)
        parts.names = (row.name,)
        intake = take_part(act, parts, holding=holding, tags=self._tags, restrictions=own, audiences=group.audiences)
        number = row.number
        for pairs, added in ((intake.kept, True), (intake.met, False)):
            files.link_objects(
                act.transaction, number, [(key, group.name_place(index)) for index, key in pairs], added=added
            )
            sayings.add_sayings(act.transaction, group.list_sayings(pairs))
        return intake

    def _keep_progress(self, act: Act, row: TakenFile, group: Group, bad: Sequence[Bad], *, is_last: bool) -> None:
        if is_last and self._form is Format.UN_LIST:
            group.add_notes(_find_gone(act, row, group))
        remarks = [
            Remark(place=one.place[:MOST_PLACE], remark=one.reason[:MOST_REMARK], is_unread=True, object=one.id)
            for one in bad
        ]
        files.add_remarks(act.transaction, row.number, [*remarks, *group.notes])
        files.set_progress(
            act.transaction,
            row.number,
            records=group.records,
            position=group.position,
            unread=len(bad),
            facts={**row.facts, **group.facts},
            done_at=act.now if is_last else None,
        )

    def _describe_bad(self, group: Group, intake: Intake) -> list[Bad]:
        """What was not read, and what was read and is no object that can be kept, in the order of the file."""
        unread = [
            Bad(place=one.place, index=_find_index(one.place), id=None, reason=one.reason) for one in group.unread
        ]
        return [*unread, *(self._describe_one(group, one) for one in intake.bad)]

    def _describe_one(self, group: Group, bad: BadObject) -> Bad:
        inside = bad.where.removeprefix(f"/objects/{bad.index}")
        place = group.name_place(bad.index)
        index = _find_index(place)
        where = f"{place}{inside}" if index is not None else f"{place}: {inside}".removesuffix(": ")
        return Bad(place=where, index=index, id=bad.id, reason=bad.detail)


def _find_gone(act: Act, row: TakenFile, group: Group) -> list[Remark]:
    """What an earlier version of a list said and this one does not: who was taken off it."""
    last = files.find_latest(act.transaction, row.format, by=LIST_VERSION, besides=row.number)
    if last is None or last.facts.get(LIST_VERSION, "") >= group.facts.get(LIST_VERSION, ""):
        return []
    said = (
        f"in the list of {last.facts[LIST_VERSION]} (file {last.number}), and not in this one; what is held of it stays"
    )
    gone = files.list_gone(act.transaction, row.number, since=last.number)
    return [Remark(place=place, remark=said, is_unread=False) for place in gone]


def _find_index(place: str) -> int | None:
    """The place of an object in a list of STIX objects, from 0."""
    match = _LISTED.match(place)
    return None if match is None else int(match[1])
