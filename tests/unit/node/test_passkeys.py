# SPDX-License-Identifier: Apache-2.0
"""Passkeys: what an authenticator says is taken once, from its own console, and from nobody's copy of it."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from comity.errors import AuthenticationError, ComityError, ConflictError, MalformedRequest, NotFoundError, RateLimited
from comity.ids import PersonId
from comity.node import people, sessions
from comity.node.audit import audit_folder
from comity.node.invitations import find_invited, invite_person
from comity.node.journal import list_entries
from comity.node.node import Node
from comity.node.passkeys import (
    Challenges,
    Console,
    add_passkey,
    enrol_passkey,
    find_console,
    list_passkeys,
    offer_passkey,
    offer_passkey_sign_in,
    remove_passkey,
    sign_in_by_passkey,
)
from comity.node.programs import end_program, find_program, list_programs, make_program
from comity.node.sessions import SignedIn, find_session, list_records
from comity.node.tries import Tries
from tests.authenticators import Authenticator
from tests.worlds import World

LEGAL, LIAISON = PersonId("aurelia-legal"), PersonId("aurelia-liaison")
URL = "https://console.aurelia.example"
CONSOLE = Console(host="console.aurelia.example", origin=URL)


@dataclass
class Desk:
    """One node, and authenticators that people use at its console."""

    world: World
    challenges: Challenges = field(default_factory=Challenges)
    tries: Tries = field(default_factory=Tries)

    @property
    def node(self) -> Node:
        return self.world.nodes["aurelia"]

    def enrol(self, authenticator: Authenticator, person: PersonId = LEGAL, *, code: str | None = None) -> SignedIn:
        code = code or invite_person(self.node, person).code
        options = offer_passkey(self.node, self.challenges, CONSOLE, find_invited(self.node, code))
        response = authenticator.create(options, origin=URL)
        return enrol_passkey(self.node, self.challenges, CONSOLE, code=code, response=response, name="Key")

    def offer(self) -> dict[str, Any]:
        return offer_passkey_sign_in(self.node, self.challenges, CONSOLE)

    def send(self, response: str) -> SignedIn:
        return sign_in_by_passkey(self.node, self.challenges, CONSOLE, self.tries, response=response)

    def sign_in(self, authenticator: Authenticator) -> SignedIn:
        return self.send(authenticator.get(self.offer(), origin=URL))


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


@pytest.mark.parametrize("kind", ["ES256", "EdDSA"])
def test_a_person_enrols_by_a_passkey_and_signs_in_by_it(desk: Desk, kind: str) -> None:
    authenticator = Authenticator(kind=kind)
    assert find_session(desk.node, desk.enrol(authenticator).token) is not None
    signed_in = desk.sign_in(authenticator)
    assert signed_in.person.id == LEGAL
    assert find_session(desk.node, signed_in.token) == signed_in.person
    assert list_passkeys(desk.node, LEGAL)[0].used_at == desk.world.now


def test_an_authenticator_that_does_not_count_is_taken(desk: Desk) -> None:
    authenticator = Authenticator(counts=False)
    desk.enrol(authenticator)
    assert [desk.sign_in(authenticator).person.id for _ in range(2)] == [LEGAL, LEGAL]


def test_the_browser_is_asked_to_verify_the_user_and_to_keep_the_passkey(desk: Desk) -> None:
    person = find_invited(desk.node, invite_person(desk.node, LEGAL).code)
    options = offer_passkey(desk.node, desk.challenges, CONSOLE, person)
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["rp"]["id"] == "console.aurelia.example"
    assert "aurelia-legal" not in options["user"]["id"]
    asked = desk.offer()
    assert asked["userVerification"] == "required"
    assert not asked.get("allowCredentials")


def test_a_response_counts_once(desk: Desk) -> None:
    authenticator = Authenticator(counts=False)
    code = invite_person(desk.node, LEGAL).code
    options = offer_passkey(desk.node, desk.challenges, CONSOLE, find_invited(desk.node, code))
    made = authenticator.create(options, origin=URL)
    enrol_passkey(desk.node, desk.challenges, CONSOLE, code=code, response=made, name="Key")
    with pytest.raises(MalformedRequest):
        add_passkey(desk.node, desk.challenges, CONSOLE, person=LEGAL, response=made, name="Key")
    response = authenticator.get(desk.offer(), origin=URL)
    desk.send(response)
    with pytest.raises(AuthenticationError):
        desk.send(response)


def test_a_challenge_is_used_up_by_a_try_that_fails(desk: Desk) -> None:
    authenticator, offered = Authenticator(counts=False), desk.offer()
    desk.enrol(authenticator)
    offered = desk.offer()
    wrong = Authenticator(credential=authenticator.credential)
    for one in (wrong, authenticator):
        with pytest.raises(AuthenticationError):
            desk.send(one.get(offered, origin=URL))


def test_a_challenge_ends_after_five_minutes(desk: Desk) -> None:
    authenticator = Authenticator()
    desk.enrol(authenticator)
    response = authenticator.get(desk.offer(), origin=URL)
    desk.world.tick(300_000_000 - 1)
    assert desk.send(response).person.id == LEGAL
    response = authenticator.get(desk.offer(), origin=URL)
    desk.world.tick(300_000_000)
    with pytest.raises(AuthenticationError):
        desk.send(response)


def test_a_challenge_is_for_what_it_was_drawn_for(desk: Desk) -> None:
    authenticator = Authenticator()
    desk.enrol(authenticator)
    code = invite_person(desk.node, LIAISON).code
    for_other = offer_passkey(desk.node, desk.challenges, CONSOLE, find_invited(desk.node, code))
    with pytest.raises(AuthenticationError):
        desk.send(authenticator.get({"rpId": CONSOLE.host, "challenge": for_other["challenge"]}, origin=URL))
    person = find_session(desk.node, desk.sign_in(authenticator).token)
    assert person is not None
    for_own = offer_passkey(desk.node, desk.challenges, CONSOLE, person)
    made = Authenticator(credential=b"new").create(for_own, origin=URL)
    with pytest.raises(MalformedRequest):
        enrol_passkey(desk.node, desk.challenges, CONSOLE, code=code, response=made, name="Key")


def test_nobody_makes_the_console_forget_the_challenge_of_another(desk: Desk) -> None:
    authenticator = Authenticator()
    desk.enrol(authenticator)
    offered = desk.offer()
    for _ in range(5_000):
        desk.challenges.draw(desk.node, "sign-in")
    for _ in range(500):
        with pytest.raises(AuthenticationError):
            desk.send(Authenticator(credential=b"nobody's").get(offered, origin=URL))
    assert desk.send(authenticator.get(offered, origin=URL)).person.id == LEGAL


def test_what_was_answered_is_kept_for_as_long_as_it_would_be_good(desk: Desk) -> None:
    challenges, node = desk.challenges, desk.node
    challenge = challenges.draw(node, "sign-in")
    assert challenges.take(node, challenge, "sign-in")
    assert not challenges.take(node, challenge, "sign-in")
    desk.world.tick(300_000_000)
    assert not challenges.take(node, challenge, "sign-in")
    assert challenges.take(node, challenges.draw(node, "sign-in"), "sign-in")
    assert len(challenges._used) == 1


@pytest.mark.parametrize("place", [0, 31, 32, 39, 40, 71])
def test_a_challenge_that_was_changed_is_none_of_ours(desk: Desk, place: int) -> None:
    changed = bytearray(desk.challenges.draw(desk.node, "sign-in"))
    changed[place] ^= 1
    assert not desk.challenges.take(desk.node, bytes(changed), "sign-in")
    assert not Challenges().take(desk.node, desk.challenges.draw(desk.node, "sign-in"), "sign-in")
    for short in (b"", b"x" * 32, b"x" * 71):
        assert not desk.challenges.take(desk.node, short, "sign-in")


WRONG: dict[str, Callable[[Authenticator], None]] = {
    "another origin": lambda it: setattr(it, "origin", "https://console.aurelia.example.evil.example"),
    "another scheme": lambda it: setattr(it, "origin", "http://console.aurelia.example"),
    "another console": lambda it: setattr(it, "rp", "aurelia.example"),
    "nobody was verified": lambda it: setattr(it, "verifies", False),
    "another key": lambda it: setattr(it, "key", Authenticator().key),
    "another person": lambda it: setattr(it, "handle", b"x" * 32),
    "another passkey": lambda it: setattr(it, "credential", b"nobody's"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_signs_nobody_in(desk: Desk, wrong: str) -> None:
    authenticator = Authenticator()
    desk.enrol(authenticator)
    WRONG[wrong](authenticator)
    with pytest.raises(AuthenticationError, match="this passkey is not, or no longer, known here"):
        desk.sign_in(authenticator)
    kept = list_records(desk.node)[0]
    # Of what is no passkey of this node nothing is kept: a stranger could push out what is.
    assert (kept.person, kept.failed) == (LEGAL, wrong != "another passkey")


@pytest.mark.parametrize("wrong", list(WRONG)[:4])
def test_what_does_not_fit_enrols_nobody(desk: Desk, wrong: str) -> None:
    authenticator, code = Authenticator(), invite_person(desk.node, LEGAL).code
    WRONG[wrong](authenticator)
    with pytest.raises(MalformedRequest):
        desk.enrol(authenticator, code=code)
    assert list_passkeys(desk.node, LEGAL) == []
    assert find_invited(desk.node, code).id == LEGAL


@pytest.mark.parametrize("back", [0, 1, 5])
def test_a_copy_of_an_authenticator_is_refused_and_told_to_who_watches(desk: Desk, back: int) -> None:
    authenticator = Authenticator(counter=10)
    desk.enrol(authenticator)
    desk.sign_in(authenticator)
    authenticator.counter -= back + 1
    with pytest.raises(AuthenticationError):
        desk.sign_in(authenticator)
    kept = list_records(desk.node)[0]
    assert (kept.person, kept.what, kept.failed) == (LEGAL, "copied", True)


def test_an_authenticator_that_stops_counting_is_taken_for_a_copy(desk: Desk) -> None:
    authenticator = Authenticator()
    desk.enrol(authenticator)
    authenticator.counts, authenticator.counter = False, 0
    with pytest.raises(AuthenticationError):
        desk.sign_in(authenticator)


def test_a_removed_person_signs_in_no_more(desk: Desk) -> None:
    authenticator = Authenticator()
    desk.enrol(authenticator)
    people.remove_person(desk.node, LEGAL)
    with pytest.raises(AuthenticationError):
        desk.sign_in(authenticator)


def test_who_was_invited_anew_has_lost_the_passkey(desk: Desk) -> None:
    authenticator = Authenticator()
    desk.enrol(authenticator)
    invite_person(desk.node, LEGAL)
    with pytest.raises(AuthenticationError):
        desk.sign_in(authenticator)


def test_a_passkey_is_of_one_person(desk: Desk) -> None:
    authenticator = Authenticator()
    desk.enrol(authenticator)
    with pytest.raises(ConflictError):
        desk.enrol(authenticator, LIAISON)
    assert list_passkeys(desk.node, LIAISON) == []


def test_the_last_way_in_is_not_removed(desk: Desk) -> None:
    first, second = Authenticator(), Authenticator(credential=b"second")
    person = desk.enrol(first).person
    (kept,) = list_passkeys(desk.node, LEGAL)
    with pytest.raises(ConflictError, match="the last"):
        remove_passkey(desk.node, LEGAL, kept.digest)
    made = second.create(offer_passkey(desk.node, desk.challenges, CONSOLE, person), origin=URL)
    add_passkey(desk.node, desk.challenges, CONSOLE, person=LEGAL, response=made, name="Second")
    with pytest.raises(NotFoundError):
        remove_passkey(desk.node, LIAISON, kept.digest)
    remove_passkey(desk.node, LEGAL, kept.digest)
    with pytest.raises(AuthenticationError):
        desk.sign_in(first)
    assert desk.sign_in(second).person.id == LEGAL
    changes = [entry.content for entry in list_entries(desk.node, start=-4, limit=4)]
    assert [item["change"] for item in changes if isinstance(item, dict)] == ["invite", "enrol", "enrol", "drop"]
    assert not audit_folder(desk.node.folder, now=desk.world.now).findings


def test_what_parsers_choke_on_lets_nobody_in(desk: Desk) -> None:
    """Whatever is sent: never another failure than a refusal, and never a session."""
    authenticator, chance = Authenticator(counts=False), random.Random(4)
    desk.enrol(authenticator)
    code = invite_person(desk.node, LIAISON).code
    person = find_invited(desk.node, code)
    for number in range(300):
        desk.tries = Tries(f"of {number}")
        made = authenticator.get(desk.offer(), origin=URL)
        created = Authenticator(credential=b"n").create(
            offer_passkey(desk.node, desk.challenges, CONSOLE, person), origin=URL
        )
        with pytest.raises(ComityError):
            desk.send(_spoil(made, chance, number))
        with pytest.raises(ComityError):
            enrol_passkey(
                desk.node,
                desk.challenges,
                CONSOLE,
                code=code,
                response=_spoil(created, chance, number, keep="attestationObject"),
                name="Key",
            )


def _spoil(response: str, chance: random.Random, number: int, *, keep: str = "") -> str:
    said = json.loads(response)
    inner = said["response"]
    name = keep or chance.choice(["authenticatorData", "signature"])
    match number % 4:
        case 0:
            inner[name] = inner[name][: chance.randrange(len(inner[name]) - 8)]
        case 1:
            inner[name] = "A" * chance.randrange(200)
        case 2:
            inner[name] = chance.choice([None, 5, [], {}, "\ud800", "="])
        case _:
            return chance.choice(
                ["", "{}", "[]", "null", "x" * 40_000, '{"response":{"clientDataJSON":"AA"}}', response[9:]]
            )
    return json.dumps(said)


def test_many_tries_are_bounded(desk: Desk) -> None:
    authenticator = Authenticator()
    desk.enrol(authenticator)
    authenticator.verifies = False
    response = authenticator.get(desk.offer(), origin=URL)
    with pytest.raises(RateLimited):  # noqa: PT012 (one of them)
        for _ in range(100):
            with pytest.raises(AuthenticationError):
                desk.send(response)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://console.aurelia.example", "console.aurelia.example"),
        ("http://localhost:8460", "localhost"),
        ("http://127.0.0.1:8460", None),
        ("http://[::1]:8460", None),
    ],
)
def test_a_console_without_a_name_has_no_passkeys(url: str, host: str | None) -> None:
    found = find_console(url)
    assert (None if found is None else (found.host, found.origin)) == (None if host is None else (host, url))


# --- the audit --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM passkey", "signs in by something else"),
        ("UPDATE passkey SET person = 'aurelia-liaison'", "signs in by something else"),
        ("INSERT INTO password VALUES ('aurelia-liaison', x'00', 1, 1)", "signs in by something else"),
    ],
)
def test_a_way_in_that_is_not_on_record_is_found(desk: Desk, statement: str, told: str) -> None:
    desk.enrol(Authenticator())
    assert not audit_folder(desk.node.folder, now=desk.world.now).findings
    with desk.node.store.write() as transaction:
        transaction.run(statement)
    found = audit_folder(desk.node.folder, now=desk.world.now).findings
    assert any(told in item.problem for item in found)


def test_the_digest_of_a_passkey_is_of_the_key_that_is_verified_by(desk: Desk) -> None:
    """Else another key could be put beside the digest that is on record."""
    desk.enrol(Authenticator())
    with desk.node.store.write() as transaction:
        transaction.run("UPDATE passkey SET public_key = x'00'")
    found = audit_folder(desk.node.folder, now=desk.world.now).findings
    assert any("signs in by something else" in item.problem for item in found)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE program SET expires_at = expires_at + 1000000",
        "UPDATE program SET made_at = made_at - 1",
        "UPDATE program SET expires_at = 9000000000000000000",
        "UPDATE program SET expires_at = -9000000000000000000",
        "UPDATE program SET may = 'log take-in'",
        f"UPDATE program SET hash = '{'0' * 64}'",
        "UPDATE program SET person = 'aurelia-liaison'",
        "DELETE FROM program",
    ],
)
def test_a_program_that_is_not_on_record_so_is_found(desk: Desk, statement: str) -> None:
    desk.enrol(Authenticator())
    make_program(desk.node, LEGAL, name="Figures", may=("log",), days=30)
    assert not audit_folder(desk.node.folder, now=desk.world.now).findings
    with desk.node.store.write() as transaction:
        transaction.run(statement)
    found = audit_folder(desk.node.folder, now=desk.world.now).findings
    assert any("signs in by something else" in item.problem for item in found)


def test_a_program_whose_end_was_put_off_asks_no_more_and_can_be_ended(desk: Desk) -> None:
    desk.enrol(Authenticator())
    made = make_program(desk.node, LEGAL, name="Figures", may=("log",), days=30)
    for end in (9 * 10**18, -(9 * 10**18), made.program.made_at + 366 * 86_400 * 1_000_000):
        with desk.node.store.write() as transaction:
            transaction.run("UPDATE program SET expires_at = ?", (end,))
        assert find_program(desk.node, made.token) is None
        assert list_programs(desk.node) == []
    people.remove_person(desk.node, LEGAL)
    with desk.node.store.read() as transaction:
        assert transaction.row("SELECT * FROM program") is None


@pytest.mark.parametrize("how", ["end", "sign-out", "renew", "invite", "remove", "over"])
def test_a_program_that_has_ended_is_on_record_as_that(desk: Desk, how: str) -> None:
    desk.enrol(Authenticator())
    made = make_program(desk.node, LEGAL, name="Figures", may=("log",), days=1)
    match how:
        case "end":
            end_program(desk.node, LEGAL, made.program.id)
        case "sign-out":
            sessions.sign_out(desk.node, LEGAL)
        case "renew":
            people.renew_person(desk.node, LEGAL)
        case "invite":
            invite_person(desk.node, LEGAL)
        case "remove":
            people.remove_person(desk.node, LEGAL)
        case _:
            desk.world.tick(86_400 * 1_000_000)
            assert not audit_folder(desk.node.folder, now=desk.world.now).findings
            make_program(desk.node, LEGAL, name="Figures", may=("log",), days=1)
    assert not audit_folder(desk.node.folder, now=desk.world.now).findings
    with desk.node.store.write() as transaction:
        transaction.run("DELETE FROM program")
        values = (made.program.hash, "00000000", LEGAL, "Figures", "log", made.program.made_at, made.program.expires_at)
        transaction.run("INSERT INTO program VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", values)
    # Whoever puts back what has ended is found too.
    assert audit_folder(desk.node.folder, now=desk.world.now).findings
