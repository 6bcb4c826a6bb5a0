from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import responses
from support.account_sample import ACCOUNT, FIELDS, LOSS_REASONS, PIPELINES, USERS, serve
from support.client_fakes import BASE, Clock, client

from amo_bridge.crm.account import Account
from amo_bridge.crm.account_cache import AccountCache
from amo_bridge.errors import AmbiguousName, CrmForbidden, CrmUncertain, UnknownName

FORBIDDEN = {"title": "Forbidden", "type": "https://httpstatus.es/403", "status": 403, "detail": "Forbidden"}


@pytest.fixture
def account() -> Account:
    told = {
        "account": ACCOUNT,
        "pipelines": PIPELINES,
        "fields": FIELDS,
        "users": USERS,
        "loss_reasons": LOSS_REASONS,
    }
    return Account.from_json(told)


@pytest.fixture
def amocrm() -> Any:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def test_everything_is_read_and_can_be_kept(amocrm: Any, account: Account) -> None:
    serve(amocrm)
    read = Account.read(client())
    assert read == account
    assert Account.from_json(json.loads(json.dumps(read.to_json()))) == read
    assert (read.id, read.subdomain, read.timezone) == (28805383, "example", "Asia/Yekaterinburg")
    assert (read.current_user_id, read.is_api_filter_enabled) == (504141, True)
    assert read.drive_url == "https://drive-b.amocrm.ru"
    assert len(read.fields("leads")) == 4


def test_an_account_without_loss_reasons_can_be_read(amocrm: Any) -> None:
    serve(amocrm)
    amocrm.replace("GET", f"{BASE}/api/v4/leads/loss_reasons", status=404, json={"title": "Not Found", "status": 404})
    assert Account.read(client()).loss_reasons == ()


def test_a_token_of_an_ordinary_user_is_said_so(amocrm: Any) -> None:
    serve(amocrm)
    amocrm.replace("GET", f"{BASE}/api/v4/users", status=403, json=FORBIDDEN)
    with pytest.raises(CrmForbidden):
        Account.read(client())


def test_stages_come_in_the_order_of_the_board(account: Account) -> None:
    titles = [stage.title for stage in account.stages if stage.pipeline == "Продажи"]
    assert titles == [
        "Продажи / Неразобранное",
        "Продажи / КП / договор",
        "Продажи / Бриф получен",
        "Продажи / Успешно реализовано",
        "Продажи / Закрыто и не реализовано",
    ]
    kinds = [stage.kind for stage in account.stages if stage.pipeline == "Продажи"]
    assert kinds == ["unsorted", "open", "open", "won", "lost"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Продажи / Бриф получен", (100, 1001)),
        ("«продажи»/бриф  получен", (100, 1001)),
        ("Продажи/КП/договор", (100, 1002)),
        ("КП / договор", (100, 1002)),
        ("Проекты / Закрыто и не реализовано", (200, 143)),
        ("Старая / В работе", (300, 3001)),
        # The other one is in an archived pipeline.
        ("в работе", (200, 2001)),
    ],
)
def test_a_stage_by_its_name(account: Account, name: str, key: tuple[int, int]) -> None:
    assert account.stage(name).key == key


def test_a_bare_stage_of_several_pipelines_is_ambiguous(account: Account) -> None:
    with pytest.raises(AmbiguousName) as caught:
        account.stage("Бриф получен")
    assert caught.value.candidates == ["Продажи / Бриф получен", "Проекты / Бриф получен"]
    assert "«Проекты / Бриф получен»" in str(caught.value)


UNKNOWN: list[tuple[Callable[[Account], Any], str, str | None]] = [
    (lambda account: account.stage("Продажи / Брив получен"), "этапа", "Продажи / Бриф получен"),
    (lambda account: account.stage("КП и договор"), "этапа", "КП / договор"),
    (lambda account: account.stage("Продажи / Совсем другое название"), "этапа", None),
    (lambda account: account.pipeline("Продажа"), "воронки", "Продажи"),
    (lambda account: account.field("Обьем работ"), "поля сделки", "Объём работ"),
    (lambda account: account.field("Телефон"), "поля сделки", None),
    (lambda account: account.field("Телефн", "contacts"), "поля контакта", "Телефон"),
    (lambda account: account.user("Анна Питрова"), "пользователя", "Анна Петрова"),
    (lambda account: account.loss_reason("Пропала потребнось"), "причины отказа", "Пропала потребность"),
    (lambda account: account.task_type("Отправить КП!"), "типа задачи", "Отправить КП"),
    (lambda account: account.option(account.field("Источник"), "Сайты"), "варианта поля «Источник»", "Сайт"),
]


