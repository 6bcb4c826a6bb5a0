"""A small account in amoCRM's own JSON, for several tests."""

from __future__ import annotations

from typing import Any

from support.client_fakes import BASE


def status(number: int, name: str, sort: int, kind: int = 0) -> dict[str, Any]:
    return {"id": number, "name": name, "sort": sort, "type": kind, "is_editable": kind == 0, "color": "#fffeb2"}


def pipeline(number: int, name: str, sort: int, own: list[dict[str, Any]], *, archived: bool = False) -> dict[str, Any]:
    system = [
        status(142, "Успешно реализовано", 10000),
        status(143, "Закрыто и не реализовано", 11000),
        status(number * 10, "Неразобранное", 10, 1),
    ]
    return {
        "id": number,
        "name": name,
        "sort": sort,
        "is_main": sort == 1,
        "is_archive": archived,
        "_embedded": {"statuses": [*system, *own]},
    }


ACCOUNT = {
    "id": 28805383,
    "name": "Агентство",
    "subdomain": "example",
    "current_user_id": 504141,
    "amojo_id": "f3c6340d-410e-4ad1-9f7e-c5e663904909",
    "drive_url": "https://drive-b.amocrm.ru",
    "is_api_filter_enabled": True,
    "_embedded": {
        "task_types": [
            {"id": 1, "name": "Связаться", "color": None, "icon_id": None, "code": "FOLLOW_UP"},
            {"id": 2, "name": "Встреча", "color": None, "icon_id": None, "code": "MEETING"},
            {"id": 1947016, "name": "Отправить КП", "color": "ffea97", "icon_id": 8, "code": None},
        ],
        "datetime_settings": {"timezone": "Asia/Yekaterinburg", "timezone_offset": "+05:00"},
    },
}
PIPELINES = [
    pipeline(200, "Проекты", 2, [status(2001, "В работе", 20), status(2002, "Бриф получен", 30)]),
    pipeline(100, "Продажи", 1, [status(1001, "Бриф получен", 30), status(1002, "КП / договор", 20)]),
    pipeline(300, "Старая", 3, [status(3001, "В работе", 20)], archived=True),
]
SELECT = {
    "id": 12,
    "name": "Источник",
    "code": None,
    "type": "select",
    "enums": [{"id": 2, "value": "Звонок", "sort": 2}, {"id": 1, "value": "Сайт", "sort": 1, "code": "site"}],
}
FIELDS = {
    "leads": [
        {"id": 11, "name": "Объём работ", "code": None, "type": "numeric", "enums": None},
        SELECT,
        {"id": 13, "name": "Дубль", "code": None, "type": "text", "enums": None},
        {"id": 14, "name": "Дубль", "code": None, "type": "date", "enums": None},
    ],
    "contacts": [{"id": 21, "name": "Телефон", "code": "PHONE", "type": "multitext", "enums": []}],
    "companies": [],
}


def user(number: int, name: str, email: str, *, admin: bool = False, active: bool = True) -> dict[str, Any]:
    return {"id": number, "name": name, "email": email, "rights": {"is_admin": admin, "is_active": active}}


USERS = [
    user(504141, "Анна Петрова", "anna@example.ru", admin=True),
    user(504142, "Иван Королёв", "ivan@example.ru"),
    user(504143, "Иван Королев", "old@example.ru", active=False),
    user(504144, "Ушедший", "gone@example.ru", active=False),
]
LOSS_REASONS = [{"id": 4203748, "name": "Пропала потребность", "sort": 100000}]


def listed(key: str, rows: list[Any], *, following: bool = False) -> dict[str, Any]:
    links = {"next": {"href": BASE}} if following else {}
    return {"_page": 1, "_links": links, "_embedded": {key: rows}}


def serve(amocrm: Any) -> None:
    """Register the whole account with ``responses``. The deals' fields come in two pages."""
    api = f"{BASE}/api/v4"
    amocrm.get(f"{api}/account", json=ACCOUNT)
    amocrm.get(f"{api}/leads/pipelines", json=listed("pipelines", PIPELINES))
    amocrm.get(
        f"{api}/leads/custom_fields?page=1&limit=250", json=listed("custom_fields", FIELDS["leads"][:2], following=True)
    )
    amocrm.get(f"{api}/leads/custom_fields?page=2&limit=250", json=listed("custom_fields", FIELDS["leads"][2:]))
    amocrm.get(f"{api}/contacts/custom_fields", json=listed("custom_fields", FIELDS["contacts"]))
    amocrm.get(f"{api}/companies/custom_fields", status=204)
    amocrm.get(f"{api}/users", json=listed("users", USERS))
    amocrm.get(f"{api}/leads/loss_reasons", json=listed("loss_reasons", LOSS_REASONS))
