"""Names that the account loses while the bridge works and while it is down: rules go on by id, or are broken loudly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from support.local_crm import TOKEN, LocalCrm
from support.pages import Pages, words_of
from support.running_bridge import EXAMPLE, UNHURRIED, RunningBridge, wait_until

from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import HEAD
from amo_bridge.runtime.worker import NAMES
from amo_bridge.web.auth.users import Role

IVAN = "Иван Петров"
NEW = "Продажи / Новый клиент"
MEETING = "Продажи / Встреча назначена"
FIRST_TASK = "stage_creates_tasks.new_client"
GATE = "stage_needs_fields.meeting_date"
FILLED = {"Клиент (бренд)": "Ромашка", "Основной продукт": "Чай", "Контактное лицо": "Анна",
          "Тип клиента": "Прямой клиент"}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path, sandbox: LocalCrm) -> Path:
    """The example in a file of its own, for the sandbox."""
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE.read_text("utf-8").replace("https://example.amocrm.ru", sandbox.url), "utf-8")
    return path


@pytest.fixture
def start(path: Path, start_bridge: Callable[..., RunningBridge]) -> Callable[[], RunningBridge]:
    def started() -> RunningBridge:
        config = load(path, {"AMO_BRIDGE_DATA": str(path.parent / "data")})
        account = config.account.model_copy(update={"requests_per_second": UNHURRIED})
        return start_bridge(replace(config, account=account)).wait_ready()

    return started


class Admin:
    """Somebody who changes the account itself."""

    def __init__(self, crm: LocalCrm, office: CrmUser) -> None:
        self.crm, self.office = crm, office

    def stage(self, title: str, method: str, body: Any = None) -> None:
        pipeline, status = self.office.stages[title]
        self.api(method, f"leads/pipelines/{pipeline}/statuses/{status}", body)

    def pipeline(self, name: str, method: str, body: Any = None) -> None:
        found = next(key[0] for title, key in self.office.stages.items() if title.startswith(f"{name} /"))
        self.api(method, f"leads/pipelines/{found}", body)

    def field(self, name: str, method: str, body: Any = None) -> None:
        self.api(method, f"leads/custom_fields/{self.office.fields[name]}", body)

    def api(self, method: str, path: str, body: Any) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = requests.request(method, f"{self.crm.url}/api/v4/{path}", json=body, headers=headers, timeout=30)
        assert answer.ok, answer.text

    def person(self, what: str, target: int, name: str) -> None:
        self.crm.control("POST", f"ui/rename_{what}", {"user_id": 0, "target_id": target, "name": name})

    def delete_reason(self, name: str) -> None:
        self.crm.control("POST", "ui/delete_loss_reason", {"user_id": 0, "target_id": self.office.reasons[name]})

    def option(self, field: str, old: str, new: str | None) -> None:
        """Rename a choice of a field, or delete it."""
        known = next(row for row in self.crm.table("custom_fields/leads") if row["name"] == field)
        body = {"enums": [
            {"id": one["id"], "value": new if one["value"] == old else one["value"], "sort": one["sort"]}
            for one in known["enums"]
            if new is not None or one["value"] != old
        ]}  # fmt: skip
        self.field(field, "PATCH", body)


@pytest.fixture
def admin(sandbox: LocalCrm, office: CrmUser) -> Admin:
    return Admin(sandbox, office)


def knows_names(bridge: RunningBridge, check: Callable[[RunningBridge], object]) -> None:
    """The bridge has read the account anew."""
    bridge.bridge.request_job(NAMES)
    wait_until(lambda: check(bridge), "the names have been read")


def renamed_in(bridge: RunningBridge) -> dict[str, str]:
    return {issue.name: issue.new_name for issue in bridge.bridge.fit.renamed}


def broken_in(bridge: RunningBridge) -> dict[str, str]:
    return bridge.bridge.fit.broken


def new_deal(office: CrmUser, stage: str = NEW) -> int:
    return office.new_deal(IVAN, "Ромашка", stage, office.new_contact(IVAN, "Ольга"), 0)


def filled_deal(office: CrmUser, stage: str = NEW) -> int:
    deal = new_deal(office, stage)
    for field, value in FILLED.items():
        office.fill(IVAN, deal, field, value)
    return deal


def verdicts(bridge: RunningBridge, deal: int, rule: str) -> list[tuple[str, str]]:
    return [(entry.verdict, entry.reason or "") for entry in bridge.journal(deal) if entry.rule == rule]


Again = Callable[[RunningBridge, Callable[[RunningBridge], object]], RunningBridge]


@pytest.fixture(params=["running", "restarted"])
def again(request: pytest.FixtureRequest, start: Callable[[], RunningBridge]) -> Again:
    """How the bridge comes to know: it reads the names while it works, or it is started again."""

    def way(bridge: RunningBridge, check: Callable[[RunningBridge], object]) -> RunningBridge:
        if request.param == "running":
            knows_names(bridge, check)
            return bridge
        bridge.stop()
        started = start()
        assert check(started)
        return started

    return way


def test_a_renamed_stage_is_followed_and_taken_into_the_file_by_one_click(
    start: Callable[[], RunningBridge], again: Again, admin: Admin, office: CrmUser, sandbox: LocalCrm, path: Path
) -> None:
    bridge = start()
    admin.stage(MEETING, "PATCH", {"name": "Встреча"})
    bridge = again(bridge, lambda one: renamed_in(one) == {MEETING: "Продажи / Встреча"})
    assert broken_in(bridge) == {}
    deal = filled_deal(office)
    bridge.settle(sandbox)
    office.move(IVAN, deal, MEETING)
    bridge.settle(sandbox)
    assert office.stage_of(deal) == NEW, "the gate goes on by the stage's id"
    (told,) = [text for text in alerts(sandbox) if "разошлись" in text]
    assert "«Продажи / Встреча назначена» в amoCRM теперь «Продажи / Встреча»" in told
    assert bridge.health().status_code == 200

    pages = Pages(bridge.bridge)
    page = pages.visit(Role.ADMIN, "Анна")
    assert "«Продажи / Встреча назначена» → «Продажи / Встреча»" in words_of(page.get("/rules"))
    assert page.post("/rules/names", {}, page="/rules").status_code == 302
    assert MEETING not in path.read_text("utf-8")
    assert "Продажи / Встреча" in path.read_text("utf-8")
    wait_until(lambda: bridge.is_at_work() and not renamed_in(bridge), "the bridge works by the new file")
    other = filled_deal(office)
    bridge.settle(sandbox)
    office.move(IVAN, other, MEETING)
    bridge.settle(sandbox)
    assert office.stage_of(other) == NEW


def alerts(crm: LocalCrm) -> list[str]:
    """Tasks on nobody's card by which the bridge tells of itself."""
    return [task["text"] for task in crm.table("tasks") if task["text"].startswith("amo-bridge:")]


