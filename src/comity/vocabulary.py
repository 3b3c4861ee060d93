# SPDX-License-Identifier: Apache-2.0
"""Pure: the closed vocabularies that terms and labels share. A word that is not here is refused, never guessed."""

import re

__all__ = [
    "ACCESSION",
    "ACTIONS_ORDER",
    "ASSURANCES",
    "ATTRIBUTION",
    "DUTIES",
    "EXISTENCE",
    "FORCES",
    "FORMS",
    "HANDLING",
    "KINDS",
    "LANGUAGE",
    "LEGAL_BASIS_KINDS",
    "MARKINGS",
    "ONWARD",
    "PERMITTED_ACTIONS",
    "PERSON_CLASSES",
    "PROHIBITED_USES",
    "PURPOSES",
    "QUERY_MODES",
    "REGIONS",
    "RESERVATION_GROUNDS",
    "RESPONSES",
    "SANITISE",
    "SPECIAL_CATEGORIES",
    "STIX_TYPES",
    "SUBJECT",
    "TLP_LEVELS",
    "TYPE",
    "URGENCIES",
]

FORMS = frozenset(
    {
        "treaty",
        "mou",
        "exchange_of_letters",
        "working_group_charter",
        "political_declaration",
        "single_exchange",
    }
)
LEGAL_BASIS_KINDS = frozenset(
    {"unsc_resolution", "article_51", "host_consent", "treaty", "mou", "mlat", "domestic_law"}
)
FORCES = frozenset({"decides", "urges", "consent", "contract"})
PURPOSES = frozenset(
    {
        "cross_check",
        "strategic_analysis",
        "operational_analysis",
        "exchange",
        "research",
        "public_information",
        "warning",
        "border_check",
        "locate",
        "identify",
    }
)
"""Europol Regulation Art. 18(2) and the INTERPOL RPD Art. 10, in short words."""

ACTIONS_ORDER = (
    "none",
    "contact-for-instruction",
    "internally-visible-actions",
    "externally-visible-indirect-actions",
    "externally-visible-direct-actions",
)
"""The five values of IEP 2.0, from the narrowest to the widest."""

PERMITTED_ACTIONS = frozenset(ACTIONS_ORDER)

PROHIBITED_USES = frozenset(
    {
        "targeting",
        "detention",
        "interrogation",
        "judicial_evidence",
        "removal",
        "political_or_religious_profiling",
    }
)
TLP_LEVELS = ("clear", "green", "amber", "amber+strict", "red")
"""TLP 2.0, from the most open to the strictest."""
MARKINGS = frozenset({"statement"})
"""Markings beyond TLP that terms can let through; an unknown marking can be named by nobody."""

KINDS = frozenset(
    {
        "actions_movements",
        "travel_documents",
        "arms",
        "communications",
        "financing",
        "identity",
        "threat_assessment",
        "indicator",
        "strategic",
    }
)
"""Kinds of information (S/RES/1373 (2001) 3(a), S/RES/2199 (2015), and four of daily work)."""

PERSON_CLASSES = frozenset(
    {
        "suspect",
        "convicted",
        "reasonable_grounds",
        "associate",
        "victim",
        "witness",
        "missing",
        "minor",
    }
)
"""Why a person is in it (Regulation (EU) 2016/794, Annex II)."""

SPECIAL_CATEGORIES = frozenset(
    {
        "biometric_data",
        "genetic_data",
        "health",
        "political_opinions",
        "racial_or_ethnic_origin",
        "religious_or_philosophical_beliefs",
        "sex_life_or_orientation",
        "trade_union_membership",
    }
)
"""Data that nothing selects by (Regulation (EU) 2016/794, Article 30(2))."""

HANDLING = frozenset({"H0", "H1", "H2", "H3"})
"""Europol handling codes."""

ONWARD = frozenset({"none", "originator_consent", "listed"})
SANITISE = frozenset({"none", "tear_line_allowed", "tear_line_required"})
ATTRIBUTION = frozenset({"may", "must", "must-not"})
"""Whether who receives says from whom it came (IEP 2.0 provider_attribution)."""

ACCESSION = frozenset({"closed", "unanimous", "majority", "any_member"})
"""Which of the founding parties must admit a joiner of a group."""

ASSURANCES = frozenset(
    {"no_torture", "no_death_penalty", "fair_trial", "no_rendition", "access_to_counsel", "no_third_party"}
)
EXISTENCE = frozenset({"public", "acknowledged", "ncnd"})
"""What may be said of the agreement to those outside; ncnd: neither confirm nor deny."""

DUTIES = frozenset({"onward", "permitted_actions", "prohibited_uses", "purposes", "retention"})
"""What can outlive an agreement."""

RESPONSES = frozenset({"acceptance", "clarification", "consent", "recall", "request"})
"""What a party can be given a time for."""

URGENCIES = ("immediate", "soon", "routine")
"""How soon an answer to a request is wanted: within 8 hours, 3 days, 7 days (`letters.request`)."""

QUERY_MODES = frozenset({"none", "hit_no_hit"})
RESERVATION_GROUNDS = frozenset({"national_law", "international_obligation", "essential_interest"})
"""After Regulation (EU) 2018/1862, Article 24(1)."""

LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)
"""A language tag (RFC 5646)."""

STIX_TYPES = frozenset(
    re.findall(
        "[a-z0-9-]+",
        "attack-pattern campaign course-of-action grouping identity incident indicator infrastructure intrusion-set "
        "location malware malware-analysis note observed-data opinion report threat-actor tool vulnerability "
        "relationship sighting extension-definition language-content marking-definition "
        "artifact autonomous-system directory domain-name email-addr email-message file ipv4-addr ipv6-addr mac-addr "
        "mutex network-traffic process software url user-account windows-registry-key x509-certificate",
    )
)
"""Every type that STIX 2.1 itself defines (§4 to §7): domain, relationship, meta and cyber-observable objects."""

SUBJECT = re.compile(r"(?:unsc|stix|national):[!-~]{1,255}", re.ASCII)
TYPE = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?!-)){1,248}[a-z0-9]", re.ASCII)

REGIONS = frozenset(
    re.findall(
        "[A-Z]{2}",
        "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY "
        "BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK "
        "FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR "
        "IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK "
        "ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM "
        "PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF "
        "TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW",
    )
)
"""The 249 officially assigned ISO 3166-1 alpha-2 codes."""
