"""JSON API ``/api/v1``: what the pages do, for programs; one module a subject, found by being here.

A token is sent as ``Authorization: Bearer …``; its role says how far it goes. A module has its schemas (pydantic
models: answers are made of them, and so is the description) and its operations, functions marked with ``api.endpoint``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, Flask
from flask.json.provider import DefaultJSONProvider
from flask_babel import lazy_gettext as _l

from amo_bridge.web.api.endpoint import Api, Endpoint

ROOT = "/api/v1"
routes = Blueprint("api_v1", __name__, url_prefix=ROOT)
api = Api(routes)

SUBJECTS: Mapping[str, Any] = {
    "state": _l("Состояние"),
    "overview": _l("Обзор"),
    "rules": _l("Правила"),
    "config": _l("Настройка"),
    "texts": _l("Тексты: скрипты и письма"),
    "deals": _l("Сделки: журнал, услуги, скрипты"),
    "enquiries": _l("Обращения"),
    "failures": _l("Не выполнено"),
    "upcoming": _l("Предстоящее"),
    "rehearsals": _l("Репетиции"),
    "webinars": _l("Вебинары"),
    "violations": _l("Нарушения"),
    "policies": _l("Правила CRM"),
    "shifts": _l("Смены"),
    "channels": _l("Каналы"),
    "dials": _l("Дозвон"),
    "audiences": _l("Аудитории"),
    "reports": _l("Отчёты"),
    "settings": _l("Настройки"),
    "copies": _l("Копии данных"),
    "connection": _l("Подключение"),
    "requests": _l("Запросы к amoCRM"),
    "accounts": _l("Аккаунты этой установки"),
    "users": _l("Пользователи"),
    "tokens": _l("Токены программ"),
    "audit": _l("Кто что менял"),
}
"""The first word of a path → its title for people, in the order of the page."""


def by_subject(endpoints: Iterable[Endpoint]) -> dict[str, list[Endpoint]]:
    """Subject → its endpoints."""
    found: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        found.setdefault(endpoint.subject, []).append(endpoint)
    return {subject: found[subject] for subject in SUBJECTS if subject in found}


# A endpoint is known once its file was read; the description must know all of them, whoever asks first.
for _found in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_found.name}")


class _Readable(DefaultJSONProvider):
    ensure_ascii = False
    sort_keys = False


def install(app: Flask) -> None:
    # People read answers too, by curl: letters as letters, and a shape's fields in its own order.
    app.json = _Readable(app)
    app.register_blueprint(routes)
