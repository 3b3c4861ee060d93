# SPDX-License-Identifier: Apache-2.0
"""Pure: the article in an HTML page: its words without what stands around them, and what the page says of itself.

The words are found by trafilatura (the extra `articles`). Title, day, publisher, address and language are read only
where the page declares them (Open Graph, `<link rel="canonical">`, `<time>`), and are otherwise left to a person: a day
that is guessed from an address is no day. The text that results is laid out as a plain one: title, caption, paragraphs.

Not bounded here: time and memory that the libraries take on a hostile page; whoever reads pages of strangers reads them
in a process of its own (`comity.articles`).
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from comity.errors import MalformedArticle, NotInstalled
from comity.intake.article.dates import find_days
from comity.intake.article.text import (
    MAX_TEXT_BYTES,
    Article,
    Layout,
    Source,
    Span,
    check_text,
    decode_text,
    make_article,
    read_host,
)

__all__ = ["lay_out", "parse_html"]

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s{0,8}=\s{0,8}[\"']?([A-Za-z0-9_:-]{2,40})", re.IGNORECASE)
_LOOKED_AT = 4_096
"""Bytes in which a page declares its encoding (HTML §4.2.5.4 wants it in the first 1,024)."""
_SPACE = re.compile(r"\s+")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MAX_META = 500
_MAX_DEPTH = 200
_TITLES: Final = ("og:title", "twitter:title", "dc.title")
_DAYS: Final = (
    "article:published_time",
    "date",
    "dc.date",
    "pubdate",
    "publishdate",
    "datepublished",
    "parsely-pub-date",
)
_NAMES: Final = ("og:site_name", "publisher", "dc.publisher", "application-name")
_ADDRESSES: Final = ("og:url",)


def parse_html(data: bytes, *, source: Source) -> Article:
    """The article that an HTML page holds.

    Raises:
        NotInstalled: trafilatura is not there.
        MalformedArticle: too large, not text in a known encoding, or no article is found in it.
    """
    if len(data) > MAX_TEXT_BYTES:
        raise MalformedArticle(
            f"the page has {len(data)} bytes where at most {MAX_TEXT_BYTES} are read; save it as text"
        )
    declared = _CHARSET.search(data, 0, _LOOKED_AT)
    text, encoding, encoded_by = decode_text(
        data, said=source.encoding, declared=declared[1].decode("ascii") if declared else None
    )
    check_text(text)
    tree = _parse_tree(text)
    title, published, publisher, url = _read_declared(tree)
    caption = _read_caption(tree)
    language = source.language if source.language != "en" else (tree.get("lang") or "en")[:2].lower()
    paragraphs = _drop_repeated(_extract(text), (title, caption))
    if not paragraphs:
        raise MalformedArticle("no article is found in the page; save its text as a file and add that")
    whole, spans = lay_out([title, caption, *paragraphs])
    check_text(whole)
    layout = Layout(
        title=spans[0],
        caption=spans[1],
        paragraphs=tuple(span for span in spans[2:] if span is not None),
        published=published,
        published_at=None,
        publisher=publisher,
        url=url,
    )
    return make_article(data, whole, layout, source, form="HTML", encoding=(encoding, encoded_by), language=language)


def lay_out(parts: Iterable[str]) -> tuple[str, list[Span | None]]:
    """One text of these parts with an empty line between, and the place of each; None for an empty part."""
    text, spans = "", list[Span | None]()
    pieces, at = list[str](), 0
    for part in parts:
        if not part:
            spans.append(None)
            continue
        at += 2 if pieces else 0
        pieces.append(part)
        spans.append(Span(at, at + len(part)))
        at += len(part)
    text = "\n\n".join(pieces)
    return text, spans


def _parse_tree(text: str) -> Any:  # noqa: ANN401 (a tree of lxml, which has no types)
    try:
        from lxml import etree, html  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise _missing() from error
    # The declaration of an encoding is no longer true of text, and lxml refuses it.
    text = re.sub(r"^\s{0,64}<\?xml[^>]{0,200}\?>", "", text)
    parser = html.HTMLParser(no_network=True, huge_tree=False, remove_comments=True)
    try:
        tree = html.document_fromstring(text, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError, RecursionError) as error:
        raise MalformedArticle("the bytes are no HTML page; add a text file as text") from error
    return tree


def _missing() -> NotInstalled:
    return NotInstalled("HTML pages are read with trafilatura, which is not installed: pip install 'comity[articles]'")


def _extract(text: str) -> list[str]:
    """The paragraphs of the main text of a page."""
    try:
        import trafilatura  # noqa: PLC0415 (an extra; loading it takes half a second)
    except ImportError as error:
        raise _missing() from error
    try:
        found = trafilatura.extract(
            text, fast=True, include_comments=False, include_tables=True, include_formatting=False, deduplicate=False
        )
    except Exception as error:
        # Whatever the libraries meet in a stranger's page.
        raise MalformedArticle(
            f"the page could not be read ({type(error).__name__}); save its text as a file"
        ) from error
    return [_SPACE.sub(" ", line).strip() for line in (found or "").splitlines() if line.strip()]


def _read_declared(tree: Any) -> tuple[str, str | None, str | None, str | None]:  # noqa: ANN401
    """Title, day, publisher and address, as the page declares them."""
    meta = dict[str, str]()
    for element in tree.iter("meta"):
        name = element.get("property") or element.get("name") or element.get("itemprop") or ""
        content = _SPACE.sub(" ", element.get("content") or "").strip()[:_MAX_META]
        if name and content:
            meta.setdefault(name.strip().lower(), content)
    heading = next((_read_text(one) for one in tree.iter("h1")), "")
    title = _first(meta, _TITLES) or heading or next((_read_text(one) for one in tree.iter("title")), "")
    times = [one.get("datetime") or _read_text(one) for one in tree.iter("time")]
    canonical = next(
        (one.get("href") for one in tree.iter("link") if (one.get("rel") or "").lower() == "canonical"), None
    )
    published = next((day for said in (_first(meta, _DAYS), *times[:1]) if said and (day := _read_day(said))), None)
    url = canonical if canonical and read_host(canonical) else _first(meta, _ADDRESSES)
    return title[:_MAX_META], published, _first(meta, _NAMES), url[:2_000] if url and read_host(url) else None


def _read_caption(tree: Any) -> str:  # noqa: ANN401
    return next((text for one in tree.iter("figcaption") if (text := _read_text(one))), "")[:_MAX_META]


def _read_text(element: Any) -> str:  # noqa: ANN401
    return _SPACE.sub(" ", "".join(element.itertext())).strip()


def _first(meta: dict[str, str], names: Iterable[str]) -> str | None:
    return next((meta[name] for name in names if name in meta), None)


def _read_day(said: str) -> str | None:
    """The day of a time as pages write it, or of a day in words."""
    found = _DAY.match(said)
    days = find_days(found[0] if found else said)
    return days[0].value if days else None


def _drop_repeated(paragraphs: list[str], said: tuple[str, str]) -> list[str]:
    """Without the heading, the caption and the line of the day, which stand in the text once already."""
    kept = list[str]()
    for line in paragraphs:
        days = find_days(line) if len(line) <= 40 else []  # noqa: PLR2004 (a line with a day and little else)
        if line in said or (days and line[: days[0].start].strip() == "" and line[days[-1].end :].strip() == ""):
            continue
        kept.append(line)
    return kept
