# SPDX-License-Identifier: Apache-2.0
"""Shell: who may act for this party, in which roles, and what each role may ask here.

Nobody is added, removed or given a role in the console: that is for whoever controls the node's folder.
"""

from starlette.requests import Request
from starlette.responses import Response

from comity.agreement.people import NEEDS, Role
from comity.console.pages import make_page, show
from comity.console.visit import find_visit
from comity.operations.reply import Json

__all__ = ["ROUTES"]


async def list_people(request: Request) -> Response:
    """Everybody who was ever registered, what each act needs, and, for who may see it, who is signed in."""
    visit = find_visit(request)
    listed = await visit.read("person.list")
    acts: list[Json] = [
        {
            "act": kind,
            "people": need.people,
            "roles": list[Json](role.value for role in need.roles),
            "one_as": None if need.one_as is None else need.one_as.value,
        }
        for kind, need in sorted(NEEDS.items())
    ]
    roles: list[Json] = [role.value for role in Role]
    result: dict[str, Json] = {"people": listed["people"], "acts": acts, "roles": roles}
    if visit.may("person.sessions"):
        result |= await visit.read("person.sessions")
    return show(request, "people.html", result)


ROUTES = make_page("/people", list_people)
