# SPDX-License-Identifier: Apache-2.0
"""Shell: what reading articles needs of the machine: the rules that come with the program, and a process for strangers.

    read = finish(read_in_turns(data, Source(retrieved_at=now), form=Format.HTML))
    read.article, read.drafts        its text and places; what it would become, numbered

HTML and PDF are read by large libraries, pages and files come from strangers, and a long text keeps whoever reads it
busy for seconds. So all of it is done by a process that this one starts (`conversion.child`): it holds no file and no
secret of a node, sees nothing of its environment, may take so much of the processor and of memory, and may write no
file. What it gives back is parsed again here, and the bytes that were received are those that were given to it.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from comity.canonical import Json, Limits, parse_json, sha256_digest
from comity.conversion.child import Bounds, Child, serve_frames
from comity.errors import (
    ComityError,
    MalformedArticle,
    MalformedError,
    MalformedRequest,
    NotInstalled,
    UnavailableError,
)
from comity.ids import Instant
from comity.intake.article.gazetteer import parse_gazetteer
from comity.intake.article.html import parse_html
from comity.intake.article.numbering import (
    Numbered,
    describe_numbered,
    list_special,
    number_drafts,
    read_numbered,
)
from comity.intake.article.pdf import MAX_PDF_BYTES, parse_pdf
from comity.intake.article.reading import read_article
from comity.intake.article.rules import Rules, Tables, compile_rules, parse_tables
from comity.intake.article.text import MAX_CHARACTERS, Article, Source, Span, parse_plain
from comity.intake.formats import Format

__all__ = ["ReadArticle", "main", "read_in_turns", "read_rules", "read_tables"]

_READER: Final = "comity.articles"
_BOUNDS: Final = Bounds(memory=1 << 30, seconds=60, answer=96 << 20)
"""A page takes half a second, a text of two million characters some ten; the machine may be busy."""

_ANSWER: Final = Limits(max_bytes=_BOUNDS.answer, max_depth=12, max_items=2_000_000)
_TURN: Final = 0.01
"""Seconds that others wait at most for their turn while the process works."""

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


@cache
def read_rules() -> Rules:
    """The rules that come with the program, for articles in English."""
    return compile_rules(read_tables())


def read_in_turns(
    data: bytes, source: Source, *, form: Format, known: bytes = b"", turn: float = _TURN
) -> Generator[None, None, ReadArticle]:
    """The article that the bytes are, in one of the formats `TEXT`, `HTML` and `PDF` (`formats.recognise_format`).

    `known` is a gazetteer of organisations (`intake.article.gazetteer`), as TOML. Others get a turn where it yields.

    Raises:
        MalformedArticle: no article, or one that took more time or memory than is given.
        MalformedRequest: the gazetteer.
        NotInstalled: the extra `articles` is not there.
        UnavailableError: the process could not be started.
    """
    if form not in _PARSERS:
        raise MalformedArticle(f"{form.value} is no format of articles; give text, HTML or PDF", where="format")
    if len(data) > MAX_PDF_BYTES:
        raise MalformedArticle(f"the file has {len(data)} bytes where at most {MAX_PDF_BYTES} are read; save its text")
    head = json.dumps({"form": form.value, "known": known.decode("utf-8", "replace"), **asdict(source)}).encode()
    with _start() as child:
        child.ask(head + b"\n" + data)
        try:
            while (answer := child.answer(wait=turn)) is None:
                yield
        except MalformedRequest as error:
            # It ended without a word: the bounds, or a fault of the libraries.
            raise _refuse(form) from error
    return _read_answer(answer, data, source, form=form)


def _start() -> Child:
    try:
        return Child(_READER, bounds=_BOUNDS)
    except OSError as error:
        raise UnavailableError(f"the process that reads articles could not be started: {error}") from error


def main() -> None:
    """Read articles for the process that started this one, within the bounds that it gives."""
    serve_frames(_respond)


def _respond(frame: bytes) -> bytes:
    head, _, data = frame.partition(b"\n")
    said: dict[str, Any] = json.loads(head)
    try:
        answer = _read(Format(said.pop("form")), data, known=said.pop("known"), source=Source(**said))
    except ComityError as error:
        answer = {"error": error.code, "detail": error.detail, "where": getattr(error, "where", None)}
    return json.dumps(answer).encode()


def _read(form: Format, data: bytes, *, known: str, source: Source) -> dict[str, Json]:
    article = _PARSERS[form](data, source=source)
    rules = compile_rules(read_tables(), language=article.language)
    reading = read_article(article, rules, parse_gazetteer(known.encode(), rules=rules))
    return {
        **{name: value for name, value in asdict(article).items() if name != "received"},
        "drafts": [describe_numbered(item) for item in number_drafts(reading)],
        "special": [*sorted(list_special(reading))],
    }


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
