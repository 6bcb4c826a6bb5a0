"""What goes wrong is told in words, in a way that fits whoever asked."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from support.pages import Pages, Visit, words_of

from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.storage.database import Store
from amo_bridge.web.accounts import Accounts


def test_a_page_that_is_not_there(admin: Visit, pages: Pages) -> None:
    for visit in (admin, pages.stranger()):
        answer = visit.get("/nowhere")
        assert answer.status_code == 404
        assert "Страницы нет" in words_of(answer)


def test_what_nobody_foresaw_gets_a_number_and_no_details(pages: Pages, admin: Visit) -> None:
    def broken(deal_id: int) -> str:
        raise RuntimeError("inside")

    pages.app.view_functions["deal.show"] = broken
    with capture_logs() as told:
        answer = admin.get("/deals/7")
    assert answer.status_code == 500
    assert "inside" not in answer.text
    (line,) = [one for one in told if one["event"] == "page failed"]
    assert f"Номер ошибки: {line['reference']}" in words_of(answer)
    assert str(line["exc_info"]) == "inside"


def test_a_part_of_a_page_gets_a_line_where_notices_are(pages: Pages, admin: Visit) -> None:
    answer = admin.get("/nowhere", headers={"HX-Request": "true"})
    assert answer.status_code == 404
    assert "<html" not in answer.text
    assert answer.headers["HX-Retarget"] == "#notices"


def test_an_account_that_was_never_met_has_nothing_to_show_yet(pages: Pages, admin: Visit) -> None:
    with pages.office.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM accounts")
    answer = admin.get("/deals/7")
    assert answer.status_code == 503
    assert "Мост ещё не познакомился с аккаунтом" in words_of(answer)


def test_a_store_that_does_not_answer(pages: Pages, admin: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(store: Store) -> None:
        raise StoreUnavailable("диск полон")

    monkeypatch.setattr(Store, "read", silent)
    answer = admin.get("/")
    assert answer.status_code == 503
    assert "База не отвечает" in words_of(answer)
    assert answer.headers["Retry-After"]


def test_without_a_key_nobody_comes_in_and_the_page_says_why(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    def keyless(office: Accounts) -> str:
        raise ConfigError(["Нужен ключ шифрования"])

    monkeypatch.setattr(Accounts, "session_key", keyless)
    pages.app.secret_key = None
    answer = pages.stranger().get("/login")
    assert answer.status_code == 503
    assert "Нужен ключ шифрования" in words_of(answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/hooks/amocrm/secret", 405),
        ("POST", "/hooks/nobody/has/this", 404),
        ("GET", "/health/nowhere", 404),
        ("POST", "/metrics", 405),
    ],
)
def test_an_address_without_pages_says_no_without_a_key_and_without_a_store(
    method: str, path: str, status: int, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keyless(office: Accounts) -> str:
        raise StoreUnavailable("диск полон")

    monkeypatch.setattr(Accounts, "session_key", keyless)
    for key in (None, "signs forms"):
        pages.app.secret_key = key
        answer = pages.app.test_client().open(path, method=method)
        assert answer.status_code == status
        assert "Set-Cookie" not in answer.headers
