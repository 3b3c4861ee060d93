# SPDX-License-Identifier: Apache-2.0
"""Shell: which roles may ask which operation, where a person asks and not whoever controls the node's folder.

An operation that is not here cannot be asked by anybody in the console. What an act then needs (how many people, in
which roles) is decided where it is done (`node.people`); here is only who may come as far as that. Whoever may not is
answered as if there were nothing of that name.
"""

from collections.abc import Mapping

from comity.agreement.people import NEEDS, Person, Role

__all__ = ["SIGHT", "may_ask"]

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
    # What is held, and who may have it.
    "object.add": _DESK,
    "object.files": _DESK,
    "object.file": _DESK,
    "object.show": _DESK,
    "object.unkept": _DESK,
    "object.list": _DESK,
    "object.around": _DESK,
    "object.see": _DESK,
    "object.recipients": _TERMS,
    "explain": _TERMS,
    "matrix.show": _TERMS,
    "matrix.see": _DESK,
    "classify.show": _DESK,
    "classify.preview": _DESK,
    "classify.add": _acting("say"),
    "classify.remove": _acting("take-back"),
    "rules.list": _DESK,
    "rules.preview": _DESK,
    "list.versions": _DESK,
    "list.show": _DESK,
    "list.questions": _DESK,
    "assessment.show": _DESK,
    "assessment.list": _DESK,
    "necessity.list": _DESK,
    "identity.list": _DESK,
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
    "retention.list": _DESK,
    # What left, and the proof of it.
    "log.list": _RECORD,
    "log.show": _RECORD,
    "object.given": _RECORD,
    "log.checkpoint": _RECORD | _MACHINE,
    "log.relationships": _RECORD,
    "log.receipt": _RECORD,
    "log.refused": _RECORD | _MACHINE,
    "log.reader.list": _RECORD,
    # The node and those it talks to.
    "party.list": _ALL,
    "follow.status": _MACHINE,
    "witness.list": _MACHINE,
    "source.list": _MACHINE | _DESK,
    "credential.list": _MACHINE,
    "person.list": _PEOPLE,
}


def may_ask(person: Person, operation: str) -> bool:
    """Whether one of the person's roles may ask the operation."""
    return not SIGHT.get(operation, frozenset()).isdisjoint(person.roles)
