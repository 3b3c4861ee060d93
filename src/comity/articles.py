# SPDX-License-Identifier: Apache-2.0
"""Shell: what reading articles needs of the machine: the rules that come with the program, and a process for strangers.

    article = extract_article(data, Source(retrieved_at=now), form=Format.HTML)
    rules = compile_rules(read_tables())

HTML and PDF are read by large libraries, and pages and files come from strangers. So they are read by a process that
this one starts (`python -m comity.articles`). It holds no file and no secret of a node, sees nothing of its
environment, may take so much of the processor and of memory, and may write no file: whatever a page brings the
libraries to ends there. What it gives back is parsed again here, and the bytes that were received are those that were
given to it.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Final

from comity.canonical import Json, Limits, parse_json, sha256_digest
from comity.errors import ComityError, MalformedArticle, MalformedJson, NotInstalled, UnavailableError
from comity.ids import Instant
from comity.intake.article.html import parse_html
from comity.intake.article.pdf import MAX_PDF_BYTES, parse_pdf
from comity.intake.article.rules import Tables, parse_tables
from comity.intake.article.text import MAX_CHARACTERS, Article, Source, Span, parse_plain
from comity.intake.formats import Format

__all__ = ["extract_article", "main", "read_tables"]

PROCESSOR_SECONDS: Final = 20
"""For one page or file: a page takes a tenth of a second, a PDF of 300 pages some seconds."""

_MEMORY_BYTES: Final = 1 << 30
_WALL_SECONDS: Final = 120.0
"""The machine may be busy."""
_ANSWER: Final = Limits(max_bytes=16 * MAX_CHARACTERS, max_depth=4, max_items=200_000)
_HEAD_BYTES: Final = 1 << 16


_PARSERS: Final[Mapping[Format, Callable[..., Article]]] = {
    Format.TEXT: parse_plain,
    Format.HTML: parse_html,
    Format.PDF: parse_pdf,
}


@cache
def read_tables() -> tuple[Tables, ...]:
    """The rules that come with the program, each file checked; what `compile_rules` is given first."""
    folder = resources.files("comity.intake.article") / "tables"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    return tuple(parse_tables(item.read_bytes()) for item in files)


def extract_article(data: bytes, source: Source, *, form: Format) -> Article:
    """The article that the bytes are, in one of the formats `TEXT`, `HTML` and `PDF` (`formats.recognise_format`).

    Raises:
        MalformedArticle: no article, or one that took the libraries more time or memory than is given.
        NotInstalled: the extra `articles` is not there.
        UnavailableError: the process could not be started.
    """
    if form is Format.TEXT:
        return parse_plain(data, source=source)
    if form not in _PARSERS:
        raise MalformedArticle(f"{form.value} is no format of articles; give text, HTML or PDF", where="format")
    if len(data) > MAX_PDF_BYTES:
        raise MalformedArticle(f"the file has {len(data)} bytes where at most {MAX_PDF_BYTES} are read; save its text")
    head = json.dumps({"form": form.value, **asdict(source)}).encode()
    # -P: not from whatever lies in the folder that this process was started in.
    command = (sys.executable, "-P", "-m", "comity.articles")
    try:
        done = subprocess.run(
            command,
            input=head + b"\n" + data,
            capture_output=True,
            env={},  # what this process was told, a passphrase for one, is not for strangers' files
            timeout=_WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _refuse(form) from error
    except OSError as error:
        raise UnavailableError(f"the process that reads articles could not be started: {error}") from error
    return _read_answer(done.stdout, data, source, form=form)


def main() -> None:
    """Read one article from the standard input and answer what it is, within the bounds."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    said = json.loads(sys.stdin.buffer.readline(_HEAD_BYTES))
    form = Format(said.pop("form"))
    try:
        article = _PARSERS[form](sys.stdin.buffer.read(), source=Source(**said))
    except ComityError as error:
        answer: dict[str, Json] = {"error": error.code, "detail": error.detail}
    else:
        answer = {name: value for name, value in asdict(article).items() if name != "received"}
    sys.stdout.write(json.dumps(answer))


def _read_answer(answer: bytes, data: bytes, source: Source, *, form: Format) -> Article:
    try:
        value = parse_json(answer, limits=_ANSWER)
    except MalformedJson as error:
        # It ended without a word: the bounds, or a fault of the libraries.
        raise _refuse(form) from error
    if not isinstance(value, dict):
        raise _refuse(form)
    if "error" in value:
        detail = str(value.get("detail"))
        raise (NotInstalled if value["error"] == NotInstalled.code else MalformedArticle)(detail)
    text = str(value["text"])
    return Article(
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


def _refuse(form: Format) -> MalformedArticle:
    return MalformedArticle(
        f"this {form.name} took more than {PROCESSOR_SECONDS} seconds or {_MEMORY_BYTES >> 20} MiB to read; save its "
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
