# SPDX-License-Identifier: Apache-2.0
"""Shell: an act that was approved by its name, in the words of its kind."""

from typing import Any

from comity.cli.words.agreements import describe_act
from comity.cli.words.consents import describe_said

__all__ = ["describe_approved"]


def describe_approved(result: dict[str, Any]) -> str:
    """What became of it: a letter of consent, or an event of an agreement."""
    return describe_said(result) if "letters" in result else describe_act(result)
