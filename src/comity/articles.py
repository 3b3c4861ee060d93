# SPDX-License-Identifier: Apache-2.0
"""Shell: what reading articles needs of the machine: the rules that come with the program, and a process for strangers.

    read = finish(read_in_turns(data, Source(retrieved_at=now), form=Format.HTML))
    read.article, read.drafts        its text and places; what it would become, numbered

HTML and PDF are read by large libraries, pages and files come from strangers, and a long text keeps whoever reads it
busy for seconds. So all of it is done by a process that this one starts (`conversion.child`): it holds no file and no
secret of a node, sees nothing of its environment, may take so much of the processor and of memory, and may write no
file. Each article is read by a process of its own; what these are copies of has the rules ready, and stays for some
seconds, as a folder of articles comes one by one. What it gives back is parsed again here, and the bytes that were
received are those that were given to it.
"""

import atexit
import json
import os
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

from comity.canonical import Json, Limits, parse_json, sha256_digest
from comity.conversion.child import Bounds, Child, serve_frames_apart
from comity.errors import (
    ComityError,
    MalformedArticle,
    MalformedError,
    MalformedRequest,
    NotInstalled,
    UnavailableError,
)
from comity.ids import Instant
from comity.intake.article.gazetteer import EMPTY, Gazetteer, parse_gazetteer
from comity.intake.article.html import parse_html
from comity.intake.article.numbering import (
    Numbered,
    describe_numbered,
    list_special,
    number_drafts,
    read_numbered,
)
from comity.intake.article.own import OwnRules, format_tables, parse_own_rules
from comity.intake.article.pdf import MAX_PDF_BYTES, parse_pdf
from comity.intake.article.reading import read_article
from comity.intake.article.rules import Rules, Tables, compile_rules, join_tables, parse_tables
from comity.intake.article.text import MAX_CHARACTERS, Article, Source, Span, find_codec, parse_plain
from comity.intake.formats import HEAD_BYTES, Format, recognise_format

__all__ = [
    "ReadArticle",
    "close_reader",
    "main",
    "read_in_turns",
    "read_own_rules",
    "read_rules",
    "read_tables",
    "recognise_article",
    "write_own_rules",
]

_READER: Final = "comity.articles"
_BOUNDS: Final = Bounds(memory=1 << 30, seconds=60, answer=96 << 20)
"""A page takes half a second, a text of two million characters some ten; the machine may be busy."""

_ANSWER: Final = Limits(max_bytes=_BOUNDS.answer, max_depth=12, max_items=2_000_000)
_TURN: Final = 0.01
"""Seconds that others wait at most for their turn while the process works."""

_IDLE: Final = 20.0
"""Seconds that a reader waits for the next article."""

_SURELY_THERE: Final = 10.0
"""Seconds after which a reader is not asked again: it may be about to end."""

