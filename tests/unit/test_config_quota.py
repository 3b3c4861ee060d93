# SPDX-License-Identifier: Apache-2.0
"""How much partners may write, as `node.toml` says it."""

from pathlib import Path

import pytest

from comity.config import load_settings
from comity.errors import ConfigError

TOML = 'party = "aurelia"\nname = "Aurelia"\nlisten = "127.0.0.1:0"\n'


def write(folder: Path, line: str) -> Path:
    (folder / "node.toml").write_text(TOML + line)
    return folder


def test_without_a_word_each_partner_may_write_a_quarter_of_a_gibibyte(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, ""))
    assert (settings.write_bytes_per_day, settings.write_objects_per_day) == (256 * 2**20, 100_000)


def test_the_quota_is_read(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "write_bytes_per_day = 10485760\nwrite_objects_per_day = 1\n"))
    assert (settings.write_bytes_per_day, settings.write_objects_per_day) == (10_485_760, 1)


@pytest.mark.parametrize("name", ["write_bytes_per_day", "write_objects_per_day"])
@pytest.mark.parametrize("value", ["0", "-1", "true", "1.5", '"1"', "[]"])
def test_what_is_no_quota_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is a whole number"):
        load_settings(write(tmp_path, f"{name} = {value}\n"))


def test_the_longest_envelope_that_is_promised_fits_into_a_day(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="write_bytes_per_day"):
        load_settings(write(tmp_path, "write_bytes_per_day = 10485759\n"))
