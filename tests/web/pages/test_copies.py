"""Copies of the data from a page: made, listed, given to an admin who says his password, put back by the command."""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.pages import PASSWORD, Pages, Visit, words_of

from amo_bridge.storage.backup import restore
from amo_bridge.storage.database import DATABASE
from amo_bridge.web.auth.users import Role

PAGE = "/settings/copies"


@pytest.fixture
def owner(pages: Pages) -> Visit:
    """An admin with a password of his own."""
    visit = pages.stranger()
    visit.become(pages.office.users.sit_down(pages.add_user("Анна", Role.ADMIN)))
    return visit


def made(owner: Visit) -> str:
    owner.post(PAGE, {"note": "перед обновлением"})
    found = re.search(r"amo-bridge-\d{8}T\d{6}\.tar", owner.get(PAGE).text)
    assert found is not None
    return found[0]


def test_the_command_that_puts_it_back_runs_in_any_folder(
    pages: Pages, owner: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = pages.bridge.config
    made(owner)
    monkeypatch.chdir(config.path.parent)
    pages.bridge.config = replace(config, path=Path(config.path.name))
    assert f"--config {config.path}" in words_of(owner.get(PAGE))


def test_a_copy_is_made_listed_and_can_be_put_back(pages: Pages, owner: Visit, tmp_path: Path) -> None:
    assert "Копий ещё нет" in words_of(owner.get(PAGE))
    name = made(owner)
    words = words_of(owner.get(PAGE))
    assert "перед обновлением" in words
    assert f"{name} --force --config" in words
    config = pages.bridge.config
    path = config.data_folder / "copies" / name
    assert path.stat().st_mode & 0o077 == 0
    elsewhere = replace(config, bridge=config.bridge.model_copy(update={"data": str(tmp_path / "elsewhere")}))
    restore(elsewhere, path, datetime.now(UTC), force=False)
    assert (tmp_path / "elsewhere" / DATABASE).exists()


def test_it_is_given_to_whoever_says_the_password_again(pages: Pages, owner: Visit) -> None:
    name = made(owner)
    refused = owner.post(f"{PAGE}/{name}/download", {"password": "не тот"}, page=PAGE)
    assert (refused.status_code, "Пароль не подходит" in words_of(refused)) == (403, True)
    given = owner.post(f"{PAGE}/{name}/download", {"password": PASSWORD}, page=PAGE, buffered=True)
    assert given.headers["Cache-Control"] == "no-store"
    with tarfile.open(fileobj=io.BytesIO(given.data)) as archive:
        assert "about.json" in archive.getnames()
    assert f"Скачана копия данных {name}" in words_of(owner.get("/audit"))
    assert owner.get(f"{PAGE}/{name}/download").status_code == 405


@pytest.mark.parametrize("name", ["..%2Fconfig.toml", "bridge.db", "amo-bridge-20200101T000000.tar"])
def test_only_copies_are_given(owner: Visit, name: str) -> None:
    assert owner.post(f"{PAGE}/{name}/download", {"password": PASSWORD}, page=PAGE).status_code == 404
    assert owner.post(f"{PAGE}/{name}/delete", page=PAGE).status_code == 404


def test_a_copy_is_deleted_and_there_are_never_too_many(
    pages: Pages, owner: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amo_bridge.web.services.copies.MOST_COPIES", 1)
    name = made(owner)
    owner.post(PAGE, {"note": "ещё"})
    assert "скачайте и удалите лишнюю" in words_of(owner.get(PAGE))
    owner.post(f"{PAGE}/{name}/delete", page=PAGE)
    assert not list((pages.bridge.config.data_folder / "copies").glob("*.tar"))


def test_a_file_that_is_no_copy_is_told_of_beside_the_others(pages: Pages, owner: Visit) -> None:
    made(owner)
    (pages.bridge.config.data_folder / "copies" / "amo-bridge-20200101T000000.tar").write_bytes(b"no archive")
    words = words_of(owner.get(PAGE))
    assert "amo-bridge-20200101T000000.tar не читается" in words
    assert "перед обновлением" in words
