# SPDX-License-Identifier: Apache-2.0
"""A printed certificate: well formed, with nothing of a partner's that could act, and the same words as PDF."""

import base64
import hashlib
import io
import json
import re
import sqlite3
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError
from pypdf import PdfReader
from weasyprint import HTML
from weasyprint.urls import FatalURLFetchingError

from comity.errors import ConfigError
from comity.operations import printing
from comity.operations.printing import format_html, format_pdf
from tests.unit.cli.conftest import Comity, Party

HOSTILE = "<script>alert(1)</script> \"'><img src=x onerror=alert(2)> </style><!-- {{ 7*7 }} {% raw %} &amp;"
MIXED = "Αντ · Обмен · تبادل المعلومات"
VOID = {"meta", "br", "link", "img", "input", "hr"}
ELEMENTS = (
    "html head meta title style body header main section footer h1 h2 h3 p ul li div table thead tbody tr th td"
    " code pre bdi time span strong br"
)
ATTRIBUTES = "lang charset http-equiv content name class scope dir datetime colspan role"


class Reader(HTMLParser):
    """The elements and texts of a document; refuses what is not closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def read_html(document: bytes) -> Reader:
    reader = Reader()
    reader.feed(document.decode("utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def squeeze(text: str) -> str:
    return "".join(text.split())


def make_hostile(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """The same value with every text behind a hostile one, but for `kind`, which chooses what is printed."""
    match value:
        case dict():
            return {name: item if name == "kind" else make_hostile(item) for name, item in value.items()}
        case list():
            return [make_hostile(item) for item in value]
        case str():
            return HOSTILE + value
        case _:
            return value


def fill(result: dict[str, Any]) -> dict[str, Any]:
    """The same result with something in every section, in every form that it can have."""
    (thread, *_), (event, *_), (check, *_) = result["threads"], result["events"], result["checks"]
    unread = dict.fromkeys(event) | {"event": "0" * 64, "recorded_at": "then", "verified": False, "reservations": []}
    joining = [
        event | {"kind": kind, "joiner": "j", "manifest": "m", "text": "t"} for kind in ("admit", "accede", "leave")
    ]
    return result | {
        "verified": False,
        "problems": 1,
        "verified_sentence": "nothing verifies",
        "parties": [*result["parties"], result["parties"][0] | {"name": None, "manifests": []}],
        "versions": [result["versions"][0] | {"supersedes": "0" * 64, "refused_by": {"x": "reject", "y": "counter"}}],
        "signatures": [result["signatures"][0] | {"version": None}],
        "bases": [result["bases"][0] | {"positions": {"x": "not_recognised", "y": "no_position", "z": "recognised"}}],
        "reservations": [{"party": "p", "clause": "c", "ground": "g", "text": text} for text in ("t", None)],
        "assurances": [
            {"party": "p", "kind": "k", "document": "d", "valid_until": "u", "valid": valid} for valid in (True, False)
        ],
        "suspensions": [
            {"party": "p", "event": "e", "at": "a", "reason": said, "channel": said} for said in ("r", None)
        ],
        "lapses": [{"party": "p", "clause": "c", "reason": "r"}],
        "channels": [{"channel": "c", "from": "f", "to": "t", "open": False, "clause": "l", "reason": "r"}],
        "threads": [thread | {"answers": [thread["question"]]}, thread | {"answers": []}],
        "membership": joining,
        "events": [unread, event | {"channel": "c", "re": "r", "joiner": "j", "reservations": ["s"], "version": None}],
        "checks": [check, check | {"verified": False, "how": None, "problem": "altered"}],
    }


@pytest.fixture
def agreement(aurelia: Party, borealia: Party, terms: Path, tmp_path: Path) -> str:
    """An agreement with a hostile title, a question with a hostile text, and all signatures."""
    text = terms.read_text(encoding="utf-8").replace(
        'title = "Exchange on the Grey Column"', f"title = {json.dumps(f'{MIXED} {HOSTILE}', ensure_ascii=False)}"
    )
    terms.write_text(text, encoding="utf-8")
    found = str(aurelia.ask("agreement", "propose", terms)["agreement"])
    carry(aurelia, borealia, found, tmp_path)
    question = f"{HOSTILE}\nand a second line"
    borealia.ask("agreement", "clarify", found, "--clause", "channels.main.regions", "--text", question)
    borealia.ask("agreement", "accept", found)
    carry(borealia, aurelia, found, tmp_path)
    return found


def carry(giver: Party, receiver: Party, agreement: str, folder: Path) -> None:
    file = folder / "messages.json"
    giver.ask("agreement", "export", agreement, file)
    receiver.ask("agreement", "import", file)


@pytest.fixture
def result(aurelia: Party, agreement: str) -> dict[str, Any]:
    return aurelia.ask("agreement", "certificate", agreement)


def test_the_document_is_well_formed_and_holds_what_the_result_says(result: dict[str, Any]) -> None:
    reader = read_html(format_html(result))
    text = squeeze(" ".join(reader.texts))
    assert {tag for tag, _ in reader.elements} <= set(ELEMENTS.split())
    for said in (result["title"], result["agreement"], result["terms"], result["sentence"][1:], MIXED):
        assert squeeze(said) in text
    assert all(squeeze(event["event"]) in text for event in result["events"])
    assert all(
        squeeze(sentence) in text for part in result["parts"] for item in part["clauses"] for sentence in item["means"]
    )
    assert "basisrecorded,recognisedbyaurelia" in text
    assert "lawful" not in text
    assert text.count("NOTVERIFIED") == 0


def test_the_document_has_a_language_and_tables_with_heads(result: dict[str, Any]) -> None:
    elements = read_html(format_html(result)).elements
    assert elements[0] == ("html", {"lang": "en"})
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in elements if tag == "th")


def test_nothing_that_a_partner_wrote_becomes_markup(result: dict[str, Any]) -> None:
    full = fill(result)
    assert all(full[name] for name in full if isinstance(full[name], list))
    hostile = read_html(format_html(make_hostile(full)))
    assert {tag for tag, _ in hostile.elements} <= set(ELEMENTS.split())
    assert {name for _, attributes in hostile.elements for name in attributes} <= set(ATTRIBUTES.split())
    assert HOSTILE in "".join(hostile.texts)


def test_the_policy_of_the_document_admits_its_own_style_and_nothing_else(result: dict[str, Any]) -> None:
    text = format_html(result).decode()
    (style,) = re.findall(r"<style>(.*?)</style>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="(.*?)">', text)
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"url\(|@import|@font-face|expression\(", style)


def test_every_section_can_be_printed(result: dict[str, Any]) -> None:
    text = " ".join(" ".join(read_html(format_html(fill(result))).texts).split())
    said = (
        "None is pinned here",
        "basis recorded, not recognised by x basis recorded, no position of y basis recorded, recognised by z",
        "admits j, by its manifest m",
        "joins, by its manifest m",
        "leaves: t",
        "no, run out",
        "suspends channel r",
        "suspends the whole agreement",
        "has lapsed, by c",
        "closed by l : r",
        "x (reject), y (counter)",
        "cannot be read",
        "Not answered.",
    )
    assert [each for each in said if "".join(each.split()) not in "".join(text.split())] == []


def test_a_field_that_is_missing_stops_the_printing(result: dict[str, Any]) -> None:
    del result["channels"][0]["to"]
    with pytest.raises(UndefinedError):
        format_html(result)


def test_what_does_not_verify_is_told_on_top(result: dict[str, Any]) -> None:
    result["checks"][0] |= {"verified": False, "how": None, "problem": "it was altered"}
    result |= {"verified": False, "problems": 1, "verified_sentence": "nothing"}
    reader = read_html(format_html(result))
    assert ("div", {"class": "verdict bad", "role": "alert"}) in reader.elements
    text = " ".join(reader.texts)
    assert text.index("NOT VERIFIED: 1 of") < text.index("Do not rely") < text.index("Versions and signatures")
    assert "By what verifies alone: nothing" in " ".join(text.split())


@pytest.mark.slow
def test_the_pdf_holds_the_same_words_and_is_the_same_for_the_same_result(result: dict[str, Any]) -> None:
    data = format_pdf(result)
    pdf = PdfReader(io.BytesIO(data))
    text = squeeze("".join(page.extract_text() for page in pdf.pages))
    for said in (result["agreement"], result["terms"], result["sentence"][1:], "Обмен", "Αντ"):
        assert squeeze(said) in text
    assert all(event["event"] in text for event in result["events"])
    assert squeeze(HOSTILE[:25]) in text
    assert pdf.metadata is not None
    assert pdf.metadata.title is not None
    assert MIXED in pdf.metadata.title
    assert pdf.metadata.creation_date is not None
    assert pdf.metadata.creation_date.strftime("%Y-%m-%dT%H:%M:%S") == result["printed_at"][:19]
    assert not {"/JavaScript", "/JS", "/OpenAction", "/AA", "/EmbeddedFiles"} & set(
        re.findall(r"/\w+", str(pdf.trailer["/Root"]))
    )
    assert format_pdf(result) == data


@pytest.mark.slow
def test_every_letter_of_the_pdf_has_a_shape(result: dict[str, Any]) -> None:
    """A letter without a shape is drawn as glyph 0, a box; it would have no way back to its text either."""
    pdf = PdfReader(io.BytesIO(format_pdf(result)))
    text = "".join(page.extract_text() for page in pdf.pages)
    assert {letter for letter in MIXED if letter.isalpha()} <= set(text)
    assert "\ufffd" not in text


def test_the_pdf_fetches_nothing(result: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret.css"
    secret.write_text("body { color: red }", encoding="utf-8")
    made = format_html(result).decode()
    for address in ("http://192.0.2.1/x.css", secret.as_uri(), "data:text/css,body{}"):
        document = made.replace("</head>", f'<link rel="stylesheet" href="{address}"></head>').encode()
        with monkeypatch.context() as patched:
            patched.setattr(printing, "format_html", lambda _, document=document: document)
            with pytest.raises(FatalURLFetchingError):
                format_pdf(result)
    assert HTML(string=made)


def test_without_the_extra_the_message_says_how_to_get_it(
    result: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(ConfigError, match=r"pip install 'comity\[pdf\]'.*apt-get install libpango"):
        format_pdf(result)


# --- the command ------------------------------------------------------------------------------------------------------


def test_html_goes_to_standard_output_or_to_a_file_of_the_owner_alone(
    aurelia: Party, agreement: str, tmp_path: Path
) -> None:
    shown = aurelia.do("agreement", "certificate", agreement)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("<!DOCTYPE html>")
    file = tmp_path / "certificate.html"
    done = aurelia.do("agreement", "certificate", agreement, file)
    assert done.code == 0
    assert f"written to {file}" in done.out
    assert read_html(file.read_bytes()).elements
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.glob(".certificate*")) == []


@pytest.mark.slow
def test_the_name_of_the_file_asks_for_a_pdf(aurelia: Party, agreement: str, tmp_path: Path) -> None:
    file = tmp_path / "certificate.PDF"
    assert aurelia.ask("agreement", "certificate", agreement, file)["file"] == str(file)
    assert file.read_bytes().startswith(b"%PDF-")
    other = tmp_path / "certificate.pdf"
    assert aurelia.do("agreement", "certificate", agreement, other, "--format", "html").code == 0
    assert other.read_bytes().startswith(b"<!DOCTYPE html>")


def test_a_pdf_needs_a_file(aurelia: Party, agreement: str) -> None:
    done = aurelia.do("agreement", "certificate", agreement, "--format", "pdf")
    assert done.code == 2
    assert "FILE" in done.err


def test_at_a_time_before_anything_there_is_none(aurelia: Party, agreement: str, tmp_path: Path) -> None:
    file = tmp_path / "certificate.html"
    done = aurelia.do("agreement", "certificate", agreement, file, "--at", "2020-01-01T00:00:00Z")
    assert done.code == 5
    assert not file.exists()


def test_a_tampered_store_gives_a_loud_certificate_and_exit_code_7(
    aurelia: Party, agreement: str, tmp_path: Path, comity: Comity
) -> None:
    store = sqlite3.connect(aurelia.folder / "store.db")
    for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        store.execute(f"DROP TRIGGER {name}")
    (envelope,) = store.execute("SELECT envelope FROM event WHERE kind = 'accept'").fetchone()
    document = json.loads(envelope)
    sig = document["signatures"][0]["sig"]
    document["signatures"][0]["sig"] = ("B" if sig[0] != "B" else "C") + sig[1:]
    store.execute("UPDATE event SET envelope = ? WHERE kind = 'accept'", (json.dumps(document).encode(),))
    store.commit()
    store.close()

    file = tmp_path / "certificate.html"
    done = aurelia.do("agreement", "certificate", agreement, file)
    assert done.code == 7
    assert done.err.startswith("NOT VERIFIED: 1 of ")
    assert "accept of borealia" in done.err
    text = " ".join(read_html(file.read_bytes()).texts)
    assert "NOT VERIFIED: 1 of" in text
    assert "Do not rely on this document." in text
    as_json = aurelia.do("agreement", "certificate", agreement, "--json")
    assert (as_json.code, as_json.result["problems"]) == (7, 1)
