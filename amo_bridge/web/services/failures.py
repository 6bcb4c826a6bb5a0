"""Failures as people decide about them: by reason, each with what to do, all of one reason at once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import field

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from amo_bridge.engine.dead_letters import DeadLetter
from amo_bridge.lazy.dataclasses import dataclass

# As crm/responses.py writes them down: «responsible_user_id: The value … (NotSupportedChoice)».
_WRONG_CHOICE = r"[^()]*\(NotSupportedChoice\)"
REASONS: tuple[tuple[str, str, LazyString, LazyString], ...] = (
    (
        "person",
        rf"\bresponsible_user_id:{_WRONG_CHOICE}",
        _l("Сотрудник, на которого это ставят, отключён или его нет."),
        _l("Включите его в amoCRM или назовите в настройке другого и повторите."),
    ),
    (
        "stage",
        rf"\b(?:status_id|pipeline_id):{_WRONG_CHOICE}",
        _l("Такого этапа или такой воронки в amoCRM нет."),
        _l("Поправьте этап в настройке и повторите; если его убрали нарочно — снимите."),
    ),
    (
        "field",
        rf"\bcustom_fields_values\.\d+\.field_\w+:{_WRONG_CHOICE}",
        _l("Такого поля в amoCRM нет."),
        _l("Верните поле в amoCRM (amo-bridge provision) или поправьте настройку и повторите."),
    ),
    (
        "value",
        rf"\bcustom_fields_values\.\d+\.values\b[^:]*:{_WRONG_CHOICE}",
        _l("Такого значения у поля в amoCRM нет."),
        _l("Добавьте значение к списку поля в amoCRM или поправьте настройку и повторите."),
    ),
    (
        "template",
        r"шаблон(?:а)? письма",
        _l("Шаблон письма нельзя отправить."),
        _l("Поправьте файл шаблона, как сказано ниже, и повторите."),
    ),
    (
        "late",
        r"теперь поздно",
        _l("Канал слишком долго не работал."),
        _l("Проверьте канал (amo-bridge check). Если это ещё нужно — повторите, иначе снимите."),
    ),
    (
        "bug",
        r"ошибка моста",
        _l("Ошибка в самом мосте."),
        _l("Покажите эти слова тому, кто ведёт мост; когда исправлено — повторите."),
    ),
    (
        "gone",
        r"\bне найден[аоы]?\b|\bnot found\b|\b404\b",
        _l("Того, о чём речь, в amoCRM не нашлось."),
        _l("Если оно удалено, снимите; если вернулось — повторите."),
    ),
)


@dataclass
class FailureGroup:
    """Failures of one reason. ``key``: stands for the reason in forms and in the API."""

    key: str
    reason: str
    advice: str
    failures: list[DeadLetter] = field(default_factory=list)


def explained(error: str) -> str:
    """What the refusal means; empty where that can't be told from its words."""
    return next((str(words) for _key, pattern, words, _advice in REASONS if re.search(pattern, error)), "")


def group_of(error: str) -> FailureGroup:
    """An empty group of the failures of this reason. Unknown words make a group each, numbers aside."""
    for key, pattern, words, advice in REASONS:
        if re.search(pattern, error):
            return FailureGroup(key, str(words), str(advice))
    plain = re.sub(r"\d+", "#", error)
    key = "other-" + hashlib.sha256(plain.encode()).hexdigest()[:12]
    words = error if re.search("[а-яё]", error, re.IGNORECASE) else _("amoCRM этого не приняла; причина — её словами.")
    return FailureGroup(key, words, _("Исправьте это и повторите; если это уже не нужно — снимите."))


def grouped(failures: Iterable[DeadLetter]) -> list[FailureGroup]:
    """By reason, the largest group first, each oldest first."""
    groups: dict[str, FailureGroup] = {}
    for failure in failures:
        group = group_of(failure.error)
        groups.setdefault(group.key, group).failures.append(failure)
    return sorted(groups.values(), key=lambda group: -len(group.failures))


def names_in_group(failures: Iterable[DeadLetter], key: str) -> list[str]:
    """The names of all failures of one reason."""
    return [failure.name for failure in failures if group_of(failure.error).key == key]
