# SPDX-License-Identifier: Apache-2.0
"""Shell: which roles may ask which operation, where a person asks and not whoever controls the node's folder.

An operation that is not here cannot be asked by anybody in the console. What an act then needs (how many people, in
which roles) is decided where it is done (`node.people`); here is only who may come as far as that. Whoever may not is
answered as if there were nothing of that name.

The list of work and that of acts that wait are for everybody, and have in them what the person's roles may know of.
"""

from collections.abc import Mapping

from comity.agreement.people import NEEDS, Person, Role
from comity.agreement.work import WorkKind
from comity.errors import NotFoundError

__all__ = ["SIGHT", "WORK_SIGHT", "may_ask", "may_see_matter", "may_see_work", "say_nothing_there"]

_ALL = frozenset(Role)
_DESK = frozenset({Role.ANALYST, Role.LIAISON, Role.LEGAL})
_TERMS = _DESK | {Role.AUDITOR}
_RECORD = frozenset({Role.AUDITOR, Role.LEGAL, Role.LIAISON})
_MACHINE = frozenset({Role.OPERATOR, Role.AUDITOR, Role.LIAISON})
_PEOPLE = frozenset({Role.OPERATOR, Role.LEGAL, Role.AUDITOR})


def _acting(kind: str) -> frozenset[Role]:
    return frozenset(NEEDS[kind].roles)


SIGHT: Mapping[str, frozenset[Role]] = {
    "work": _ALL,
    "approvals": _ALL,
    # Of each, those whose list has it: the operations ask `may_see_matter`.
    "approvals.show": _ALL,
    "approvals.approve": _DESK | _acting("rotate"),
    "approvals.decline": _DESK | _acting("rotate"),
    # What binds this party, and what it would mean.
    "agreement.list": _TERMS,
    "agreement.show": _TERMS,
    "agreement.status": _TERMS,
    "agreement.certificate": _TERMS,
    "agreement.export": _TERMS,
    "agreement.diff": _TERMS,
    "agreement.preview": _DESK,
    "agreement.check": _TERMS,
    "reach": _TERMS,
    "agreement.propose": _acting("propose"),
    "agreement.clarify": _acting("clarify"),
    "agreement.answer": _acting("answer"),
    "agreement.accept": _acting("accept"),
    "agreement.reject": _acting("reject"),
    "agreement.suspend": _acting("suspend"),
    "agreement.resume": _acting("resume"),
    "agreement.terminate": _acting("terminate"),
    "agreement.withdraw": _acting("withdraw"),
    "agreement.leave": _acting("leave"),
    "agreement.review": _acting("review"),
    "agreement.admit": _acting("admit"),
    "agreement.accede": _acting("accede"),
    "agreement.import": _acting("import"),
    # What is held, and who may have it.
    "object.add": _DESK,
    "object.look": _DESK,
    "object.files": _DESK,
    "object.file": _DESK,
    "object.show": _DESK,
    "object.unkept": _DESK,
    "object.list": _DESK,
    "object.around": _DESK,
    "object.held": _DESK,
    "object.see": _DESK,
    "object.recipients": _TERMS,
    "article.add": _DESK,
    "article.list": _DESK,
    "article.show": _DESK,
    "article.text": _DESK,
    "article.rules": _DESK,
    "article.confirm": _acting("confirm-drafts"),
    "article.strike": _acting("strike-drafts"),
    "article.correct": _acting("correct-draft"),
    "article.make": _acting("make-report"),
    "article.delete": _acting("delete-article"),
    "explain": _TERMS,
    "matrix.show": _TERMS,
    "matrix.see": _DESK,
    "classify.show": _DESK,
    "classify.preview": _DESK,
    "classify.add": _acting("say"),
    "classify.remove": _acting("take-back"),
    "rules.list": _DESK,
    "rules.preview": _DESK,
    "rules.apply": _acting("apply-rules") | _acting("apply-rules-safeguard"),
    "rules.end": _acting("end-rules"),
    "list.versions": _DESK,
    "list.show": _DESK,
    "list.questions": _DESK,
    "list.preview": _acting("load-list"),
    "list.load": _acting("load-list"),
    "list.review": _acting("review-list"),
    "list.decide": _acting("stop-subject") | _acting("keep-subject"),
    "assessment.show": _DESK,
    "assessment.list": _DESK,
    "assessment.write": _acting("assess"),
    "assessment.renew": _acting("assess"),
    "necessity.list": _DESK,
    "necessity.decide": _acting("decide-necessity"),
    "necessity.end": _acting("end-necessity"),
    "identity.list": _DESK,
    "identity.candidates": _DESK,
    "identity.same": _acting("same-person"),
    "identity.differ": _acting("other-person"),
    "recall.list": _DESK,
    "recall.show": _DESK,
    "recall.send": _acting("recall"),
    "recall.keep": _acting("keep-recalled"),
    "consent.list": _DESK,
    "consent.show": _DESK,
    "consent.request": _acting("request-consent"),
    "consent.grant": _acting("consent"),
    "consent.refuse": _acting("refuse-consent"),
    "consent.revoke": _acting("revoke-consent"),
    "request.list": _DESK,
    "request.show": _DESK,
    "request.send": _acting("request"),
    "request.answer": _acting("reply"),
    "request.withdraw": _acting("withdraw-request"),
    "retention.list": _DESK,
    "retention.keep": _acting("retain"),
    "retention.delete": _acting("delete"),
    # What left, and the proof of it.
    "log.list": _RECORD,
    "log.show": _RECORD,
    "log.figures": _RECORD,
    "log.prove": _RECORD,
    "object.given": _RECORD,
    "log.checkpoint": _RECORD | _MACHINE,
    "log.relationships": _RECORD,
    "log.receipt": _RECORD,
    "log.refused": _RECORD | _MACHINE,
    "log.reader.list": _RECORD,
    "audit": _RECORD,
    # The node and those it talks to.
    "party.list": _ALL,
    "status": _MACHINE,
    "follow.status": _MACHINE,
    "witness.list": _MACHINE,
    "source.list": _MACHINE | _DESK,
    "credential.list": _MACHINE,
    "person.list": _PEOPLE,
    "person.sessions": frozenset({Role.AUDITOR}),
}


