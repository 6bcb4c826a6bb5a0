"""Secrets come from the environment, by value or by file; the database's password stands apart from its address."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.config_text import write

from amo_bridge.config.loader import load, secret
from amo_bridge.errors import ConfigError

ADDRESS = "postgresql://bridge@db/bridge"


def database(tmp_path: Path, **environment: str) -> str:
    return load(write(tmp_path), environment).bridge.database


def problem(tmp_path: Path, **environment: str) -> str:
    with pytest.raises(ConfigError) as refused:
        database(tmp_path, **environment)
    (told,) = refused.value.problems
    return told


def test_the_password_of_the_database_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("п@р/оль\n", "utf-8")
    told = database(tmp_path, AMO_BRIDGE_DATABASE=ADDRESS, AMO_BRIDGE_DATABASE_PASSWORD_FILE=str(tmp_path / "password"))
    assert told == "postgresql+psycopg://bridge:%D0%BF%40%D1%80%2F%D0%BE%D0%BB%D1%8C@db/bridge"


def test_it_may_be_a_variable_and_wins_over_the_address(tmp_path: Path) -> None:
    told = database(
        tmp_path, AMO_BRIDGE_DATABASE="postgresql://bridge:old@db/bridge", AMO_BRIDGE_DATABASE_PASSWORD="new"
    )
    assert told == "postgresql+psycopg://bridge:new@db/bridge"


def test_without_it_the_address_stays_as_it_is(tmp_path: Path) -> None:
    assert database(tmp_path, AMO_BRIDGE_DATABASE=ADDRESS) == "postgresql+psycopg://bridge@db/bridge"
    assert database(tmp_path) == ""


def test_a_password_without_a_database_is_a_mistake_and_is_not_told(tmp_path: Path) -> None:
    told = problem(tmp_path, AMO_BRIDGE_DATABASE_PASSWORD="hunter2")
    assert "базы PostgreSQL нет; задайте AMO_BRIDGE_DATABASE" in told
    assert "hunter2" not in told


def test_a_secret_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    told = problem(tmp_path, AMO_BRIDGE_DATABASE=ADDRESS, AMO_BRIDGE_DATABASE_PASSWORD_FILE=str(tmp_path / "none"))
    assert "AMO_BRIDGE_DATABASE_PASSWORD_FILE" in told
    assert str(tmp_path / "none") in told


def test_a_variable_wins_over_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from the file\n")
    named = {"AMO_BRIDGE_TOKEN_FILE": str(tmp_path / "token")}
    assert secret(named, "AMO_BRIDGE_TOKEN") == "from the file"
    assert secret({**named, "AMO_BRIDGE_TOKEN": " given "}, "AMO_BRIDGE_TOKEN") == "given"
    assert secret({}, "AMO_BRIDGE_TOKEN") == ""