@pytest.mark.parametrize(("look_up", "kind", "nearest"), UNKNOWN)
def test_an_unknown_name_is_told_with_the_nearest(
    account: Account, look_up: Callable[[Account], Any], kind: str, nearest: str | None
) -> None:
    with pytest.raises(UnknownName) as caught:
        look_up(account)
    assert (caught.value.kind, caught.value.nearest) == (kind, nearest)


def test_stages_by_their_ids(account: Account) -> None:
    assert account.stage_of(200, 142).is_won
    assert account.stage_of(100, 143).is_lost
    assert account.has_stage(100, 1001)
    assert not account.has_stage(200, 1001)
    with pytest.raises(UnknownName):
        account.stage_of(200, 1001)


def test_fields_by_name_code_or_id(account: Account) -> None:
    assert account.field("объем РАБОТ").id == 11
    assert account.field("PHONE", "contacts").id == 21
    assert account.field("14").type == "date"
    with pytest.raises(AmbiguousName, match=r"14 \(date\)"):
        account.field("Дубль")


def test_choices_are_in_the_order_of_the_list(account: Account) -> None:
    field = account.field("Источник")
    assert [option.value for option in field.enums] == ["Сайт", "Звонок"]
    assert account.option(field, "сайт").id == 1


def test_users_by_name_or_mail_and_active_ones_first(account: Account) -> None:
    assert account.user("иван королев").id == 504142
    assert account.user("OLD@example.ru").id == 504143
    assert account.user("Анна Петрова").is_admin
    assert not account.user("Ушедший").is_active


def test_task_types_by_name_or_code(account: Account) -> None:
    assert account.task_type("встреча").id == account.task_type("MEETING").id == 2


# --- the cache --------------------------------------------------------------------------------------------------------


def account_requests(amocrm: Any) -> int:
    return sum("/api/v4/account?" in call.request.url for call in amocrm.calls)


def test_the_account_is_read_once_and_kept_over_restarts(amocrm: Any, tmp_path: Path) -> None:
    serve(amocrm)
    first = AccountCache(tmp_path / "state.db", BASE, client())
    assert first.account is first.account
    restarted = AccountCache(tmp_path / "state.db", BASE, client())
    assert restarted.account == first.account
    assert account_requests(amocrm) == 1


def test_accounts_that_share_a_file_do_not_mix(amocrm: Any, tmp_path: Path) -> None:
    serve(amocrm)
    for name in ("one", "two"):
        assert AccountCache(tmp_path / "state.db", name, client()).account.subdomain == "example"
    assert account_requests(amocrm) == 2


def test_a_new_stage_is_found_by_reading_again_but_once_a_minute_at_most(amocrm: Any, tmp_path: Path) -> None:
    clock = Clock()
    serve(amocrm)
    cache = AccountCache(tmp_path / "state.db", BASE, client(), clock=clock)
    assert cache.account.id
    renamed = json.loads(json.dumps(PIPELINES).replace("Бриф получен".encode("unicode_escape").decode(), "New"))
    amocrm.replace("GET", f"{BASE}/api/v4/leads/pipelines", json={"_embedded": {"pipelines": renamed}})

    with pytest.raises(UnknownName):
        cache.find(lambda account: account.stage("Продажи / New"))
    assert account_requests(amocrm) == 1

    clock.now += 60
    assert cache.find(lambda account: account.stage("Продажи / New")).key == (100, 1001)
    with pytest.raises(UnknownName):
        cache.find(lambda account: account.stage("Продажи / Нет такого"))
    assert account_requests(amocrm) == 2
    assert AccountCache(tmp_path / "state.db", BASE, client()).account.stage("Продажи / New")


def test_a_failed_refresh_leaves_what_was_known(amocrm: Any, tmp_path: Path) -> None:
    clock = Clock()
    serve(amocrm)
    cache = AccountCache(tmp_path / "state.db", BASE, client(), clock=clock)
    known = cache.account
    clock.now += 60
    amocrm.replace("GET", f"{BASE}/api/v4/account", status=502, body="")
    with pytest.raises(CrmUncertain):
        cache.refresh()
    assert cache.account is known
    assert cache.refresh() is known
