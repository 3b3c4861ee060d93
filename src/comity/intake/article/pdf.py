# SPDX-License-Identifier: Apache-2.0
"""Pure: the article in a PDF: the text of its pages, in paragraphs as far as they can be told.

The text is taken out by pypdf (the extra `articles`). Lines that were broken for the page are joined; a paragraph ends
where an empty line is, or where a line ends a sentence well before the margin. A PDF without text (a scan) is refused.

Bounds: bytes, pages, what a stream may unpack to, characters. Not bounded here: time; whoever reads PDFs of strangers
reads them in a process of its own (`comity.extraction`).
"""

import re
from typing import Final

from comity.canonical import sha256_digest
from comity.errors import MalformedArticle, NotInstalled
from comity.intake.article.text import MAX_CHARACTERS, Article, Source, Span, check_text, read_host, split_layout

__all__ = ["MAX_PAGES", "MAX_PDF_BYTES", "parse_pdf"]

MAX_PDF_BYTES: Final = 32 << 20
MAX_PAGES: Final = 300
_MAX_UNPACKED = 16 << 20
"""Bytes that one stream may unpack to."""
_MAX_WORK = 64 << 20
_SHORT_OF_MARGIN = 0.75
"""A line shorter than this part of the longest one, with a full stop at its end, ends a paragraph."""
_SENTENCE_END = re.compile(r"[.!?:][\"'\u201d\u2019)]{0,2}$")
_BLOCK = re.compile(r"[^\s](?:[^\n]|\n(?!\n))*+")


class _Stream:
    """Bytes as pypdf reads them: what it asks of a file, without one."""

    mode: Final = "rb"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int | None = -1) -> bytes:
        end = len(self._data) if size is None or size < 0 else self._at + size
        part = self._data[self._at : end]
        self._at += len(part)
        return part

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._at, len(self._data))[whence]
        if start + offset < 0:
            raise ValueError("a place before the beginning")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readline(self) -> bytes:
        end = self._data.find(b"\n", self._at)
        return self.read(-1 if end < 0 else end + 1 - self._at)


def parse_pdf(data: bytes, *, source: Source) -> Article:
    """The article that a PDF holds.

    Raises:
        NotInstalled: pypdf is not there.
        MalformedArticle: not a PDF that can be read, encrypted, without text, or over a bound.
    """
    if len(data) > MAX_PDF_BYTES:
        raise MalformedArticle(f"the PDF has {len(data)} bytes where at most {MAX_PDF_BYTES} are read; save its text")
    if not data.startswith(b"%PDF-"):
        raise MalformedArticle("the bytes do not begin as a PDF does (%PDF-); add a text file as text")
    text = _join_lines(_extract(data))
    check_text(text)
    blocks = [Span(*found.span()) for found in _BLOCK.finditer(text)]
    layout = split_layout(text, blocks, source)
    return Article(
        format="PDF",
        received=data,
        digest=sha256_digest(data),
        encoding="PDF",
        encoded_by="in the document",
        text=text,
        title=layout.title,
        caption=layout.caption,
        paragraphs=layout.paragraphs,
        published=source.published or layout.published,
        published_at=None if source.published else layout.published_at,
        publisher=source.publisher or layout.publisher or read_host(source.url or layout.url),
        url=source.url or layout.url,
        language=source.language,
        retrieved_at=source.retrieved_at,
    )


def _extract(data: bytes) -> list[str]:
    """The text of each page."""
    try:
        import pypdf  # noqa: PLC0415 (an extra)
        from pypdf import errors  # noqa: PLC0415
    except ImportError as error:
        raise NotInstalled(
            "PDFs are read with pypdf, which is not installed: pip install 'comity[articles]'"
        ) from error
    pages, read = list[str](), 0
    try:
        reader = pypdf.PdfReader(_Stream(data), strict=False, configuration=_configure())  # type: ignore[arg-type]
        if reader.is_encrypted:
            raise MalformedArticle("the PDF is encrypted; save it without a password, or save its text")
        if len(reader.pages) > MAX_PAGES:
            raise MalformedArticle(f"the PDF has {len(reader.pages)} pages where at most {MAX_PAGES} are read; cut it")
        for page in reader.pages:
            pages.append(page.extract_text())
            read += len(pages[-1])
            if read > MAX_CHARACTERS:
                raise MalformedArticle(f"the PDF has over {MAX_CHARACTERS} characters; cut it")
    except MalformedArticle:
        raise
    except errors.LimitReachedError as error:
        raise MalformedArticle("the PDF unpacks to more than is read of one; save its text as a file") from error
    except Exception as error:  # noqa: BLE001 (whatever the library meets in a stranger's file)
        raise MalformedArticle(
            f"the PDF could not be read ({type(error).__name__}); save its text as a file"
        ) from error
    return pages


def _configure() -> "object":
    raise NotImplementedError


def _join_lines(pages: list[str]) -> str:
    """The pages as one text: lines of a paragraph joined, an empty line between paragraphs, words whole again."""
    lines = [line.rstrip() for page in pages for line in (*page.splitlines(), "")]
    longest = max((len(line) for line in lines), default=0)
    paragraphs, current = list[str](), ""
    for line in lines:
        bare = line.strip()
        if not bare:
            # A page that ends in the middle of a sentence ends no paragraph.
            if current and _SENTENCE_END.search(current):
                paragraphs.append(current)
                current = ""
            elif current and len(current) < longest:
                paragraphs.append(current)
                current = ""
            continue
        current = _append(current, bare)
        if _SENTENCE_END.search(bare) and len(bare) < longest * _SHORT_OF_MARGIN:
            paragraphs.append(current)
            current = ""
    if current:
        paragraphs.append(current)
    return "\n\n".join(paragraphs)


def _append(before: str, line: str) -> str:
    """A line behind another; a word that was divided at its end is one word again."""
    if not before:
        return line
    if before.endswith("-") and before[-2:-1].isalpha() and line[:1].islower():
        return before[:-1] + line
    return f"{before} {line}"
