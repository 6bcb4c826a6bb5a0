"""A client writes to the agency's mailbox: a local amoCRM, a running bridge, a real IMAP server (A3, M4, W12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.imap_server import PASSWORD, ImapServer, imap_server, letter, needs_dovecot
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, RunningBridge, wait_until

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER
from amo_bridge.intake.repository import IntakeRequests
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore

pytestmark = needs_dovecot
LOST_WORK = "Работа с потерянными / Клиент в процессе возврата"
NEW = "Продажи / Новый клиент"
BOX = """
[[intake.mail]]
name = "info"
host = "127.0.0.1"
port = {port}
tls = "none"
user = "info"
"""


@pytest.fixture
def server() -> Iterator[ImapServer]:
    with imap_server() as running:
        yield running


def config_with(crm: LocalCrm, folder: Path, server: ImapServer) -> Config:
    path = folder / "config.toml"
    own = 'own_domains = ["agency.example"]'
    text = EXAMPLE.read_text("utf-8").replace("own_domains = []", own) + BOX.format(port=server.port)
    path.write_text(text, "utf-8")
    return load(path, {"AMO_BRIDGE_ACCOUNT_URL": crm.url, "AMO_BRIDGE_DATA": str(folder / "data")})


@pytest.fixture
def start(
    sandbox: LocalCrm, tmp_path: Path, server: ImapServer, start_bridge: Callable[..., RunningBridge]
) -> Callable[..., RunningBridge]:
    def begin(password: str = PASSWORD) -> RunningBridge:
        environment = {**ENVIRONMENT, "AMO_BRIDGE_INTAKE_MAIL_INFO_PASSWORD": password}
        return start_bridge(config_with(sandbox, tmp_path, server), environment=environment).wait_ready()

    return begin


def kept(bridge: RunningBridge) -> list[tuple[str, str]]:
    store = bridge.bridge.resources.store
    key = known_key(store, bridge.config.account.url)
    assert key is not None
    return [(one.vendor, one.state) for one in IntakeRequests(AccountStore(store, key)).latest()]


def open_box(bridge: RunningBridge) -> None:
    """The first look at the box is over: what comes now is news."""
    wait_until(lambda: bridge.bridge._work and bridge.bridge._work.mail, "the box is read")
    mail = bridge.bridge._work and bridge.bridge._work.mail
    assert mail
    wait_until(lambda: mail.rounds, "the first look is over")


def test_a_known_clients_letter_lies_on_his_deal_with_its_files(
    start: Callable[..., RunningBridge], server: ImapServer, sandbox: LocalCrm, office: CrmUser
) -> None:
    bridge = start()
    contact = office.new_contact(MANAGER, "Зоя Тестова", "zoya@example.com")
    deal = office.new_deal(MANAGER, "Ромашка", NEW, contact, 1000)
    bridge.settle(sandbox)
    open_box(bridge)
    server.deliver(letter("Заполнила анкету.", subject="Анкета", files=(("Анкета.docx", b"brief"),)))
    wait_until(lambda: any("Заполнила анкету" in one for one in office.notes(deal)), "the letter is a note")
    wait_until(lambda: sandbox.table("file_links"), "its file lies on the deal")
    (link,) = sandbox.table("file_links")
    assert (link["entity_type"], link["entity_id"]) == ("leads", deal)
    told = ("письмо клиента «Анкета»", "клиент ответил: письмо")
    wait_until(
        lambda: all(any(words in entry.what for entry in bridge.journal(deal)) for words in told),
        "the journal of the deal tells of it",
    )
    assert kept(bridge) == [("mail", "read")]
    assert not any(b"Seen" in flags for flags in server.flags())


def test_a_stranger_is_a_deal_with_his_files_and_a_machine_is_not(
    start: Callable[..., RunningBridge], server: ImapServer, sandbox: LocalCrm
) -> None:
    bridge = start()
    open_box(bridge)
    asked = letter(number=2, sender="new@example.com", files=(("Задание.docx", b"brief"),))
    server.deliver(letter(number=1, Precedence="bulk"), asked)
    wait_until(lambda: sandbox.table("file_links"), "the file of the letter lies on a deal")
    (link,) = sandbox.table("file_links")
    (deal,) = sandbox.table("leads")
    assert (link["entity_type"], link["entity_id"]) == ("leads", deal["id"])
    wait_until(lambda: kept(bridge) == [("mail", "read")], "the letter is done with")


def test_a_wrong_password_is_shown_and_holds_up_nothing_else(
    start: Callable[..., RunningBridge], server: ImapServer, sandbox: LocalCrm, office: CrmUser
) -> None:
    bridge = start("wrong")
    wait_until(lambda: bridge.health().json()["mailboxes"].get("info"), "the health page shows it")
    assert "AMO_BRIDGE_INTAKE_MAIL_INFO_PASSWORD" in bridge.health().json()["mailboxes"]["info"]
    assert any(words.startswith("почта: ящик info") for words in bridge.health().json()["issues"])
    contact = office.new_contact(MANAGER, "Зоя Тестова", "zoya@example.com")
    office.new_deal(MANAGER, "Ромашка", NEW, contact, 1000)
    bridge.settle(sandbox)
    assert bridge.health().json()["status"] == "ready"
