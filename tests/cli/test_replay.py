"""``amo-bridge replay``: a saved hook is judged again, and nothing in amoCRM is touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import Result
from support.local_crm import LocalCrm

from amo_bridge.clock import SystemClock
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.event_queue import add_events
from amo_bridge.events import EnquiryReceived
from amo_bridge.intake.enquiries import EnquiryRepository
from amo_bridge.intake.model import Enquiry
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import accounts

Run = Callable[..., Result]
PAYLOADS = sorted((Path(__file__).parents[1] / "payloads").glob("*.form"))
IVAN, PAVEL = "Иван Петров", "Павел Смирнов"
NOON = 1_795_424_400


class Hooks:
    """The deal of a story, and hooks about it written by hand."""

    def __init__(self, office: CrmUser) -> None:
        self.office = office
        contact = office.new_contact(IVAN, "Ольга Ромашкина")
        self.deal = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", contact, 90_000)

    def about_deal(self, action: str, stage: str, came_from: str = "", **more: Any) -> bytes:
        pipeline_id, status_id = self.office.stages[stage]
        said = {"id": self.deal, "name": "Ромашка", "pipeline_id": pipeline_id, "status_id": status_id}
        said |= {"responsible_user_id": self.office.users[IVAN], "modified_user_id": self.office.users[IVAN]}
        said |= {"price": 90_000, "last_modified": NOON, "updated_at": NOON, "date_create": NOON}
        if came_from:
            said["old_pipeline_id"], said["old_status_id"] = self.office.stages[came_from]
        return urlencode({f"leads[{action}][0][{key}]": value for key, value in said.items()} | more).encode()

    def field(self, name: str, value: Any) -> dict[str, Any]:
        root = "leads[update][0][custom_fields][0]"
        return {f"{root}[id]": self.office.fields[name], f"{root}[name]": name, f"{root}[values][0]": value}

    def note(self, **said: Any) -> bytes:
        said = {"id": 9, "element_type": 2, "element_id": self.deal, "created_at": NOON, **said}
        return urlencode({f"leads[note][0][note][{key}]": value for key, value in said.items()}).encode()


@pytest.fixture
def hooks(office: CrmUser) -> Hooks:
    return Hooks(office)


@pytest.fixture
def judged(connected: LocalCrm, run: Run, tmp_path: Path) -> Callable[[bytes], dict[str, dict[str, Any]]]:
    """A hook's decisions by rule's block; a rule that was asked twice counts as what it would do."""

    def judge(body: bytes) -> dict[str, dict[str, Any]]:
        path = tmp_path / "hook"
        path.write_bytes(body)
        connected.forget_requests()
        told = run("replay", str(path), "--json")
        assert told.exit_code == 0
        assert {request.split()[0] for request in connected.requests()} == {"GET"}, "replay only reads"
        decisions = sorted(json.loads(told.stdout)["decisions"], key=lambda one: one["verdict"] == "would_act")
        return {one["rule"].partition(".")[2]: one for one in decisions}

    return judge


Judged = Callable[[bytes], dict[str, dict[str, Any]]]


def acting(decisions: dict[str, dict[str, Any]]) -> set[str]:
    return {block for block, one in decisions.items() if one["verdict"] == "would_act"}


def test_a_new_deal(hooks: Hooks, judged: Judged) -> None:
    decisions = judged(hooks.about_deal("add", "Продажи / Новый клиент"))
    assert acting(decisions) == {"new_client"}
    assert "«Связаться и взять в работу» — Иван Петров" in decisions["new_client"]["actions"][0]
    assert decisions["approve_offer"]["reason"] == "этап «Продажи / Новый клиент» не из этого правила"


def test_a_meeting_without_its_date(hooks: Hooks, judged: Judged) -> None:
    body = hooks.about_deal("status", "Продажи / Встреча назначена", "Продажи / Отложенные")
    decisions = judged(body)
    assert acting(decisions) == {"meeting_date"}
    assert any("Дата первой встречи" in words for words in decisions["meeting_date"]["actions"])


def test_a_meeting_with_its_date(hooks: Hooks, judged: Judged) -> None:
    hooks.office.fill(IVAN, hooks.deal, "Дата первой встречи", NOON)
    decisions = judged(hooks.about_deal("status", "Продажи / Встреча назначена", "Продажи / Отложенные"))
    assert acting(decisions) == set()
    assert decisions["meeting_date"]["reason"] == "всё нужное заполнено"


def test_a_deadline_is_filled(hooks: Hooks, judged: Judged) -> None:
    hooks.office.move(IVAN, hooks.deal, "Продажи / Бриф получен")
    told = hooks.about_deal("update", "Продажи / Бриф получен", **hooks.field("Дата дедлайна", NOON))
    decisions = judged(told)
    assert acting(decisions) == {"offer_deadline"}
    assert "«Проверить бриф и составить КП» — Павел Смирнов" in decisions["offer_deadline"]["actions"][0]


@pytest.mark.parametrize(
    ("name", "stage", "acts"),
    [
        ("Коммерческое предложение для «Ромашки».pdf", "Продажи / Бриф получен", True),
        ("Kommercheskoe_predlozhenie.pdf", "Продажи / Бриф получен", True),
        ("Договор.pdf", "Продажи / Бриф получен", False),
        ("Коммерческое предложение.pdf", "Продажи / Новый клиент", False),
    ],
)
def test_a_file_is_attached(name: str, stage: str, acts: bool, hooks: Hooks, judged: Judged) -> None:
    hooks.office.move(IVAN, hooks.deal, stage)
    decisions = judged(hooks.note(note_type=5, text=name, attachement=name))
    assert acting(decisions) == ({"offer", "documents"} if acts else {"documents"}), "A77 stores every file"
    assert decisions["offer"]["actions" if acts else "reason"]


def test_the_offer_is_to_be_approved(hooks: Hooks, judged: Judged) -> None:
    decisions = judged(hooks.about_deal("status", "Продажи / Согласование КП", "Продажи / Бриф получен"))
    assert acting(decisions) == {"approve_offer", "brief_section"}
    assert "«Согласовать КП» — Елена Орлова" in decisions["approve_offer"]["actions"][0]


def test_lost_without_a_reason(hooks: Hooks, judged: Judged) -> None:
    decisions = judged(hooks.about_deal("status", "Продажи / Закрыто и не реализовано", "Продажи / Новый клиент"))
    assert acting(decisions) == {"loss_reason"}
    assert decisions["win_back"]["verdict"] == "skipped"


def test_lost_with_a_reason(hooks: Hooks, judged: Judged) -> None:
    lost = "Продажи / Закрыто и не реализовано"
    hooks.office.move(IVAN, hooks.deal, lost, loss_reason_id=hooks.office.reasons["Дорого"])
    decisions = judged(hooks.about_deal("status", lost, "Продажи / Новый клиент"))
    assert acting(decisions) == {"win_back"}
    assert any("дорого" in words for words in decisions["win_back"]["actions"])


def test_for_people_it_is_a_table(hooks: Hooks, connected: LocalCrm, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "hook"
    path.write_bytes(hooks.note(note_type=5, text="КП [v2] :smile:.pdf", attachement="КП [v2] :smile:.pdf"))
    told = run("replay", str(path))
    assert told.exit_code == 0
    assert "КП [v2] :smile:.pdf" in told.stdout, "a file's name is shown as it is"
    assert "file_moves_deal.offer" in told.stdout
    assert "назван не так, как ждёт правило" in " ".join(told.stdout.replace("│", " ").split())


@pytest.mark.parametrize("payload", PAYLOADS, ids=[payload.stem for payload in PAYLOADS])
def test_every_captured_hook_can_be_replayed(payload: Path, connected: LocalCrm, run: Run) -> None:
    told = run("replay", str(payload), "--json")
    assert told.exit_code == 0
    replayed = json.loads(told.stdout)
    expected = json.loads(payload.with_suffix(".json").read_text("utf-8"))
    assert [one["type"] for one in replayed["events"] if one["type"] in {e["type"] for e in expected}] == [
        one["type"] for one in expected
    ]
    assert {one["verdict"] for one in replayed["decisions"]} <= {"would_act", "skipped", "undecided"}
    assert all(one["reason"] or one["actions"] for one in replayed["decisions"])


def test_without_amocrm_it_says_what_the_hook_says(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AMO_BRIDGE_TOKEN", "any")
    path = tmp_path / "hook"
    path.write_bytes(b"leads[note][0][note][id]=1&leads[note][0][note][element_id]=7&leads[note][0][note][note_type]=5")
    told = run("replay", str(path), "--json")
    replayed = json.loads(told.stdout)
    assert told.exit_code == 0
    assert [one["type"] for one in replayed["events"]] == ["FileAttached"]
    assert {one["verdict"] for one in replayed["decisions"]} == {"undecided"}
    assert "http://127.0.0.1:9 не прочитан: не достучаться" in replayed["decisions"][0]["reason"]


def test_without_a_token_it_says_how_to_get_one(run: Run) -> None:
    told = run("replay", str(PAYLOADS[0]), "--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout)["events"]


@pytest.mark.parametrize("body", [b"", b"\x00\xff\xfe binary \x80", b"=&=&[]=", b"\n"])
def test_what_is_no_hook_is_no_crash(body: bytes, connected: LocalCrm, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "hook"
    path.write_bytes(body)
    for more in ([], ["--json"]):
        told = run("replay", str(path), *more)
        assert told.exit_code == 0
    assert json.loads(told.stdout)["decisions"] == []


def test_no_such_file(run: Run, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        told = run("replay", str(path))
        assert told.exit_code == 1
        assert f"файл с хуком {path} не читается" in told.stderr


# --- enquiries -------------------------------------------------------------------------------------------------------

SAMPLE = Path(__file__).parents[1] / "samples" / "vendors" / "vkads" / "01-lead.meta.json"


def decisions_in(told: Result) -> dict[str, dict[str, Any]]:
    assert told.exit_code == 0, told.output
    return {one["rule"]: one for one in json.loads(told.stdout)["decisions"]}


@pytest.fixture
def repository(connected: LocalCrm, tmp_path: Path) -> Iterator[EnquiryRepository]:
    """Of a bridge that has worked for the account."""
    store = Store.at("", tmp_path / "data")
    store.prepare()
    with store.write() as connection:
        connection.execute(accounts.insert().values(amo_id=1, amojo_id="", url=connected.url))
    yield EnquiryRepository(AccountStore(store, 1), SystemClock())
    store.close()


def put(repository: EnquiryRepository, outcome: Any, **known: object) -> None:
    with repository._store.write() as connection:
        repository.add(connection, outcome, request_id=None, received_at=float(NOON))
        if known:
            repository.mark(connection, [1], **known)


def test_a_saved_request_of_a_vendor_is_judged(connected: LocalCrm, run: Run) -> None:
    found = decisions_in(run("replay", str(SAMPLE), "--json"))
    (name,) = [rule for rule, one in found.items() if one["verdict"] == "would_act"]
    assert name.startswith("enquiry_becomes_deal.")
    assert "Роман" in found[name]["actions"][0]
    assert {request.split()[0] for request in connected.requests()} == {"GET"}


def test_an_enquiry_of_the_store_is_judged_as_if_nobody_knew_him(
    connected: LocalCrm, run: Run, repository: EnquiryRepository
) -> None:
    put(repository, Enquiry(source="tilda", key="1", name="Анна", phones=("+79161234567",), text="Сколько стоит?"))
    connected.forget_requests()
    found = decisions_in(run("replay", "--enquiry", "1", "--json"))
    acting = [one for one in found.values() if one["verdict"] == "would_act"]
    assert any("сделка «Анна, Тильда»" in words for one in acting for words in one["actions"])
    assert {request.split()[0] for request in connected.requests()} == {"GET"}
    assert repository.get(1).state == "new", "nothing is touched"  # type: ignore[union-attr]


def test_an_enquiry_of_a_known_client_is_judged_about_his_deal(
    connected: LocalCrm, run: Run, repository: EnquiryRepository, office: CrmUser
) -> None:
    contact = office.new_contact(IVAN, "Анна", "", "+79161234567")
    deal = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", contact, 0)
    event = EnquiryReceived(
        enquiry_id=1, deal_id=deal, standing="open", source="tilda", title="Тильда", name="Анна", texts=("Ещё вопрос",)
    )
    put(repository, Enquiry(source="tilda", key="1", name="Анна", text="Ещё вопрос"), event_key="enquiry:1:0")
    with repository._store.write() as connection:
        add_events(connection, 1, [event], float(NOON))
    found = decisions_in(run("replay", "--enquiry", "1", "--json"))
    acting = [one for one in found.values() if one["verdict"] == "would_act"]
    assert {one["deal_id"] for one in found.values()} == {deal}
    assert any("примечание" in words for one in acting for words in one["actions"]), acting


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--enquiry", "7"], "обращения № 7 в базе нет"),
        ([], "назовите файл с хуком или номер обращения"),
        ([str(SAMPLE), "--enquiry", "7"], "назовите файл с хуком или номер обращения"),
        ([str(SAMPLE.parents[1] / "telegram" / "01-none.meta.json")], "не читается"),
        ([str(SAMPLE.parents[1] / "tilda" / "02-setup-check.meta.json")], "в запросе нет обращения"),
    ],
)
def test_what_is_no_enquiry_is_told(run: Run, repository: EnquiryRepository, arguments: list[str], words: str) -> None:
    told = run("replay", *arguments)
    assert (told.exit_code != 0, words in told.output) == (True, True), told.output


def test_without_the_account_an_enquiry_is_undecided(
    run: Run, repository: EnquiryRepository, monkeypatch: pytest.MonkeyPatch, connected: LocalCrm
) -> None:
    monkeypatch.setenv("AMO_BRIDGE_TOKEN", "wrong")
    found = decisions_in(run("replay", str(SAMPLE), "--json"))
    assert {one["verdict"] for one in found.values()} == {"undecided"}
    assert found
