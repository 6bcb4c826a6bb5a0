"""A small good config, and what is said about a spoilt one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.errors import ConfigError

GOOD = """\
[account]
url = "https://agency.amocrm.ru"
requests_per_second = 5

[bridge]
public_url = "https://bridge.agency.ru"
data = "data"
dry_run = false
opt_out_tag = "без робота"

[calendar]
country = "RU"
hours = { mon = "10:00-19:00", fri = "10:00-18:00" }
breaks = ["13:00-14:00"]
days_off = ["2026-12-29"]
working_days = ["2026-12-05"]
special_hours = { "2026-12-30" = "10:00-16:00" }
timezone = "Europe/Moscow"

[roles]
head = "Елена Орлова"
pr = { field = "PR-менеджер", otherwise = "Павел Смирнов" }

[handlers.stage_creates_tasks.new_client]
enabled = true
max_lateness = "24 h"
stages = ["Продажи / Новый клиент"]
tasks = [
    # [первая] задача
    { text = "Связаться", to = "manager", due = "1 working hour" },
    { text = "Согласовать {Название}", to = "head", due = "2 d", when = { field = "Бюджет", filled = true } },
]

[handlers.date_field_sets_task.offer]
enabled = false
fields = ["Дата дедлайна"]
text = "Составить КП"
to = "pr"
due_shift = "- 1 d"

[handlers.stage_needs_fields.meeting]
enabled = true
entering = ["Продажи / Встреча назначена"]
fields = ["Дата первой встречи"]

[absences]
"Светлана Белова" = [
    { from = "2026-12-01", to = "2026-12-04", deputy = "Мария Кузнецова" },
    { from = "2026-12-21", to = "2026-12-25", deputy = "Дмитрий Титов" },
]

[handlers.lost_deal_is_routed.win_back]
enabled = true
pipelines = ["Продажи"]
to_stage = "Работа с потерянными / Потерянные"
tag_by_reason = { "Дорого" = "дорого" }
note = "Дальше здесь: {new.url}"
"""

# Words of pydantic's, tomllib's and Python's own messages: none of them may reach the person who wrote the config.
ENGLISH = re.compile(r"\b(input|should|valid|invalid|error|value|required|extra|expected|permitted|None)\b")


def write(folder: Path, text: str = GOOD) -> Path:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return path


def spoilt(old: str, new: str, text: str = GOOD) -> str:
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the config"
    return text.replace(old, new)


def line_with(part: str, text: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def loaded(folder: Path, text: str = GOOD, **environment: str) -> Config:
    return load(write(folder, text), environment)


def problems_of(folder: Path, text: str, **environment: str) -> list[str]:
    """What is wrong with this text. Fails if nothing is, or if it is not told in Russian."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **environment)
    for problem in caught.value.problems:
        assert not ENGLISH.search(problem), problem
    return caught.value.problems