def test_a_deleted_stage_breaks_its_rule_alone_and_loudly(
    start: Callable[[], RunningBridge], again: Again, admin: Admin, office: CrmUser, sandbox: LocalCrm
) -> None:
    bridge = start()
    admin.stage(MEETING, "DELETE")
    bridge = again(bridge, lambda one: GATE in broken_in(one))
    words = f"этапа «{MEETING}» нет в аккаунте"
    assert words in broken_in(bridge)[GATE]
    deal = new_deal(office)
    bridge.settle(sandbox)
    assert [task["text"] for task in office.tasks(deal)], "A10 works"
    ((verdict, why),) = set(verdicts(bridge, deal, GATE))
    assert verdict == "skipped"
    assert why.startswith("правило сломано: ")
    health = bridge.health()
    assert health.status_code == 200
    told = [issue for issue in health.json()["issues"] if GATE in issue]
    assert len(told) == 1
    assert told[0].startswith(f"{GATE}: ")
    assert words in told[0]
    assert any(f"правило {GATE} сломано и не работает: {words}" in text for text in alerts(sandbox))
    viewer = Pages(bridge.bridge).visit(Role.VIEWER, "Вера")
    assert f"{GATE} сломано" in words_of(viewer.get("/rules"))
    assert f"Правило {GATE} сломано: {words}" in words_of(viewer.get("/"))
    metrics = requests.get(f"{bridge.url}/metrics", timeout=30).text
    assert f'amo_bridge_rules_broken{{account="{bridge.bridge.meters.account}"}} {len(broken_in(bridge))}.0' in metrics


def test_a_renamed_field_keeps_the_task_that_it_has_set(
    start: Callable[[], RunningBridge], again: Again, admin: Admin, office: CrmUser, sandbox: LocalCrm
) -> None:
    bridge = start()
    deal = new_deal(office, "Продажи / Бриф получен")
    day = int(office.now().timestamp()) + 10 * 86400
    office.fill(IVAN, deal, "Дата дедлайна", day)
    bridge.settle(sandbox)
    ours = "Проверить бриф и составить КП"
    (before,) = [task for task in office.tasks(deal) if task["text"] == ours]
    admin.field("Дата дедлайна", "PATCH", {"name": "Дедлайн"})
    bridge = again(bridge, lambda one: renamed_in(one) == {"Дата дедлайна": "Дедлайн"})
    sandbox.later()
    office.fill(IVAN, deal, "Дата дедлайна", day + 5 * 86400)
    bridge.settle(sandbox)
    (after,) = [task for task in office.tasks(deal) if task["text"] == ours]
    assert after["id"] == before["id"]
    assert after["complete_till"] > before["complete_till"] + 4 * 86400


