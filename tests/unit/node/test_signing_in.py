# SPDX-License-Identifier: Apache-2.0
"""Who signs in: by an invitation, a password and a second factor; and what keeps everybody else out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pyotp
import pytest
from argon2 import PasswordHasher, Type

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.config import Address
from comity.errors import AuthenticationError, ComityError, MalformedRequest, NotFoundError, RateLimited
from comity.ids import Instant, PartyId, PersonId
from comity.node import agree, passwords, people, sessions, signing_in
from comity.node.agree import Recorded
from comity.node.audit import audit_folder
from comity.node.founding import found_node
from comity.node.invitations import (
    INVITED_FOR,
    enrol_password,
    find_invited,
    invite_person,
    offer_password,
    prepare_password,
)
from comity.node.journal import list_entries
from comity.node.node import Node
from comity.node.passwords import find_step, hash_password, verify_password
from comity.node.people import Actor, Waiting
from comity.node.sessions import (
    IDLE,
    LONGEST,
    MOST_SESSIONS,
    SignedIn,
    end_session,
    end_sessions,
    end_token,
    find_session,
    list_records,
    list_sessions,
    read_ways_in,
)
from comity.node.signing_in import begin_sign_in, finish_sign_in, is_marked, mark_browser, sign_in
from comity.node.tries import MOST_NAMES, Tries
from comity.release.disclosure import EntryType, PeopleChange
from comity.store import sign_ins
from tests.worlds import World

LEGAL = PersonId("aurelia-legal")
LIAISON = PersonId("aurelia-liaison")
PASSWORD = "four plain words here"
_SECOND = 1_000_000


@dataclass
class Desk:
    """One node, and people who sign in to it."""

    world: World
    tries: Tries = field(default_factory=Tries)
    secrets: dict[str, str] = field(default_factory=dict)
    name: str = "aurelia"

    @property
    def node(self) -> Node:
        return self.world.nodes[self.name]

    def enrol(self, person: PersonId = LEGAL, *, code: str | None = None) -> SignedIn:
        code = code or invite_person(self.node, person).code
        offer = offer_password(self.node, code)
        self.secrets[person] = offer.secret
        hashed = hash_password(prepare_password(self.node, code, PASSWORD))
        return enrol_password(self.node, code, hashed=hashed, sealed=offer.sealed, second=self.show_code(person))

    def show_code(self, person: str = LEGAL, *, steps: int = 0) -> str:
        """What the app of the person shows, `steps` of 30 seconds from now."""
        return pyotp.TOTP(self.secrets[person]).at(self.world.now // _SECOND, counter_offset=steps)

    def sign_in(self, person: str = LEGAL, *, password: str = PASSWORD, code: str | None = None) -> SignedIn:
        """A try half a minute later, as a code counts once."""
        self.world.tick(30 * _SECOND)
        code = self.show_code(person) if code is None else code
        return sign_in(self.node, self.tries, name=person, password=password, code=code)

    def restart(self) -> None:
        """Another process serves the same node."""
        self.node.store.close()
        self.world.open(self.name)
        self.tries = Tries()


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


REAL = passwords._HASHER


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cheap hashing: what it costs is asserted once, below."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", cheap)
    passwords.stand_in.cache_clear()
    yield
    passwords.stand_in.cache_clear()


# --- invitations ------------------------------------------------------------------------------------------------------


def test_the_first_person_comes_in_by_an_invitation_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.manifests["aurelia"] = found_node(
        tmp_path / "aurelia", party=PartyId("aurelia"), name="A", state=None, listen=Address(host="127.0.0.1", port=0)
    )
    world.open("aurelia")
    person = world.register("aurelia", "anna", Role.LEGAL).person
    desk = Desk(world)
    with pytest.raises(AuthenticationError):
        sign_in(desk.node, desk.tries, name="anna", password="", code="")
    assert find_session(desk.node, desk.enrol(person).token) is not None
    world.close()


def test_an_invitation_is_good_once(desk: Desk) -> None:
    code = invite_person(desk.node, LEGAL).code
    assert find_invited(desk.node, code).id == LEGAL
    assert find_invited(desk.node, f"  {code.lower().replace('-', '')}\n").id == LEGAL
    desk.enrol(code=code)
    with pytest.raises(AuthenticationError):
        find_invited(desk.node, code)
    with pytest.raises(AuthenticationError):
        desk.enrol(code=code)


def test_an_offer_made_before_another_redeemed_the_code_is_worth_nothing(desk: Desk) -> None:
    code = invite_person(desk.node, LEGAL).code
    early = offer_password(desk.node, code)
    desk.enrol(code=code)
    second = pyotp.TOTP(early.secret).at(desk.world.now // _SECOND)
    with pytest.raises(AuthenticationError):
        enrol_password(desk.node, code, hashed=hash_password(PASSWORD), sealed=early.sealed, second=second)
    assert early.secret != desk.secrets[LEGAL]


def test_an_offer_is_of_one_invitation_and_one_half_hour(desk: Desk) -> None:
    one, other = invite_person(desk.node, LEGAL).code, invite_person(desk.node, LIAISON).code
    offer = offer_password(desk.node, one)
    for code, sealed in ((other, offer.sealed), (one, "00" * 12 + offer.sealed[24:]), (one, "zz")):
        with pytest.raises(MalformedRequest, match="another invitation"):
            enrol_password(desk.node, code, hashed="x", sealed=sealed, second="000000")
    desk.world.tick(30 * 60 * _SECOND)
    second = pyotp.TOTP(offer.secret).at(desk.world.now // _SECOND)
    with pytest.raises(MalformedRequest, match="too old"):
        enrol_password(desk.node, one, hashed="x", sealed=offer.sealed, second=second)


def test_an_invitation_ends_after_a_day(desk: Desk) -> None:
    code = invite_person(desk.node, LEGAL).code
    desk.world.tick(INVITED_FOR - 1)
    assert find_invited(desk.node, code).id == LEGAL
    offer = offer_password(desk.node, code)
    desk.world.tick(1)
    with pytest.raises(AuthenticationError):
        find_invited(desk.node, code)
    second = pyotp.TOTP(offer.secret).at(desk.world.now // _SECOND)
    with pytest.raises(AuthenticationError):
        enrol_password(desk.node, code, hashed="x", sealed=offer.sealed, second=second)


def test_a_new_invitation_ends_all_that_was_before(desk: Desk) -> None:
    earlier = invite_person(desk.node, LEGAL).code
    code = invite_person(desk.node, LEGAL).code
    with pytest.raises(AuthenticationError):
        find_invited(desk.node, earlier)
    token = desk.enrol(code=code).token
    invite_person(desk.node, LEGAL)
    assert find_session(desk.node, token) is None
    with pytest.raises(AuthenticationError):
        desk.sign_in()


@pytest.mark.parametrize("code", ["", "A", "A" * 52, "\ud800", "0" * 52, "A" * 100_000])
def test_a_code_of_nobody_invites_nobody(desk: Desk, code: str) -> None:
    invite_person(desk.node, LEGAL)
    with pytest.raises(AuthenticationError):
        find_invited(desk.node, code)


def test_a_removed_person_cannot_enrol_or_be_invited(desk: Desk) -> None:
    code = invite_person(desk.node, LEGAL).code
    people.remove_person(desk.node, LEGAL)
    with pytest.raises(AuthenticationError):
        find_invited(desk.node, code)
    with pytest.raises(NotFoundError):
        invite_person(desk.node, LEGAL)
    with pytest.raises(NotFoundError):
        invite_person(desk.node, PersonId("nobody"))


@pytest.mark.parametrize(
    "password",
    [
        "elevenchars",
        "x" * 1_025,
        "ü" * 513,
        "aaaaaaaaaaaaaaaa",
        "aurelia-legal-Aurelia",
        "AURELIA-LEGAL",
        "twelve\0chars",
        "\ud800twelve chars",
    ],
)
def test_what_is_no_good_password_is_refused(desk: Desk, password: str) -> None:
    code = invite_person(desk.node, LEGAL).code
    with pytest.raises(MalformedRequest):
        prepare_password(desk.node, code, password)


def test_a_password_is_the_same_however_it_is_composed(desk: Desk) -> None:
    code = invite_person(desk.node, LEGAL).code
    hashed = hash_password(prepare_password(desk.node, code, "Bu\u0308cher im Regal"))
    assert verify_password(hashed, "B\u00fccher im Regal")
    assert not verify_password(hashed, "Bucher im Regal")
    assert hashed.startswith("$argon2id$")


def test_a_guess_costs_what_rfc_9106_asks_for() -> None:
    assert (REAL.type, REAL.memory_cost, REAL.time_cost, REAL.parallelism) == (Type.ID, 65_536, 3, 4)
    assert REAL.hash("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_the_second_factor_must_be_shown_before_it_counts(desk: Desk) -> None:
    code = invite_person(desk.node, LEGAL).code
    offer = offer_password(desk.node, code)
    for second in ("", "000000", "12345", "123456 7", "\ud800"):
        with pytest.raises(MalformedRequest):
            enrol_password(desk.node, code, hashed="x", sealed=offer.sealed, second=second)
    assert find_invited(desk.node, code).id == LEGAL


# --- a password and a code --------------------------------------------------------------------------------------------


def test_a_person_signs_in_and_asks_as_that_person(desk: Desk) -> None:
    desk.enrol()
    signed_in = desk.sign_in()
    found = find_session(desk.node, signed_in.token)
    assert found == signed_in.person
    assert found is not None
    assert (found.id, found.roles) == (LEGAL, frozenset({Role.LEGAL}))


def test_whatever_is_wrong_the_answer_and_the_work_are_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.enrol()
    desk.enrol(LIAISON)
    people.remove_person(desk.node, LIAISON)
    world_only = desk.world.register("aurelia", "no-password", Role.ANALYST).person
    asked, stepped = list[str](), list[int]()

    def verify(hashed: str, password: str) -> bool:
        asked.append(hashed)
        return verify_password(hashed, password)

    def step(secret: bytes, code: str, *, now: Instant, after: int) -> int | None:
        stepped.append(len(secret))
        return find_step(secret, code, now=now, after=after)

    monkeypatch.setattr(signing_in, "verify_password", verify)
    monkeypatch.setattr(signing_in, "find_step", step)
    answers = set[str]()
    for name, password, code in (
        (LEGAL, "not the password", None),
        (LEGAL, PASSWORD, "000000"),
        (LIAISON, PASSWORD, None),
        (world_only, PASSWORD, "000000"),
        ("nobody", PASSWORD, "000000"),
        ("No Such <b>", PASSWORD, "000000"),
        ("x" * 100_000, "y" * 100_000, "z" * 100_000),
        ("-", "\ud800", "\ud800"),
    ):
        with pytest.raises(AuthenticationError) as caught:
            desk.sign_in(name, password=password, code=code)
        answers.add(str(caught.value))
    assert len(answers) == 1
    assert len(asked) == len(stepped) == 8
    assert len({hashed.rpartition("$")[0].rpartition("$")[0] for hashed in asked}) == 1
    assert set(stepped) == {20}
    assert find_session(desk.node, desk.sign_in().token) is not None


def test_a_code_counts_once_and_no_earlier_one_after_it(desk: Desk) -> None:
    desk.enrol()
    desk.world.tick(90 * _SECOND)
    before, code = desk.show_code(steps=-1), desk.show_code()
    assert sign_in(desk.node, desk.tries, name=LEGAL, password=PASSWORD, code=code).person.id == LEGAL
    for again in (code, before):
        with pytest.raises(AuthenticationError):
            sign_in(desk.node, desk.tries, name=LEGAL, password=PASSWORD, code=again)


def test_the_code_of_the_enrolment_signs_nobody_in(desk: Desk) -> None:
    desk.enrol()
    with pytest.raises(AuthenticationError):
        sign_in(desk.node, desk.tries, name=LEGAL, password=PASSWORD, code=desk.show_code())


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_off_by_half_a_minute(desk: Desk, steps: int, *, good: bool) -> None:
    desk.enrol()
    desk.world.tick(300 * _SECOND)
    code = desk.show_code(steps=steps)
    spaced = f" {code[:3]} {code[3:]} "
    if good:
        assert sign_in(desk.node, desk.tries, name=LEGAL, password=PASSWORD, code=spaced).person.id == LEGAL
    else:
        with pytest.raises(AuthenticationError):
            sign_in(desk.node, desk.tries, name=LEGAL, password=PASSWORD, code=spaced)


def test_who_was_removed_or_invited_while_the_password_was_verified_is_not_let_in(desk: Desk) -> None:
    desk.enrol()
    desk.enrol(LIAISON)
    desk.world.tick(60 * _SECOND)
    changes: tuple[Callable[[], object], ...] = (
        lambda: invite_person(desk.node, LEGAL),
        lambda: people.remove_person(desk.node, LIAISON),
    )
    for person, change in zip((LEGAL, LIAISON), changes, strict=True):
        attempt = begin_sign_in(desk.node, desk.tries, person)
        code = desk.show_code(person)
        change()
        with pytest.raises(AuthenticationError):
            finish_sign_in(desk.node, desk.tries, attempt, matches=attempt.verify(PASSWORD), code=code)


def test_a_password_that_was_replaced_while_it_was_verified_does_not_count(desk: Desk) -> None:
    desk.enrol()
    desk.world.tick(60 * _SECOND)
    attempt, code = begin_sign_in(desk.node, desk.tries, LEGAL), desk.show_code()
    desk.world.tick(-30 * _SECOND)
    desk.enrol()
    desk.world.tick(30 * _SECOND)
    with pytest.raises(AuthenticationError):
        finish_sign_in(desk.node, desk.tries, attempt, matches=attempt.verify(PASSWORD), code=code)


def test_two_tries_at_once_with_one_code_sign_in_once(desk: Desk) -> None:
    desk.enrol()
    desk.world.tick(60 * _SECOND)
    one, other = (begin_sign_in(desk.node, desk.tries, LEGAL) for _ in range(2))
    code = desk.show_code()
    finish_sign_in(desk.node, desk.tries, one, matches=True, code=code)
    with pytest.raises(AuthenticationError):
        finish_sign_in(desk.node, desk.tries, other, matches=True, code=code)


def test_a_stolen_store_holds_nothing_to_guess_by(desk: Desk) -> None:
    signed_in = desk.enrol()
    code = invite_person(desk.node, LIAISON).code
    with desk.node.store.read() as transaction:
        tables = [row[0] for row in transaction.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        everything = b"".join(repr(transaction.rows(f"SELECT * FROM {name}")).encode() for name in tables)
        rows = transaction.rows("SELECT sealed FROM password")
    assert len(rows) == 1
    for secret in (signed_in.token, code, code.replace("-", ""), desk.secrets[LEGAL], "argon2", PASSWORD):
        assert secret.encode() not in everything
    assert (desk.node.folder / "keys" / "sign-in.pem").stat().st_mode & 0o777 == 0o600


def test_what_is_sealed_for_one_person_opens_for_nobody_else(desk: Desk) -> None:
    desk.enrol()
    desk.enrol(LIAISON)
    with desk.node.store.write() as transaction:
        transaction.run(
            "UPDATE password SET sealed = (SELECT sealed FROM password WHERE person = ?) WHERE person = ?",
            (LIAISON, LEGAL),
        )
    with pytest.raises(AuthenticationError):
        desk.sign_in(LEGAL, code=desk.show_code(LIAISON, steps=1))


def test_without_the_key_nobody_signs_in_until_invited_anew(desk: Desk) -> None:
    desk.enrol()
    folder = desk.node.folder
    desk.node.close()
    (folder / "keys" / "sign-in.pem").unlink()
    desk.world.open("aurelia")
    with pytest.raises(AuthenticationError):
        desk.sign_in()
    desk.enrol()
    assert desk.sign_in().person.id == LEGAL


# --- how often --------------------------------------------------------------------------------------------------------


def test_a_name_waits_longer_each_time_and_never_for_ever(desk: Desk) -> None:
    desk.enrol()
    tried, waits = 0, list[int]()
    for _ in range(3_600):
        try:
            sign_in(desk.node, desk.tries, name=LEGAL, password="wrong", code="000000")
        except RateLimited as error:
            waits.append(int(error.facts["retry_after"]))
        except AuthenticationError:
            tried += 1
        desk.world.tick(_SECOND)
    assert tried <= 5 + 9 + 12
    assert len(waits) > 3_500
    assert 0 < min(waits) <= max(waits) <= 300
    desk.world.tick(300 * _SECOND)
    assert desk.sign_in().person.id == LEGAL


def test_while_a_name_waits_nothing_is_verified(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.enrol()
    desk.world.tick(60 * _SECOND)
    for _ in range(6):
        with pytest.raises(AuthenticationError):
            sign_in(desk.node, desk.tries, name=LEGAL, password="wrong", code="000000")
        desk.world.tick(_SECOND)
    monkeypatch.setattr(signing_in, "verify_password", lambda *_: pytest.fail("it was verified"))
    with pytest.raises(RateLimited):
        sign_in(desk.node, desk.tries, name=LEGAL, password=PASSWORD, code=desk.show_code())


def test_tries_at_once_count_when_they_begin(desk: Desk) -> None:
    for _ in range(5):
        begin_sign_in(desk.node, desk.tries, LEGAL)
        desk.world.tick(_SECOND // 10)
    with pytest.raises(RateLimited):
        begin_sign_in(desk.node, desk.tries, LEGAL)


def test_a_limit_tells_nothing_of_who_exists(desk: Desk) -> None:
    desk.enrol()
    told = list[list[str]]()
    for name in (LEGAL, "nobody"):
        desk.tries = Tries(f"of {name}")
        said = list[str]()
        for _ in range(9):
            try:
                sign_in(desk.node, desk.tries, name=name, password="wrong", code="000000")
            except ComityError as error:
                said.append(f"{error.code} {error}")
        told.append(said)
    assert told[0] == told[1]
    assert "rate-limited" in told[0][-1]


def test_a_sign_in_forgets_what_failed_before(desk: Desk) -> None:
    desk.enrol()
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            desk.sign_in(password="wrong")
    desk.sign_in()
    with desk.node.store.read() as transaction:
        assert desk.tries.count_names(transaction) == 0


def test_all_names_together_are_bounded_and_no_name_is_forgotten_for_others(desk: Desk) -> None:
    tries, now, tried = Tries(), Instant(1_000 * _SECOND), 0
    with desk.node.store.write() as transaction:
        for _ in range(5):
            assert tries.take(transaction, b"anna", now) == 0
        for number in range(20_000):
            now = Instant(now + _SECOND // 10)
            tried += tries.take(transaction, b"name-%d" % number, now) == 0
            assert tries.count_names(transaction) <= MOST_NAMES
            if number == 8:
                assert tries.take(transaction, b"anna", now) > 0
    assert tried <= 30 + 20_000 / 10 / 2


def test_a_restart_gives_no_new_tries(desk: Desk) -> None:
    desk.enrol()
    desk.world.tick(60 * _SECOND)
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            sign_in(desk.node, desk.tries, name=LEGAL, password=PASSWORD, code="000000")
    desk.world.tick(_SECOND)
    begin_sign_in(desk.node, desk.tries, LEGAL)  # what was begun counts, though nothing came of it
    desk.restart()
    desk.world.tick(_SECOND)
    with pytest.raises(RateLimited, match=r"wait 1 second$"):
        sign_in(desk.node, desk.tries, name=LEGAL, password=PASSWORD, code=desk.show_code())
    desk.world.tick(3_600 * _SECOND)
    assert desk.sign_in().person.id == LEGAL


def test_a_restart_gives_no_new_tries_of_all_names_together(desk: Desk) -> None:
    for number in range(30):
        begin_sign_in(desk.node, desk.tries, f"name-{number}")
    desk.restart()
    with pytest.raises(RateLimited):
        begin_sign_in(desk.node, desk.tries, "another")
    begin_sign_in(desk.node, Tries("known browsers"), "another")


def test_what_was_tried_before_the_clock_was_set_back_holds_nobody_up_for_long(desk: Desk) -> None:
    desk.enrol()
    year = 365 * 86_400 * _SECOND
    desk.world.tick(year)
    for number in range(30):
        begin_sign_in(desk.node, desk.tries, LEGAL if number < 5 else f"name-{number}")
    desk.world.tick(-year)
    for _ in range(2):
        with pytest.raises(RateLimited):
            begin_sign_in(desk.node, desk.tries, LEGAL)
    desk.world.tick(60 * _SECOND)
    assert desk.sign_in().person.id == LEGAL


def test_what_was_typed_as_a_name_is_not_in_the_store(desk: Desk) -> None:
    """A password may have been typed there: its digest alone, without the folder of keys, tells nothing of it."""
    desk.enrol()
    begin_sign_in(desk.node, desk.tries, PASSWORD)
    kept = b"".join(path.read_bytes() for path in desk.node.folder.glob("store*"))
    assert PASSWORD.encode() not in kept
    assert sha256(PASSWORD.encode()).digest() not in kept


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_ends_after_half_an_hour_without_a_request(desk: Desk) -> None:
    token = desk.enrol().token
    desk.world.tick(IDLE - 1)
    assert find_session(desk.node, token) is not None
    desk.world.tick(IDLE - 1)
    assert find_session(desk.node, token) is not None
    desk.world.tick(IDLE)
    assert find_session(desk.node, token) is None
    assert list_sessions(desk.node) == []


def test_a_session_ends_after_twelve_hours_however_it_is_used(desk: Desk) -> None:
    token = desk.enrol().token
    spent = 0
    while spent + IDLE // 2 < LONGEST:
        assert find_session(desk.node, token) is not None
        desk.world.tick(IDLE // 2)
        spent += IDLE // 2
    assert find_session(desk.node, token) is not None
    desk.world.tick(LONGEST - spent - 1)
    assert find_session(desk.node, token) is not None
    desk.world.tick(1)
    assert find_session(desk.node, token) is None


def test_that_a_session_is_used_is_written_once_a_minute(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    token = desk.enrol().token
    written = list[Instant]()
    monkeypatch.setattr(sign_ins, "use_session", lambda *_, now: written.append(now))
    for _ in range(100):
        find_session(desk.node, token)
        desk.world.tick(_SECOND // 2)
    assert written == []
    desk.world.tick(10 * _SECOND)
    find_session(desk.node, token)
    assert len(written) == 1


def test_sessions_end_one_by_one_and_all(desk: Desk) -> None:
    tokens = [desk.enrol().token, *(desk.sign_in().token for _ in range(3))]
    end_token(desk.node, tokens[0])
    assert [find_session(desk.node, token) is not None for token in tokens] == [False, True, True, True]
    end_session(desk.node, LEGAL, list_sessions(desk.node, LEGAL)[0].id)
    assert [find_session(desk.node, token) is not None for token in tokens] == [False, False, True, True]
    assert end_sessions(desk.node, LEGAL) == 2
    assert not any(find_session(desk.node, token) for token in tokens)


def test_nobody_ends_the_session_of_another(desk: Desk) -> None:
    token = desk.enrol().token
    with pytest.raises(NotFoundError):
        end_session(desk.node, LIAISON, list_sessions(desk.node)[0].id)
    assert find_session(desk.node, token) is not None


def test_sessions_end_with_the_badge_and_with_the_person(desk: Desk) -> None:
    token = desk.enrol().token
    people.renew_person(desk.node, LEGAL)
    assert find_session(desk.node, token) is None
    token = desk.sign_in().token
    people.remove_person(desk.node, LEGAL)
    assert find_session(desk.node, token) is None


def test_a_session_that_is_left_of_a_removed_person_opens_nothing(desk: Desk) -> None:
    token = desk.enrol().token
    with desk.node.store.write() as transaction:
        transaction.run("UPDATE person SET removed_at = 1 WHERE id = ?", (LEGAL,))
    assert find_session(desk.node, token) is None


def test_a_person_has_twenty_sessions_and_the_oldest_ends(desk: Desk) -> None:
    tokens = [desk.enrol().token, *(desk.sign_in().token for _ in range(MOST_SESSIONS))]
    good = [find_session(desk.node, token) is not None for token in tokens]
    assert good == [False] + [True] * MOST_SESSIONS


@pytest.mark.parametrize("token", ["", "0" * 64, "x" * 63, "\ud800" * 64, "x" * 1_000_000])
def test_a_token_of_nobody_is_nobodys(desk: Desk, token: str) -> None:
    desk.enrol()
    assert find_session(desk.node, token) is None


def test_a_session_is_found_by_an_index(desk: Desk) -> None:
    with desk.node.store.read() as transaction:
        plan = transaction.rows("EXPLAIN QUERY PLAN SELECT hash FROM session WHERE hash = ?", ("x",))
    assert all("SCAN" not in str(row[3]) for row in plan)


def test_one_person_with_two_sessions_is_one_person(desk: Desk) -> None:
    """What needs two people needs two that signed in, each as itself."""
    world, node = desk.world, desk.world.nodes["borealia"]
    tokens = dict[str, list[str]]()
    other = Desk(world, name="borealia")
    for role in ("liaison", "legal"):
        person = PersonId(f"borealia-{role}")
        tokens[role] = [other.enrol(person).token, other.sign_in(person).token]
    proposed = world.propose("aurelia", world.terms())
    assert isinstance(proposed, Recorded)
    world.deliver()

    def accept(token: str) -> object:
        person = find_session(node, token)
        assert person is not None
        return agree.act_on(node, proposed.event.agreement, EventKind.ACCEPT, by=Actor(person=person))

    assert isinstance(accept(tokens["liaison"][0]), Waiting)
    assert isinstance(accept(tokens["liaison"][1]), Waiting)
    assert isinstance(accept(tokens["legal"][0]), Recorded)


# --- what is known afterwards -----------------------------------------------------------------------------------------


def test_what_happens_at_the_door_is_kept_without_what_was_typed(desk: Desk) -> None:
    desk.enrol()
    with pytest.raises(AuthenticationError):
        desk.sign_in(password="wrong")
    with pytest.raises(AuthenticationError):
        desk.sign_in("my-secret-by-mistake", code="000000")
    end_token(desk.node, desk.sign_in().token)
    end_sessions(desk.node, LEGAL)
    kept = [(item.person, item.what, item.failed) for item in reversed(list_records(desk.node))]
    assert kept == [
        (LEGAL, "sign-in", False),
        (LEGAL, "refused", True),
        (None, "refused", True),
        (LEGAL, "sign-in", False),
        (LEGAL, "sign-out", False),
        (LEGAL, "end-all", False),
    ]
    with desk.node.store.read() as transaction:
        assert "by-mistake" not in repr(transaction.rows("SELECT * FROM sign_in"))


def test_failures_do_not_push_out_what_succeeded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "_KEPT", 10)
    desk.enrol()
    with desk.node.act() as act:
        for _ in range(50):
            sessions.note_failure(act, None, "refused", factor="password")
    kept = list_records(desk.node, limit=100)
    assert sum(item.failed for item in kept) == 10
    assert sum(not item.failed for item in kept) == 1


def test_the_ways_in_are_listed(desk: Desk) -> None:
    desk.enrol()
    invited = invite_person(desk.node, LIAISON)
    ways = read_ways_in(desk.node)
    assert (ways[LEGAL].password, ways[LEGAL].passkeys, ways[LEGAL].last_at) == (True, 0, desk.world.now)
    assert (ways[LIAISON].password, ways[LIAISON].invited_until) == (False, invited.expires_at)
    desk.world.tick(INVITED_FOR)
    assert read_ways_in(desk.node)[LIAISON].invited_until is None


def test_invitation_and_enrolment_are_on_record_and_a_sign_in_is_not(desk: Desk) -> None:
    desk.enrol()
    size = len(list_entries(desk.node, start=0, limit=100))
    desk.sign_in()
    entries = list_entries(desk.node, start=0, limit=100)
    assert len(entries) == size
    said = [entry.content for entry in entries[-2:]]
    assert [entry.leaf.type for entry in entries[-2:]] == [EntryType.PEOPLE] * 2
    common = {"format": "comity-people-record/1", "person": LEGAL, "name": "Aurelia-Legal", "roles": ["legal"]}
    assert said == [{**common, "change": "invite"}, {**common, "change": "enrol", "factor": "password"}]
    assert not audit_folder(desk.node.folder, now=desk.world.now).findings


def test_an_enrolment_that_nobody_was_invited_for_is_found(desk: Desk) -> None:
    with desk.node.act() as act:
        person = people.find_present(act.transaction, LEGAL).person
        people.record_change(act, PeopleChange.ENROL, person, factor="password")
    problems = {item.problem for item in audit_folder(desk.node.folder, now=desk.world.now).findings}
    assert problems == {
        "aurelia-legal was enrolled without an invitation",
        "the person aurelia-legal signs in by something else than the log has put on record",
    }


def test_what_is_said_of_the_ways_in_of_nobody_is_found(desk: Desk) -> None:
    people.remove_person(desk.node, LEGAL)
    with desk.node.act() as act:
        person = people.find_present(act.transaction, LIAISON).person
        people.record_change(act, PeopleChange.INVITE, replace(person, id=LEGAL))
    (finding,) = audit_folder(desk.node.folder, now=desk.world.now).findings
    assert finding.problem == "aurelia-legal, whose signing in it is about, was no person of this party then"


def test_who_shows_no_mark_has_no_key_made(desk: Desk) -> None:
    path = desk.node.keyring.folder / "sign-in.pem"
    assert not path.exists()
    assert not is_marked(desk.node, LEGAL, "")
    assert not path.exists()
    assert is_marked(desk.node, LEGAL, mark_browser(desk.node, LEGAL))
