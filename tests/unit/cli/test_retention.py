# SPDX-License-Identifier: Apache-2.0
"""`retention`, `work` and `agreement review` as people type them."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import REPORT, WORDS, Party


@pytest.fixture
def agreement(terms: Path, aurelia: Party, borealia: Party, bundle: Path) -> str:
    """An agreement in force at Aurelia, whose node holds a report and a location of its own."""
    text = terms.read_text(encoding="utf-8")
    listed = text.replace("[validity]", '[validity]\nreviews = ["2026-12-01T00:00:00Z"]')
    terms.write_text(listed, encoding="utf-8")
    found = aurelia.ask("agreement", "propose", terms)
    messages = terms.with_name("messages.json")
    aurelia.ask("agreement", "export", found["agreement"], messages)
    borealia.ask("agreement", "import", messages)
    borealia.ask("agreement", "accept", found["terms"])
    borealia.ask("agreement", "export", found["agreement"], messages)
    aurelia.ask("agreement", "import", messages)
    assert aurelia.do("object", "add", bundle, *WORDS).code == 0
    return str(found["agreement"])


def test_an_order_to_purge_names_an_object_by_its_whole_id(agreement: str, aurelia: Party) -> None:
    """Any word that an entry holds, the id of a party or of an agreement too, would otherwise choose that entry."""
    for word in ("aurelia", agreement, REPORT[:20]):
        refused = aurelia.do("purge", "order", "--object", word, "--reason", "Order 12", "--dry-run")
        assert (refused.code, refused.err.startswith("error: --object: ")) == (2, True), refused


def test_an_order_that_waits_speaks_of_no_terms(agreement: str, aurelia: Party) -> None:
    waits = aurelia.do_as("liaison", "purge", "order", "--entry", "0", "--reason", "Order 12")
    assert waits.code == 9
    assert waits.out.endswith("Nothing was done yet. The other person gives the same command.\n")


def test_an_object_is_deleted_and_shown_by_what_stays_of_it(agreement: str, aurelia: Party) -> None:
    held = aurelia.ask("object", "show", REPORT)
    purged = aurelia.ask("retention", "delete", REPORT[:16], "--reason", "Found to be \x1b[31mwrong.")
    assert (purged["count"], purged["gone"]) == (1, True)
    (stone,) = purged["deleted"]
    assert (stone["id"], stone["digest"], stone["reason"]) == (REPORT, held["digest"], "Found to be \x1b[31mwrong.")
    shown = aurelia.ask("object", "show", REPORT)
    assert shown.keys() == held.keys()
    assert shown["deleted"] == [stone]
    assert shown["object"] is None
    text = aurelia.do("object", "show", REPORT).out
    assert "was deleted here" in text
    assert "\x1b" not in text
    assert aurelia.do("explain", REPORT, "--to", "borealia").code == 5
    assert "was deleted here on" in aurelia.do("explain", REPORT, "--to", "borealia").err
    (entry,) = aurelia.ask("log", "list", "--last", "1")["entries"]
    assert (entry["type"], entry["terms"], entry["clause"], entry["count"]) == ("purge", None, None, 1)
    content = aurelia.ask("log", "show", str(entry["entry"]))["content"]
    assert (content["id"], content["version"]) == (REPORT, held["version"])
    assert "purge" in aurelia.do("log", "list").out
    assert aurelia.do("log", "show", str(entry["entry"])).code == 0
    assert aurelia.do("log", "verify").code == 0


def test_there_is_nothing_to_review_of_what_is_ones_own(agreement: str, aurelia: Party) -> None:
    assert aurelia.ask("retention", "list") == {"objects": [], "count": 0, "next": None, "more": False}
    assert "Nothing is to be reviewed" in aurelia.do("retention", "list").out
    refused = aurelia.do("retention", "keep", REPORT, "--reason", "Needed.", "--json")
    assert refused.code == 6
    assert refused.error["code"] == "not-in-this-state"
    ran = aurelia.ask("retention", "run")
    assert ran == {"count": 0, "deleted": [], "gone": True}
    assert aurelia.do("retention", "run").out == "0 deleted\n"


def test_a_reason_is_asked_for(agreement: str, aurelia: Party) -> None:
    for words in (("retention", "keep", REPORT), ("retention", "delete", REPORT), ("agreement", "review", agreement)):
        assert aurelia.do(*words).code == 2
        assert aurelia.do(*words, "--reason", " ").code == 2
    assert aurelia.ask("object", "show", REPORT)["object"]


def test_a_review_of_an_agreement_is_on_record_and_its_work_is_done(agreement: str, aurelia: Party) -> None:
    reviewed = aurelia.ask("agreement", "review", agreement[:8], "--reason", "Still needed.")
    assert reviewed["agreement"] == agreement
    assert reviewed["review_dates"] == ["2026-12-01T00:00:00.000000Z"]
    (entry,) = aurelia.ask("log", "list", "--last", "1")["entries"]
    assert (entry["type"], entry["terms"]) == ("review", agreement)
    assert [item for item in aurelia.ask("work")["items"] if item["kind"] == "agreement-review"] == []
    assert "reviewed: " in aurelia.do("agreement", "review", agreement, "--reason", "Still needed.").out


def test_work_is_the_same_for_people_and_for_programs(terms: Path, aurelia: Party, borealia: Party) -> None:
    assert borealia.do("work").out == "Nothing waits.\n"
    found = aurelia.ask("agreement", "propose", terms)
    messages = terms.with_name("messages.json")
    aurelia.ask("agreement", "export", found["agreement"], messages)
    borealia.ask("agreement", "import", messages)
    (item,) = borealia.ask("work")["items"]
    assert item["kind"] == "step"
    assert item["agreement"] == found["agreement"]
    assert (item["due"], item["overdue"], item["count"]) == (None, False, 1)
    text = borealia.do("work").out
    assert item["act"] in text
    assert item["agreement"][:12] in text
