# SPDX-License-Identifier: Apache-2.0
"""Laws of reading articles: places are right, readings repeat, time is linear in the text, whatever it is."""

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.errors import MalformedArticle
from comity.ids import PartyId
from comity.intake.article.assembly import Review, assemble_report
from comity.intake.article.mentions import Kind
from comity.intake.article.reading import Reading, read_article
from comity.intake.article.text import Article, Source, parse_plain
from comity.intake.article.words import fold, split_words
from comity.intake.making import Maker
from comity.stix.objects import parse_bundle
from tests.intake.annotated import CORPUS, RETRIEVED, read_gazetteer, read_rules
from tests.processor import measure_million

RULES, KNOWN = read_rules(), read_gazetteer()
SOURCE = Source(retrieved_at=RETRIEVED)
MEBIBYTE = 1 << 20
MOST_MILLIONS = 300
"""For a megabyte of the worst that we could think of: additions of a million numbers; an ordinary text takes 60."""

PIECES = st.sampled_from(
    [
        *(
            "Norway",
            "Georgia",
            "Jordan Pike",
            "Norwegian",
            "Oslo",
            "in Oslo",
            "the Middle East",
            "U.S.",
            "Republic of the Congo",
        ),
        *("Rimward Front", "the Front", "The Brigade", "Salt Road Brigade", "European Union", "Muslims", "Kurds"),
        *("Foreign Minister Ilse Verhoeven", "Verhoeven", "Mr. Ekdal", "President of Norway", "its Foreign Ministry"),
        *(
            "said",
            "denied reports that",
            "neither confirmed nor denied",
            "agreed",
            "will continue",
            "said that",
            "would not",
        ),
        *("Thursday", "Oct. 14, 2014", "last week", "in March", "1999-2000", "2014-10-17", "two days ago"),
        *("hxxp://a[.]example/x", "198.51.100[.]7", "a@b.example", "GB82 WEST 1234 5698 7654 32", "+46 8 123 456 78"),
        *(
            '"',
            "\u201c",
            "\u201d",
            "'",
            ",",
            ".",
            ". ",
            ", ",
            ":",
            "-",
            "(",
            ")",
            "\n",
            "\n\n",
            "\t",
            "'s",
            "and",
            "of",
            "the",
            "The",
        ),
        *(
            "It rained.",
            "Original url:",
            "https://a.example/b c",
            "By Petra Lund",
            "e\u0301",
            "\u0130",
            "\U0001f600",
            "\u202e",
        ),
    ]
)
ANY = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
TEXTS = st.lists(PIECES | st.text(ANY, max_size=8), max_size=60).map(" ".join)


def parse(text: str) -> Article | None:
    try:
        return parse_plain(text.encode("utf-8", "replace"), source=SOURCE)
    except MalformedArticle:
        return None


def read(text: str) -> Reading | None:
    article = parse(text)
    return None if article is None else read_article(article, RULES, KNOWN)


@given(TEXTS)
@settings(max_examples=300)
def test_every_mention_lies_in_a_part_that_is_read_and_says_what_stands_there(text: str) -> None:
    reading = read(f"A title\n\n17 October 2014\n\n{text}")
    assert reading is not None
    article = reading.article
    parts = article.list_parts()
    for one in reading.mentions:
        assert any(part.start <= one.start < one.end <= part.end for part in parts)
        words = article.text[one.start : one.end]
        assert words == words.strip() or one.kind is Kind.STATEMENT
        match one.kind:
            case Kind.PERSON:
                surname = fold(one.value).split()[-1]
                assert fold(words).split()[-1] == surname
            case Kind.ORGANISATION:
                known = KNOWN.known[one.value]
                names = {tuple(split_words(name).values) for name in (known.name, *known.good, *known.low)}
                assert tuple(split_words(words).values) in names
            case Kind.STATE | Kind.CAPITAL:
                assert one.value in RULES.names
            case _:
                assert one.value or one.kind is Kind.STATEMENT
        assert one.draft is None or one.draft in reading.drafts
    for said in reading.statements:
        assert any(part.start <= said.start < said.end <= part.end for part in article.paragraphs)


@given(TEXTS)
@settings(max_examples=100)
def test_the_parts_of_a_text_do_not_lie_over_one_another(text: str) -> None:
    article = parse(text)
    if article is not None:
        parts = article.list_parts()
        assert all(left.end <= right.start for left, right in pairwise(parts))
        assert all(article.quote(part).strip() for part in parts)


@given(TEXTS)
@settings(max_examples=60)
def test_the_same_text_gives_the_same_reading(text: str) -> None:
    assert read(text) == read(text)


