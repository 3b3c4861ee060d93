# SPDX-License-Identifier: Apache-2.0
"""Pure: what the log says of what a party says of objects: words said and taken back, rules, lists, decisions.

    content  {"about":{…},"approvals":[…],"change":"say","format":"comity-classification/1","reason":"…"}

One entry for each act of people. What a rule set said of each object stands with the object (`store.tags`); the entry
names the set by its digest, and how many objects it concerned.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from comity.agreement.people import Approval
from comity.canonical import Json, canonical_bytes
from comity.release.disclosure import describe_approvals

__all__ = ["ClassificationChange", "describe_people", "format_classification"]


class ClassificationChange(StrEnum):
    """What was done."""

    SAY = "say"
    TAKE_BACK = "take-back"
    TAKE_BACK_SAFEGUARD = "take-back-safeguard"
    APPLY_RULES = "apply-rules"
    APPLY_RULES_SAFEGUARD = "apply-rules-safeguard"
    END_RULES = "end-rules"
    END_RULES_SAFEGUARD = "end-rules-safeguard"
    LOAD_LIST = "load-list"
    REVIEW_LIST = "review-list"
    KEEP_SUBJECT = "keep-subject"
    STOP_SUBJECT = "stop-subject"
    ASSESS = "assess"
    DECIDE_NECESSITY = "decide-necessity"
    END_NECESSITY = "end-necessity"
    SAME_PERSON = "same-person"
    OTHER_PERSON = "other-person"
    CONFIRM_DRAFTS = "confirm-drafts"
    STRIKE_DRAFTS = "strike-drafts"
    CORRECT_DRAFT = "correct-draft"
    MAKE_REPORT = "make-report"
    DELETE_ARTICLE = "delete-article"


def format_classification(
    change: ClassificationChange, *, about: Mapping[str, Json], reason: str, approvals: Sequence[Approval]
) -> bytes:
    """The content of a classification, canonical: what was done, about what, why, and who said so."""
    return canonical_bytes(
        {
            "format": "comity-classification/1",
            "change": change.value,
            "about": dict(about),
            "reason": reason,
            "approvals": describe_approvals(approvals),
        }
    )


def describe_people(approvals: Sequence[Json]) -> str:
    """Those who approved by the content of an entry, as they are kept beside what they did."""
    return ", ".join(f"{item.get('person')} ({item.get('role')})" for item in approvals if isinstance(item, dict))
