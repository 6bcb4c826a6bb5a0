"""The bridge's own small values: in the data folder with SQLite, in the database with PostgreSQL, and nobody else's."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select
from support.pages import agency
from support.running_bridge import config_for

from amo_bridge.config.model import Config
from amo_bridge.crm.tokens import TokenPair
from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.keyvalue import JsonStore
from amo_bridge.runtime.connection import HOOK_SECRET, Connection, known_secret
from amo_bridge.storage.database import Store
from amo_bridge.storage.secrets import (
    FileSecretStore,
    KeptSecrets,
    SecretStore,
    TableState,
    known_account,
    small_state,
    without_kept,
)
from amo_bridge.storage.tables import small_state as table

KEY = {"AMO_BRIDGE_KEY": Fernet.generate_key().decode()}
PAIR = TokenPair("access", "refresh", 1_800_000_000.0, "https://example.amocrm.ru")


@pytest.fixture(params=["sqlite", "postgresql"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """A config for each kind of database, prepared."""
    more: dict[str, str] = {}
    if request.param == "postgresql":
        more["AMO_BRIDGE_DATABASE"] = request.getfixturevalue("postgres_url")
    config = config_for("https://example.amocrm.ru", tmp_path / "data", **more)
    store = Store.at(config.bridge.database, config.data_folder)
    store.prepare()
    store.close()
    return config


@pytest.fixture
def state(config: Config) -> SecretStore:
    return small_state(config, KEY)


def test_values_last(config: Config, state: SecretStore) -> None:
    state.accounts.write("a", {"имя": [1, None]})
    state.secrets.write("a", "другое")
    again = small_state(config, KEY)
    assert again.accounts.read("a") == {"имя": [1, None]}
    assert again.secrets.read("a") == "другое"
    again.accounts.write("a", 2)
    assert state.accounts.read("a") == 2
    state.accounts.remove("a")
    state.accounts.remove("never there")
    assert again.accounts.read("a") is None


def test_names_of_the_account_are_those_that_were_written_last(config: Config, state: SecretStore) -> None:
    first, second = agency(), replace(agency(), source={**agency().source, "users": []})
    assert known_account(config, KEY) is None
    state.accounts.write(config.account.url, {"account": first.to_json()})
    assert known_account(config, KEY) == known_account(config, KEY) == first
    state.accounts.write(config.account.url, {"account": second.to_json()})
    found = known_account(config, KEY)
    assert found is not None
    assert found.users == ()
    state.accounts.remove(config.account.url)
    assert known_account(config, KEY) is None


def test_a_file_is_read_again_only_when_it_was_written(tmp_path: Path) -> None:
    values = JsonStore(tmp_path / "values.db", "values")
    assert values.mark() is None
    values.write("a", 1)
    before = values.mark()
    assert before is not None
    assert (values.read("a"), values.mark()) == (1, before)
    JsonStore(tmp_path / "values.db", "values").write("a", 2)
    assert values.mark() not in (None, before)
    with sqlite3.connect(tmp_path / "values.db") as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    assert values.mark() is None


def test_tokens_last_and_the_pair_before_is_kept(config: Config, state: SecretStore) -> None:
    state.tokens.save("example.amocrm.ru", PAIR)
    assert small_state(config, KEY).tokens.load("example.amocrm.ru") == PAIR
    assert state.tokens.load("other.amocrm.ru") is None


def test_a_value_is_taken_by_one_of_many(config: Config, state: SecretStore) -> None:
    state.secrets.write("once", 1)
    together = threading.Barrier(6)
    got: list[Any] = []

    def take() -> None:
        mine = small_state(config, KEY)
        together.wait(30)
        got.append(mine.secrets.take("once"))

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(got, key=str) == [1, None, None, None, None, None]
    assert state.secrets.take("never there") is None


def test_the_lock_keeps_others_out(config: Config, state: SecretStore) -> None:
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait(30)
        with small_state(config, KEY).lock("tokens"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with state.lock("tokens"), state.lock("another"):
        inside.set()
        for _ in range(3):
            order.append("first")
            thread.join(0.05)
    thread.join(30)
    assert order == ["first"] * 3 + ["second"]


def test_the_hooks_secret_is_made_once_by_whoever_comes_first(config: Config) -> None:
    environment = {**KEY, "AMO_BRIDGE_TOKEN": "token"}
    assert known_secret(config, environment) is None
    made = [Connection(config, environment).remembered(HOOK_SECRET, lambda mark=mark: mark) for mark in ("one", "two")]
    assert made == ["one", "one"]
    assert known_secret(config, environment) == "one"
    assert known_secret(config, {**environment, "AMO_BRIDGE_HOOK_SECRET": "given"}) == "given"


def test_accounts_that_share_a_place_keep_their_own(config: Config, tmp_path: Path) -> None:
    other = config_for("https://other.amocrm.ru", tmp_path / "data", AMO_BRIDGE_DATABASE=config.bridge.database)
    environment = {**KEY, "AMO_BRIDGE_TOKEN": "token"}
    assert Connection(config, environment).remembered(HOOK_SECRET, lambda: "mine") == "mine"
    assert Connection(other, environment).remembered(HOOK_SECRET, lambda: "theirs") == "theirs"


def test_another_key_says_what_to_do(config: Config, state: SecretStore) -> None:
    state.secrets.write("a", "тайна")
    state.tokens.save("example.amocrm.ru", PAIR)
    stranger = small_state(config, {"AMO_BRIDGE_KEY": Fernet.generate_key().decode()})
    with pytest.raises(ConfigError, match="зашифрованы другим ключом: верните прежний AMO_BRIDGE_KEY"):
        stranger.secrets.read("a")
    with pytest.raises(ConfigError, match="зашифрованы другим ключом"):
        stranger.tokens.load("example.amocrm.ru")


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


def test_with_postgresql_the_key_must_be_given(tmp_path: Path, postgres_url: str) -> None:
    config = config_for("https://example.amocrm.ru", tmp_path, AMO_BRIDGE_DATABASE=postgres_url)
    with pytest.raises(ConfigError, match="нужен ключ шифрования: передайте его в AMO_BRIDGE_KEY"):
        small_state(config, {})
    assert isinstance(small_state(config, KEY), TableState)
    key_file = tmp_path / "key"
    key_file.write_text(KEY["AMO_BRIDGE_KEY"], "ascii")
    assert isinstance(small_state(config, {"AMO_BRIDGE_KEY_FILE": str(key_file)}), TableState)
    assert not (tmp_path / "bridge.key").exists()


def test_with_sqlite_a_key_is_made(tmp_path: Path) -> None:
    state = FileSecretStore(tmp_path, {})
    state.secrets.write("a", 1)
    assert FileSecretStore(tmp_path, {}).secrets.read("a") == 1
    assert (tmp_path / "bridge.key").stat().st_mode & 0o077 == 0


def test_nothing_is_readable_in_the_database(tmp_path: Path, postgres_url: str) -> None:
    config = config_for("https://example.amocrm.ru", tmp_path, AMO_BRIDGE_DATABASE=postgres_url)
    store = Store(postgres_url)
    store.prepare()
    state = small_state(config, KEY)
    state.accounts.write("a", "имя")
    state.secrets.write("a", "secret-text")
    state.tokens.save("a", PAIR)
    with store.read() as connection:
        rows = connection.execute(select(table.c.section, table.c.value)).all()
    store.close()
    assert {row.section for row in rows} == {"accounts", "secrets", "tokens"}
    assert all(row.value.startswith("gAAAA") for row in rows), "Fernet's tokens, and nothing but"


def test_a_database_that_nobody_has_prepared_says_so(tmp_path: Path, postgres_url: str) -> None:
    config = config_for("https://example.amocrm.ru", tmp_path, AMO_BRIDGE_DATABASE=postgres_url)
    with pytest.raises(StoreUnavailable, match="ещё не подготовлена: запустите amo-bridge serve"):
        small_state(config, KEY).secrets.read("a")


def test_a_database_that_is_away_says_so_without_the_password(tmp_path: Path) -> None:
    url = "postgresql://bridge:hush@127.0.0.1:9/bridge?connect_timeout=2"
    config = config_for("https://example.amocrm.ru", tmp_path, AMO_BRIDGE_DATABASE=url)
    state = small_state(config, KEY)
    with pytest.raises(StoreUnavailable) as caught:
        state.secrets.read("a")
    with pytest.raises(StoreUnavailable), state.lock("tokens"):
        pass
    assert "не отвечает" in str(caught.value)
    assert "hush" not in str(caught.value)


# --- secrets that pages keep ------------------------------------------------------------------------------------------

WORD = "AMO_BRIDGE_SMSRU_ID"


def test_a_secret_of_a_page_is_found_where_the_variable_would_be(config: Config) -> None:
    page = KeptSecrets(config, KEY)
    assert page.get(WORD) is None
    page.keep(WORD, "kept")
    page.keep("AMO_BRIDGE_SMSC_PASSWORD", "other")
    for found in (page, KeptSecrets(config, KEY)):
        assert found[WORD] == "kept"
        assert {**found} == {**KEY, WORD: "kept", "AMO_BRIDGE_SMSC_PASSWORD": "other"}
        assert len(found) == 3
    page.keep(WORD, "")
    assert WORD not in page
    assert page["AMO_BRIDGE_SMSC_PASSWORD"] == "other"


@pytest.mark.parametrize("outside", [{WORD: "outside"}, {f"{WORD}_FILE": "/run/secrets/smsru"}])
def test_the_environment_comes_first(config: Config, outside: dict[str, str]) -> None:
    KeptSecrets(config, KEY).keep(WORD, "kept")
    found = KeptSecrets(config, {**KEY, **outside})
    assert found.is_set_outside(WORD)
    assert found.get(WORD, "") == outside.get(WORD, "")
    assert not KeptSecrets(config, {**KEY, WORD: " "}).is_set_outside(WORD), "an empty variable sets nothing"


def test_a_change_is_news_until_it_is_taken_in_whatever_process(config: Config) -> None:
    page, worker = KeptSecrets(config, KEY), KeptSecrets(config, KEY)
    assert not page.changed()
    assert not worker.changed()
    page.keep(WORD, "kept")
    assert worker.get(WORD) is None, "read once"
    for secrets in (page, worker):
        assert secrets.changed()
        assert secrets[WORD] == "kept"
        assert secrets.changed(), "not in force yet"
        secrets.take()
        assert not secrets.changed()


def test_what_is_there_already_is_no_news(config: Config) -> None:
    KeptSecrets(config, KEY).keep(WORD, "kept")
    assert not KeptSecrets(config, KEY).changed()


def test_a_secret_is_put_back_only_in_place_of_ones_own(config: Config) -> None:
    mine, theirs = KeptSecrets(config, KEY), KeptSecrets(config, KEY)
    mine.keep(WORD, "mine")
    theirs.keep(WORD, "theirs")
    mine.keep(WORD, "before", instead_of="mine")
    assert KeptSecrets(config, KEY)[WORD] == "theirs"
    mine.keep(WORD, "before", instead_of="theirs")
    assert KeptSecrets(config, KEY)[WORD] == "before"


def test_an_empty_variable_is_still_one(config: Config) -> None:
    told = {**KEY, "AMO_BRIDGE_PUBLIC_URL": "", WORD: ""}
    secrets = KeptSecrets(config, told)
    assert {**secrets} == told
    secrets.keep(WORD, "kept")
    assert {**secrets} == {**told, WORD: "kept"}
    assert without_kept(secrets) == told, "a process that needs none gets none"
    assert without_kept(told) == told


def test_secrets_under_another_key_are_none_and_told(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    KeptSecrets(config, KEY).keep(WORD, "kept")
    found = KeptSecrets(config, {"AMO_BRIDGE_KEY": Fernet.generate_key().decode()})
    assert found.get(WORD) is None
    assert found["AMO_BRIDGE_KEY"], "everything else goes on"
    assert "зашифрованы другим ключом" in capsys.readouterr().out
    with pytest.raises(ConfigError):
        found.keep("AMO_BRIDGE_SMSC_PASSWORD", "would replace what nobody can read")


def test_accounts_of_one_folder_have_secrets_of_their_own(config: Config) -> None:
    other = replace(config, account=config.account.model_copy(update={"url": "https://other.amocrm.ru"}))
    KeptSecrets(config, KEY).keep(WORD, "kept")
    assert KeptSecrets(other, KEY).get(WORD) is None
