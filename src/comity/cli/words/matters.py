# SPDX-License-Identifier: Apache-2.0
"""Shell: an act that was approved by its name, in the words of its kind."""

from typing import Any

from comity.cli.words.agreements import describe_act
from comity.cli.words.consents import describe_said
from comity.cli.words.safeguards import describe_decided

__all__ = ["describe_approved"]


def describe_approved(result: dict[str, Any]) -> str:
    """What became of it: a letter of consent, a decision on an object, or an event of an agreement."""
    if "words" in result:
        return describe_decided(result)
    return describe_said(result) if "letters" in result else describe_act(result)
