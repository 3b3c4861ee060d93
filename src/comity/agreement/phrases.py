# SPDX-License-Identifier: Apache-2.0
"""Pure: every word that terms can use, as a person would say it. Nothing is decided here.

One table for each vocabulary of `comity.vocabulary`; a test asks that no word of a vocabulary lacks its phrase.
"""

from collections.abc import Collection, Mapping

from comity.agreement.duration import Duration

__all__ = [
    "ACTIONS",
    "ADMITTING",
    "ASSURED",
    "BASES",
    "CATEGORIES",
    "DUTY",
    "EXISTING",
    "FORCE",
    "FORM",
    "HANDLED",
    "INFORMATION",
    "MARKED",
    "PERSONS",
    "PURPOSE",
    "QUESTIONS",
    "RESPONSE",
    "TLP",
    "USES",
    "list_words",
    "say_duration",
]

FORM: Mapping[str, str] = {
    "treaty": "a treaty",
    "mou": "a memorandum of understanding",
    "exchange_of_letters": "an exchange of letters",
    "working_group_charter": "the charter of a working group",
    "political_declaration": "a political declaration",
    "single_exchange": "the terms of a single exchange",
}
BASES: Mapping[str, str] = {
    "unsc_resolution": "a resolution of the UN Security Council",
    "article_51": "Article 51 of the UN Charter",
    "host_consent": "the consent of the host state",
    "treaty": "a treaty",
    "mou": "a memorandum of understanding",
    "mlat": "a treaty on mutual legal assistance",
    "domestic_law": "domestic law",
}
FORCE: Mapping[str, str] = {
    "decides": "said to decide",
    "urges": "said to urge",
    "consent": "said to be a consent",
    "contract": "said to be agreed between the parties",
}
PURPOSE: Mapping[str, str] = {
    "cross_check": "comparing it with one's own data",
    "strategic_analysis": "strategic or thematic analysis",
    "operational_analysis": "analysis for a case under way",
    "exchange": "exchanging information",
    "research": "research",
    "public_information": "informing the public",
    "warning": "warning",
    "border_check": "checks at a border",
    "locate": "finding out where someone or something is",
    "identify": "finding out who someone or what something is",
}
ACTIONS: Mapping[str, str] = {
    "none": "No action may be taken on what is received.",
    "contact-for-instruction": "Before any action, whoever gave it is asked what may be done.",
    "internally-visible-actions": "Only actions that are seen inside the receiver's own organisation may be taken.",
    "externally-visible-indirect-actions": "Actions that are seen outside may be taken where they do not touch whom it"
    " is about directly.",
    "externally-visible-direct-actions": "Actions that are seen outside and touch whom it is about may be taken.",
}
USES: Mapping[str, str] = {
    "targeting": "choosing a target of force",
    "detention": "detaining a person",
    "interrogation": "questioning a person in custody",
    "judicial_evidence": "evidence before a court",
    "removal": "removing a person from a state",
    "political_or_religious_profiling": "profiling by political opinion or religion",
}
TLP: Mapping[str, str] = {
    "clear": "TLP:CLEAR",
    "green": "GREEN",
    "amber": "AMBER",
    "amber+strict": "AMBER+STRICT",
    "red": "RED",
}
MARKED: Mapping[str, str] = {"statement": "statement markings"}
INFORMATION: Mapping[str, str] = {
    "actions_movements": "actions and movements",
    "travel_documents": "travel documents",
    "arms": "arms",
    "communications": "communications",
    "financing": "financing",
    "identity": "identities",
    "threat_assessment": "threat assessments",
    "indicator": "indicators",
    "strategic": "strategic information",
}
PERSONS: Mapping[str, str] = {
    "suspect": "suspects",
    "convicted": "convicted persons",
    "reasonable_grounds": "persons on whom there are reasonable grounds",
    "associate": "contacts and associates",
    "victim": "victims",
    "witness": "witnesses",
    "missing": "missing persons",
    "minor": "minors",
}
CATEGORIES: Mapping[str, str] = {
    "biometric_data": "biometric data",
    "genetic_data": "genetic data",
    "health": "data on health",
    "political_opinions": "political opinions",
    "racial_or_ethnic_origin": "racial or ethnic origin",
    "religious_or_philosophical_beliefs": "religious or philosophical beliefs",
    "sex_life_or_orientation": "sex life or sexual orientation",
    "trade_union_membership": "trade-union membership",
}
HANDLED: Mapping[str, str] = {code: code for code in ("H0", "H1", "H2", "H3")}
ASSURED: Mapping[str, str] = {
    "no_torture": "that nobody is tortured or mistreated",
    "no_death_penalty": "that no death penalty is imposed or carried out",
    "fair_trial": "a fair trial",
    "no_rendition": "that nobody is handed on outside the law's own procedures",
    "access_to_counsel": "access to counsel",
    "no_third_party": "that nothing goes to a third party",
}
ADMITTING: Mapping[str, str] = {
    "closed": "Nobody can join.",
    "unanimous": "Whoever every founder has admitted can join.",
    "majority": "Whoever more than half of the founders have admitted can join.",
    "any_member": "Whoever one founder has admitted can join.",
}
EXISTING: Mapping[str, str] = {
    "public": "That the agreement exists may be said in public.",
    "acknowledged": "That the agreement exists is acknowledged to whoever asks.",
    "ncnd": "That the agreement exists is neither confirmed nor denied to anybody outside.",
}
DUTY: Mapping[str, str] = {
    "onward": "the limits on passing on",
    "permitted_actions": "the limits on actions",
    "prohibited_uses": "the prohibited uses",
    "purposes": "the purposes",
    "retention": "the rule of retention",
}
RESPONSE: Mapping[str, str] = {
    "acceptance": "a proposal",
    "clarification": "a question on a clause",
    "consent": "a request for consent to pass something on",
    "recall": "a recall",
    "request": "a request for information",
}
QUESTIONS: Mapping[str, str] = {
    "none": "No question of hit and no hit may be put.",
    "hit_no_hit": "Questions of hit and no hit may be put",
}


def list_words(words: Collection[str], phrases: Mapping[str, str] | None = None, *, last: str = "and") -> str:
    """The words, or their phrases, as they are said one after the other, in alphabetical order of the words."""
    said = [phrases[word] if phrases else word for word in sorted(words)]
    return " ".join(filter(None, [", ".join(said[:-1]), last if said[1:] else "", *said[-1:]]))


def say_duration(duration: Duration) -> str:
    """The span in words: "1 year 6 months", "30 days"."""
    years, months = divmod(duration.months, 12)
    days, hours = divmod(duration.hours, 24)
    parts = ((years, "year"), (months, "month"), (days, "day"), (hours, "hour"))
    return " ".join(f"{count} {unit}{'s' if count > 1 else ''}" for count, unit in parts if count)
