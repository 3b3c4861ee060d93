# SPDX-License-Identifier: Apache-2.0
"""Pure: the article in a PDF: the text of its pages, in paragraphs as far as they can be told.

The text is taken out by pypdf (the extra `articles`). Lines that were broken for the page are joined; a paragraph ends
where an empty line is, or where a line ends a sentence well before the margin. A PDF without text (a scan) is refused.

Bounds: bytes, pages, what a stream may unpack to, characters. Not bounded here: time; whoever reads PDFs of strangers
reads them in a process of its own (`comity.articles`).
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from comity.errors import MalformedArticle, NotInstalled
from comity.intake.article.text import MAX_CHARACTERS, Article, Source, Span, check_text, make_article, split_layout

__all__ = ["MAX_PAGES", "MAX_PDF_BYTES", "parse_pdf"]

MAX_PDF_BYTES: Final = 32 << 20
MAX_PAGES: Final = 300
_MAX_UNPACKED = 16 << 20
_BOUNDS: Final[Mapping[str, Any]] = {
    "maximum_declared_stream_length": MAX_PDF_BYTES,
    "array_based_stream_maximum_output_length": _MAX_UNPACKED,
    "lzw_maximum_output_length": _MAX_UNPACKED,
    "run_length_maximum_output_length": _MAX_UNPACKED,
    "zlib_maximum_output_length": _MAX_UNPACKED,
    "zlib_maximum_recovery_input_length": _MAX_UNPACKED // 8,
    "brotli_maximum_output_length": _MAX_UNPACKED,
    "stream_decoding_work_maximum_length": 4 * _MAX_UNPACKED,
    "stream_parsing_work_maximum_count": 500_000,
    "page_tree_maximum_entries": 2 * MAX_PAGES,
    "page_tree_maximum_page_entries": 50 * MAX_PAGES,
    "xform_maximum_invocations_per_extraction": 200,
    "jbig2dec_binary": None,  # pictures are not read, and no program is run
}
"""Of what pypdf unpacks and follows; a text of MAX_CHARACTERS needs a tenth of it."""
_SHORT_OF_MARGIN = 0.75
"""A line shorter than this part of the longest one, with a full stop at its end, ends a paragraph."""
_LEAST_GAP = 4.0
"""Points: less than this is one line, with a part that stands higher."""
_MORE_ROOM = 1.35
"""So many times the usual distance of lines is the distance of paragraphs."""
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
    return make_article(data, text, layout, source, form="PDF", encoding=("PDF", "in the document"))


def _extract(data: bytes) -> list[list[str]]:
    """The lines of each page, an empty one between paragraphs."""
    try:
        import pypdf  # noqa: PLC0415 (an extra)
        from pypdf import errors  # noqa: PLC0415
    except ImportError as error:
        raise NotInstalled(
            "PDFs are read with pypdf, which is not installed: pip install 'comity[articles]'"
        ) from error
    try:
        with pypdf.apply_configuration(**_BOUNDS):
            # It asks for no more of a file than a stream has.
            return _read_pages(pypdf.PdfReader(_Stream(data), strict=False))  # type: ignore[arg-type]
    except MalformedArticle:
        raise
    except errors.LimitReachedError as error:
        raise MalformedArticle("the PDF unpacks to more than is read of one; save its text as a file") from error
    except Exception as error:
        # Whatever the library meets in a stranger's file.
        raise MalformedArticle(
            f"the PDF could not be read ({type(error).__name__}); save its text as a file"
        ) from error


def _read_pages(reader: Any) -> list[list[str]]:  # noqa: ANN401 (a reader of pypdf, an extra)
    if reader.is_encrypted:
        raise MalformedArticle("the PDF is encrypted; save it without a password, or save its text")
    if len(reader.pages) > MAX_PAGES:
        raise MalformedArticle(f"the PDF has {len(reader.pages)} pages where at most {MAX_PAGES} are read; cut it")
    pages, read = list[list[str]](), 0
    for page in reader.pages:
        pages.append(_read_page(page))
        read += sum(map(len, pages[-1]))
        if read > MAX_CHARACTERS:
            raise MalformedArticle(f"the PDF has over {MAX_CHARACTERS} characters; cut it")
    return pages


def _read_page(page: Any) -> list[str]:  # noqa: ANN401 (a page of pypdf, an extra)
    """The lines of a page from its top, an empty one where the page leaves more room than between lines."""
    lines, heights = [""], [0.0]

    def see(text: str, cm: Sequence[float], tm: Sequence[float], *_: object) -> None:
        if not lines[-1]:
            heights[-1] = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
        first, *others = text.split("\n")
        lines[-1] += first
        for line in others:
            lines.append(line)
            heights.append(heights[-1])

    page.extract_text(visitor_text=see)
    written = [(line.strip(), height) for line, height in zip(lines, heights, strict=True) if line.strip()]
    gaps = [above - below for (_, above), (_, below) in pairwise(written)]
    usual = sorted(gap for gap in gaps if gap > _LEAST_GAP)
    room = usual[len(usual) // 10] * _MORE_ROOM if usual else 0.0
    found = [written[0][0]] if written else []
    for (line, _), gap in zip(written[1:], gaps, strict=True):
        # Upward is the next column, whose first line may go on with a paragraph.
        found += ["", line] if usual and gap > room else [line]
    return found


def _join_lines(pages: Sequence[Sequence[str]]) -> str:
    """The pages as one text: lines of a paragraph joined, an empty line between paragraphs, words whole again."""
    longest = max((len(line) for page in pages for line in page), default=0)
    paragraphs, current = list[str](), ""
    for page in pages:
        for line in page:
            if line:
                current = _append(current, line)
            ends = _SENTENCE_END.search(line) is not None and len(line) < longest * _SHORT_OF_MARGIN
            if current and (not line or ends):
                paragraphs.append(current)
                current = ""
        # A page that ends in the middle of a sentence ends no paragraph.
        if current and _SENTENCE_END.search(current):
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
