# SPDX-License-Identifier: Apache-2.0
"""Pure: addresses, names, hashes and numbers in a text, as machines know them: refanged, checked, with their places.

    find_observables("Goes to hxxps://a[.]example/x and 198.51.100[.]7.", rules)
        -> [Observable(8, 29, "url", "https://a.example/x"), Observable(34, 48, "ipv4", "198.51.100.7")]

A number counts only when its own check holds: octets below 256, the digits of an IBAN (ISO 7064) and its length for the
state, 8 to 15 digits behind "+" or "00" (E.164). A name without "[.]", "www." or a scheme counts only below a top
domain that the rules list. Every pattern takes time linear in the text, whatever it is.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from comity.intake.article.rules import Rules

__all__ = ["Observable", "find_observables", "is_iban"]

_DOT = r"(?:\.|\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)|\[\.|\.\])"
_AT = r"(?:@|\[@\]|\(@\)|\[at\]|\(at\))"
_LABEL = r"[^\W_][\w-]{0,62}+"
_HOST = rf"{_LABEL}(?:{_DOT}{_LABEL}){{1,12}}"
_URL = re.compile(
    r"(?<!\w)(?P<scheme>h(?:tt|xx|\*\*)ps?|ftp|fxp)(?P<mark>://|\[:\]//|\[://\]|:\[//\])(?P<rest>[^\s<>\"\u201c\u201d\u2018\u2019]{1,2000})",
    re.IGNORECASE,
)
_EMAIL = re.compile(rf"(?<![\w.+%-])(?P<user>[A-Za-z0-9_.+%-]{{1,64}}+){_AT}(?P<host>{_HOST})", re.IGNORECASE)
_NAME = re.compile(rf"(?<![\w.@/\\:-])(?P<host>{_HOST})(?![\w@\\])", re.IGNORECASE)
_V6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-fA-F]{0,4}(?:\[:\]|:))(?:[0-9a-fA-F]{0,4}(?:\[:\]|:)){2,8}[0-9a-fA-F]{0,4}(?![\w:])", re.ASCII
)
# These begin with what few characters are, and look behind it: where none of those stands is passed over at once.
_V4 = re.compile(rf"\d(?<![\w.-]\d)\d{{0,2}}(?:{_DOT}\d{{1,3}}){{3}}(?![\w-]|\.\d)", re.ASCII)
_HASH = re.compile(r"[0-9a-fA-F](?<![0-9A-Za-z].)[0-9a-fA-F]{31,127}+(?![0-9A-Za-z])")
_IBAN = re.compile(r"[A-Z](?<![0-9A-Za-z].)[A-Z]\d{2}(?=[ 0-9A-Z])")
_PHONE = re.compile(
    r"(?P<plus>[+0](?<![\w+.,/-].)(?:(?<=\+)|(?<=0)0))(?=[1-9])(?P<digits>(?:\d[ .\-/()\u00a0]{0,2}){7,14}\d)(?!\d)",
    re.ASCII,
)
_DEFANGED = re.compile(r"[\[({](?:\.|dot)[\])}]|\[\.|\.\]", re.IGNORECASE)
_ANY_DOT = re.compile(_DOT, re.IGNORECASE)
_ANY_AT = re.compile(_AT, re.IGNORECASE)
# Read from the right to the left.
_LABEL_BACK = re.compile(r"[\w-]++")
_USER_BACK = re.compile(r"[A-Za-z0-9_.+%-]++", re.IGNORECASE)
_MOST_BACK = 65
"""Characters: one more than a label or the name of a mailbox has."""
_BRACKETS: Final = frozenset("[](){}")
_DIGITS = re.compile(r"\d")
_WORDS = re.compile(r"[A-Za-z]+")
_HASHES: Final = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
_SCHEMES: Final = {"h": "http", "f": "ftp"}
_NEAR = 24
"""Characters before and after a number of four parts in which it may be called a version."""
_LEAST_DISTINCT = 6
"""Digits in a hash: forty zeros are none."""
_MAX_ALPHANUMERIC = 34


class Observable(NamedTuple):
    """Its place, its type, and its value in the form that machines compare.

    Types are "ipv4", "ipv6", "domain", "url", "email", "md5", "sha1", "sha256", "sha512", "phone" and "iban".
    """

    start: int
    end: int
    type: str
    value: str


def find_observables(text: str, rules: Rules) -> list[Observable]:
    """Every observable, in the order of the text; none inside another."""
    found = [one for needs, find in _FINDERS if needs.search(text) is not None for one in find(text, rules)]
    chosen = list[Observable]()
    # The longest at a place first: a name inside an address of mail is none of its own.
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if not chosen or one.start >= chosen[-1].end:
            chosen.append(one)
    return chosen


def is_iban(text: str, rules: Rules) -> bool:
    """Whether digits and capital letters are an IBAN: the length of its state, and the check of ISO 7064 MOD 97-10."""
    return rules.iban_lengths.get(text[:2]) == len(text) and _remainder(text) == 1


def _find_urls(text: str, _: Rules) -> Iterator[Observable]:
    for match in _URL.finditer(text):
        rest = _trim(match["rest"])
        host, slash, path = _split_host(rest)
        host = _refang(host)
        if not host or not _is_host(host.rpartition("@")[2]):
            continue
        secure = "s" if match["scheme"][-1] in "sS" else ""
        scheme = _SCHEMES[match["scheme"][0].lower()] + secure
        yield Observable(match.start(), match.start("rest") + len(rest), "url", f"{scheme}://{host}{slash}{path}")


def _split_host(rest: str) -> tuple[str, str, str]:
    for index, char in enumerate(rest):
        if char in "/?#":
            return rest[:index], char, rest[index + 1 :]
    return rest, "", ""


def _is_host(host: str) -> bool:
    name, _, port = host.partition(":") if not host.startswith("[") else (host.partition("]")[0] + "]", "", "")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536):  # noqa: PLR2004 (RFC 6335)
        return False
    if name.startswith("["):
        return _read_v6(name.strip("[]")) is not None
    return bool(name) and (_is_v4(name) or _is_name(name) or name == "localhost")


def _trim(text: str) -> str:
    """Without what ends a sentence or closes a bracket that was not opened in it."""
    end = len(text)
    while end:
        last = text[end - 1]
        if (
            last in ".,;:!?'*_>"
            or (last == ")" and text.count("(", 0, end) < text.count(")", 0, end))
            or (
                last in "]}"
                and text.count("[", 0, end) + text.count("{", 0, end)
                < text.count("]", 0, end) + text.count("}", 0, end)
            )
        ):
            end -= 1
        else:
            break
    return text[:end]


def _refang(text: str) -> str:
    if _BRACKETS.isdisjoint(text):
        return text
    return _ANY_DOT.sub(".", text).replace("[:]", ":")


def _is_name(name: str) -> bool:
    labels = name.split(".")
    top = labels[-1]
    return (
        len(labels) > 1
        and len(name) <= 253  # noqa: PLR2004 (RFC 1035 §2.3.4)
        and all(label and not label.startswith("-") and not label.endswith("-") for label in labels)
        and (top.isalpha() or top.lower().startswith("xn--"))
        and len(top) > 1
    )


def _find_emails(text: str, _: Rules) -> Iterator[Observable]:
    for match in _match_around(text, _ANY_AT, _USER_BACK, _EMAIL):
        host = _refang(match["host"])
        user = match["user"]
        if _is_name(host) and not user.startswith(".") and not user.endswith(".") and ".." not in user:
            yield Observable(match.start(), match.end(), "email", f"{user}@{host.lower()}")


def _match_around(
    text: str, marks: re.Pattern[str], back: re.Pattern[str], form: re.Pattern[str]
) -> Iterator[re.Match[str]]:
    """What `form.finditer` gives, found by what must stand behind its first run of characters, which `back` reads."""
    done = 0
    for mark in marks.finditer(text):
        run = back.match(text[max(done, mark.start() - _MOST_BACK) : mark.start()][::-1])
        match = form.match(text, mark.start() - run.end()) if run is not None else None
        if match is not None:
            done = match.end()
            yield match


def _find_names(text: str, rules: Rules) -> Iterator[Observable]:
    for match in _match_around(text, _ANY_DOT, _LABEL_BACK, _NAME):
        written = match["host"]
        name = _refang(written).lower()
        top = name.rpartition(".")[2]
        sure = _DEFANGED.search(written) is not None or name.startswith("www.")
        if not _is_name(name) or name in rules.not_domains or (not sure and top not in rules.top_domains):
            continue
        if not sure and any(char.isupper() for char in written[1:]):
            continue  # "end.Next" where a space is missing
        yield Observable(match.start(), match.end(), "domain", name)


def _is_v4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _find_v4(text: str, rules: Rules) -> Iterator[Observable]:
    for match in _V4.finditer(text):
        value = _refang(match[0])
        if not _is_v4(value):
            continue
        address = ipaddress.IPv4Address(value)
        if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
            continue
        near = text[max(0, match.start() - _NEAR) : match.start()] + " " + text[match.end() : match.end() + _NEAR]
        if _DEFANGED.search(match[0]) is None and not rules.version_words.isdisjoint(
            word.lower() for word in _WORDS.findall(near)
        ):
            continue
        yield Observable(match.start(), match.end(), "ipv4", value)


def _read_v6(text: str) -> str | None:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
        return None
    return str(address)


def _find_v6(text: str, _: Rules) -> Iterator[Observable]:
    for match in _V6.finditer(text):
        value = _read_v6(match[0].replace("[:]", ":"))
        # "10:30:15" has no address in it, and "a::b" in a program is seldom one.
        if value is not None and len(_DIGITS.findall(match[0])) > 1 and len(match[0]) > 5:  # noqa: PLR2004
            yield Observable(match.start(), match.end(), "ipv6", value)


def _find_hashes(text: str, _: Rules) -> Iterator[Observable]:
    for match in _HASH.finditer(text):
        value = match[0].lower()
        if len(value) in _HASHES and len(set(value)) >= _LEAST_DISTINCT:
            yield Observable(match.start(), match.end(), _HASHES[len(value)], value)


def _find_ibans(text: str, rules: Rules) -> Iterator[Observable]:
    for match in _IBAN.finditer(text):
        length = rules.iban_lengths.get(match[0][:2])
        if length is None or length > _MAX_ALPHANUMERIC:
            continue
        end, taken = match.start(), list[str]()
        while end < len(text) and len(taken) < length:
            char = text[end]
            if char in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ":
                taken.append(char)
            elif char not in " \u00a0" or text[end - 1] in " \u00a0":
                break
            end += 1
        value = "".join(taken)
        if (end == len(text) or not text[end].isalnum()) and is_iban(value, rules):
            yield Observable(match.start(), end, "iban", value)


def _remainder(text: str) -> int:
    turned = text[4:] + text[:4]
    if not turned.isascii() or not turned.isalnum():
        return 0
    return int("".join(str(int(char, 36)) for char in turned)) % 97


def _find_phones(text: str, _: Rules) -> Iterator[Observable]:
    for match in _PHONE.finditer(text):
        digits = "".join(_DIGITS.findall(match["digits"]))
        spaced = match["plus"] == "+" or len(digits) < len(match["digits"])
        if 8 <= len(digits) <= 15 and spaced:  # noqa: PLR2004 (E.164 §6.2)
            yield Observable(match.start(), match.end(), "phone", f"+{digits}")


_FINDERS: Final[tuple[tuple[re.Pattern[str], Callable[[str, Rules], Iterator[Observable]]], ...]] = (
    (re.compile("//"), _find_urls),
    (_ANY_AT, _find_emails),
    (re.compile(rf"{_DOT}[^\W_]", re.IGNORECASE), _find_names),
    (_V4, _find_v4),
    (re.compile(r":[0-9a-fA-F:\]]"), _find_v6),
    (_HASH, _find_hashes),
    (_IBAN, _find_ibans),
    (_PHONE, _find_phones),
)
"""Each with what must stand in a text for it to find anything, which is looked for much faster."""
