"""Acts of people on one deal, chosen by a seed; the model does the same beside it."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.demo.crm_user import CrmUser
from bench.expected import BRIEF, BRIEF_WANTED, DONE, LOST, MEETING, NEW, POSTPONED, TAKE, ExpectedDeal

MANAGERS = ("Иван Петров", "Мария Кузнецова")
MOSCOW = ZoneInfo("Europe/Moscow")
# amoCRM's «весь день».
ALL_DAY_SECONDS = 23 * 3600 + 59 * 60
# The loop guard lets a rule act on one deal ten times an hour.
MAX_ACTS = 10


def working(gone: Collection[str]) -> list[str]:
    """The managers who are not switched off."""
    return [name for name in MANAGERS if name not in gone]


class People(CrmUser):
    """Users of the account, with the acts that only chaos needs."""

    def new_deal_of(self, person: str, body: dict[str, Any]) -> int:
        deal = {"responsible_user_id": self.users[person], **body}
        return int(self._ask("POST", "/api/v4/leads", [deal], person)["_embedded"]["leads"][0]["id"])

    def change(self, person: str, deal: int, body: dict[str, Any]) -> None:
        self._ask("PATCH", f"/api/v4/leads/{deal}", body, person)

    def change_many(self, person: str, bodies: list[dict[str, Any]]) -> None:
        self._ask("PATCH", "/api/v4/leads", bodies, person)

    def rename_stage(self, person: str, pipeline: int, status: int, name: str) -> None:
        self._ask("PATCH", f"/api/v4/leads/pipelines/{pipeline}/statuses/{status}", {"name": name}, person)

    def complete(self, person: str, task: int) -> None:
        body = {"user_id": self.users[person], "task_id": task, "text": DONE}
        self._ask("POST", "/sandbox/ui/complete_task", body, person)


class Life:
    """One deal's life. ``step`` is one act; True if the next act must wait until the bridge has processed it.

    An act while a rule is answering on the same deal, or before the bridge knows its last stage, may have either of
    two right results.
    """

    def __init__(self, number: int, office: People, rng: random.Random, gone: set[str] | None = None) -> None:
        self.number = number
        self.acts = 0
        self.deal = 0
        self._gone = set() if gone is None else gone
        self.expected = ExpectedDeal(responsible=rng.choice(working(self._gone)), gone=self._gone)
        self.history: list[str] = []
        self._office = office
        self._rng = rng
        self._length = rng.randint(3, MAX_ACTS)

    @property
    def is_over(self) -> bool:
        return self.acts >= self._length

    def retire(self) -> None:
        """Nothing more happens to the deal."""
        self._length = self.acts

    @property
    def name(self) -> str:
        return f"Сделка хаоса {self.number}"

    def step(self) -> bool:
        act = self._rng.choice(self._possible()) if self.deal else self._made
        answered = act()
        self.acts += 1
        return answered

    def _possible(self) -> list[Callable[[], bool]]:
        """What a person may sensibly do now."""
        stage, acts = self.expected.stage, [self._price]
        if stage == LOST:
            return [*acts, self._reopened, self._reopened]
        acts += [self._too_early] if not self.expected.has_meeting else [self._meeting]
        acts += [self._meeting_dated, self._lost_silently, self._lost, self._deadline]
        acts += [self._wandered] if stage != POSTPONED else [self._back_to_new]
        if stage in (NEW, BRIEF_WANTED, MEETING, POSTPONED):
            acts += [self._brief] * 4
        if stage == BRIEF:
            acts += [self._deadline] * 3 + [self._offer] * 3 + [self._other_file]
            acts += [self._no_deadline] if self.expected.deadline else []
        if self.expected.has_open(TAKE):
            acts.append(self._task_done)
        return acts

    # --- acts ---

    def _made(self) -> bool:
        who = self.expected.responsible
        stage = self._rng.choice((NEW, NEW, NEW, BRIEF_WANTED, BRIEF))
        body: dict[str, Any] = {**self._stage(stage), "name": self.name, "price": self._rng.randint(1, 900) * 1000}
        if stage == BRIEF:
            day, due = self._some_day()
            body["custom_fields_values"] = [self._value("Дата дедлайна", day)]
            self.expected.deadline = due
        self.deal = self._office.new_deal_of(who, body)
        self._note(f"{who} завёл на «{stage}»")
        self.expected.comes(stage, who)
        return True

    def _price(self) -> bool:
        self._patch({"price": self._rng.randint(1, 900) * 1000}, "цена")
        return False

    def _too_early(self) -> bool:
        return self._move(MEETING)

    def _meeting(self) -> bool:
        return self._move(MEETING) if self.expected.stage != MEETING else self._price()

    def _meeting_dated(self) -> bool:
        day, _ = self._some_day()
        self._patch({"custom_fields_values": [self._value("Дата первой встречи", day)]}, "дата встречи")
        self.expected.has_meeting = True
        return False

    def _wandered(self) -> bool:
        return self._move(POSTPONED)

    def _back_to_new(self) -> bool:
        return self._move(NEW)

    def _reopened(self) -> bool:
        return self._move(NEW)

    def _brief(self) -> bool:
        """To the stage, and the date a moment later, twice: only what comes of it at the end is promised."""
        self._move(BRIEF)
        for _ in range(self._rng.randint(0, 2)):
            self._deadline()
        return True

    def _deadline(self) -> bool:
        day, due = self._some_day()
        self._patch({"custom_fields_values": [self._value("Дата дедлайна", day)]}, f"дедлайн {due}")
        return self.expected.deadline_is(due)

    def _no_deadline(self) -> bool:
        field = self._office.fields["Дата дедлайна"]
        self._patch({"custom_fields_values": [{"field_id": field, "values": None}]}, "дедлайн очищен")
        return self.expected.deadline_is(None)

    def _offer(self) -> bool:
        self._office.attach("Павел Смирнов", self.deal, f"Коммерческое предложение {self.acts}.pdf")
        self._note("файл КП")
        return self.expected.file_is_attached(is_offer=True)

    def _other_file(self) -> bool:
        self._office.attach("Павел Смирнов", self.deal, f"Бриф {self.acts}.docx")
        self._note("другой файл")
        return self.expected.file_is_attached(is_offer=False)

    def _lost_silently(self) -> bool:
        return self._move(LOST)

    def _lost(self) -> bool:
        reason = self._rng.choice(list(self._office.reasons.values()))
        return self._move(LOST, loss_reason_id=reason)

    def _task_done(self) -> bool:
        for task in self._office.tasks(self.deal):
            if task["text"].startswith(TAKE) and not task["is_completed"]:
                self._office.complete(self.expected.works_for(self.expected.responsible), task["id"])
        self._note("задача выполнена")
        return self.expected.completes(TAKE)

    # --- helpers ---

    def _move(self, stage: str, **more: Any) -> bool:
        who = self._rng.choice(working(self._gone))
        self._patch({**self._stage(stage), **more}, f"{who} → «{stage}»{' с причиной' if more else ''}", who)
        self.expected.comes(stage, who, reason=bool(more))
        return True

    def _patch(self, body: dict[str, Any], words: str, who: str | None = None) -> None:
        self._office.change(who or self._rng.choice(working(self._gone)), self.deal, body)
        self._note(words)

    def _note(self, words: str) -> None:
        self.history.append(f"{datetime.now(MOSCOW):%H:%M:%S.%f} {words}")

    def _stage(self, stage: str) -> dict[str, int]:
        pipeline_id, status_id = self._office.stages[stage]
        return {"pipeline_id": pipeline_id, "status_id": status_id}

    def _value(self, name: str, value: int) -> dict[str, Any]:
        return {"field_id": self._office.fields[name], "values": [{"value": value}]}

    def _some_day(self) -> tuple[int, int]:
        """A day from now on as amoCRM's date field holds it, and the due time of a task for that day."""
        day = datetime.now(MOSCOW).date() + timedelta(days=self._rng.randint(1, 60))
        midnight = int(datetime.combine(day, time(), MOSCOW).timestamp())
        return midnight, midnight + ALL_DAY_SECONDS
