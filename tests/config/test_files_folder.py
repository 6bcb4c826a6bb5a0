"""A folder of configs: one account a file, each with its own secrets, and none spoils another's day."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.running_bridge import EXAMPLE

from amo_bridge.config.files import environment_of, load_folder
from amo_bridge.errors import ConfigError


def put(folder: Path, name: str, url: str) -> None:
    text = EXAMPLE.read_text("utf-8").replace("https://example.amocrm.ru", url)
    (folder / f"{name}.toml").write_text(text, "utf-8")


def test_each_file_is_an_account(tmp_path: Path) -> None:
    put(tmp_path, "beta", "https://beta.amocrm.ru")
    put(tmp_path, "acme", "https://acme.amocrm.ru")
    (tmp_path / "notes.txt").write_text("не настройка", "utf-8")
    found = load_folder(tmp_path, {"AMO_BRIDGE_TOKEN__ACME": "a", "AMO_BRIDGE_DATA": str(tmp_path / "data")})
    assert [(one.name, one.config.account.url if one.config else "") for one in found] == [
        ("acme", "https://acme.amocrm.ru"),
        ("beta", "https://beta.amocrm.ru"),
    ]
    assert [one.environment.get("AMO_BRIDGE_TOKEN") for one in found] == ["a", None]


def test_a_broken_file_is_told_of_and_the_others_are_read(tmp_path: Path) -> None:
    put(tmp_path, "acme", "https://acme.amocrm.ru")
    (tmp_path / "broken.toml").write_text("[account\n", "utf-8")
    acme, broken = load_folder(tmp_path, {})
    assert acme.config is not None
    assert broken.config is None
    assert "broken.toml" in broken.problems[0]


def test_one_account_in_two_files_is_a_mistake(tmp_path: Path) -> None:
    put(tmp_path, "acme", "https://acme.amocrm.ru")
    put(tmp_path, "copy", "https://ACME.amocrm.ru/")
    first, second = load_folder(tmp_path, {})
    assert first.config is not None
    assert second.config is None
    assert second.problems == ("copy.toml: [account] url: этот же аккаунт уже в файле acme.toml",)


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"нет ни одного файла \*\.toml"):
        load_folder(tmp_path, {})


def test_what_belongs_to_one_account_is_not_given_to_all() -> None:
    told = {
        "AMO_BRIDGE_TOKEN": "of whom?",
        "AMO_BRIDGE_ACCOUNT_URL": "https://whose.amocrm.ru",
        "AMO_BRIDGE_HOOK_SECRET": "of whom?",
        "AMO_BRIDGE_KEY": "common",
        "AMO_BRIDGE_TOKEN_FILE__MY_SHOP": "/run/secrets/my-shop",
        "AMO_BRIDGE_HOOK_SECRET__ACME": "acme's",
    }
    assert environment_of(told, "my-shop") | {"AMO_BRIDGE_HOOK_SECRET__ACME": ""} == {
        "AMO_BRIDGE_KEY": "common",
        "AMO_BRIDGE_TOKEN_FILE": "/run/secrets/my-shop",
        "AMO_BRIDGE_TOKEN_FILE__MY_SHOP": "/run/secrets/my-shop",
        "AMO_BRIDGE_HOOK_SECRET__ACME": "",
    }
