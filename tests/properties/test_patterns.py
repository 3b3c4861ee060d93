# SPDX-License-Identifier: Apache-2.0
"""What is said of a pattern without a parser is what the library of OASIS says, and any text has an answer."""

from antlr4 import InputStream
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stix2patterns.v21.validator import run_validator

from comity.stix.grammar import find_pattern_problem
from comity.stix.patterns import is_certain

NAMES = st.sampled_from(
    (
        "value",
        "name",
        "a_1",
        "_x",
        "true",
        "false",
        "and",
        "AND",
        "LIKE",
        "in",
        "MD5",
        "'SHA-256'",
        "truer",
        "h",
        "t",
        "b",
    )
)
TEXTS = st.text(alphabet="ab'\\é\n]( t", max_size=6).map(lambda text: f"'{text}'")
VALUES = st.one_of(
    TEXTS,
    st.sampled_from(("0", "7", "007", "-1", "1.5", "1e5", "9" * 20, "true", "x", "h'00'", "t''", "('a','b')", "")),
)
PATHS = st.builds(
    lambda kind, first, steps: f"{kind}:{first}{''.join(steps)}",
    st.sampled_from(("url", "ipv4-addr", "x-a--b", "true", "3a", "a-1", "AND", "t", "file ")),
    NAMES,
    st.lists(st.one_of(NAMES.map(".{}".format), st.sampled_from(("[*]", "[0]", ".", " .a"))), max_size=2),
)
OPERATORS = st.sampled_from(
    ("=", " = ", " != ", "==", " LIKE ", " MATCHES ", " like ", "LIKE", " > ", " IN ", " NOT = ", " ")
)
TESTS = st.builds(lambda path, operator, value: f"{path}{operator}{value}", PATHS, OPERATORS, VALUES)
JOINTS = st.sampled_from((" AND ", " OR ", " and ", "AND", " OR OR ", "] OR [", "] FOLLOWEDBY [", " OR ("))
PATTERNS = st.builds(
    lambda opening, tests, joint, closing: f"{opening}{joint.join(tests)}{closing}",
    st.sampled_from(("[", "[ ", "([", "", "[[", "[\t")),
    st.lists(TESTS, min_size=1, max_size=3),
    JOINTS,
    st.sampled_from(("]", " ]", "", "])", "] WITHIN 5 SECONDS", "]x", "]\n")),
)


USUAL = st.sampled_from(
    (
        "[ipv4-addr:value = '198.51.100.3']",
        "[file:hashes.'SHA-256' = 'ab' AND file:hashes.MD5 != 'c\\'d']",
        "[network-traffic:dst_port = 443 OR network-traffic:dst_ref.value = 'x']",
        "[file:name LIKE '%.exe' AND file:name MATCHES '^\\\\d$']",
    )
)
PIECES = st.sampled_from(
    [*"'[]()\\ .:-=!<>0139aAtTé\n\t_*,#/", "''", " OR ", "and", "true", "NOT ", "MATCHES", "t'", "h'"]
)


def change(pattern: str, place: int, length: int, piece: str) -> str:
    """The pattern, some characters of it replaced."""
    place %= len(pattern) + 1
    return pattern[:place] + piece + pattern[place + length :]


NEARLY_USUAL = st.builds(
    change, USUAL, st.integers(0, 200), st.integers(0, 3), st.lists(PIECES, max_size=2).map("".join)
)


def accepts(pattern: str) -> bool:
    """Whether the library finds nothing; what its looks at values say is none of the grammar, and can fail."""
    try:
        return not run_validator(InputStream(pattern))
    except AttributeError:
        return False


@settings(max_examples=500)
@given(pattern=st.one_of(NEARLY_USUAL, PATTERNS))
@example(pattern="[a:b = 'x']")
@example(pattern="[a:b = 5 AND a-b:c.MD5 LIKE '\\'']")
def test_what_certainly_parses_parses(pattern: str) -> None:
    if is_certain(pattern):
        assert find_pattern_problem(pattern) is None


@given(pattern=PATTERNS)
@example(pattern="[a:b IN ('x','y')] WITHIN 5 SECONDS")
@example(pattern="[a:b[0] > 1.5]")
def test_what_the_library_accepts_is_accepted(pattern: str) -> None:
    if accepts(pattern):
        assert find_pattern_problem(pattern) is None


@given(pattern=PATTERNS)
def test_what_is_accepted_has_no_error_of_syntax_to_the_library(pattern: str) -> None:
    if find_pattern_problem(pattern) is None:
        try:
            said = run_validator(InputStream(pattern))
        except AttributeError:  # its look at hashes fails where a list is
            return
        assert all("is not a valid" in one for one in said)


@given(pattern=st.text(max_size=60))
def test_any_text_has_an_answer(pattern: str) -> None:
    problem = find_pattern_problem(pattern)
    if is_certain(pattern):
        assert problem is None
    elif problem is not None:
        assert problem.line >= 1
        assert problem.column >= 1
