# SPDX-License-Identifier: Apache-2.0
"""A file is taken in once, whatever it is called and wherever it was cut off, and every object knows where it stood."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from comity.errors import ConflictError, MalformedError, MalformedFile, MalformedJson, MalformedRequest, NotFoundError
from comity.ids import PartyId, parse_instant
from comity.intake.formats import Format
from comity.intake.marking import TLP_WORDS
from comity.node import groups, intake, looking
from comity.node.accept import accept_objects, list_write_collections
from comity.node.beforehand import foresee_steps
from comity.node.explain import show_object
from comity.node.files import Bytes, PathFile
from comity.node.intake import Plan, Taken, find_file, list_files, list_origins, take_file, take_in_steps
from comity.node.node import Node
from comity.node.retention import delete
from comity.node.steps import Done, advance, finish
from comity.stix.markings import TLP2_RED
from comity.stix.tags import make_tags
from comity.store import objects
from tests.worlds import World, make_object, object_id

LISTED = """<CONSOLIDATED_LIST dateGenerated="{date}"><INDIVIDUALS>{people}</INDIVIDUALS></CONSOLIDATED_LIST>"""
PERSON = "<INDIVIDUAL><FIRST_NAME>{name}</FIRST_NAME><REFERENCE_NUMBER>QDi.{number}</REFERENCE_NUMBER></INDIVIDUAL>"
LATER = parse_instant("2040-01-01T00:00:00Z")
"""After the nodes were founded, by whatever clock."""

DAY = 24 * 3_600_000_000


def make_list(*people: tuple[str, int], date: str = "2026-11-01") -> bytes:
    return LISTED.format(
        date=date, people="".join(PERSON.format(name=name, number=number) for name, number in people)
    ).encode()


def make_bundle(*names: str, more: bytes = b"") -> bytes:
    objects = b",".join(json.dumps(make_object(name, kind="identity")).encode() for name in names)
    return b'{"type":"bundle","id":"bundle--4b2e5f2e-8f0e-4a52-9d0c-111111111119","objects":[' + objects + more + b"]}"


def take(node: Node, data: bytes, name: str = "file", **said: Any) -> Taken:  # noqa: ANN401 (those of `Plan`)
    return take_file(node, Bytes(name, data), Plan(**said))


def dump(node: Node) -> dict[str, list[Any]]:
    """Everything in the store but what says when it was written."""
    with node.store.read() as transaction:
        names = [row[0] for row in transaction.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(transaction.rows(f"SELECT * FROM {name}"), key=repr) for name in names}


def read_objects(node: Node) -> dict[str, list[Any]]:
    """What is held, and what of it came from where."""
    with node.store.read() as transaction:
        return {
            "objects": transaction.rows("SELECT id, digest, current FROM object ORDER BY id, version_at"),
            "places": transaction.rows(
                "SELECT o.id, o.digest, f.place, f.added FROM from_file f JOIN object o ON o.pk = f.object"
                " ORDER BY 1, 2"
            ),
            "files": transaction.rows("SELECT digest, name, records, position, added, known, unread FROM file"),
            "remarks": transaction.rows("SELECT * FROM file_remark ORDER BY 1, 2, 3"),
        }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as world:
        world.found("aurelia", "borealia")
        yield world


@pytest.fixture
def node(world: World) -> Node:
    return world.nodes["aurelia"]


@pytest.fixture
def small_groups() -> Iterator[None]:
    """Groups of two objects, and no bundle taken in whole, so that a short file has several."""
    with (
        patch.object(groups, "_GROUP_OBJECTS", 2),
        patch.object(intake, "WHOLE_BYTES", 0),
        patch.object(looking, "WHOLE_BYTES", 0),
        patch.object(intake, "PART_OBJECTS", 1),
        patch("comity.intake.records._AT_ONCE", 1),
    ):
        yield


# --- once -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [make_bundle("a", "b"), make_list(("Ondrej", 901))], ids=["bundle", "list"])
def test_the_same_file_changes_nothing_whatever_it_is_called(world: World, node: Node, data: bytes) -> None:
    first = take(node, data)
    before = dump(node)
    world.now = world.now + DAY  # type: ignore[assignment]
    again = take(node, data, "other name")
    assert (len(first.added) > 0, again.added, again.known, again.already) == (True, (), len(first.added), True)
    assert dump(node) == before


@pytest.mark.parametrize("said", [{}, {"tlp": "red"}], ids=["alike", "otherwise"])
def test_a_file_that_is_being_taken_in_is_not_taken_in_beside(
    node: Node, small_groups: None, said: dict[str, Any]
) -> None:
    data = make_list(*((f"Person {number}", number) for number in range(6)))
    first = take_in_steps(node, Bytes("first", data), Plan())
    while not list_files(node, last=1):
        assert advance(first) is None
    with pytest.raises(ConflictError, match="is being taken in already"):
        take(node, data, **said)
    assert len(finish(first).added) == 6
    assert [(item.added, item.known) for item in list_files(node, last=2)] == [(6, 0)]
    assert take(node, data).already


def test_a_file_that_was_left_half_way_is_no_longer_under_way(node: Node, small_groups: None) -> None:
    data = make_list(*((f"Person {number}", number) for number in range(6)))
    first = take_in_steps(node, Bytes("first", data), Plan())
    while not list_files(node, last=1):
        assert advance(first) is None
    first.close()
    assert list_files(node, last=1)[0].done_at is None
    take(node, data)
    assert [(item.added, item.done_at is not None) for item in list_files(node, last=2)] == [(6, True)]


def test_what_else_is_said_of_a_file_is_another_act(node: Node) -> None:
    take(node, make_bundle("a"))
    again = take(node, make_bundle("a"), tags=make_tags(regions=["IQ"]))
    assert (again.already, again.known, len(list_files(node, last=9))) == (False, 1, 2)


def test_what_was_asked_first_is_done_again_where_something_else_was_asked_since(world: World, node: Node) -> None:
    """Else who marked a list too openly by mistake could not mark it again as it was: nothing would be done."""
    data = make_list(("Ondrej", 901))

    def mark(tlp: str) -> bool:
        world.now = world.now + DAY  # type: ignore[assignment]
        taken = take(node, data, tlp=tlp)
        with node.store.read() as transaction:
            (row,) = transaction.rows("SELECT b.data FROM object o JOIN body b ON b.object = o.pk WHERE o.current = 1")
        assert json.loads(row[0])["object_marking_refs"] == [TLP_WORDS[tlp]]
        return taken.already

    assert [mark("amber"), mark("clear"), mark("amber"), mark("amber"), mark("clear")] == [0, 0, 0, 1, 0]


def make_money(*names: str) -> bytes:
    said = ({"id": name, "schema": "Company", "properties": {"name": [name]}} for name in names)
    return b"".join(json.dumps(one).encode() + b"\n" for one in said)


def test_a_data_set_has_a_name_and_keeps_it(node: Node) -> None:
    data = make_money("q-1", "q-2")
    assert len(take(node, data, source="watch").added) == 2
    before = dump(node)
    for name in ("wacth", None):
        with pytest.raises(MalformedRequest, match=r"taken in as the data set 'watch' \(file 1\)") as caught:
            take(node, data, source=name)
        assert caught.value.where == "--source"
    assert dump(node) == before
    assert take(node, data, source="watch").already
    again = take(node, make_money("q-2", "q-1"), source="watch")
    assert (again.added, again.known) == ((), 2)
    assert len(take(node, make_money("q-1"), source="another").added) == 1


def test_a_data_set_that_nobody_named_is_not_held_again_under_a_name(node: Node) -> None:
    data = make_money("q-1", "q-2")
    assert len(take(node, data).added) == 2
    with pytest.raises(MalformedRequest, match="give that name or none"):
        take(node, data, source="watch")
    assert take(node, data, source="FollowTheMoney").known == 2
    assert take(node, data).known == 2


def test_of_a_changed_list_what_did_not_change_is_known(world: World, node: Node) -> None:
    first = take(node, make_list(("Ondrej", 901), ("Jarmila", 902)))
    world.now = world.now + DAY  # type: ignore[assignment]
    later = take(node, make_list(("Ondrej", 901), ("Jarmila B.", 902), ("Milos", 903), date="2026-11-08"))
    assert (len(first.added), len(later.added), later.known) == (2, 2, 1)
    with node.store.read() as transaction:
        rows = transaction.rows("SELECT id, COUNT(*), SUM(current) FROM object GROUP BY id ORDER BY 2")
    assert [row[1:] for row in rows] == [(1, 1), (1, 1), (2, 1)]
    assert rows[2][0] in first.added


def test_what_a_later_list_does_not_say_any_more_is_said(node: Node) -> None:
    take(node, make_list(("Ondrej", 901), ("Jarmila", 902)))
    later = take(node, make_list(("Jarmila B.", 902), date="2026-11-08"))
    (gone,) = later.notes
    assert gone.place == "INDIVIDUAL QDi.901"
    assert gone.remark.startswith("in the list of 2026-11-01 (file 1), and not in this one")
    assert take(node, make_list(("Milos", 903), date="2026-11-03")).notes == ()
    assert read_objects(node)["remarks"] == [(2, "INDIVIDUAL QDi.901", 0, None, gone.remark)]


def test_an_earlier_list_takes_nothing_back_that_a_later_one_says(node: Node) -> None:
    take(node, make_list(("Ondrej", 901), ("Jarmila", 902), date="2026-11-01"))
    take(node, make_list(("Ondrej B.", 901), ("Jarmila", 902), date="2026-11-08"))
    earlier = take(node, make_list(("Ondrej", 901), ("Jarmila X", 902), ("Milos", 903), date="2026-10-01"))
    said = "the list of 2026-11-08 (file 2), which is later, says otherwise, and that stays"
    assert [(one.place, one.remark) for one in earlier.notes] == [
        ("INDIVIDUAL QDi.901", said),
        ("INDIVIDUAL QDi.902", said),
    ]
    assert (earlier.added_count, earlier.known) == (1, 0)
    with node.store.read() as transaction:
        rows = transaction.rows("SELECT pk FROM object WHERE current = 1")
        names = {json.loads(objects.read_body(transaction, row[0]))["name"] for row in rows}
    assert names == {"Ondrej B.", "Jarmila", "Milos"}
    # One that is corrected under its date, and a later one, are taken in as ever; the same file again changes nothing.
    assert take(node, make_list(("Ondrej C.", 901), ("Jarmila", 902), date="2026-11-08")).added_count == 1
    again = take(node, make_list(("Ondrej", 901), ("Jarmila X", 902), ("Milos", 903), date="2026-10-01"))
    assert (again.already, again.added_count, len(again.notes)) == (True, 0, 2)


def test_who_is_gone_is_told_from_the_latest_list_whatever_was_taken_in_since(node: Node) -> None:
    take(node, make_list(("Ondrej", 901), ("Jarmila", 902), date="2026-11-08"))
    take(node, make_list(("Ondrej", 901), date="2026-10-01"))
    later = take(node, make_list(("Ondrej", 901), date="2026-11-15"))
    assert [one.place for one in later.notes] == ["INDIVIDUAL QDi.902"]


def test_a_list_that_is_dated_ahead_of_its_time_keeps_no_other_from_being_taken_in(node: Node) -> None:
    take(node, make_list(("Ondrej", 901), date="2962-11-08"))
    assert take(node, make_list(("Ondrej B.", 901), date="2026-11-08")).added_count == 1


def test_what_was_deleted_since_then_is_taken_in_again(node: Node) -> None:
    data = make_bundle("a", "b")
    take(node, data)
    name = object_id("identity", "a")
    delete(node, name, reason="A mistake.")
    again = take(node, data)
    assert (again.added, again.known, again.already) == ((name,), 1, False)


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize(
    "data",
    [make_bundle(*"abcdefgh"), make_list(*((f"Ondrej {number}", number) for number in range(901, 909)))],
    ids=["bundle", "list"],
)
def test_it_is_told_up_to_which_byte_it_came(node: Node, data: bytes) -> None:
    told = list[tuple[int, int]]()
    finish(take_in_steps(node, Bytes("file", data), Plan(), tell=lambda *far: told.append(far)))
    assert {of for _, of in told} == {len(data)}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert 0 < told[0][0] < len(data)
    assert told[-1] == (len(data), len(data))


# --- cut off ----------------------------------------------------------------------------------------------------------


def run_steps(node: Node, data: bytes, most: int) -> bool:
    """Whether the file was done within so many steps; else it is left where it is, as by a crash between two acts."""
    steps = take_in_steps(node, Bytes("file", data), Plan())
    for _ in range(most):
        if isinstance(advance(steps), Done):
            return True
    steps.close()
    return False


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize(
    "data",
    [
        make_bundle("a", "b", "c", "d", "e", more=b',{"type":"x"},{"a":}'),
        make_list(*((f"Ondrej {number}", number) for number in range(901, 907)), ("", 990)),
    ],
    ids=["bundle", "list"],
)
def test_wherever_it_is_cut_off_it_goes_on_without_loss_or_doubles(tmp_path: Path, data: bytes) -> None:
    with closing(World(tmp_path / "whole")) as whole:
        whole.found("aurelia")
        whole.now = LATER
        take(whole.nodes["aurelia"], data)
        expected = read_objects(whole.nodes["aurelia"])
    for most in range(1, 60):
        with closing(World(tmp_path / str(most))) as world:
            world.found("aurelia")
            world.now = LATER
            node = world.nodes["aurelia"]
            is_done = run_steps(node, data, most)
            if not is_done:
                # What is made says when the file was retrieved: when that was put on record.
                world.now = world.now + DAY * len(list_files(node, last=1))  # type: ignore[assignment]
                take(node, data)
            assert read_objects(node) == expected
            assert list_files(node, last=1)[0].done_at is not None
        if is_done:
            break
    else:
        pytest.fail("it was never done")
    assert most > 6


@pytest.mark.usefixtures("small_groups")
def test_every_cut_in_a_row_still_ends(node: Node) -> None:
    data = make_bundle(*"abcdefgh")
    cuts = 0
    while not run_steps(node, data, 3 + cuts):
        cuts += 1
    assert cuts > 2
    assert (list_files(node, last=1)[0].added, len(read_objects(node)["places"])) == (8, 8)


@pytest.mark.usefixtures("small_groups")
def test_how_far_it_is_can_be_read_meanwhile(node: Node) -> None:
    steps = take_in_steps(node, Bytes("file", make_bundle(*"abcdefgh")), Plan())
    seen = list[tuple[int, bool]]()
    while not isinstance(advance(steps), Done):
        seen += [(one.records, one.done_at is None) for one in list_files(node, last=1)]
    assert sorted({count for count, _ in seen}) == [0, 2, 4, 6, 8]
    assert all(under_way for _, under_way in seen)


def test_others_get_a_turn_while_records_are_converted(node: Node) -> None:
    data = make_list(*((f"Ondrej {number}", number) for number in range(1_000)))
    steps = take_in_steps(node, Bytes("list.xml", data), Plan())
    turns = 0
    while advance(steps) is None:
        turns += 1
    assert turns >= 18  # 10 of 100 objects each that are put beside what is held, 5 of reading, 5 of converting


# --- as a whole -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (make_bundle("a")[:-2], MalformedJson),
        (make_bundle("a").replace(b"bundle--", b"", 1)[:-1], MalformedJson),
        (b'{"type":"bundle","id":"x","spec_version":"2.0","objects":[{"type":"tool"}', MalformedFile),
        (make_list(("Ondrej", 901))[:-9], MalformedFile),
        (b"Name;TLP\nx;y\n", MalformedFile),
        (b"", MalformedFile),
    ],
)
def test_of_what_cannot_be_read_as_a_whole_nothing_is_kept(
    node: Node, data: bytes, error: type[MalformedError]
) -> None:
    before = dump(node)
    with pytest.raises(error):
        take(node, data)
    assert dump(node) == before


READ_HERE = [
    Format.STIX_21,
    Format.STIX_20,
    Format.MISP_EVENT,
    Format.CSV,
    Format.TSV,
    Format.UN_LIST,
    Format.FOLLOW_THE_MONEY,
]
TABLE = b"""
format = "comity-mapping/1"
source = "watch"
[[objects]]
type = "identity"
properties = { name = { column = "Name" }, identity_class = { constant = "group" } }
"""


def ask(form: Format) -> dict[str, Any]:
    """What such a file cannot be taken in without."""
    needs: dict[Format, dict[str, Any]] = {
        Format.CSV: {"mapping": TABLE},
        Format.TSV: {"mapping": TABLE},
        Format.FOLLOW_THE_MONEY: {"source": "a"},
    }
    return {"form": form, **needs.get(form, {})}


@pytest.mark.parametrize("form", READ_HERE)
@pytest.mark.parametrize("data", [b"", b" \n\t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_called_so_whatever_it_is_said_to_be(node: Node, form: Format, data: bytes) -> None:
    before = dump(node)
    with pytest.raises(MalformedFile, match="the file is empty"):
        take(node, data, **ask(form))
    assert dump(node) == before


@pytest.mark.parametrize("form", [Format.STIX_21, Format.STIX_20, Format.MISP_EVENT, Format.FOLLOW_THE_MONEY])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_json_that_is_written_in_utf_16_is_called_so(node: Node, form: Format, encoding: str) -> None:
    before = dump(node)
    with pytest.raises(MalformedFile, match=r"written in UTF-16.*save it as UTF-8"):
        take(node, '{"a":1}'.encode(encoding), **ask(form))
    assert dump(node) == before


@pytest.mark.parametrize("form", [Format.CSV, Format.TSV])
def test_a_table_that_is_written_in_utf_16_is_called_so(node: Node, form: Format) -> None:
    data = "Name\nx\n".encode("utf-16")
    with pytest.raises(MalformedFile, match=r'say `encoding = "utf-16"` in the mapping'):
        take(node, data, **ask(form))
    assert len(take(node, data, form=form, mapping=b'encoding = "utf-16"\n' + TABLE).added) == 1


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "windows-1252"])
def test_a_table_is_told_in_the_encoding_that_its_mapping_says(node: Node, encoding: str) -> None:
    data, mapping = "Name,Number\nOnd\u00e9j,1\n".encode(encoding), f'encoding = "{encoding}"\n'.encode() + TABLE
    (made,) = take(node, data, "watch.csv", mapping=mapping).added
    assert json.loads(show_object(node, made).data)["name"] == "Ond\u00e9j"


def test_of_a_table_that_is_not_told_by_its_mapping_is_said_what_is_wrong_there(node: Node) -> None:
    data = "Name,Number\nOnd\u00e9j,1\n".encode("iso-8859-1")
    with pytest.raises(MalformedFile, match=r"the mapping: line 1: encoding: 'latin-1' is unknown; use one of"):
        take(node, data, "watch.csv", mapping=b'encoding = "latin-1"\n' + TABLE)
    with pytest.raises(MalformedFile, match="not written in utf-8"):
        take(node, data, "watch.csv", mapping=b'format = "comity-misp-mapping/1"\n')


@pytest.mark.parametrize("data", [b"{}", b"[]", b'{"response":[]}', b" [ ] "])
def test_a_file_of_misp_without_an_event_is_refused(node: Node, data: bytes) -> None:
    before = dump(node)
    with pytest.raises(MalformedFile, match="no event is in it; export one"):
        take(node, data, **ask(Format.MISP_EVENT))
    assert dump(node) == before


@pytest.mark.parametrize(
    ("form", "data"),
    [
        (Format.STIX_21, b"{}"),
        (Format.STIX_21, b'{"more":false}'),
        (Format.CSV, b"Name\n"),
        (Format.UN_LIST, make_list()),
    ],
)
def test_of_a_file_that_is_in_order_and_holds_nothing_that_is_said(node: Node, form: Format, data: bytes) -> None:
    foreseen = finish(foresee_steps(node, Bytes("file", data), Plan(**ask(form))))
    for taken in (foreseen, take(node, data, **ask(form)), take(node, data, **ask(form))):
        assert ([one.remark for one in taken.notes], taken.bad_count) == (
            ["no record is in it, so nothing came of it"],
            0,
        )


def test_a_byte_order_mark_before_entities_says_nothing(node: Node) -> None:
    taken = take(node, b"\xef\xbb\xbf" + make_money("q-1", "q-2"), source="watch")
    assert (len(taken.added), taken.bad_count) == (2, 0)


@pytest.mark.usefixtures("small_groups")
def test_of_a_long_bundle_that_is_cut_short_nothing_is_kept(node: Node) -> None:
    before = dump(node)
    with pytest.raises(MalformedFile, match="cut short"):
        take(node, make_bundle(*"abcdefgh")[:-2])
    assert dump(node) == before


@pytest.mark.usefixtures("small_groups")
def test_of_a_long_bundle_what_is_no_json_is_left_out_alone(node: Node) -> None:
    done = take(node, make_bundle("a", "b", "c", more=b',{"a":},{"type":"x","a":1,"a":2}'))
    assert (len(done.added), done.bad_count) == (3, 2)
    assert [(one.place, one.index) for one in done.bad] == [("/objects/3", 3), ("/objects/4/a", 4)]


@pytest.mark.parametrize(
    ("data", "said", "words"),
    [
        (make_bundle("a"), {"mapping": b"x", "form": Format.STIX_21}, "a mapping is for tables"),
        (make_bundle("a"), {"tlp": "red"}, "each says its own marking"),
        (make_list(("Ondrej", 901)), {"tlp": "purple"}, "no TLP level"),
        (make_list(("Ondrej", 901)), {"source": "watch"}, "a source is for FollowTheMoney"),
        (b"Name;TLP\nx;y\n", {"form": Format.CSV}, "a table needs a mapping"),
        (b"%PDF-1.7", {"form": Format.MISP_MANIFEST}, "cannot be taken in here"),
    ],
)
def test_what_was_asked_has_to_fit_the_file(node: Node, data: bytes, said: dict[str, Any], words: str) -> None:
    before = dump(node)
    with pytest.raises(MalformedRequest, match=words):
        take(node, data, **said)
    assert dump(node) == before


# --- paths ------------------------------------------------------------------------------------------------------------


def test_a_path_is_taken_in_as_its_bytes_are(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "list.xml"
    path.write_bytes(make_list(("Ondrej", 901)))
    assert len(take_file(node, PathFile(path, name="list.xml"), Plan()).added) == 1
    assert take(node, path.read_bytes()).already


def test_a_file_that_is_changed_meanwhile_is_told(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "list.xml"
    path.write_bytes(make_list(("Ondrej", 901)))
    stamp = path.stat()
    steps = take_in_steps(node, PathFile(path, name="list.xml"), Plan())
    file = PathFile(path, name="list.xml")
    assert b"".join(file.read(10)) == path.read_bytes()
    path.write_bytes(make_list(("Other!", 901)))
    with pytest.raises(ConflictError, match="was changed"):
        next(file.read(10))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    steps.close()


def test_what_changes_behind_its_stamp_is_told_by_its_digest(node: Node) -> None:
    class Changing(Bytes):
        """Other bytes at the second reading."""

        def read(self, size: int) -> Iterator[bytes]:
            found = [*super().read(size)]
            self._data = self._data.replace(b"Ondrej", b"Milosh")
            return iter(found)

    for data in (make_list(("Ondrej", 901)), make_bundle("Ondrej")):
        before = dump(node)
        with pytest.raises(ConflictError, match="was changed"):
            take_file(node, Changing("file", data.replace(b'"name":"identity', b'"name":"Ondrej')), Plan())
        assert dump(node) == before


@pytest.mark.parametrize("kind", ["folder", "pipe", "missing"])
def test_what_cannot_be_read_twice_is_refused(node: Node, tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        path = Path("/dev/null")
    with pytest.raises(MalformedRequest, match=r"cannot be read|not a file that can be read twice"):
        take_file(node, PathFile(path, name=kind), Plan())


# --- where it is from -------------------------------------------------------------------------------------------------


def test_every_object_knows_its_files_and_its_place_in_each(node: Node) -> None:
    take(node, make_list(("Ondrej", 901), ("Jarmila", 902)), "first.xml")
    take(node, make_list(("Jarmila", 902), ("Milos", 903), date="2026-11-08"), "second.xml")
    with node.store.read() as transaction:
        keys = {row[1]: row[0] for row in transaction.rows("SELECT object, place FROM from_file")}
    found = list_origins(node, keys["INDIVIDUAL QDi.902"])
    assert [(one.file.name, one.place, one.added, one.file.facts["list_version"]) for one in found] == [
        ("first.xml", "INDIVIDUAL QDi.902", True, "2026-11-01"),
        ("second.xml", "INDIVIDUAL QDi.902", False, "2026-11-08"),
    ]


def test_a_file_is_found_by_number_and_digest(node: Node) -> None:
    done = take(node, make_list(("Ondrej", 901), ("", 902)))
    for prefix in ("1", done.file.digest, done.file.digest[:10]):
        found, remarks = find_file(node, prefix)
        assert (found, [one.place for one in remarks]) == (done.file, ["INDIVIDUAL QDi.902"])
    for prefix in ("2", "zz", "%"):
        with pytest.raises(NotFoundError):
            find_file(node, prefix)


def test_a_number_that_no_file_has_is_not_the_beginning_of_a_digest(node: Node) -> None:
    lists = (make_list((f"Ondrej {count}", 901)) for count in range(1000))
    done = take(node, next(data for data in lists if sha256(data).hexdigest().startswith("9")))
    assert find_file(node, done.file.digest)[0] == done.file
    with pytest.raises(NotFoundError):
        find_file(node, "9")


def test_what_a_partner_gave_is_not_taken_over_by_a_file(world: World) -> None:
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), types=("identity",)), proposer="borealia")
    aurelia, (target,) = world.nodes["aurelia"], list_write_collections(world.nodes["aurelia"], PartyId("borealia"))
    accept_objects(aurelia, make_bundle("a"), giver=PartyId("borealia"), collection=target.id)
    newer = json.dumps(make_object("a", kind="identity", day=9)).encode()
    done = take(aurelia, b'{"objects":[' + newer + b"]}")
    assert (done.added, done.bad_count) == ((), 1)
    assert "only borealia may give a new version of it" in done.bad[0].reason


def test_everything_of_a_list_bears_the_marking_that_was_asked(node: Node) -> None:
    take(node, make_list(("Ondrej", 901)), tlp="red")
    with node.store.read() as transaction:
        bodies = [json.loads(row[0]) for row in transaction.rows("SELECT data FROM body")]
    assert [one["object_marking_refs"] for one in bodies] == [[TLP2_RED]]
