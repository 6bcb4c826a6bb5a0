"""A deal's services by the API: read as lines, saved whole, refused when they were made from an older text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update
from support.api_client import Program
from support.pages import Pages, agency

from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import outbox
from amo_bridge.web.auth.users import Role

TEXT = "Бузова Ольга (контакт 41):\n— Instagram: Сторис\n\nНе разобрано:\nуточнить у клиента"
PATH = "/deals/30000001/services"
KIM = {"name": "Ким Мария", "contact_id": None, "services": [{"platform": "Telegram", "service": "Пост"}]}


@pytest.fixture
def editor(pages: Pages) -> Program:
    """Knows a deal whose field says ``TEXT``."""
    pages.know_account(agency())
    pages.know_deal("Ромашка", fields={agency().field("Услуги").id: (TEXT,)})
    return Program(pages, Role.WEBINAR)


def saved_text(pages: Pages) -> str:
    with pages.office.store.read() as connection:
        payload = connection.execute(select(outbox.c.payload)).scalar_one()
    return str(json.loads(payload)["body"]["custom_fields_values"][0]["values"][0]["value"])


def test_they_are_read_as_lines(editor: Program) -> None:
    told = editor.get(PATH)
    assert told["bloggers"] == [
        {"name": "Бузова Ольга", "contact_id": 41, "services": [{"platform": "Instagram", "service": "Сторис"}]}
    ]
    assert told["unread"] == ["уточнить у клиента"]
    assert told["saving"] == {"state": "none", "error": ""}
    assert told["platforms"]["Telegram"]


def test_they_are_saved_and_what_became_of_it_is_told(pages: Pages, editor: Program) -> None:
    known = editor.get(PATH)
    told = editor.ask("PUT", PATH, {"mark": known["mark"], "bloggers": [*known["bloggers"], KIM]}).json
    assert [one["name"] for one in told["bloggers"]] == ["Бузова Ольга", "Ким Мария"]
    assert saved_text(pages) == (
        "Бузова Ольга (контакт 41):\n— Instagram: Сторис\n\nКим Мария:\n— Telegram: Пост\n\n"
        "Не разобрано:\nуточнить у клиента"
    ), "what is not named of the unread lines stays"
    assert editor.get(f"{PATH}/saving")["state"] == "under_way"
    with pages.office.store.write() as connection:
        connection.execute(update(outbox).values(state="failed", error="отказ"))
    assert editor.get(f"{PATH}/saving") == {"state": "failed", "error": "отказ"}
    (deed,) = pages.office.audit.last(9)
    assert (deed.who, deed.words) == ("API: webinar программа", "Сохранены услуги сделки 30000001")


def test_they_are_emptied(pages: Pages, editor: Program) -> None:
    told = editor.ask("PUT", PATH, {"mark": editor.get(PATH)["mark"], "bloggers": [], "unread": []})
    assert (told.status_code, told.json["bloggers"], told.json["unread"]) == (200, [], [])


def test_what_was_made_from_an_older_text_is_refused(pages: Pages, editor: Program) -> None:
    mark = editor.get(PATH)["mark"]
    assert editor.ask("PUT", PATH, {"mark": mark, "bloggers": [KIM]}).status_code == 200
    refused = editor.ask("PUT", PATH, {"mark": mark, "bloggers": []})
    assert refused.status_code == 409
    assert "изменил кто-то другой" in refused.json["detail"]
    assert "Ким Мария" in refused.json["detail"], "what it says now"
    assert "Ким Мария" in saved_text(pages)


@pytest.mark.parametrize(
    ("blogger", "words"),
    [
        pytest.param({**KIM, "services": []}, "Ким Мария: Добавьте хотя бы одну услугу", id="no services"),
        pytest.param({**KIM, "services": [{"platform": " ", "service": "Пост"}]}, "и площадка, и услуга", id="nowhere"),
        pytest.param({**KIM, "services": [{"platform": "а: б", "service": "x"}]}, "без двоеточия", id="not a platform"),
        pytest.param({**KIM, "name": " "}, "Назовите блогера", id="no name"),
        pytest.param({**KIM, "services": KIM["services"] * 7}, "services", id="too many"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_saved(
    pages: Pages, editor: Program, blogger: dict[str, Any], words: str
) -> None:
    refused = editor.ask("PUT", PATH, {"mark": editor.get(PATH)["mark"], "bloggers": [blogger]})
    assert refused.status_code == 422
    assert words in refused.json["detail"]
    assert editor.get(f"{PATH}/saving")["state"] == "none"


def test_a_dry_run_saves_nothing(pages: Pages, editor: Program) -> None:
    config = pages.bridge.config
    pages.bridge.config = replace(config, bridge=config.bridge.model_copy(update={"dry_run": True}))
    refused = editor.ask("PUT", PATH, {"mark": editor.get(PATH)["mark"], "bloggers": [KIM]})
    assert (refused.status_code, "вхолостую" in refused.json["detail"]) == (409, True)


def test_bloggers_are_found_by_three_letters(pages: Pages, editor: Program) -> None:
    kind = agency().field("Классификация", "contacts").id
    now = datetime.now(UTC)
    told = {"phones": ("+79161234567",), "updated_at": now}
    known = [
        MirroredContact(id=41, name="Бузова Ольга", surname="Бузова", fields={kind: ("блогер",)}, **told),
        MirroredContact(id=42, name="Бузовский Пётр", surname="Бузовский", fields={kind: ("клиент",)}, **told),
    ]
    with pages.office.store.write() as connection:
        ContactIndex(AccountStore(pages.office.store, pages.account.key)).put(connection, known, now)
    found = editor.get(f"{PATH}/bloggers?letters=буз")["bloggers"]
    assert found == [{"contact_id": 41, "name": "Бузова Ольга", "phones": ["+79161234567"]}]
    assert editor.get(f"{PATH}/bloggers?letters=бу")["bloggers"] == []


def test_who_may_only_look_and_deals_that_are_not_there(pages: Pages, editor: Program, reader: Program) -> None:
    assert reader.ask("GET", PATH).status_code == 403
    assert reader.ask("PUT", PATH, {"mark": "", "bloggers": []}).status_code == 403
    assert editor.ask("GET", "/deals/5/services").status_code == 404
