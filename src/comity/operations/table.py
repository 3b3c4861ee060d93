# SPDX-License-Identifier: Apache-2.0
"""Shell: what a node can be asked to do: one table, used by the serving process and by a command that is alone.

An operation is imported when it is asked for: a command needs one of them, and to import all takes longer than most of
them do. The process that serves imports all before it answers anybody (`load_operations`): it must not find code of
another version on the disk later on.
"""

import importlib
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from comity.agreement.people import Person
from comity.errors import MalformedRequest
from comity.node.node import Node
from comity.operations.outcome import Arguments, Outcome, Tell
from comity.operations.reply import Json
from comity.operations.sight import may_ask, say_nothing_there

__all__ = ["OPERATIONS", "Operation", "find_operation", "load_operations", "perform"]

Operation = Callable[[Node, Arguments], Outcome | Awaitable[Outcome]]

OPERATIONS: Mapping[str, str] = {
    "party.export": "parties:export",
    "party.add": "parties:add",
    "party.repin": "parties:repin",
    "party.list": "parties:list_all",
    "party.rotate": "rotation:rotate",
    "party.renew": "rotation:renew",
    "party.tls": "rotation:name_tls_keys",
    "party.revoke-key": "rotation:revoke_key",
    "credential.create": "parties:create_credential",
    "credential.list": "parties:list_credentials",
    "credential.revoke": "parties:revoke_credential",
    "person.add": "people:add",
    "person.list": "people:list_all",
    "person.remove": "people:remove",
    "person.renew": "people:renew",
    "person.invite": "people:invite",
    "person.sessions": "people:list_sessions",
    "person.sign-out": "people:sign_out",
    "approvals": "matters:list_pending",
    "approvals.show": "matters:show",
    "approvals.approve": "matters:approve",
    "approvals.decline": "matters:decline",
    "object.add": "objects:add",
    "object.look": "beforehand:look",
    "object.export": "exporting:export",
    "object.export_misp": "exporting:export_misp",
    "object.files": "objects:list_files",
    "object.file": "objects:show_file",
    "object.show": "objects:show",
    "object.unkept": "objects:list_unkept",
    "object.list": "browsing:list_objects",
    "object.around": "browsing:find_around",
    "object.given": "browsing:find_given",
    "object.held": "browsing:find_held",
    "object.see": "explain:see",
    "object.recipients": "explain:list_recipients",
    "article.add": "articles:add",
    "article.list": "articles:list_all",
    "article.show": "articles:show",
    "article.text": "articles:show_text",
    "article.rules": "articles:show_rules",
    "article.confirm": "articles:confirm",
    "article.strike": "articles:strike",
    "article.correct": "articles:correct",
    "article.make": "articles:make",
    "article.delete": "articles:delete",
    "classify.add": "classify:say",
    "classify.remove": "classify:take_back",
    "classify.preview": "classify:preview",
    "classify.show": "classify:show",
    "rules.preview": "rules:preview",
    "rules.apply": "rules:apply",
    "rules.end": "rules:end",
    "rules.list": "rules:list_all",
    "list.preview": "lists:preview",
    "list.load": "lists:load",
    "list.versions": "lists:list_versions",
    "list.show": "lists:show_list",
    "list.questions": "lists:list_questions",
    "list.decide": "lists:decide",
    "list.review": "lists:review",
    "assessment.write": "classify:assess",
    "assessment.renew": "classify:renew",
    "assessment.show": "classify:show_assessment",
    "assessment.list": "classify:list_assessments",
    "necessity.decide": "safeguards:decide",
    "necessity.end": "safeguards:end",
    "necessity.list": "safeguards:list_all",
    "identity.candidates": "safeguards:list_candidates",
    "identity.same": "safeguards:same",
    "identity.differ": "safeguards:differ",
    "identity.list": "safeguards:list_judged",
    "explain": "explain:explain",
    "pull": "objects:pull",
    "status": "status:show",
    "follow.status": "follow:show_status",
    "source.add": "sources:add",
    "source.list": "sources:list_all",
    "source.drop": "sources:drop",
    "source.pull": "sources:pull",
    "reach": "reach:reach",
    "matrix.show": "matrix:show",
    "matrix.see": "matrix:see",
    "agreement.preview": "previews:preview",
    "agreement.check": "previews:check",
    "agreement.diff": "previews:diff",
    "agreement.propose": "agreements:propose",
    "agreement.list": "standing:list_all",
    "agreement.show": "standing:show",
    "agreement.status": "standing:status",
    "agreement.certificate": "certificate:certify",
    "agreement.export": "standing:export",
    "agreement.import": "agreements:import_messages",
    "agreement.clarify": "agreements:clarify",
    "agreement.answer": "agreements:answer",
    "agreement.accept": "agreements:accept",
    "agreement.reject": "agreements:reject",
    "agreement.suspend": "agreements:suspend",
    "agreement.resume": "agreements:resume",
    "agreement.terminate": "agreements:terminate",
    "agreement.withdraw": "agreements:withdraw",
    "agreement.leave": "agreements:leave",
    "agreement.admit": "agreements:admit",
    "agreement.accede": "agreements:accede",
    "agreement.review": "retention:review_agreement",
    "recall.send": "recalls:send",
    "recall.list": "recalls:list_all",
    "recall.show": "recalls:show",
    "recall.keep": "recalls:keep",
    "consent.request": "consents:request",
    "consent.grant": "consents:grant",
    "consent.refuse": "consents:refuse",
    "consent.revoke": "consents:revoke",
    "consent.list": "consents:list_all",
    "consent.show": "consents:show",
    "request.send": "requests:send",
    "request.withdraw": "requests:withdraw",
    "request.answer": "requests:answer",
    "request.list": "requests:list_all",
    "request.show": "requests:show",
    "retention.list": "retention:list_all",
    "retention.keep": "retention:keep",
    "retention.delete": "retention:delete",
    "retention.run": "retention:run",
    "work": "retention:list_work",
    "audit": "audit:audit",
    "backup": "keeping:note_backup",
    "purge.order": "keeping:purge_by_order",
    "purge.received": "keeping:purge_received",
    "purge.run": "keeping:purge_by_rule",
    "log.list": "journal:list_last",
    "log.show": "journal:show",
    "log.figures": "journal:count",
    "log.prove": "journal:prove",
    "log.checkpoint": "journal:checkpoint",
    "log.relationships": "journal:list_relationships",
    "log.receipt": "receipts:give",
    "log.refused": "receipts:list_refused",
    "log.waive": "receipts:waive",
    "witness.list": "witness:list_all",
    "log.reader.add": "journal:add_reader",
    "log.reader.list": "journal:list_readers",
    "log.reader.remove": "journal:remove_reader",
}
"""The module beside this one, and the function in it."""


