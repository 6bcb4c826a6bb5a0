"""A file on a deal becomes a copy in the deal's folder, its link a field, the field goes along into the project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from support.local_crm import LocalCrm
from support.pages import Visit
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

IVAN, OLGA, HEAD = "Иван Петров", "Ольга Волкова", "Елена Орлова"
WON, TIMING = "Продажи / Успешно реализовано", "Реализация / Тайминг"
OFFER, CONTRACT, FOLDER = "Ссылка на КП", "Ссылка на договор", "Папка Google Drive"


def sale(office: CrmUser) -> int:
    contact = office.new_contact(IVAN, "Анна Соколова")
    deal = office.new_deal(IVAN, "Ромашка", "Продажи / Утвержденный проект", contact, 90_000)
    facts = {
        "PR-менеджер": OLGA, "Услуги": "Лисицына Екатерина:\n— Instagram: Размещение фото",
        "Тип оплаты": "Предоплата", "Бриф": "Запуск линейки", "Реквизиты клиента": "ООО «Ромашка»",
        "Реквизиты подрядчика": "ИП Лисицына",
    }  # fmt: skip
    for field, value in facts.items():
        office.fill(IVAN, deal, field, value)
    return deal


def lying(config: Config) -> list[str]:
    """The copies, by folder and name."""
    root = config.documents_folder
    found = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(str(path.relative_to(root)) for path in found)


def somebody(bridge: RunningBridge) -> Visit:
    """A colleague who is logged in to the bridge's pages."""
    users = bridge.app.extensions[EXTENSION].users
    user = users.add("olga", Role.VIEWER)
    visit = Visit(bridge.app.test_client())
    visit.become(users.sit_down(user.id))
    return visit


def path_of(bridge: RunningBridge, url: str) -> str:
    assert url.startswith(bridge.url)
    return url.removeprefix(bridge.url)


def test_documents_of_a_deal_lie_in_its_folder_and_its_fields_lead_there(
    config: Config, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    """A77, A80: filled by the storage, not by hand."""
    deal = sale(office)
    office.attach(IVAN, deal, "Коммерческое предложение Ромашка.pdf")
    office.attach(IVAN, deal, "Договор с Ромашкой.pdf")
    bridge.settle(sandbox)
    folder = f"{deal} Ромашка"
    first = ["Договор с Ромашкой.pdf", "Коммерческое предложение Ромашка.pdf"]
    assert lying(config) == [f"{folder}/{name}" for name in first]

    visit = somebody(bridge)
    page = visit.get(path_of(bridge, office.value(deal, FOLDER)))
    assert all(name in page.text for name in first)
    got = visit.get(path_of(bridge, office.value(deal, CONTRACT)))
    assert got.data.decode() == "Договор с Ромашкой.pdf", "the sandbox's files hold their names"
    assert got.headers["Content-Disposition"].startswith("attachment")
    stranger = Visit(bridge.app.test_client()).get(path_of(bridge, office.value(deal, CONTRACT)))
    assert (stranger.status_code, stranger.headers["Location"].startswith("/files")) == (302, False), "log in first"

    sandbox.later()
    before = office.value(deal, OFFER)
    office.attach(IVAN, deal, "Коммерческое предложение Ромашка.pdf")
    bridge.settle(sandbox)
    assert f"{folder}/Коммерческое предложение Ромашка (2).pdf" in lying(config)
    assert office.value(deal, OFFER) != before


def test_the_links_go_along_into_the_project(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    deal = sale(office)
    office.attach(IVAN, deal, "КП Ромашка.pdf")
    office.attach(IVAN, deal, "Договор с Ромашкой.pdf")
    bridge.settle(sandbox)
    links = {name: office.value(deal, name) for name in (OFFER, CONTRACT)}
    assert all(links.values())
    sandbox.later()
    office.move(HEAD, deal, WON)
    bridge.settle(sandbox)
    (project,) = office.deals_on(TIMING)
    assert {name: office.value(project["id"], name) for name in links} == links


def test_a_repeated_hook_stores_nothing_twice(
    config: Config, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = sale(office)
    sandbox.fault("hook_duplicate", count=20)
    office.attach(IVAN, deal, "Договор с Ромашкой.pdf")
    bridge.settle(sandbox)
    assert len(lying(config)) == 1


def test_a_dry_run_copies_nothing(
    config: Config, start_bridge: Callable[..., RunningBridge], sandbox: LocalCrm, office: CrmUser
) -> None:
    dry = replace(config, bridge=config.bridge.model_copy(update={"dry_run": True}))
    bridge = start_bridge(dry).wait_ready()
    deal = sale(office)
    office.attach(IVAN, deal, "Договор с Ромашкой.pdf")
    bridge.settle(sandbox)
    assert not Path(config.documents_folder).exists()
    assert any("копия файла" in str(entry.effects) for entry in bridge.journal(deal))
