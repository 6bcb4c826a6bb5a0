"""amoCRM's refusals explained in the reader's language, where its words tell what is wrong."""

from __future__ import annotations

import re

from flask import Flask
from flask_babel import lazy_gettext as _l

# As crm/responses.py writes them down: «responsible_user_id: The value … (NotSupportedChoice)».
_WRONG_CHOICE = r"[^()]*\(NotSupportedChoice\)"
EXPLAINED = {
    re.compile(rf"\bresponsible_user_id:{_WRONG_CHOICE}"): _l(
        "Сотрудник, на которого это ставят, отключён или его нет."
    ),
    re.compile(rf"\b(?:status_id|pipeline_id):{_WRONG_CHOICE}"): _l("Такого этапа или такой воронки в amoCRM нет."),
    re.compile(rf"\bcustom_fields_values\.\d+\.field_\w+:{_WRONG_CHOICE}"): _l("Такого поля в amoCRM нет."),
    re.compile(rf"\bcustom_fields_values\.\d+\.values\b[^:]*:{_WRONG_CHOICE}"): _l(
        "Такого значения у поля в amoCRM нет."
    ),
}


def install(app: Flask) -> None:
    app.jinja_env.filters.update(explained=explained)


def explained(error: str) -> str:
    """What the refusal means; empty where that can't be told from its words."""
    return next((str(words) for pattern, words in EXPLAINED.items() if pattern.search(error)), "")
