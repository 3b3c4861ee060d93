# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from comity.config import WitnessedLogs, WitnessSetting, load_settings
from comity.errors import ConfigError
from comity.tlog.note import format_vkey
from tests.vectors.cosignatures.make import LATTICE, LOG_VKEY, witness_key

HEAD = 'party = "aurelia"\nname = "A"\nlisten = "127.0.0.1:0"\n'
KEY = format_vkey(witness_key("borlund"))


def load(folder: Path, text: str) -> tuple[WitnessSetting, ...]:
    (folder / "node.toml").write_text(HEAD + text, encoding="utf-8")
    return load_settings(folder).witnesses


def test_witnesses_are_partners_or_stand_alone(tmp_path: Path) -> None:
    text = f'[[witness]]\nparty = "borealia"\n[[witness]]\nkey = "{KEY}"\nurl = "https://w.example/"\n'
    assert load(tmp_path, text) == (
        # A partner is shown the house's log and its own, a witness that is none all there are.
        WitnessSetting(party="borealia", logs=WitnessedLogs.HOUSE),  # type: ignore[arg-type] # compared by its text
        WitnessSetting(key=witness_key("borlund"), url="https://w.example", logs=WitnessedLogs.ALL),
    )
    text = f'[[witness]]\nkey = "{format_vkey(LATTICE)}"\nurl = "http://127.0.0.1:1"\n'
    assert load(tmp_path, text)[0].key == LATTICE
    assert load(tmp_path, "") == ()


def test_which_logs_a_witness_is_shown_can_be_said(tmp_path: Path) -> None:
    for said in WitnessedLogs:
        assert load(tmp_path, f'[[witness]]\nparty = "borealia"\nlogs = "{said}"\n')[0].logs is said
    stand_alone = f'[[witness]]\nkey = "{KEY}"\nurl = "https://w.example/"\nlogs = '
    assert load(tmp_path, stand_alone + '"house"')[0].logs is WitnessedLogs.HOUSE
    for wrong in (stand_alone + '"own"', stand_alone + '"some"', '[[witness]]\nparty = "borealia"\nlogs = "none"'):
        with pytest.raises(ConfigError, match="logs is house or all, and of a partner also own"):
            load(tmp_path, wrong)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('witness = "borealia"', "list of tables"),
        ('[witness]\nparty = "borealia"', "list of tables"),
        ("[[witness]]", "either party, or key and url"),
        (f'[[witness]]\nparty = "borealia"\nkey = "{KEY}"\nurl = "https://w.example"', "either party, or key and url"),
        ('[[witness]]\nparty = "borealia"\nurl = "https://w.example"', "either party, or key and url"),
        (f'[[witness]]\nkey = "{KEY}"', "either party, or key and url"),
        (f'[[witness]]\nkey = "{KEY}"\nurl = "w.example"', "begins with https"),
        (f'[[witness]]\nkey = "x{KEY}"\nurl = "https://w.example"', "has the hash"),
        (f'[[witness]]\nkey = "{LOG_VKEY}"\nurl = "https://w.example"', "one of a log"),
        ('[[witness]]\nparty = "BOREALIA"', "BOREALIA"),
        ('[[witness]]\nparty = "aurelia"', "itself"),
        ('[[witness]]\nparty = "borealia"\n[[witness]]\nparty = "borealia"', "twice"),
        ('[[witness]]\nparty = "borealia"\nquorum = 1', "unknown setting"),
        ("".join(f'[[witness]]\nparty = "p{number}"\n' for number in range(33)), "at most 32"),
    ],
)
def test_what_is_no_witness_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(tmp_path, text)