def find_operation(name: str) -> Operation | None:
    """The operation of that name; None: there is none."""
    if name not in OPERATIONS:
        return None
    module, _, function = OPERATIONS[name].partition(":")
    return cast("Operation", getattr(importlib.import_module(f"comity.operations.{module}"), function))


def load_operations() -> None:
    """Import every operation."""
    for name in OPERATIONS:
        find_operation(name)


async def perform(
    node: Node, name: str, arguments: Mapping[str, Json], *, by: Person | None = None, tell: Tell | None = None
) -> Outcome:
    """What the operation `name` came to; committed when this returns.

    `by` is the person who asks, identified already; None: whoever controls the node's folder, who may show a badge.

    Raises:
        NotFoundError: no role of the person may ask this.
        MalformedRequest: there is no such operation, or an argument of it is wrong.
        ComityError: whatever the operation raises.
    """
    if by is not None and not may_ask(by, name):
        raise say_nothing_there()
    operation = find_operation(name)
    if operation is None:
        raise MalformedRequest(f"there is no operation {name!r} here; is the serving process of an older version?")
    shut_out = 0 if by is None else node.shut_out[by.id]
    outcome = operation(node, Arguments(arguments, by=by, tell=tell, shut_out=shut_out))
    return outcome if isinstance(outcome, Outcome) else await outcome
