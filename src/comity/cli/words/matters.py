# SPDX-License-Identifier: Apache-2.0
"""Shell: an act that was approved by its name, in the words of its kind."""

from typing import Any

from comity.cli.words import classify
from comity.cli.words.agreements import describe_act
from comity.cli.words.consents import describe_said
from comity.cli.words.safeguards import describe_decided

__all__ = ["describe_approved"]


def describe_approved(result: dict[str, Any]) -> str:
    """What became of it: a letter of consent, a decision, words that are taken back, or an event of an agreement."""
    if "subject" in result:
        return classify.describe_decided(result)
    if "restricts_only" in result:
        return classify.describe_taken_back(result)
    if "words" in result:
        return describe_decided(result)
    return describe_said(result) if "letters" in result else describe_act(result)
