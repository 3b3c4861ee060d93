# SPDX-License-Identifier: Apache-2.0
"""The settings and figures in the documents are those of the program."""

import dataclasses
import re
import tomllib
from pathlib import Path

from comity.config import Limits, Settings, load_settings
from comity.console.provider import RETURN_PATH
from comity.node.figures import Figures
from comity.taxii.metrics import Metrics

QUOTA = ("write_bytes_per_day", "write_objects_per_day")
DOCUMENT = (Path(__file__).parents[2] / "docs" / "howto" / "run-for-real.md").read_text(encoding="utf-8")


WITNESSES = (Path(__file__).parents[2] / "docs" / "howto" / "run-a-witness.md").read_text(encoding="utf-8")
SIGN_IN = (Path(__file__).parents[2] / "docs" / "howto" / "sign-in-to-the-console.md").read_text(encoding="utf-8")


def read_example() -> str:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
    return str(text)


def test_the_documented_settings_are_read_and_the_limits_shown_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(read_example(), encoding="utf-8")
    settings = load_settings(tmp_path)
    assert settings.limits == Limits()
    assert settings.tls is not None
    assert settings.admin is not None


def test_every_setting_is_documented() -> None:
    shown = tomllib.loads(read_example())
    assert shown["limits"].keys() == {item.name for item in dataclasses.fields(Limits)}
    # The state, the proxy, the console, what partners may write and witnesses have documents of their own.
    own = {"state", "proxy", "console", "witnesses", *QUOTA}
    assert {item.name for item in dataclasses.fields(Settings)} - shown.keys() == own


def test_the_witnesses_in_the_document_are_settings(tmp_path: Path) -> None:
    (partners, alone) = re.findall(r"^```toml\n(.*?)^```$", WITNESSES, flags=re.DOTALL | re.MULTILINE)
    head = 'party = "aurelia"\nname = "A"\nlisten = "127.0.0.1:0"\n'
    (tmp_path / "node.toml").write_text(head + partners, encoding="utf-8")
    assert [each.party for each in load_settings(tmp_path).witnesses] == ["borealia", "meridia"]
    (tmp_path / "node.toml").write_text(head + alone, encoding="utf-8")
    assert [each.url for each in load_settings(tmp_path).witnesses] == ["https://witness.north.example"]


def test_the_provider_in_the_document_is_a_setting(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", SIGN_IN, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "node.toml").write_text('party = "aurelia"\nname = "A"\nlisten = "127.0.0.1:0"\n' + shown)
    console = load_settings(tmp_path).console
    assert console is not None
    assert console.oidc is not None
    assert {item.name for item in dataclasses.fields(console.oidc)} == tomllib.loads(shown)["console"]["oidc"].keys()
    assert f"{console.url}{RETURN_PATH}" in SIGN_IN


def test_every_figure_is_documented() -> None:
    figures = Figures(log_entries=0, outbox=0, agreements={}, manifests={})
    metrics = Metrics(lambda: figures, connections=lambda: 0, certificate_expires_at=lambda: None, held=lambda: 0)
    told = set(re.findall(r"^# TYPE (\w+)", metrics.format().decode(), flags=re.MULTILINE))
    told -= {name for name in told if name.endswith("_created")}
    told.add("comity_tls_certificate_expiry_timestamp_seconds")
    assert set(re.findall(r"`(comity_\w+)`", DOCUMENT)) == told
