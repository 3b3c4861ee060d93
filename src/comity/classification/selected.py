# SPDX-License-Identifier: Apache-2.0
"""Pure: whether terms would select people by religion or ethnicity: nothing that does is signed here.

What is asked is what a channel gives by: its subjects. One that is everybody of a religion (`national:muslims`) is no
subject; a group that has such a word in its name is one. Terms that are signed already stay what was signed: that is
for the people who signed them, and neither the clauses nor the gate ask this.
"""

from comity.agreement.recognition import Refusal
from comity.agreement.terms import Terms
from comity.classification.traits import CLAUSE, is_trait_alone

__all__ = ["find_selected"]


def find_selected(terms: Terms) -> Refusal | None:
    """Why this party does not sign the terms, or None."""
    for channel in terms.channels:
        for subject in sorted(channel.scope.subjects):
            if is_trait_alone(subject.partition(":")[2]):
                return Refusal(
                    clause=CLAUSE,
                    reason=f"the channel {channel.id} would give what is about {subject!r}, which is everybody of a"
                    f" religion or an ethnicity, and no subject to select people by ({CLAUSE}); name the group that is"
                    " meant, by its entry on a list",
                )
    return None