def test_a_renamed_field_does_no_step_twice(
    start: Callable[[], RunningBridge], again: Again, admin: Admin, office: CrmUser, sandbox: LocalCrm
) -> None:
    """A73: a task on the day of payment. The field is renamed on that very day, after the task."""
    bridge = start()
    deal = new_deal(office, "Продажи / Утвержденный проект")
    office.fill(IVAN, deal, "Дата оплаты 1", int(office.now().timestamp()) + 86400)
    bridge.settle(sandbox)
    bridge.settle_at(sandbox, advance=86400)
    before = [task["text"] for task in office.tasks(deal)]
    assert any("плат" in text for text in before)
    admin.field("Дата оплаты 1", "PATCH", {"name": "Первый платёж"})
    bridge = again(bridge, lambda one: renamed_in(one) == {"Дата оплаты 1": "Первый платёж"})
    office.fill(IVAN, deal, "Тема запроса", "Чай")
    bridge.settle_at(sandbox, advance=3600)
    assert [task["text"] for task in office.tasks(deal)] == before


def test_other_names_are_followed_too(
    start: Callable[[], RunningBridge], again: Again, admin: Admin, office: CrmUser, sandbox: LocalCrm
) -> None:
    """A pipeline, a loss reason, a choice, a person, all at once."""
    bridge = start()
    admin.pipeline("Работа с потерянными", "PATCH", {"name": "Возврат"})
    admin.person("loss_reason", office.reasons["Дорого"], "Слишком дорого")
    admin.person("user", office.users[HEAD], "Елена Ветрова")
    admin.option("Тип клиента", "Рекламное агентство", "Агентство")
    wanted = {
        "Работа с потерянными / Потерянные": "Возврат / Потерянные",
        "Дорого": "Слишком дорого",
        HEAD: "Елена Ветрова",
        "Рекламное агентство": "Агентство",
    }
    bridge = again(bridge, lambda one: wanted.items() <= renamed_in(one).items())
    assert broken_in(bridge) == {}
    deal = filled_deal(office)
    office.fill(IVAN, deal, "Тип клиента", "Агентство")
    bridge.settle(sandbox)
    office.move(IVAN, deal, "Продажи / Получение брифа")
    bridge.settle(sandbox)
    assert office.stage_of(deal) == NEW, "an agency's own fields are asked for: the condition knows the choice"
    lost = filled_deal(office, "Продажи / Получение брифа")
    bridge.settle(sandbox)
    office.move(IVAN, lost, "Продажи / Закрыто и не реализовано", loss_reason_id=office.reasons["Дорого"])
    bridge.settle(sandbox)
    (back,) = office.deals_on("Работа с потерянными / Потерянные")
    assert "дорого" in [tag["name"] for tag in back["_embedded"]["tags"]]


@pytest.mark.parametrize(
    ("lose", "rule"),
    [
        (lambda admin: admin.pipeline("Работа с потерянными", "DELETE"), "lost_deal_is_routed.win_back"),
        (lambda admin: admin.delete_reason("Дорого"), "lost_deal_is_routed.win_back"),
        (lambda admin: admin.field("Дата первой встречи", "DELETE"), GATE),
        (lambda admin: admin.option("Тип клиента", "Рекламное агентство", None), "stage_needs_fields.agency_known"),
    ],
    ids=["pipeline", "loss reason", "field", "choice"],
)
def test_what_is_deleted_breaks_the_rules_that_name_it(
    lose: Callable[[Admin], None],
    rule: str,
    start: Callable[[], RunningBridge],
    again: Again,
    admin: Admin,
    office: CrmUser,
    sandbox: LocalCrm,
) -> None:
    bridge = start()
    lose(admin)
    bridge = again(bridge, lambda one: rule in broken_in(one))
    assert FIRST_TASK not in broken_in(bridge)
    deal = new_deal(office)
    bridge.settle(sandbox)
    assert office.tasks(deal), "A10 works"
    assert bridge.health().status_code == 200


def test_what_amocrm_has_again_works_again(
    start: Callable[[], RunningBridge], admin: Admin, office: CrmUser, sandbox: LocalCrm
) -> None:
    bridge = start()
    admin.field("Дата первой встречи", "DELETE")
    knows_names(bridge, lambda one: GATE in broken_in(one))
    admin.api("POST", "leads/custom_fields", [{"name": "Дата первой встречи", "type": "date_time"}])
    knows_names(bridge, lambda one: not broken_in(one))
    deal = filled_deal(office)
    bridge.settle(sandbox)
    office.move(IVAN, deal, MEETING)
    bridge.settle(sandbox)
    assert office.stage_of(deal) == NEW
