# SPDX-License-Identifier: Apache-2.0
"""`Prefer: wait` (RFC 7240), and everything that is none."""

import pytest

from comity.taxii.prefer import format_applied, read_wait


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("wait=10", 10),
        ("WAIT = 10", 10),
        ('wait="10"', 10),
        ("respond-async, wait=10", 10),
        ("wait=10; foo=bar", 10),
        ("wait=0", 0),
        ("wait=5, wait=10", 5),
        (None, None),
        ("", None),
        ("wait", None),
        ("wait=", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ('wait="10', None),
        ("wait=9999999999", None),
        ("wait=\u0661", None),
        ("await=10", None),
        ("wait=10 seconds", None),
        ("," * 2_000 + "wait=1", None),
    ],
)
def test_what_the_client_would_wait(text: str | None, seconds: int | None) -> None:
    assert read_wait(text) == seconds


def test_what_was_granted_can_be_read_again() -> None:
    name, value = format_applied(7)
    assert (name, read_wait(value.decode())) == (b"preference-applied", 7)
