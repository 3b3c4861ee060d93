# SPDX-License-Identifier: Apache-2.0
"""Shell: how many disclosures there are, to whom, under what and in which month, counted without reading them.

Each relationship has a log of its own, which holds its disclosures and nothing else: its size is their number. What of
all entries is not in the house's log went to somebody: so a month is counted by where it begins and ends. How many
objects there were, and by which legal basis, stands in the entries alone, and an audit reads them (`node.audit`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from comity.ids import AgreementId, Instant, PartyId, parse_instant
from comity.node.node import Node
from comity.node.standing import list_dossiers
from comity.store import entries, log, logs

__all__ = ["Given", "count_given"]

_MONTHS = 24
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """How many answers went out. `older` are entries from before there were such logs, of which nothing is counted.

    `months` are the last 24, oldest first, each as `2026-11`; `titles` are those of agreements that are on record.
    """

    total: int
    older: int
    recipients: Mapping[PartyId, int]
    agreements: Mapping[AgreementId, int]
    months: Sequence[tuple[str, int]]
    titles: Mapping[AgreementId, str]


def count_given(node: Node) -> Given:
    """The figures at this moment."""
    now = node.clock()
    recipients, agreements = Counter[PartyId](), Counter[AgreementId]()
    with node.store.read() as transaction:
        sizes = log.read_sizes(transaction)
        for each in logs.list_logs(transaction):
            recipients[each.recipient] += sizes.get(each.number, 0)
            agreements[each.agreement] += sizes.get(each.number, 0)
        begins = _list_months(now)
        counts = [entries.count_given(transaction, before=at) for _, at in begins]
        counts.append(log.count_entries(transaction) - sizes.get(log.HOUSE, 0))
        older = logs.read_shown_size(transaction)
        titles = {
            dossier.id: (standing.current or standing.latest).title
            for dossier in list_dossiers(node, transaction)
            for standing in [dossier.standing(now=now)]
        }
    return Given(
        total=counts[-1],
        older=older,
        recipients=dict(recipients.most_common()),
        agreements=dict(agreements.most_common()),
        months=[(name, after - before) for (name, _), before, after in zip(begins, counts, counts[1:], strict=False)],
        titles={agreement: title for agreement, title in titles.items() if agreement in agreements},
    )


def _list_months(now: Instant) -> list[tuple[str, Instant]]:
    """The last months, this one among them, oldest first, each with its first moment."""
    at = datetime.fromtimestamp(now // _SECOND, tz=UTC)
    last = at.year * 12 + at.month - 1
    names = [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(last - _MONTHS + 1, last + 1)]
    return [(name, parse_instant(f"{name}-01T00:00:00Z")) for name in names]