@given(TEXTS)
@settings(max_examples=100)
def test_what_is_confirmed_whole_can_be_kept(text: str) -> None:
    reading = read(f"A title\n\n17 October 2014\n\n{text}")
    assert reading is not None
    if not reading.drafts:
        return
    record = assemble_report(
        reading, Review(confirmed=frozenset(reading.drafts)), Maker(party=PartyId("aurelia"), at=RETRIEVED)
    )
    parsed = parse_bundle(b'{"objects":[' + b",".join(record.objects) + b"]}")
    assert parsed.bad == ()
    assert len(parsed.good) == len(record.objects)


@given(st.text())
def test_folding_keeps_every_place(text: str) -> None:
    assert len(fold(text)) == len(text)
    words = split_words(text)
    assert all(
        words.folded[start:end] == value
        for start, end, value in zip(words.starts, words.ends, words.values, strict=True)
    )


@given(TEXTS, st.integers(0, 5))
@settings(max_examples=60)
def test_empty_lines_before_a_text_move_places_and_nothing_else(text: str, lines: int) -> None:
    plain, moved = (
        read(f"A title\n\n17 October 2014\n\n{text}"),
        read("\n" * lines + f"A title\n\n17 October 2014\n\n{text}"),
    )
    assert plain is not None
    assert moved is not None
    assert [(one.kind, one.start + lines, one.end + lines, one.value) for one in plain.mentions] == [
        (one.kind, one.start, one.end, one.value) for one in moved.mentions
    ]


def repeat(piece: str) -> Callable[[int], str]:
    return lambda size: (piece * (size // len(piece) + 1))[:size]


def count(form: str) -> Callable[[int], str]:
    def make(size: int) -> str:
        parts, length, number = list[str](), 0, 0
        while length < size:
            letters = "".join(chr(97 + int(digit)) for digit in str(number))
            parts.append(form.format(number=number, letters=letters, name=letters.capitalize()))
            length += len(parts[-1])
            number += 1
        return "".join(parts)

    return make


HOSTILE: dict[str, Callable[[int], str]] = {
    repr(piece): repeat(piece)
    for piece in [
        *(
            "a",
            "A ",
            "Aa ",
            ".",
            "a.",
            "A. ",
            "@",
            "a@",
            ":",
            "1:",
            "1.",
            "0123456789abcdef",
            "http://",
            "hxxp://a.b/)))(((",
        ),
        *("+1 ", "001 ", "GB82", "GB82 WEST ", "United ", "Georgia ", "Georgia. Tbilisi Atlanta ", "minister of "),
        *("Foreign Minister ", "Foreign Minister Abc Def ", "Abc Def said ", "said ", '" said', '"', "its ministry "),
        *("\n", "a\n\n", "a, ", "Russia, a, said ", "of ", "denied ", "asked ", "asked a b c clarification ", "Chad "),
        *(
            "January ",
            "January 1, ",
            "1994-",
            "a[.]",
            "a(dot)",
            "2001:",
            "[:]",
            "the Front ",
            "Rimward Front the Front ",
        ),
        *(
            "Minister Abc Def. Def Def Def. ",
            "A-",
            "de ",
            "A de ",
            "Mr. ",
            "Mr Abc ",
            "U.S. ",
            "e\u0301",
            "\u0130",
            "'s ",
        ),
        *(
            "Russia's Foreign Ministry ",
            "reports that agreed ",
            "without denying that ",
            "Original url:\n\n",
            "https://a b ",
        ),
        *(
            "said Abc, Def, ",
            "Abc Def, who ",
            "Ab Cd, 12, ",
            "its lawyer, Abc Def, ",
            "denied by Russia ",
            "Muslims ",
            "\u201cWe agreed,\u201d he said. ",
            "0.",
            "256.1.1.1 ",
            "((((",
            "\\",
            "\u202e",
            "_",
        ),
    ]
} | {
    "persons": count("President {name} Smith denied it. "),
    "surnames": count("Minister Ab {name} left. {name} came. "),
    "names of machines": count("{letters}.example "),
    "mails": count("{letters}@{letters}.example, "),
    "dates": count("On {number} May 20{number}, "),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_takes_seconds(name: str) -> None:
    text = "A title\n\n17 October 2014\n\n" + HOSTILE[name](1_000_000)
    before, started = measure_million(), time.process_time()
    article = parse(text)
    if article is not None:
        read_article(article, RULES, KNOWN)
    taken = time.process_time() - started
    # A processor that is shared can be faster at either end than it was while this took its seconds.
    assert taken < MOST_MILLIONS * max(before, measure_million())


@pytest.mark.slow
def test_four_times_the_text_takes_about_four_times_as_long() -> None:
    text = "\n\n".join(path.read_text() for path in sorted((CORPUS / "first").glob("*.txt")))

    def measure(times: int) -> float:
        article = parse("\n\n".join([text] * times))
        assert article is not None
        best = float("inf")
        for _ in range(3):
            started = time.process_time()
            read_article(article, RULES, KNOWN)
            best = min(best, time.process_time() - started)
        return best

    assert measure(32) < 8 * measure(8)
