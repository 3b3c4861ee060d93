# SPDX-License-Identifier: Apache-2.0
"""Shell: which marking definitions are statements, for the objects of one giver: those that this giver says are.

Terms can name "statement", so that what is marked with nothing else may go. So nobody turns another's marking into one:
an own object goes by this party's own definitions alone, a received one by those of whoever gives it; and the levels of
the Permissible Actions Protocol are never statements, whatever is held under their ids. Nor is for own objects what is
held, or stands in the same file, under the same id and says something else: which of both was meant nobody knows.
"""

from collections.abc import Collection, Iterable, Mapping

from comity.canonical import Json
from comity.ids import ObjectId
from comity.intake.restrictions import PAP_IDS
from comity.stix.objects import StixObject, find_statements
from comity.store import Transaction, objects
from comity.store.objects import Holding

__all__ = ["find_definitions", "find_given"]


def find_given(
    found: Iterable[tuple[StixObject, dict[str, Json]]], others: Iterable[tuple[StixObject, dict[str, Json]]] = ()
) -> dict[ObjectId, str]:
    """The statements among what comes together from one giver; `others` are versions of it in other bytes."""
    contradicted = {item.id for item, value in others if not find_statements([(item, value)])}
    return {name: word for name, word in _leave_out(find_statements(found)).items() if name not in contradicted}


def find_definitions(
    transaction: Transaction, ids: Collection[ObjectId], given: Mapping[ObjectId, str], holding: Holding
) -> dict[ObjectId, str]:
    """Those of `ids` that are statements of whoever gives what comes, held already or `given` with it."""
    if not ids:
        return {}
    own = holding.received_under is None
    held = objects.read_statement_definitions(transaction, ids, giver=holding.originator, own=own)
    named = {**_leave_out(held), **{name: word for name, word in given.items() if name in ids}}
    if not named or not own:
        return named
    others = objects.read_other_definitions(transaction, named.keys())
    return {name: word for name, word in named.items() if name not in others}


def _leave_out(statements: Mapping[ObjectId, str]) -> dict[ObjectId, str]:
    return {name: word for name, word in statements.items() if name not in PAP_IDS}