WORK_SIGHT: Mapping[WorkKind, frozenset[Role]] = {
    # What names an agreement is for who may read agreements.
    WorkKind.STEP: _TERMS,
    WorkKind.AGREEMENT_REVIEW: _TERMS,
    WorkKind.AGREEMENT_END: _TERMS,
    WorkKind.BASIS_END: _TERMS,
    WorkKind.ASSURANCE_END: _TERMS,
    WorkKind.STRANGER: _TERMS,
    # What names objects, or is about them, is for who may read objects.
    WorkKind.RETENTION_REVIEW: _DESK,
    WorkKind.DELETION: _DESK,
    WorkKind.DELETED: _DESK,
    WorkKind.UNPARSABLE_PATTERN: _DESK,
    WorkKind.RECALL_UNACKNOWLEDGED: _DESK,
    WorkKind.RECALL_TO_DECIDE: _DESK,
    WorkKind.RECALL_REFUSED: _DESK,
    WorkKind.CONSENT_TO_DECIDE: _DESK,
    WorkKind.CONSENT_UNANSWERED: _DESK,
    WorkKind.CONSENT_REFUSED: _DESK,
    WorkKind.CONSENT_ENDS: _DESK,
    WorkKind.REQUEST_TO_ANSWER: _DESK,
    WorkKind.REQUEST_UNANSWERED: _DESK,
    WorkKind.LIST_CHANGED: _DESK,
    WorkKind.NECESSITY_TO_DECIDE: _DESK,
    WorkKind.SUBJECT_TO_DECIDE: _DESK,
    WorkKind.RULES_TO_APPLY: _DESK,
    WorkKind.ASSESSMENT_ENDS: _DESK,
    WorkKind.ARTICLE_TO_REVIEW: _DESK,
    WorkKind.REPORT_TO_MAKE: _DESK,
    # What names no more than a partner.
    WorkKind.MANIFEST_END: _ALL,
    WorkKind.UNDELIVERED: _TERMS | _MACHINE,
    WorkKind.UNACKNOWLEDGED: _RECORD | _MACHINE,
    WorkKind.NO_RECEIPT: _RECORD | _MACHINE,
    WorkKind.WITHOUT_RECEIPT: _RECORD | _MACHINE,
    WorkKind.LOG_LOST: _RECORD | _MACHINE,
    WorkKind.NOT_COSIGNING: _RECORD | _MACHINE,
}
"""Kind of work → whose lists have it; a kind that is not here is in nobody's."""

_ON_TERMS = frozenset({"propose", "counter", "accept", "resume", "accede", "admit"})
"""The acts of two people that are on an agreement and nothing else."""


def may_see_work(person: Person, kind: WorkKind) -> bool:
    """Whether work of this kind is in the person's list."""
    return not WORK_SIGHT.get(kind, frozenset()).isdisjoint(person.roles)


def may_see_matter(person: Person, kind: str) -> bool:
    """Whether an act of this kind that waits is in the person's list: who could do it, or may read what it is about."""
    need = NEEDS.get(kind)
    fits = need is not None and not person.roles.isdisjoint(need.roles)
    return fits or (kind in _ON_TERMS and may_ask(person, "agreement.show"))


def may_ask(person: Person, operation: str) -> bool:
    """Whether one of the person's roles may ask the operation."""
    return not SIGHT.get(operation, frozenset()).isdisjoint(person.roles)


def say_nothing_there() -> NotFoundError:
    """What is answered alike to who asks for what is not there, and for what is not for any of the person's roles."""
    return NotFoundError("there is nothing of that name here")
