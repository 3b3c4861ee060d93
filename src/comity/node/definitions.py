# SPDX-License-Identifier: Apache-2.0
"""Shell: which marking definitions are statements, for the objects of one giver: those that this giver says are.

Terms can name "statement", so that what is marked with nothing else may go. So nobody turns another's marking into one:
an own object goes by this party's own definitions alone, a received one by those of whoever gives it; and the levels of
the Permissible Actions Protocol are never statements, whatever is held under their ids.
"""

from collections.abc import Collection, Iterable, Mapping

from comity.canonical import Json
from comity.ids import ObjectId
from comity.intake.restrictions import PAP_IDS
from comity.stix.objects import StixObject, find_statements
from comity.store import Transaction, objects
from comity.store.objects import Holding

__all__ = ["find_given", "find_held"]


def find_given(found: Iterable[tuple[StixObject, dict[str, Json]]]) -> dict[ObjectId, str]:
    """The statements among what comes together from one giver."""
    return _leave_out(find_statements(found))


def find_held(transaction: Transaction, ids: Collection[ObjectId], holding: Holding) -> dict[ObjectId, str]:
    """Those of `ids` that are held as statements of whoever gives what comes."""
    if not ids:
        return {}
    own = holding.received_under is None
    return _leave_out(objects.read_statement_definitions(transaction, ids, giver=holding.originator, own=own))


def _leave_out(statements: Mapping[ObjectId, str]) -> dict[ObjectId, str]:
    return {name: word for name, word in statements.items() if name not in PAP_IDS}
