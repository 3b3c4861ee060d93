# SPDX-License-Identifier: Apache-2.0
"""Every page of the console is measured in a large store, or named among those that look nothing up."""

import re

from starlette.routing import Route

from bench.console_pages import PAGES, UNMEASURED
from comity.console.app import SCREENS
from comity.taxii.wire import is_taxii


def test_every_page_is_measured_or_named_among_those_that_are_not() -> None:
    routes = [route for screen in SCREENS for route in screen if isinstance(route, Route) and not is_taxii(route.path)]
    pages = [route for route in routes if "GET" in (route.methods or ()) and not route.path.endswith(".json")]
    measured = set[str]()
    for address in PAGES:
        path = re.sub(r"\{\w+\}", "1", address).partition("?")[0]
        measured.add(next(page.path for page in pages if page.path_regex.match(path)))
    assert {page.path for page in pages} - measured == UNMEASURED