_PARSERS: Final[Mapping[Format, Callable[..., Article]]] = {
    Format.TEXT: parse_plain,
    Format.HTML: parse_html,
    Format.PDF: parse_pdf,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadArticle:
    """An article, its drafts by number, and the special categories of data that its title and caption may hold."""

    article: Article
    drafts: tuple[Numbered, ...]
    special: frozenset[str]


@cache
def read_tables() -> tuple[Tables, ...]:
    """The rules that come with the program, each file checked; what `compile_rules` is given first."""
    folder = resources.files("comity.intake.article") / "tables"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    return tuple(parse_tables(item.read_bytes()) for item in files)


@lru_cache(maxsize=4)
def read_own_rules(own: bytes) -> OwnRules:
    """The rules in force where a file of own ones lies over those that come with the program.

    Raises:
        MalformedRequest: the file; with the place.
    """
    return parse_own_rules(own, below=join_tables(read_tables()))


@lru_cache(maxsize=4)
def write_own_rules(own: bytes) -> str:
    """The same as TOML.

    Raises:
        MalformedRequest: the file; with the place.
    """
    return format_tables(read_own_rules(own).tables)


def read_rules(own: bytes = b"", language: str = "en") -> Rules:
    """The same, made into what finds mentions, for articles in that language.

    Raises:
        MalformedRequest: the file; with the place.
    """
    return _compile(own, language)


@lru_cache(maxsize=4)
def _compile(own: bytes, language: str) -> Rules:
    return compile_rules([read_own_rules(own).tables], language=language)


def recognise_article(data: bytes, name: str, *, encoding: str | None) -> Format:
    """The format of an article, by how it begins and what it is called; `encoding` is what its text is said to be in.

    Raises:
        MalformedFile: it could be in several, or in none.
    """
    # An encoding that is not known here its reader refuses, in its own words.
    codec = find_codec(encoding or "utf-8") or "latin-1"
    return recognise_format(data[:HEAD_BYTES], name, among=tuple(_PARSERS), encoding=codec)


def read_in_turns(
    data: bytes, source: Source, *, form: Format, known: bytes = b"", own: bytes = b"", turn: float = _TURN
) -> Generator[None, None, ReadArticle]:
    """The article that the bytes are, in one of the formats `TEXT`, `HTML` and `PDF` (`recognise_article`).

    `known` is a gazetteer of organisations (`intake.article.gazetteer`), `own` are own rules (`intake.article.own`),
    both as TOML. Others get a turn where it yields.

    Raises:
        MalformedArticle: no article, or one that took more time or memory than is given.
        MalformedRequest: the gazetteer, or the rules.
        NotInstalled: the extra `articles` is not there.
        UnavailableError: the process could not be started.
    """
    if form not in _PARSERS:
        raise MalformedArticle(f"{form.value} is no format of articles; give text, HTML or PDF", where="format")
    if len(data) > MAX_PDF_BYTES:
        raise MalformedArticle(f"the file has {len(data)} bytes where at most {MAX_PDF_BYTES} are read; save its text")
    head = json.dumps({"form": form.value, **asdict(source)}).encode()
    ready = json.dumps({"own": own.decode("utf-8", "replace"), "known": known.decode("utf-8", "replace")}).encode()
    child = yield from _take_reader(ready, turn)
    try:
        answer = yield from _ask(child, head + b"\n" + data, turn)
    except MalformedRequest as error:
        # It ended without a word: the bounds, or a fault of the libraries.
        child.close()
        raise _refuse(form) from error
    except BaseException:
        child.close()
        raise
    _keep_reader(ready, child)
    return _read_answer(answer, data, source, form=form)


# --- the process ------------------------------------------------------------------------------------------------------

_KEPT: list[tuple[bytes, float, Child]] = []
"""At most one reader that waits for the next article: what it is ready for, since when, and the process."""


def _take_reader(ready: bytes, turn: float) -> Generator[None, None, Child]:
    """A reader that is ready: the one that waits, if it is ready for the same, or one that is started."""
    while _KEPT:
        what, since, child = _KEPT.pop()
        if what == ready and time.monotonic() - since < _SURELY_THERE and not child.ended:
            return child
        child.close()
    try:
        child = Child(_READER, bounds=_BOUNDS)
    except OSError as error:
        raise UnavailableError(f"the process that reads articles could not be started: {error}") from error
    try:
        value = json.loads((yield from _ask(child, ready, turn)))
    except BaseException:
        child.close()
        raise
    if "error" in value:
        child.close()
        raise _find_error(value)
    return child


def _keep_reader(ready: bytes, child: Child) -> None:
    close_reader()
    _KEPT.append((ready, time.monotonic(), child))


@atexit.register
def close_reader() -> None:
    """End the reader that waits for the next article, if there is one."""
    while _KEPT:
        _KEPT.pop()[2].close()


def _forget_reader() -> None:
    while _KEPT:
        _KEPT.pop()[2].forget()


os.register_at_fork(after_in_child=_forget_reader)


def _ask(child: Child, frame: bytes, turn: float) -> Generator[None, None, bytes]:
    child.ask(frame)
    while (answer := child.answer(wait=turn)) is None:
        yield
    return answer


def main() -> None:
    """Read articles for the process that started this one, within the bounds that it gives."""
    reader = _Reader()
    serve_frames_apart(reader.prepare, reader.respond, idle=_IDLE)


class _Reader:
    """What has the rules and the gazetteer ready, and reads by them."""

    own = b""
    known: Gazetteer = EMPTY

    def prepare(self, frame: bytes) -> bytes:
        said: dict[str, str] = json.loads(frame)
        try:
            self.own = said["own"].encode()
            self.known = parse_gazetteer(said["known"].encode(), rules=read_rules(self.own))
        except ComityError as error:
            return _write_error(error)
        return b"{}"

    def respond(self, frame: bytes) -> bytes:
        head, _, data = frame.partition(b"\n")
        said: dict[str, Any] = json.loads(head)
        try:
            answer = self._read(Format(said.pop("form")), data, Source(**said))
        except ComityError as error:
            return _write_error(error)
        return json.dumps(answer).encode()

    def _read(self, form: Format, data: bytes, source: Source) -> dict[str, Json]:
        article = _PARSERS[form](data, source=source)
        reading = read_article(article, read_rules(self.own, article.language), self.known)
        return {
            **{name: value for name, value in asdict(article).items() if name != "received"},
            "drafts": [describe_numbered(item) for item in number_drafts(reading)],
            "special": [*sorted(list_special(reading))],
        }


def _write_error(error: ComityError) -> bytes:
    return json.dumps({"error": error.code, "detail": error.detail, "where": getattr(error, "where", None)}).encode()


def _read_answer(answer: bytes, data: bytes, source: Source, *, form: Format) -> ReadArticle:
    try:
        value = parse_json(answer, limits=_ANSWER)
    except MalformedError as error:
        raise _refuse(form) from error
    if not isinstance(value, dict):
        raise _refuse(form)
    if "error" in value:
        raise _find_error(value)
    text = str(value["text"])
    if len(text) > MAX_CHARACTERS:
        raise _refuse(form)
    article = Article(
        format=str(value["format"]),
        received=data,
        digest=sha256_digest(data),
        encoding=str(value["encoding"]),
        encoded_by=str(value["encoded_by"]),
        text=text,
        title=_read_span(value["title"], text),
        caption=_read_span(value["caption"], text),
        paragraphs=_read_spans(value["paragraphs"], text),
        published=_read_text(value["published"]),
        published_at=_read_span(value["published_at"], text),
        publisher=_read_text(value["publisher"]),
        url=_read_text(value["url"]),
        language=str(value["language"]),
        retrieved_at=Instant(source.retrieved_at),
    )
    drafts, special = value.get("drafts"), value.get("special")
    listed = [read_numbered(item, length=len(text)) for item in drafts] if isinstance(drafts, list) else []
    words = frozenset(str(word) for word in special) if isinstance(special, list) else frozenset[str]()
    return ReadArticle(article=article, drafts=tuple(listed), special=words)


def _find_error(value: Mapping[str, Json]) -> ComityError:
    detail, where = str(value.get("detail")), value.get("where")
    if value["error"] == NotInstalled.code:
        return NotInstalled(detail)
    kind = MalformedRequest if value["error"] == MalformedRequest.code else MalformedArticle
    return kind(detail, where=str(where)) if where else kind(detail)


def _refuse(form: Format) -> MalformedArticle:
    return MalformedArticle(
        f"this {form.name} took more than {_BOUNDS.seconds} seconds or {_BOUNDS.memory >> 20} MiB to read; save its "
        "text as a file and add that"
    )


def _read_text(value: Json) -> str | None:
    return None if value is None else str(value)


def _read_spans(value: Json, text: str) -> tuple[Span, ...]:
    listed = value if isinstance(value, list) else []
    return tuple(span for item in listed if (span := _read_span(item, text)) is not None)


def _read_span(value: Json, text: str) -> Span | None:
    match value:
        case [int(start), int(end)] if 0 <= start <= end <= len(text):
            return Span(start, end)
        case _:
            return None


if __name__ == "__main__":
    main()
