# SPDX-License-Identifier: Apache-2.0
"""Observables in a text, against oracles of their own."""

import hashlib
import ipaddress
import random
import string
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.intake.article.observables import find_observables, is_iban
from tests.intake.annotated import read_rules

RULES = read_rules()


def find(text: str) -> list[tuple[str, str]]:
    found = find_observables(text, RULES)
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    assert all(left.end <= right.start for left, right in pairwise(found))
    return [(one.type, one.value) for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hxxps://a[.]example/x?y=1", ("url", "https://a.example/x?y=1")),
        ("hXXp://a(.)example", ("url", "http://a.example")),
        ("http[:]//a[dot]example:8080/.", ("url", "http://a.example:8080/")),
        ("(see https://a.example/b_(c))", ("url", "https://a.example/b_(c)")),
        ("ftp://a.example/x", ("url", "ftp://a.example/x")),
        ("https://198.51.100[.]7/gate", ("url", "https://198.51.100.7/gate")),
        ("198.51.100[.]23", ("ipv4", "198.51.100.23")),
        ("203.0.113.77, and", ("ipv4", "203.0.113.77")),
        ("2001:db8:4f::23", ("ipv6", "2001:db8:4f::23")),
        ("2001[:]db8[:]4f[:][:]23", ("ipv6", "2001:db8:4f::23")),
        ("mail a.b+c@d.example.", ("email", "a.b+c@d.example")),
        ("a[@]b[.]example", ("email", "a@b.example")),
        ("a(at)b(dot)example", ("email", "a@b.example")),
        ("cdn[.]a-b[.]zz", ("domain", "cdn.a-b.zz")),
        ("www.anything.zz", ("domain", "www.anything.zz")),
        ("beside a.example and", ("domain", "a.example")),
        ("xn--bcher-kva[.]example", ("domain", "xn--bcher-kva.example")),
        ("MD5 D41D8CD98F00B204E9800998ECF8427E", ("md5", "d41d8cd98f00b204e9800998ecf8427e")),
        ("IBAN GB82 WEST 1234 5698 7654 32 or", ("iban", "GB82WEST12345698765432")),
        ("NO9386011117947", ("iban", "NO9386011117947")),
        ("tel. +46 8 123 456 78", ("phone", "+46812345678")),
        ("00356 9900 1234", ("phone", "+35699001234")),
        ("+1 (202) 555-0100", ("phone", "+12025550100")),
    ],
)
def test_what_is_found(text: str, expected: tuple[str, str]) -> None:
    assert find(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "0.0.0." + "0",
        "224.0.0.1",
        "999.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "version 4.10.0.1",
        "10.0.19041.1",
        "setup-4.10.0.1.exe",
        "at 10:30:15 in 3:4",
        "::1",
        "notes.md and setup.exe",
        "Node.js, ASP.NET",
        "e.g. this, i.e. that",
        "the end.Next one",
        "deadbeef and 4b825dc",
        "0" * 64,
        "a" * 33,
        "GB82 WEST 1234 5698 7654 33",
        "GB82 WEST 1234 5698 7654 321",
        "XX82 WEST 1234 5698 7654 32",
        "+12 34",
        "1234567890123456",
        "12-34-56",
        "+01 202 555 0100",
        "http://",
        "https://[.]",
        "https://a.example:99999/",
        "@b.example"[:1],
        "a..b@",
    ],
)
def test_what_only_looks_like_one(text: str) -> None:
    assert find(text) == []


def test_a_name_inside_an_address_is_none_of_its_own() -> None:
    assert find("https://a.example/b@c.example x@y.example") == [
        ("url", "https://a.example/b@c.example"),
        ("email", "x@y.example"),
    ]


# --- oracles of their own ---------------------------------------------------------------------------------------------


@given(st.ip_addresses(v=4))
def test_every_ordinary_address_of_version_4(address: ipaddress.IPv4Address) -> None:
    ordinary = not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local)
    expected = [("ipv4", str(address))] if ordinary else []
    assert find(f"from {address} on") == expected
    assert find(f"from {str(address).replace('.', '[.]')} on") == expected


@given(st.ip_addresses(v=6))
def test_every_long_address_of_version_6_comes_back_in_its_short_form(address: ipaddress.IPv6Address) -> None:
    if address.is_multicast or address.is_link_local or int(address) < 1 << 100:
        return
    assert find(f"to {address.exploded}, then") == [("ipv6", str(address))]


@given(st.binary(), st.sampled_from(["md5", "sha1", "sha256", "sha512"]), st.booleans())
def test_every_hash(data: bytes, kind: str, upper: bool) -> None:
    value = hashlib.new(kind, data).hexdigest()
    assert find(f"it is {value.upper() if upper else value}.") == [(kind, value)]


def check_by_hand(text: str) -> bool:
    """ISO 7064 MOD 97-10 as one does it on paper: digit by digit."""
    rest = 0
    for char in text[4:] + text[:4]:
        for digit in str(string.digits.index(char) if char in string.digits else ord(char) - 55):
            rest = (rest * 10 + int(digit)) % 97
    return rest == 1


def complete(state: str, account: str) -> str:
    """The IBAN of an account: check digits by trying all."""
    return next(whole for check in range(100) if check_by_hand(whole := f"{state}{check:02}{account}"))


@given(st.sampled_from(sorted(RULES.iban_lengths)), st.randoms(use_true_random=False), st.booleans())
def test_every_iban_and_none_with_a_digit_changed(state: str, draw: random.Random, grouped: bool) -> None:
    length = RULES.iban_lengths[state]
    whole = complete(state, "".join(draw.choices(string.digits, k=length - 4)))
    assert is_iban(whole, RULES)
    written = " ".join(whole[at : at + 4] for at in range(0, length, 4)) if grouped else whole
    assert ("iban", whole) in find(f"pay to {written}, please")
    at = draw.randrange(4, length)
    wrong = whole[:at] + str((int(whole[at]) + draw.randrange(1, 10)) % 10) + whole[at + 1 :]
    assert not is_iban(wrong, RULES)
    assert "iban" not in {kind for kind, _ in find(f"pay to {wrong}, please")}


@given(st.text(string.digits, min_size=8, max_size=15), st.sampled_from(["", " ", "-", "."]))
def test_every_telephone_number(digits: str, between: str) -> None:
    if digits[0] == "0":
        return
    written = between.join(digits[at : at + 3] for at in range(0, len(digits), 3))
    assert find(f"call +{written} now") == [("phone", f"+{digits}")]


@given(
    st.lists(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True), min_size=1, max_size=4),
    st.sampled_from(["[.]", "(.)", "{.}", "[dot]", "(dot)"]),
)
def test_every_defanged_name(labels: list[str], dot: str) -> None:
    name = ".".join([*labels, "example"])
    assert find(f"at {name.replace('.', dot)} it") == [("domain", name)]
    assert find(f"at hxxp://{name.replace('.', dot)}/a it") == [("url", f"http://{name}/a")]


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    find(text)
