"""What the doors are about: the first word of a path, and its title for people; in the order of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from amo_bridge.web.api.described import Door

SUBJECTS: Mapping[str, Any] = {
    "state": _l("Состояние"),
    "overview": _l("Обзор"),
    "rules": _l("Правила"),
    "config": _l("Настройка"),
    "deals": _l("Сделки: журнал, услуги, скрипты"),
    "failures": _l("Отказы"),
    "upcoming": _l("Предстоящее"),
    "rehearsals": _l("Репетиции"),
    "webinars": _l("Вебинары"),
    "violations": _l("Нарушения"),
    "reports": _l("Отчёты"),
    "connection": _l("Подключение"),
    "accounts": _l("Аккаунты этой установки"),
    "users": _l("Пользователи"),
    "tokens": _l("Токены программ"),
    "audit": _l("Кто что менял"),
}


def by_subject(doors: Iterable[Door]) -> dict[str, list[Door]]:
    """Subject → its doors."""
    found: dict[str, list[Door]] = {}
    for door in doors:
        found.setdefault(door.subject, []).append(door)
    return {subject: found[subject] for subject in SUBJECTS if subject in found}
