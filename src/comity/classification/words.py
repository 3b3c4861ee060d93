# SPDX-License-Identifier: Apache-2.0
"""Pure: the words that a party can say of an object: those that terms can test, and evaluations, which none can.

    check_word("regions", "IQ")
    check_word("evaluation", "europol-4x4:B2")      source B, information 2, in the words of that scheme

An evaluation stands in the words of its own scheme and is never converted: Europol's 4 says that nobody can corroborate
it, the Admiralty's 4 that it is doubtful. No number follows from it, and `confidence` of an object stays what its
author wrote (STIX 2.1 Appendix A).
"""

import re
from typing import Final

from comity.errors import MalformedRequest
from comity.stix.tags import VOCABULARIES

__all__ = ["EVALUATION", "FIELDS", "check_evaluation", "check_word"]

EVALUATION: Final = "evaluation"
"""The field of evaluations."""

FIELDS: Final = (*VOCABULARIES, EVALUATION)
"""What can be said of an object."""

_SCHEMES: Final = {
    # Regulation (EU) 2016/794, Article 29: source A, B, C, X and information 1 to 4.
    "europol-4x4": re.compile(r"[ABCX][1-4]"),
    # STANAG 2511: source A to F and information 1 to 6.
    "admiralty": re.compile(r"[A-F][1-6]"),
    "national": re.compile(r"[!-~]{1,64}"),
}


def check_word(field: str, word: str) -> str:
    """The word, which is one of its field.

    Raises:
        MalformedRequest: no such field, or no such word in it.
    """
    if field == EVALUATION:
        return check_evaluation(word)
    if field not in VOCABULARIES:
        raise MalformedRequest(
            f"{field[:64]!r} cannot be said of an object; the fields are {', '.join(FIELDS)}", where="field"
        )
    is_known, expected = VOCABULARIES[field]
    if not is_known(word):
        raise MalformedRequest(f"{word[:80]!r} in {field} is not understood; give {expected}", where=field)
    return word


def check_evaluation(word: str) -> str:
    """The evaluation, which is scheme:code in the words of its scheme.

    Raises:
        MalformedRequest: it is none.
    """
    scheme, _, code = word.partition(":")
    if scheme not in _SCHEMES or _SCHEMES[scheme].fullmatch(code) is None:
        raise MalformedRequest(
            f"{word[:80]!r} is no evaluation; give europol-4x4:A1 (A, B, C or X and 1 to 4), admiralty:B2 (A to F and 1"
            " to 6), or national: and the code of your own scheme",
            where=EVALUATION,
        )
    return word
