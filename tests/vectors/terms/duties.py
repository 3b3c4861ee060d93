# SPDX-License-Identifier: Apache-2.0
"""Vectors of what binds beside the channels' scopes: structure, assurances, duties, reservations, tear lines."""

from comity.canonical import Json
from tests.vectors.terms.changes import HASH, Case, Table, at, change_document, list_of, set_field, set_in

__all__ = ["DUTIES"]

_ASSURANCE: Table = {
    "kind": "no_torture",
    "given_by": "aurelia",
    "document": HASH,
    "valid_until": "2027-01-01T00:00:00Z",
}
_GROUP: Table = {"kind": "group", "accession": "majority"}
_HEALTH: Table = {"category": "health", "necessity": "the threat is an epidemic", "approver": "the review body"}
_TEXT: Table = {"language": "fr", "digest": HASH, "authentic": True}
_RULES: Table = {"mode": "hit_no_hit", "min_identifiers": 2, "quota_per_day": 100}


def _in_group(channel: Table) -> str:
    """The good document as a group that can be joined, with fields set in its first channel."""

    def change(value: Table) -> None:
        value["structure"] = _GROUP
        at(value, "channels", 0).update(channel)

    return change_document(change)


_YEARS = range(2027, 2092)

DUTIES: dict[str, Case] = {
    "assurance-given-by-a-stranger": (
        "an assurance of a party that is not in the agreement",
        set_field("assurances", [_ASSURANCE | {"given_by": "meridia"}]),
        "/assurances/0/given_by",
    ),
    "assurance-kind-unknown": (
        "an assurance that is not in the list",
        set_field("assurances", [_ASSURANCE | {"kind": "good_will"}]),
        "/assurances/0/kind",
    ),
    "assurance-without-document": (
        "an assurance that nobody has in writing",
        set_field("assurances", [{name: item for name, item in _ASSURANCE.items() if name != "document"}]),
        "/assurances/0/document",
    ),
    "assurance-without-end": (
        "an assurance for ever",
        set_field("assurances", [{name: item for name, item in _ASSURANCE.items() if name != "valid_until"}]),
        "/assurances/0/valid_until",
    ),
    "assurances-none": ("a list of no assurances", set_field("assurances", []), "/assurances"),
    "assurances-too-many": ("65 assurances", set_field("assurances", [_ASSURANCE] * 65), "/assurances"),
    "attribution-unknown": (
        "an attribution that is not one of the three",
        set_in("channels", 0, attribution="perhaps"),
        "/channels/0/attribution",
    ),
    "existence-unknown": ("an existence that is not in the list", set_field("existence", "secret"), "/existence"),
    "history-of-one-day": (
        "history since a day without a time",
        set_in("channels", 0, history="2026-01-01"),
        "/channels/0/history",
    ),
    "history-unknown": ("a history that is no word", set_in("channels", 0, history="some"), "/channels/0/history"),
    "members-give-to-nobody": (
        "every member gives, to nobody",
        _in_group({"giver": "members", "receivers": []}),
        "/channels/0/receivers",
    ),
    "members-in-a-bilateral-agreement": (
        "members as receivers where there are two parties",
        set_in("channels", 0, receivers=["members"]),
        "/channels/0/receivers",
    ),
    "members-beside-a-party": (
        "members and a party by its name",
        _in_group({"receivers": ["borealia", "members"]}),
        "/channels/0/receivers",
    ),
    "ok-assurances": ("an assurance that runs out", set_field("assurances", [_ASSURANCE]), ""),
    "ok-attribution": ("a channel that names no source", set_in("channels", 0, attribution="must-not"), ""),
    "ok-existence": (
        "what may be said outside",
        change_document(lambda v: v.update(existence="acknowledged", public_line="The two parties consult.")),
        "",
    ),
    "ok-history": ("what came in since a time", set_in("channels", 0, history="2025-01-01T00:00:00Z"), ""),
    "ok-members": ("a group in which each gives to all", _in_group({"giver": "members", "receivers": ["members"]}), ""),
    "ok-originators": ("what others gave the giver", set_in("channels", 0, originators=["meridia", "own"]), ""),
    "ok-oversight": ("a body that may look into it", set_in("parties", 0, oversight="The Review Committee"), ""),
    "ok-query-rules": ("questions of hit and no hit", set_field("query_rules", _RULES), ""),
    "ok-reservations": (
        "clauses on which a party may make a reservation",
        set_field("reservations", ["channels.aurelia", "channels.borealia.regions"]),
        "",
    ),
    "ok-response-times": (
        "times to answer in",
        set_field("response_times", {"clarification": "P5D", "recall": "PT8H"}),
        "",
    ),
    "ok-retention": (
        "how long it may be kept",
        set_field("retention", {"review_after": "P1Y", "maximum": "P3Y6M", "no_decision": "delete"}),
        "",
    ),
    "ok-reviews": (
        "dates on which the parties look at it again",
        set_field("validity", {"from": "2026-01-01T00:00:00Z", "reviews": ["2027-01-01T00:00:00Z"]}),
        "",
    ),
    "ok-sanitise": ("tear lines alone", set_in("channels", 0, sanitise="tear_line_required"), ""),
    "ok-special-categories": (
        "a category of data with its reason and approver",
        set_in("channels", 0, special_categories=[_HEALTH]),
        "",
    ),
    "ok-structure": ("two founders of a group", set_field("structure", _GROUP), ""),
    "ok-survival": (
        "what outlives the agreement",
        set_field("survival", {"duties": ["onward"], "material": "delete", "within": "P30D"}),
        "",
    ),
    "ok-texts": ("the text in another language", set_field("texts", [_TEXT]), ""),
    "originator-no-party": (
        "an originator that is no party id",
        set_in("channels", 0, originators=["Anybody"]),
        "/channels/0/originators",
    ),
    "originators-none": ("no originator", set_in("channels", 0, originators=[]), "/channels/0/originators"),
    "oversight-empty": ("a body without a name", set_in("parties", 0, oversight=""), "/parties/0/oversight"),
    "public-line-of-what-is-not-confirmed": (
        "a public line of an agreement that is neither confirmed nor denied",
        change_document(lambda v: v.update(existence="ncnd", public_line="The two parties consult.")),
        "/public_line",
    ),
    "public-line-without-existence": (
        "a public line where nothing is said of existence",
        set_field("public_line", "The two parties consult."),
        "/public_line",
    ),
    "query-mode-unknown": (
        "a mode that is not in the list",
        set_field("query_rules", _RULES | {"mode": "all"}),
        "/query_rules/mode",
    ),
    "query-of-one-identifier": (
        "a question on one identifier alone",
        set_field("query_rules", _RULES | {"min_identifiers": 1}),
        "/query_rules/min_identifiers",
    ),
    "query-quota-negative": (
        "less than no question a day",
        set_field("query_rules", _RULES | {"quota_per_day": -1}),
        "/query_rules/quota_per_day",
    ),
    "query-rules-empty": ("rules that say nothing", set_field("query_rules", {}), "/query_rules/mode"),
    "reservation-on-no-clause": (
        "a reservation on what is no clause",
        set_field("reservations", ["channels.nowhere"]),
        "/reservations",
    ),
    "reservations-as-a-word": ("reservations that are no list", set_field("reservations", "all"), "/reservations"),
    "response-to-nothing": (
        "a time for an answer that nobody gives",
        set_field("response_times", {"applause": "P1D"}),
        "/response_times/applause",
    ),
    "response-in-minutes": (
        "a time in minutes",
        set_field("response_times", {"recall": "PT30M"}),
        "/response_times/recall",
    ),
    "retention-in-weeks": (
        "a span in weeks",
        set_field("retention", {"review_after": "P2W", "no_decision": "delete"}),
        "/retention/review_after",
    ),
    "retention-of-nothing": (
        "a span of nothing",
        set_field("retention", {"review_after": "P0D", "no_decision": "delete"}),
        "/retention/review_after",
    ),
    "retention-kept-without-decision": (
        "what nobody reviews is kept",
        set_field("retention", {"review_after": "P1Y", "no_decision": "keep"}),
        "/retention/no_decision",
    ),
    "retention-without-review": (
        "a maximum and no review",
        set_field("retention", {"maximum": "P3Y", "no_decision": "delete"}),
        "/retention/review_after",
    ),
    "review-no-time": (
        "a review on a day without a time",
        set_field("validity", {"from": "2026-01-01T00:00:00Z", "reviews": ["2027-01-01"]}),
        "/validity/reviews",
    ),
    "reviews-too-many": (
        "65 reviews",
        set_field(
            "validity",
            {"from": "2026-01-01T00:00:00Z", "reviews": list[Json](f"{year}-01-01T00:00:00Z" for year in _YEARS)},
        ),
        "/validity/reviews",
    ),
    "sanitise-unknown": (
        "a word for tear lines that is not in the list",
        set_in("channels", 0, sanitise="blacken"),
        "/channels/0/sanitise",
    ),
    "special-category-as-a-word": (
        "a category without a reason",
        set_in("channels", 0, special_categories=["health"]),
        "/channels/0/special_categories/0",
    ),
    "special-category-twice": (
        "a category twice",
        set_in("channels", 0, special_categories=[_HEALTH, _HEALTH]),
        "/channels/0/special_categories",
    ),
    "special-category-unknown": (
        "a category that is not in the list",
        set_in("channels", 0, special_categories=[_HEALTH | {"category": "hobbies"}]),
        "/channels/0/special_categories/0/category",
    ),
    "special-category-without-approver": (
        "a category that nobody approved",
        set_in("channels", 0, special_categories=[_HEALTH | {"approver": ""}]),
        "/channels/0/special_categories/0/approver",
    ),
    "structure-bilateral-and-open": (
        "two parties, joined by a third",
        set_field("structure", {"kind": "bilateral", "accession": "majority"}),
        "/structure/accession",
    ),
    "structure-bilateral-of-three": (
        "three parties that call themselves two",
        change_document(
            lambda v: v.update(
                structure={"kind": "bilateral"}, parties=[*list_of(v, "parties"), {"id": "meridia", "manifest": HASH}]
            )
        ),
        "/structure/kind",
    ),
    "structure-accession-unknown": (
        "a rule for joiners that is not in the list",
        set_field("structure", {"kind": "group", "accession": "anybody"}),
        "/structure/accession",
    ),
    "structure-without-kind": (
        "a structure of no kind",
        set_field("structure", {"accession": "closed"}),
        "/structure/kind",
    ),
    "survival-duty-unknown": (
        "a duty that is not in the list",
        set_field("survival", {"duties": ["silence"], "material": "keep"}),
        "/survival/duties",
    ),
    "survival-deleted-some-day": (
        "deleted, and nobody says when",
        set_field("survival", {"duties": [], "material": "delete"}),
        "/survival/within",
    ),
    "survival-kept-within": (
        "kept, within a time",
        set_field("survival", {"duties": [], "material": "keep", "within": "P30D"}),
        "/survival/within",
    ),
    "text-language-unknown": (
        "a language that is no tag",
        set_field("texts", [_TEXT | {"language": "French"}]),
        "/texts/0/language",
    ),
    "text-language-twice": ("a language twice", set_field("texts", [_TEXT, _TEXT]), "/texts"),
    "text-digest-short": (
        "a digest that is cut short",
        set_field("texts", [_TEXT | {"digest": "7" * 63}]),
        "/texts/0/digest",
    ),
    "text-authentic-as-text": (
        "authentic in words",
        set_field("texts", [_TEXT | {"authentic": "yes"}]),
        "/texts/0/authentic",
    ),
}
