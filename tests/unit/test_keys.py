# SPDX-License-Identifier: Apache-2.0
"""Keys at rest: encrypted or plain, replaced and protected without a moment at which they cannot be opened."""

import base64
import resource
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from comity import keys
from comity.errors import ConfigError
from comity.keys import Keyring, create_keys
from comity.node.clock import draw_bytes
from comity.signing import Role, RoleKeys, Signer

PASSPHRASE, OTHER = b"correct horse battery staple", b"another one, as long"


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_COST", 1 << 4)
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)


def name(signers: Mapping[Role, Signer]) -> dict[Role, RoleKeys]:
    return {role: RoleKeys(keys=(signer.public_key,), threshold=1) for role, signer in signers.items()}


def keyring(folder: Path, passphrase: bytes | None = None) -> Keyring:
    return Keyring(folder, None if passphrase is None else lambda: passphrase, draw_bytes)


def make(folder: Path, passphrase: bytes | None = None) -> dict[Role, RoleKeys]:
    return name(create_keys(folder, passphrase, draw_bytes))


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_what_was_written_is_opened(tmp_path: Path, passphrase: bytes | None) -> None:
    named = make(tmp_path / "keys", passphrase)
    assert name(keyring(tmp_path / "keys", passphrase).open(named)) == named
    assert bool(keyring(tmp_path / "keys").list_plain()) == (passphrase is None)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_a_passphrase_that_is_not_needed_is_not_asked_for(tmp_path: Path) -> None:
    named = make(tmp_path / "keys")

    def ask() -> bytes:
        raise AssertionError

    Keyring(tmp_path / "keys", ask, draw_bytes).open(named)


def test_the_passphrase_is_asked_for_once(tmp_path: Path) -> None:
    named, asked = make(tmp_path / "keys", PASSPHRASE), list[int]()

    def ask() -> bytes:
        asked.append(1)
        return PASSPHRASE

    Keyring(tmp_path / "keys", ask, draw_bytes).open(named)
    assert asked == [1]


def test_another_passphrase_or_none_is_told_and_not_repeated(tmp_path: Path) -> None:
    named = make(tmp_path / "keys", PASSPHRASE)
    with pytest.raises(ConfigError, match="not opened by the passphrase") as wrong:
        keyring(tmp_path / "keys", OTHER).open(named)
    assert OTHER.decode() not in str(wrong.value)
    with pytest.raises(ConfigError, match="--key-passphrase-file"):
        keyring(tmp_path / "keys").open(named)


def test_no_byte_of_the_private_key_is_in_the_file(tmp_path: Path) -> None:
    named = make(tmp_path / "keys", PASSPHRASE)
    held = keyring(tmp_path / "keys", PASSPHRASE).load(tmp_path / "keys" / "log.pem")
    assert held.public_key().public_bytes_raw() in named[Role.LOG].keys
    text = (tmp_path / "keys" / "log.pem").read_bytes()
    der = base64.b64decode(b"".join(text.splitlines()[1:-1]))
    assert held.private_bytes_raw() not in der


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    named = make(tmp_path / "keys", PASSPHRASE)
    path = tmp_path / "keys" / "log.pem"
    lines = path.read_bytes().splitlines()
    lines[1] = lines[1][:20] + (b"A" if lines[1][20:21] != b"A" else b"B") + lines[1][21:]
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(ConfigError):
        keyring(tmp_path / "keys", PASSPHRASE).open(named)


