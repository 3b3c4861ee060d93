# SPDX-License-Identifier: Apache-2.0
"""The suite of the standard fails where a server does not keep to it: two other servers, each a process of its own."""

import pytest

from tests.conformance.peers import PAGE, PEERS, Outcomes, format_page, make_venv, read_date, run_all


@pytest.fixture(scope="module")
def found() -> dict[str, Outcomes]:
    problem = make_venv()
    if problem is not None:
        pytest.skip(f"the other servers could not be installed: {problem}")
    return dict(run_all())


@pytest.mark.slow
@pytest.mark.e2e
def test_the_suite_finds_at_each_server_what_the_page_says(found: dict[str, Outcomes]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert format_page(found, date=read_date(page)) == page, "make it anew: .venv/bin/python -m tests.conformance.peers"


@pytest.mark.slow
@pytest.mark.e2e
def test_comity_alone_fails_nowhere(found: dict[str, Outcomes]) -> None:
    failing = {name for name, outcomes in found.items() if {"FAILED", "ERROR"} & set(outcomes.values())}
    assert failing == set(PEERS) - {"Comity"}
