# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from comity.config import WitnessSetting, load_settings
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
        WitnessSetting(party="borealia"),  # type: ignore[arg-type] # compared by its text
        WitnessSetting(key=witness_key("borlund"), url="https://w.example"),
    )
    text = f'[[witness]]\nkey = "{format_vkey(LATTICE)}"\nurl = "http://127.0.0.1:1"\n'
    assert load(tmp_path, text)[0].key == LATTICE
    assert load(tmp_path, "") == ()


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
