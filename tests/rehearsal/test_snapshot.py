"""A snapshot: what is read of an account is in the file, and a sandbox made of it is the same account."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.local_crm import TOKEN, LocalCrm, served

from amo_bridge.config.account_fit import unknown_names
from amo_bridge.config.loader import load
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.rehearsal.known_state import NOTHING
from amo_bridge.rehearsal.snapshot import Head, Masking, SnapshotRefused, account_of, read, rows_of, rows_of_one, write
from amo_bridge.sandbox import snapshot_start
from amo_bridge.sandbox.world import World

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
NOON = datetime(2026, 3, 2, 9, tzinfo=UTC)
IVAN = "Иван Петров"
NEW = "Продажи / Новый клиент"
SPARE = "spare-token"


def client_of(url: str, token: str = TOKEN) -> CrmClient:
    return CrmClient(url, LongLivedToken(token), LocalRateLimiter(5000))


@pytest.fixture
def filled(sandbox: LocalCrm, office: CrmUser) -> LocalCrm:
    """An account with two deals of one client and a task."""
    contact = office.new_contact(IVAN, "Анна Каренина")
    sandbox.world.table("contacts")[contact] = {
        **sandbox.world.table("contacts")[contact],
        "custom_fields_values": _phone(sandbox, "+7 916 123-45-67"),
    }
    for name in ("Ромашка для Анны", "Ромашка ещё раз"):
        office.new_deal(IVAN, name, NEW, contact, 1000)
    deal = next(iter(sandbox.world.table("leads")))
    office.fill(IVAN, deal, "Тип клиента", "Прямой клиент")
    office.fill(IVAN, deal, "PR-менеджер", "Павел Смирнов")
    office.fill(IVAN, deal, "Клиент (бренд)", "ООО «Каренина и сын»")
    _task(office, deal)
    return sandbox


def _phone(sandbox: LocalCrm, number: str) -> list[dict[str, Any]]:
    field = next(one for one in sandbox.world.table("custom_fields/contacts").values() if one["code"] == "PHONE")
    kind = field["enums"][0]
    value = {"value": number, "enum_id": kind["id"], "enum_code": kind["code"]}
    shown = {"field_id": field["id"], "field_name": field["name"], "field_code": "PHONE", "field_type": "multitext"}
    return [{**shown, "values": [value]}]


def _task(office: CrmUser, deal: int) -> None:
    client = client_of(office.url)
    body = {"text": "Позвонить Анне Карениной", "complete_till": 2_000_000_000}
    client.post("/api/v4/tasks", [{**body, "entity_id": deal, "entity_type": "leads"}])


def taken(crm: LocalCrm, path: Path, masking: Masking | None = None) -> Path:
    client = client_of(crm.url)
    rows = ((kind, masking.masked(kind, row) if masking else row) for kind, row in rows_of(client))
    write(path, Head(crm.url, NOON, masking is not None, account_of(client), NOTHING), rows)
    return path


def opened(path: Path) -> World:
    head, rows = read(path)
    world = World()
    snapshot_start.fill(world, head.account, rows, SPARE)
    return world


def lists(url: str, token: str) -> dict[str, list[dict[str, Any]]]:
    """Everything that the API shows, without addresses."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, row in rows_of(client_of(url, token)):
        found.setdefault(kind, []).append(json.loads(json.dumps(row).replace(url, "")))
    return found


def test_a_sandbox_made_of_a_snapshot_answers_as_the_account_did(filled: LocalCrm, tmp_path: Path) -> None:
    world = opened(taken(filled, tmp_path / "account.snapshot"))
    with served(world) as copy:
        there, here = lists(copy.url, SPARE), lists(filled.url, TOKEN)
        assert there.keys() == here.keys() == {"companies", "contacts", "leads", "tasks"} & here.keys()
        for kind in here:
            assert [_plain(row) for row in there[kind]] == [_plain(row) for row in here[kind]], kind
        was, now = Account.read(client_of(filled.url)), Account.read(client_of(copy.url, SPARE))
    assert (was.stages, was.all_fields, was.users, was.task_types) == (
        now.stages, now.all_fields, now.users, now.task_types
    )  # fmt: skip
    assert unknown_names(load(EXAMPLE, {}), now) == []


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "group_id"}


