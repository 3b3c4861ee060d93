# SPDX-License-Identifier: Apache-2.0
"""Pure: YAML as people write it becomes JSON, and the line of every value in it.

    read_document(b"regions: [NO]") -> Document(value={"regions": ["NO"]}, places={"": 1, "/regions": 1, …})

A small part of YAML 1.1 is taken. What is not in quotes is true, false, a number, or text: NO is Norway, and a time is
text until somebody reads it as a time. No tags, so nothing is ever constructed; a key twice is refused; `<<` takes in
what another table says, and what the table itself says counts. Size, depth and the count of values are bounded, each
alias counted in full: what is written in a kilobyte cannot stand for a gigabyte.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from comity.canonical import Json
from comity.errors import MalformedScenario

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_VALUES", "Document", "read_document"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_VALUES = 50_000
"""Values and names in one document, those behind aliases counted each time."""

_MERGE = "<<"
_PLAIN, _QUOTED, _LIST, _TABLE = "plain", "quoted", "list", "table"
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}", re.ASCII)
_WORDS: dict[str, Json] = {"true": True, "false": False}
_SHOWN = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The value of a document; `places` is JSON pointer → line, from 1."""

    value: Json
    places: dict[str, int]

    def find_line(self, pointer: str) -> int:
        """The line of the value at `pointer`, or of the nearest one around it that is written in the document."""
        while pointer not in self.places and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.places.get(pointer, 1)


def read_document(data: bytes) -> Document:
    """The one document in `data`.

    Raises:
        MalformedScenario: not UTF-8, not YAML, not of the part of it that is taken, or over a bound; with the line.
    """
    if len(data) > MAX_BYTES:
        raise MalformedScenario(f"the file has {len(data)} bytes where at most {MAX_BYTES} are taken")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise MalformedScenario(f"line {line}: not UTF-8; save the file as UTF-8", where=f"line {line}") from error
    try:
        root = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refuse(1 if mark is None else mark.line + 1, f"not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise MalformedScenario(f"not YAML: {error}") from error
    if root is None:
        raise MalformedScenario("the file is empty; a scenario begins with format: comity-scenario/1")
    reading = _Reading()
    return Document(value=reading.read(root, ""), places=reading.places)


class _Loader(yaml.SafeLoader):
    """The safe loader up to its nodes; it says of each only how it was written, and stops where they lie too deep."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """The next node, with all that is in it."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"values lie more than {MAX_DEPTH} deep", problem_mark=self.get_mark())
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def resolve(self, kind: type[Node], value: str, implicit: tuple[bool, bool]) -> str:  # noqa: ARG002 (its signature)
        """How a node without a tag was written; whatever else stands there was a tag."""
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _QUOTED
        return _LIST if kind is SequenceNode else _TABLE


class _Reading:
    """One walk over the nodes of a document."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self._count = 0
        self._around: list[Node] = []

    def read(self, node: Node, pointer: str) -> Json:
        """The value of a node, whose place is kept."""
        self._enter(node)
        self.places.setdefault(pointer, _line(node))
        self._around.append(node)
        value = self._read_value(node, pointer)
        self._around.pop()
        return value

    def _enter(self, node: Node) -> None:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _refuse(_line(node), f"over {MAX_VALUES} values, aliases counted in full")
        if node in self._around or len(self._around) > MAX_DEPTH:
            raise _refuse(_line(node), f"values lie more than {MAX_DEPTH} deep, or in themselves")

    def _read_value(self, node: Node, pointer: str) -> Json:
        match node:
            case ScalarNode(tag=tag, value=text) if tag == _QUOTED:
                return str(text)
            case ScalarNode(tag=tag, value=text) if tag == _PLAIN:
                return _read_plain(str(text), node)
            case SequenceNode(tag=tag, value=items) if tag == _LIST:
                return [self.read(item, f"{pointer}/{index}") for index, item in enumerate(items)]
            case MappingNode(tag=tag) if tag == _TABLE:
                return {
                    name: self._read_entry(key, item, f"{pointer}/{_escape(name)}")
                    for name, (key, item) in self._collect(node).items()
                }
        raise _refuse(_line(node), f"the tag {str(node.tag)[:_SHOWN]} is not taken; leave it out")

    def _read_entry(self, key: Node, item: Node, pointer: str) -> Json:
        self.places.setdefault(pointer, _line(key))
        return self.read(item, pointer)

    def _collect(self, table: MappingNode) -> dict[str, tuple[Node, Node]]:
        """The entries of a table, its own before those it takes in."""
        own: dict[str, tuple[Node, Node]] = {}
        merged: dict[str, tuple[Node, Node]] = {}
        for key, item in table.value:
            self._enter(key)
            name = _read_key(key)
            if name == _MERGE and key.tag == _PLAIN:
                for other in self._find_merged(item):
                    merged = self._collect(other) | merged
            elif name in own:
                raise _refuse(_line(key), f"{name[:_SHOWN]!r} stands in this table twice; keep one")
            else:
                own[name] = (key, item)
        return merged | own

    def _find_merged(self, node: Node) -> Iterator[MappingNode]:
        self._enter(node)
        for one in node.value if isinstance(node, SequenceNode) else [node]:
            if not isinstance(one, MappingNode):
                raise _refuse(_line(node), "<< takes in a table, or a list of tables: write <<: *name")
            self._enter(one)
            self._around.append(one)
            yield one
            self._around.pop()


def _read_key(node: Node) -> str:
    if not isinstance(node, ScalarNode) or node.tag not in {_PLAIN, _QUOTED} or not node.value:
        raise _refuse(_line(node), "a name must be a text")
    return str(node.value)


def _read_plain(text: str, node: Node) -> Json:
    if text in {"", "~", "null"}:
        raise _refuse(_line(node), "nothing stands here; write a value, or leave the name out too")
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _refuse(line: int, problem: str) -> MalformedScenario:
    return MalformedScenario(f"line {line}: {problem}", where=f"line {line}")


def _escape(name: str) -> str:
    """One step of a JSON pointer (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")