def test_one_pass_takes_as_long_as_a_guess_shall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 MiB and eight passes of scrypt stand in the file, as OWASP asks for at least."""
    monkeypatch.undo()
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert (keys._COST, keys._BLOCK, keys._PARALLEL) == (16_384, 8, 8)
    key = Ed25519PrivateKey.generate()
    pem = keys.encrypt_key(key, PASSPHRASE, salt=bytes(16), initial=bytes(range(16)))
    assert serialization.load_pem_private_key(pem, password=PASSPHRASE).public_key() == key.public_key()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here")
def test_openssl_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    make(tmp_path / "keys", PASSPHRASE)
    command = [
        "openssl",
        "pkey",
        "-in",
        str(tmp_path / "keys" / "log.pem"),
        "-passin",
        f"pass:{PASSPHRASE.decode()}",
        "-noout",
    ]
    subprocess.run(command, check=True, capture_output=True)


def test_once_a_passphrase_was_given_no_core_is_dumped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = list[object]()
    monkeypatch.setattr(resource, "setrlimit", lambda *given: limits.append(given))
    keyring(tmp_path / "keys", PASSPHRASE).open(make(tmp_path / "keys", PASSPHRASE))
    assert limits == [(resource.RLIMIT_CORE, (1, 1))]


# --- staged keys ------------------------------------------------------------------------------------------------------


def test_the_manifest_says_which_of_two_keys_signs(tmp_path: Path) -> None:
    ring = keyring(tmp_path / "keys", PASSPHRASE)
    before = make(tmp_path / "keys", PASSPHRASE)
    ring.open(before)
    fresh = name(ring.stage([Role.LOG], before))
    assert not keyring(tmp_path / "keys").list_plain(), "what is staged is protected as the others are"
    after = {**before, **fresh}
    assert name(keyring(tmp_path / "keys", PASSPHRASE).open(before)) == before
    assert name(keyring(tmp_path / "keys", PASSPHRASE).open(after)) == after


@pytest.mark.parametrize("committed", [False, True])
def test_what_a_crash_left_is_put_in_order(tmp_path: Path, committed: bool) -> None:
    before = make(tmp_path / "keys")
    ring = keyring(tmp_path / "keys")
    after = {**before, **name(ring.stage(list(Role), before))}
    named = after if committed else before
    ring.settle(named)
    assert len(list((tmp_path / "keys").iterdir())) == len(Role)
    assert name(keyring(tmp_path / "keys").open(named)) == named


def test_a_staged_key_that_is_in_force_is_not_staged_over(tmp_path: Path) -> None:
    """It could not take its place, for want of room say: the next rotation must not lose it."""
    before = make(tmp_path / "keys")
    ring = keyring(tmp_path / "keys")
    after = {**before, **name(ring.stage([Role.LOG], before))}
    ring.stage([Role.LOG], after)
    assert name(ring.open(after)) == after


def test_a_key_that_others_can_read_is_refused_staged_or_not(tmp_path: Path) -> None:
    named = make(tmp_path / "keys")
    (tmp_path / "keys" / "log.pem").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        keyring(tmp_path / "keys").open(named)


# --- protecting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(None, PASSPHRASE), (PASSPHRASE, OTHER), (PASSPHRASE, None)])
def test_protection_changes_and_the_keys_stay(tmp_path: Path, before: bytes | None, after: bytes | None) -> None:
    named = make(tmp_path / "keys", before)
    keyring(tmp_path / "keys", before).protect(named, after)
    assert name(keyring(tmp_path / "keys", after).open(named)) == named
    assert len(keyring(tmp_path / "keys").list_plain()) == (len(Role) if after is None else 0)
    assert len(list((tmp_path / "keys").iterdir())) == len(Role)
    if after is not None:
        with pytest.raises(ConfigError):
            keyring(tmp_path / "keys", before).open(named)


@pytest.mark.parametrize(("before", "after"), [(None, PASSPHRASE), (PASSPHRASE, OTHER), (PASSPHRASE, None)])
@pytest.mark.parametrize("step", range(40))
def test_wherever_it_dies_one_of_the_two_passphrases_opens_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes | None, after: bytes | None, step: int
) -> None:
    named = make(tmp_path / "keys", before)
    ring = keyring(tmp_path / "keys", before)
    ring.open(named)
    died = die_at(monkeypatch, step, lambda: ring.protect(named, after))
    opened = 0
    for passphrase in (after, before):
        copy = tmp_path / f"copy-{opened}-{passphrase is None}-{passphrase == after}"
        shutil.copytree(tmp_path / "keys", copy)
        try:
            ring = keyring(copy, passphrase)
            assert name(ring.open(named)) == named
            ring.settle(named)
            assert name(keyring(copy, passphrase).open(named)) == named
            opened += 1
        except ConfigError:
            continue
    assert opened >= 1
    assert died or name(keyring(tmp_path / "keys", after).open(named)) == named


# --- what people sign in by -------------------------------------------------------------------------------------------


def test_what_seals_is_made_once_and_kept_as_the_keys_are(tmp_path: Path) -> None:
    named = make(tmp_path / "keys", PASSPHRASE)
    ring = keyring(tmp_path / "keys", PASSPHRASE)
    ring.open(named)
    sealing = ring.open_sealing()
    assert len(sealing) == 32
    assert keyring(tmp_path / "keys", PASSPHRASE).open_sealing() == sealing
    assert keyring(tmp_path / "keys").list_plain() == ()
    assert sealing not in (tmp_path / "keys" / "sign-in.pem").read_bytes()
    with pytest.raises(ConfigError):
        keyring(tmp_path / "keys", OTHER).open_sealing()


def test_what_seals_is_not_what_lies_in_the_file(tmp_path: Path) -> None:
    make(tmp_path / "keys")
    ring = keyring(tmp_path / "keys")
    sealing = ring.open_sealing()
    assert ring.load(tmp_path / "keys" / "sign-in.pem").private_bytes_raw() != sealing
    assert tmp_path / "keys" / "sign-in.pem" in ring.list_plain()
    (tmp_path / "keys" / "sign-in.pem").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        keyring(tmp_path / "keys").open_sealing()
    with pytest.raises(ConfigError, match="chmod 600"):
        ring.verify_plain()


@pytest.mark.parametrize(("before", "after"), [(None, PASSPHRASE), (PASSPHRASE, OTHER), (PASSPHRASE, None)])
@pytest.mark.parametrize("step", range(0, 50, 3))
def test_wherever_it_dies_what_seals_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes | None, after: bytes | None, step: int
) -> None:
    named = make(tmp_path / "keys", before)
    ring = keyring(tmp_path / "keys", before)
    ring.open(named)
    sealing = ring.open_sealing()
    die_at(monkeypatch, step, lambda: ring.protect(named, after))
    opened = 0
    for number, passphrase in enumerate((after, before)):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(tmp_path / "keys", copy)
        again = keyring(copy, passphrase)
        try:
            again.open(named)
        except ConfigError:
            continue
        again.settle(named)
        assert keyring(copy, passphrase).open_sealing() == sealing
        assert not list(copy.glob("*.next.pem"))
        opened += 1
    assert opened >= 1


def die_at(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], object]) -> bool:
    """Whether `act` died: before its operation on files number `step`, or in the middle where it is a write."""
    left = [step]

    def before(real: Callable[..., object], half: Callable[..., object] | None = None) -> Callable[..., object]:
        def doing(*args: object, **more: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                if half is not None:
                    half(*args)
                raise Crash
            return real(*args, **more)

        return doing

    def write_half(path: Path, data: bytes) -> None:
        path.touch(mode=0o600)
        path.write_bytes(data[: len(data) // 2])

    with monkeypatch.context() as patched:
        patched.setattr(keys, "_write", before(keys._write, write_half))
        patched.setattr(keys, "_sync", before(keys._sync))
        patched.setattr(Path, "replace", before(Path.replace))
        # A process that dies deletes nothing on its way.
        patched.setattr(Keyring, "drop", lambda *_: None)
        try:
            act()
        except Crash:
            return True
    return False