def test_new_records_get_ids_that_nothing_has(filled: LocalCrm, tmp_path: Path) -> None:
    world = opened(taken(filled, tmp_path / "account.snapshot"))
    there = set(world.table("leads"))
    with served(world) as copy:
        made = client_of(copy.url, SPARE).post("/api/v4/leads", [{"name": "Новая"}])["_embedded"]["leads"][0]["id"]
    assert made not in there


def test_one_deal_comes_with_its_people_and_its_tasks_alone(filled: LocalCrm) -> None:
    first, second = sorted(filled.world.table("leads"))
    rows = list(rows_of_one(client_of(filled.url), first))
    assert [(kind, row["id"]) for kind, row in rows if kind == "leads"] == [("leads", first)]
    assert {kind for kind, _ in rows} == {"contacts", "leads", "tasks"}
    assert list(rows_of_one(client_of(filled.url), second + 100)) == []


# --- without people ------------------------------------------------------------------------------------------------


def masking(crm: LocalCrm, *kept: str) -> Masking:
    users = [user["name"] for user in crm.world.table("users").values()]
    return Masking(users, kept)


def test_nothing_of_the_client_is_left(filled: LocalCrm, tmp_path: Path) -> None:
    path = taken(filled, tmp_path / "account.snapshot", masking(filled))
    text = gzip.decompress(path.read_bytes()).decode().partition("\n")[2]
    for secret in ("Каренин", "Анн", "Ромашка", "916 123", "123-45-67"):
        assert secret not in text


def test_what_rules_decide_by_stays(filled: LocalCrm, tmp_path: Path) -> None:
    world = opened(taken(filled, tmp_path / "account.snapshot", masking(filled)))
    deal = world.table("leads")[min(world.table("leads"))]
    values = {field["field_name"]: field["values"][0]["value"] for field in deal["custom_fields_values"]}
    assert values["Тип клиента"] == "Прямой клиент", "a choice of a list"
    assert values["PR-менеджер"] == "Павел Смирнов", "a user's name: a role may stand there"
    assert values["Клиент (бренд)"].startswith("Текст "), "filled, though with something else"
    assert deal["price"] == 1000


def test_the_same_is_masked_the_same_and_no_other_way_back(filled: LocalCrm) -> None:
    mask = masking(filled)
    one, other = {"name": "Анна", "custom_fields_values": None}, {"name": "Борис", "custom_fields_values": None}
    assert mask.masked("contacts", one) == mask.masked("contacts", dict(one))
    assert mask.masked("contacts", one)["name"] != mask.masked("contacts", other)["name"]
    assert masking(filled).masked("contacts", one)["name"] != mask.masked("contacts", one)["name"], "a new secret"


def test_fields_may_be_kept(filled: LocalCrm, tmp_path: Path) -> None:
    world = opened(taken(filled, tmp_path / "account.snapshot", masking(filled, "клиент (бренд)")))
    deal = world.table("leads")[min(world.table("leads"))]
    values = {field["field_name"]: field["values"][0]["value"] for field in deal["custom_fields_values"]}
    assert values["Клиент (бренд)"] == "ООО «Каренина и сын»"


# --- the file ------------------------------------------------------------------------------------------------------


def test_only_its_owner_may_read_it_and_it_is_never_overwritten(filled: LocalCrm, tmp_path: Path) -> None:
    path = taken(filled, tmp_path / "account.snapshot")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SnapshotRefused, match="уже есть"):
        taken(filled, path)


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Any:
        yield "leads", {"id": 1}
        raise ConnectionError("the cable")

    path = tmp_path / "account.snapshot"
    with pytest.raises(ConnectionError):
        write(path, Head("https://a.amocrm.ru", NOON, False, {}, NOTHING), rows())
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not gzip at all", "не читается"),
        (gzip.compress(b"{}\n", mtime=0), "не снимок аккаунта"),
        (gzip.compress(b"[1]\n", mtime=0), "не снимок аккаунта"),
        (gzip.compress(b'{"account": {}, "format": 99}\n', mtime=0), "снимок другого вида"),
        (gzip.compress(b"{broken\n", mtime=0), "не читается"),
        (b"", "не снимок аккаунта"),
    ],
)
def test_other_files_are_refused_in_words(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "account.snapshot"
    path.write_bytes(content)
    with pytest.raises(SnapshotRefused, match=words):
        read(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SnapshotRefused, match=r"файла .* нет"):
        read(tmp_path / "nothing")
