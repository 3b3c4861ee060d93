# SPDX-License-Identifier: Apache-2.0
"""Shell: what a node can be asked to do: one table, used by the serving process and by a command that is alone."""

from collections.abc import Awaitable, Callable, Mapping

from comity.cli.operations import (
    agreements,
    certificate,
    consents,
    follow,
    journal,
    keeping,
    objects,
    parties,
    people,
    previews,
    reach,
    recalls,
    receipts,
    requests,
    retention,
    rotation,
    sources,
    standing,
    witness,
)
from comity.cli.outcome import Arguments, Outcome
from comity.cli.reply import Json
from comity.errors import MalformedRequest
from comity.node.node import Node

__all__ = ["OPERATIONS", "Operation", "perform"]

Operation = Callable[[Node, Arguments], Outcome | Awaitable[Outcome]]

OPERATIONS: Mapping[str, Operation] = {
    "party.export": parties.export,
    "party.add": parties.add,
    "party.repin": parties.repin,
    "party.list": parties.list_all,
    "party.rotate": rotation.rotate,
    "party.renew": rotation.renew,
    "party.revoke-key": rotation.revoke_key,
    "credential.create": parties.create_credential,
    "credential.list": parties.list_credentials,
    "credential.revoke": parties.revoke_credential,
    "person.add": people.add,
    "person.list": people.list_all,
    "person.remove": people.remove,
    "person.renew": people.renew,
    "approvals": people.list_pending,
    "object.add": objects.add,
    "object.export": objects.export,
    "object.files": objects.list_files,
    "object.file": objects.show_file,
    "object.show": objects.show,
    "object.unkept": objects.list_unkept,
    "explain": objects.explain,
    "pull": objects.pull,
    "follow.status": follow.show_status,
    "source.add": sources.add,
    "source.list": sources.list_all,
    "source.drop": sources.drop,
    "source.pull": sources.pull,
    "reach": reach.reach,
    "agreement.preview": previews.preview,
    "agreement.check": previews.check,
    "agreement.diff": previews.diff,
    "agreement.propose": agreements.propose,
    "agreement.list": standing.list_all,
    "agreement.show": standing.show,
    "agreement.status": standing.status,
    "agreement.certificate": certificate.certify,
    "agreement.export": standing.export,
    "agreement.import": agreements.import_messages,
    "agreement.clarify": agreements.clarify,
    "agreement.answer": agreements.answer,
    "agreement.accept": agreements.accept,
    "agreement.reject": agreements.reject,
    "agreement.suspend": agreements.suspend,
    "agreement.resume": agreements.resume,
    "agreement.terminate": agreements.terminate,
    "agreement.withdraw": agreements.withdraw,
    "agreement.leave": agreements.leave,
    "agreement.admit": agreements.admit,
    "agreement.accede": agreements.accede,
    "agreement.review": retention.review_agreement,
    "recall.send": recalls.send,
    "recall.list": recalls.list_all,
    "recall.show": recalls.show,
    "recall.keep": recalls.keep,
    "consent.request": consents.request,
    "consent.grant": consents.grant,
    "consent.refuse": consents.refuse,
    "consent.revoke": consents.revoke,
    "consent.list": consents.list_all,
    "consent.show": consents.show,
    "request.send": requests.send,
    "request.answer": requests.answer,
    "request.list": requests.list_all,
    "request.show": requests.show,
    "retention.list": retention.list_all,
    "retention.keep": retention.keep,
    "retention.delete": retention.delete,
    "retention.run": retention.run,
    "work": retention.list_work,
    "backup": keeping.note_backup,
    "purge.order": keeping.purge_by_order,
    "purge.received": keeping.purge_received,
    "purge.run": keeping.purge_by_rule,
    "log.list": journal.list_last,
    "log.show": journal.show,
    "log.checkpoint": journal.checkpoint,
    "log.relationships": journal.list_relationships,
    "log.receipt": receipts.give,
    "log.refused": receipts.list_refused,
    "log.waive": receipts.waive,
    "witness.list": witness.list_all,
    "log.reader.add": journal.add_reader,
    "log.reader.list": journal.list_readers,
    "log.reader.remove": journal.remove_reader,
}


async def perform(node: Node, name: str, arguments: Mapping[str, Json]) -> Outcome:
    """What the operation `name` came to; committed when this returns.

    Raises:
        MalformedRequest: there is no such operation, or an argument of it is wrong.
        ComityError: whatever the operation raises.
    """
    operation = OPERATIONS.get(name)
    if operation is None:
        raise MalformedRequest(f"there is no operation {name!r} here; is the serving process of an older version?")
    outcome = operation(node, Arguments(arguments))
    return outcome if isinstance(outcome, Outcome) else await outcome
