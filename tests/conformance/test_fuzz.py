# SPDX-License-Identifier: Apache-2.0
"""The whole HTTP surface of a served node under requests that nobody would write.

Whoever asks, and however: no answer is a 5xx. And an outsider cannot tell what is there from what is not: each request
goes out twice, once naming things that are there and once things that are not and are spelt as long, and the answers
are the same bytes but for Date.
"""

import contextlib
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from comity.ids import AgreementId, PartyId
from comity.node.parties import create_credential
from comity.node.standing import collection_id
from tests.conformance.raw_requests import Place, Request, credentials, requests, wrong_credentials
from tests.served import Served, read_all, without_date
from tests.worlds import World, make_object, object_id

SILENT = (400, 401, 404)
NEVER = "00000000-0000-4000-8000-000000000000"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_secret = "fixed for the strategies; replaced by the real one when a request is sent"


@dataclass
class Fuzzed:
    """A served node, the secrets of who is inside and of who is another party, and what was answered."""

    served: Served
    secrets: dict[str, str]
    there: Place
    nowhere: Place
    statuses: dict[int, int] = field(default_factory=dict)

    def send(self, data: bytes) -> bytes:
        """The answer, without Date and without any `100 Continue` before it."""
        with self.served.open() as connection:
            # The server may have answered before it had read everything.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(data)
            answer = without_date(read_all(connection).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"))
        found = _STATUS.match(answer)
        assert found is not None, answer[:200]
        status = int(found[1])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        assert status < 500, answer[:200]
        return answer


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    world = World(tmp_path_factory.mktemp("fuzzed"))
    world.found("aurelia", "borealia", "meridia")
    agreement = AgreementId(world.sign_all(world.terms()))
    world.add("aurelia", *(make_object(f"r{number}") for number in range(5)), make_object("r0", day=2))
    node = world.nodes["aurelia"]
    secrets = {name: create_credential(node, PartyId(name)) for name in ("borealia", "meridia")}
    collection = collection_id(agreement, "main", giver=PartyId("aurelia"), recipient=PartyId("borealia"))
    there = Place(party="borealia", collection=collection, object=object_id("report", "r0"))
    nowhere = Place(party="borealix", collection=NEVER, object=f"report--{NEVER}")
    with closing(world), Served.start(node) as served:
        yield Fuzzed(served, secrets, there, nowhere)


def ask_inside(fuzzed: Fuzzed, request: Request, credential: str) -> bytes:
    return fuzzed.send(request.fill(fuzzed.there, credential))


def ask_outside(fuzzed: Fuzzed, request: Request, credential: str | None) -> None:
    there, nowhere = (fuzzed.send(request.fill(place, credential)) for place in (fuzzed.there, fuzzed.nowhere))
    assert there == nowhere
    found = _STATUS.match(there)
    assert found is not None
    assert int(found[1]) in SILENT


def ask_both(fuzzed: Fuzzed, request: Request, wrong: str | None, form: str) -> None:
    """One request by who is inside, and two each by nobody and by another party."""
    secret = fuzzed.secrets["borealia"]
    ask_inside(fuzzed, request, form.format(secret))
    ask_outside(fuzzed, request, None if wrong is None else wrong.replace(_secret, secret[::-1]))
    if not request.target.startswith(("/taxii2/?", "/taxii2?")) and "{party}" in request.target:
        ask_outside(fuzzed, request, form.format(fuzzed.secrets["meridia"]))


forms = st.sampled_from(["Bearer {}", "Token {}", "bearer {}"])
GET = Request(
    method="GET", target="/taxii2/{party}/collections/{collection}/objects/", version="HTTP/1.1", headers=(), body=b""
)


@given(request=requests(), wrong=wrong_credentials(_secret), form=forms)
@example(request=GET, wrong=None, form="Bearer {}")
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_a_few_hundred_requests(fuzzed: Fuzzed, request: Request, wrong: str | None, form: str) -> None:
    ask_both(fuzzed, request, wrong, form)


@pytest.mark.slow
def test_ten_thousand_requests(fuzzed: Fuzzed) -> None:
    fuzzed.statuses.clear()

    @given(request=requests(), wrong=wrong_credentials(_secret), form=forms)
    @settings(max_examples=3_000, suppress_health_check=[HealthCheck.too_slow])
    def ask(request: Request, wrong: str | None, form: str) -> None:
        ask_both(fuzzed, request, wrong, form)

    ask()
    assert sum(fuzzed.statuses.values()) >= 10_000, fuzzed.statuses
    assert {200, 400, 401, 404, 406} <= set(fuzzed.statuses), "some answers were never reached"


@given(data=st.data(), request=requests())
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_every_form_of_a_credential_is_one_answer(fuzzed: Fuzzed, data: st.DataObject, request: Request) -> None:
    secret = fuzzed.secrets["borealia"]
    credential = data.draw(credentials(secret))
    assert ask_inside(fuzzed, request, credential) == ask_inside(fuzzed, request, f"Bearer {secret}")
