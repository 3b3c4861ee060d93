# SPDX-License-Identifier: Apache-2.0
r"""Pure: an article as it was received, and its text with the place of each part.

    parse_plain(b"A title\n\nOctober 17, 2014\n\nIt rained.\n\nOriginal url:\n\nhttps://news.example/a b",
                source=Source(retrieved_at=now))
        -> Article(text="A title\n\n…", title=Span(0, 7), published="2014-10-17", paragraphs=(Span(27, 37),),
                   url="https://news.example/ab", publisher="news.example", …)

Of plain text, `text` is what was received, decoded, so that places are places in the file. HTML and PDF are read by
`html` and `pdf` into text of the same layout. How the bytes were decoded is said (`encoding`, `encoded_by`) and never
guessed: a byte order mark, what the caller says, what the document declares, or else UTF-8 without a fault.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from comity.canonical import sha256_digest
from comity.errors import MalformedArticle, MalformedRequest
from comity.ids import Digest, Instant
from comity.intake.article.dates import Found, find_days

__all__ = [
    "MAX_CHARACTERS",
    "MAX_TEXT_BYTES",
    "Article",
    "Layout",
    "Source",
    "Span",
    "check_text",
    "decode_text",
    "find_codec",
    "make_article",
    "parse_plain",
    "read_host",
    "split_layout",
]

MAX_TEXT_BYTES: Final = 8 << 20
"""Of a text or an HTML page as received."""

MAX_CHARACTERS: Final = 2_000_000
"""Of the text of one article: a book has half of it."""

_MAX_BLOCKS = 20_000
_MAX_HEAD_LINE = 90
_MAX_BESIDE_DAY = 6
"""Words: a line of the head may say where and by whom it was posted."""
_MAX_URL = 2_000
_ENCODINGS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "iso-8859-1": "cp1252",  # what every browser takes it for (WHATWG Encoding §4.2)
    "latin1": "cp1252",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "iso-8859-15": "iso8859-15",
    "iso-8859-2": "iso8859-2",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "cp1251": "cp1251",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "iso-8859-6": "iso8859-6",
    "windows-1256": "cp1256",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "shift_jis",
    "euc-kr": "euc_kr",
    "big5": "big5",
}
"""What may be said of an encoding, and what reads it."""

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_BLOCK = re.compile(r"\S[^\n]*+(?:\n(?![ \t\r\f\v\u00a0]*\n)[^\n]*+)*+")
_LINE = re.compile(r"[^\n]++")
_TRAILER = re.compile(r"(?:original url|source url|original link|retrieved from|source)[ \t]*:?[ \t]*", re.IGNORECASE)
_URL = re.compile(
    # What was broken off an address has something of an address in it; a word behind it has not.
    r"https?://[^\s<>\"]++(?:[ \t]{0,4}(?:[ \t]|\r?\n)[ \t]{0,4}(?=[^\s<>\"]{0,200}?[-/_=&?%#0-9])[^\s<>\"]++){0,16}",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:press|news|media) release|for immediate release|(?:press )?statement|communiqu[eé]",
    re.IGNORECASE,
)
_BYLINE = re.compile(r"by [^.]{2,80}", re.IGNORECASE)
_HOST = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/@\s]*@)?([^/:?#\s]+)", re.IGNORECASE)
_POSTED = re.compile(r"(?:posted|published|updated|last modified|date)\b", re.IGNORECASE)
_ENDS = (".", "!", "?", ".\u201d", '."', "\u2019")


class Span(NamedTuple):
    """A part of the text, from `start` up to before `end`, in characters."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What whoever fetched the article knows of it; what is not known is None and is looked for in the document."""

    retrieved_at: Instant
    url: str | None = None
    publisher: str | None = None
    published: str | None = None
    """The day, YYYY-MM-DD."""
    encoding: str | None = None
    """As a server said it (`charset`)."""
    language: str = "en"
    """Names of states are read in it, beside English."""

    def __post_init__(self) -> None:
        """Refuse a day that is none: dates in the text are told from it.

        Raises:
            MalformedRequest: `published` is no day.
        """
        try:
            date.fromisoformat(self.published or "1970-01-01")
        except ValueError as error:
            raise MalformedRequest(
                f"{str(self.published)[:40]!r} is no day; say it as YYYY-MM-DD", where="published"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """A news report: what was received, the text that was read, and its parts by their places in that text."""

    format: str
    received: bytes
    digest: Digest
    encoding: str
    encoded_by: str
    """"byte order mark", "said", "declared", "UTF-8 without a fault", or for a PDF "in the document"."""
    text: str
    title: Span | None
    caption: Span | None
    paragraphs: tuple[Span, ...]
    published: str | None
    published_at: Span | None
    """Where the day of publication stands in the text; None where it was said or declared beside it."""
    publisher: str | None
    url: str | None
    language: str
    retrieved_at: Instant

    def quote(self, span: Span) -> str:
        """The words at a place."""
        return self.text[span.start : span.end]

    def list_parts(self) -> tuple[Span, ...]:
        """What is read for mentions, in the order of the text: title, caption and paragraphs."""
        return tuple(sorted(part for part in (self.title, self.caption, *self.paragraphs) if part is not None))


def parse_plain(data: bytes, *, source: Source) -> Article:
    """The article that a text file is: a title, lines of date and author, perhaps a caption, paragraphs, a trailer.

    Parts are told by empty lines. The last part may be "Original url:" with the address, which may be broken over
    lines or by spaces.

    Raises:
        MalformedArticle: too large, not text in a known encoding, or nothing in it.
    """
    if len(data) > MAX_TEXT_BYTES:
        raise MalformedArticle(f"the file has {len(data)} bytes where at most {MAX_TEXT_BYTES} are read; cut it")
    text, encoding, encoded_by = decode_text(data, said=source.encoding)
    check_text(text)
    blocks = [Span(*found.span()) for found in _BLOCK.finditer(text)]
    if len(blocks) > _MAX_BLOCKS:
        raise MalformedArticle(
            f"the text has over {_MAX_BLOCKS} parts; this is no article, or give its parts one by one"
        )
    layout = split_layout(text, blocks, source)
    return make_article(data, text, layout, source, form="plain text", encoding=(encoding, encoded_by))


def make_article(
    data: bytes,
    text: str,
    layout: "Layout",
    source: Source,
    *,
    form: str,
    encoding: tuple[str, str],
    language: str | None = None,
) -> Article:
    """The article of these bytes and this text; what is known of its source goes before what its layout says.

    `encoding` is which, and by what it is known.
    """
    return Article(
        format=form,
        received=data,
        digest=sha256_digest(data),
        encoding=encoding[0],
        encoded_by=encoding[1],
        text=text,
        title=layout.title,
        caption=layout.caption,
        paragraphs=layout.paragraphs,
        published=source.published or layout.published,
        published_at=None if source.published else layout.published_at,
        publisher=source.publisher or layout.publisher or read_host(source.url or layout.url),
        url=source.url or layout.url,
        language=language or source.language,
        retrieved_at=source.retrieved_at,
    )


def find_codec(name: str) -> str | None:
    """What reads the encoding of that name; None where it is not known here."""
    return _ENCODINGS.get(name.strip().lower())


def decode_text(data: bytes, *, said: str | None, declared: str | None = None) -> tuple[str, str, str]:
    """The text of bytes, the encoding, and by what it is known: the mark, what was said, what is declared, else UTF-8.

    Raises:
        MalformedArticle: an encoding that is not known here, or bytes that are no text in it; both say what to do.
    """
    for mark, marked in _MARKS:
        if data.startswith(mark):
            return _decode(data[len(mark) :], marked), marked, "byte order mark"
    for name, by in ((said, "said"), (declared, "declared")):
        if name:
            codec = find_codec(name)
            if codec is None:
                raise MalformedArticle(
                    f"the encoding {name[:40]!r} is {by} and not known here; convert the file to UTF-8",
                    where="encoding",
                )
            return _decode(data, codec), codec, by
    return _decode(data, "utf-8"), "utf-8", "UTF-8 without a fault"


def check_text(text: str) -> None:
    """Return when this can be the text of an article.

    Raises:
        MalformedArticle: empty, too long, or with characters that no text has.
    """
    if not text.strip():
        raise MalformedArticle("no text is in it; is this a scan, or a page that a program fills?")
    if len(text) > MAX_CHARACTERS:
        raise MalformedArticle(f"the text has {len(text)} characters where at most {MAX_CHARACTERS} are read; cut it")
    if (nul := text.find("\0")) >= 0:
        line = text.count("\n", 0, nul) + 1
        raise MalformedArticle(
            f"line {line}: a NUL character; this is no text, or say its encoding", where=f"line {line}"
        )


def read_host(url: str | None) -> str | None:
    """The name of the machine in an address, without "www."; for a publisher that is not named."""
    found = _HOST.match(url) if url else None
    return found[1].lower().removeprefix("www.") if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The parts of a text in blocks."""

    title: Span | None
    caption: Span | None
    paragraphs: tuple[Span, ...]
    published: str | None
    published_at: Span | None
    publisher: str | None
    url: str | None


def split_layout(text: str, blocks: Sequence[Span], source: Source) -> Layout:
    """Which block is what: the title first, then lines of date and author, a caption, paragraphs, a trailer."""
    blocks, url = _cut_trailer(text, blocks)
    if not blocks:
        return Layout(
            title=None, caption=None, paragraphs=(), published=None, published_at=None, publisher=None, url=url
        )
    lines = _Lines(text)
    head, rest = _split_head(lines, blocks)
    title = head[0]
    published, published_at, publisher = _read_head(lines, head[1:])
    caption = None
    if rest and len(rest) > 1 and published is not None and _is_caption(text[rest[0].start : rest[0].end]):
        caption, rest = rest[0], rest[1:]
    return Layout(
        title=title,
        caption=caption,
        paragraphs=tuple(rest),
        published=source.published or published,
        published_at=published_at,
        publisher=publisher,
        url=url,
    )


def _decode(data: bytes, codec: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise MalformedArticle(
            f"line {line}: these bytes are no text in {codec}; say the encoding (for example windows-1252) or save the "
            "file as UTF-8",
            where=f"line {line}",
        ) from error


def _cut_trailer(text: str, blocks: Sequence[Span]) -> tuple[Sequence[Span], str | None]:
    """The blocks before the trailer, and the address in it, put together again."""
    for back in range(1, min(3, len(blocks)) + 1):
        first = blocks[-back]
        found = _TRAILER.match(text, first.start, first.end)
        if found is None:
            continue
        address = _URL.match(text, _skip_space(text, found.end()))
        if address is not None and not text[address.end() :].strip():
            return blocks[:-back], re.sub(r"\s+", "", address[0])[:_MAX_URL]
    return blocks, None


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


class _Lines(dict[Span, list[Found]]):
    """The days that lines of a text name in full, worked out when a line is first asked for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def __missing__(self, line: Span) -> list[Found]:
        self[line] = days = find_days(self.text[line.start : line.end])
        return days

    def list_inside(self, block: Span) -> list[Span]:
        """The lines of a block with anything in them, without white space around them."""
        if self.text.find("\n", block.start, block.end) < 0:
            return [Span(block.start, block.start + len(self.text[block.start : block.end].rstrip()))]
        found = list[Span]()
        for start, end in (line.span() for line in _LINE.finditer(self.text, block.start, block.end)):
            whole = self.text[start:end]
            if bare := whole.strip():
                first = start + len(whole) - len(whole.lstrip())
                found.append(Span(first, first + len(bare)))
        return found


def _split_head(lines: _Lines, blocks: Sequence[Span]) -> tuple[list[Span], Sequence[Span]]:
    """The lines of the head, the title first, and the blocks after it; the head ends before the first paragraph."""
    first, *others = blocks
    if len(others) > 1 and _LABEL.fullmatch(lines.text, first.start, first.end) is not None:
        return _split_head(lines, others)
    inside = lines.list_inside(first)
    short = [line for line in inside if line.end - line.start <= _MAX_HEAD_LINE]
    if len(inside) > 1 and (len(short) < len(inside) or any(lines.text[one.end - 1] == "." for one in inside[1:])):
        return [first], others  # a title of several lines
    if len(inside) > 1 and not any(lines[one] for one in inside[1:]):
        return _read_lines(lines, [first], others)
    return _read_lines(lines, inside, others)


def _read_lines(lines: _Lines, head: list[Span], others: Sequence[Span]) -> tuple[list[Span], Sequence[Span]]:
    """The head with the lines of day, author and publisher that follow; one part may stand before the day."""
    for index, block in enumerate(others[:2]):
        inside = lines.list_inside(block)
        if not all(_is_head_line(lines, line) for line in inside):
            following = lines.list_inside(others[index + 1]) if index == 0 and len(others) > 2 else []  # noqa: PLR2004
            if len(following) == 1 and _is_head_line(lines, following[0]) and lines[following[0]]:
                return [*head, *following], [block, *others[2:]]
            return head, others[index:]
        head = [*head, *inside]
    return head, others[2:]


def _is_head_line(lines: _Lines, span: Span) -> bool:
    """A short line that is a day with little else, an author's, or no sentence."""
    if span.end - span.start > _MAX_HEAD_LINE:
        return False
    line = lines.text[span.start : span.end]
    if line.endswith((":", "?", "!", ".")) or '"' in line or "://" in line:
        return False
    if days := lines[span]:
        beside = line[: days[0].start] + line[days[-1].end :]
        return len(beside.split()) <= _MAX_BESIDE_DAY
    return _BYLINE.fullmatch(line) is not None or not line.endswith(_ENDS)


def _read_head(lines: _Lines, spans: Sequence[Span]) -> tuple[str | None, Span | None, str | None]:
    """The day of publication, its place, and the publisher: a line that is no date and no author's."""
    published: str | None = None
    published_at: Span | None = None
    names = list[str]()
    for span in spans:
        line, days = lines.text[span.start : span.end], lines[span]
        if days and published is None:
            published, published_at = days[0].value, Span(span.start + days[0].start, span.start + days[0].end)
        elif not days and _BYLINE.fullmatch(line) is None and not _POSTED.match(line):
            names.append(line)
    return published, published_at, names[0] if len(names) == 1 else None


def _is_caption(block: str) -> bool:
    """A sentence that ends with its own day: "…, Oct. 14, 2014.", as agencies write below a picture."""
    days = find_days(block) if len(block) <= 600 else []  # noqa: PLR2004
    return bool(days) and block[days[-1].end :].strip(" .)") == ""
