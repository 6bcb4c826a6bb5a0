"""What tests of files in letters share: a local amoCRM with files on a deal, the port of letters, a mail server."""

from __future__ import annotations

import json
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import select

from amo_bridge.channels.attachments import Attachments, DealFiles
from amo_bridge.channels.documents import Documents
from amo_bridge.channels.mail import MailPort
from amo_bridge.channels.mail_log import MailMemory
from amo_bridge.channels.sender import ChannelSender
from amo_bridge.channels.smtp import MailServer
from amo_bridge.crm.account import Account
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox
from amo_bridge.text.templates import Templates
from support.fakes import ACCOUNT, client_of, clock, queue
from support.local_crm import LocalCrm
from support.mail_server import Post, section
from support.running_bridge import config_for

IVAN = "Иван Петров"


class LetterOffice:
    """One deal, «Ромашка», whose client has a mail. ``folder``: of the templates; ``most``: bytes of all files."""

    def __init__(self, store: Store, crm: LocalCrm, post: Post, folder: Path, most: int = 1 << 20) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.crm, self.post, self.folder = crm, post, folder / "letters"
        self.folder.mkdir()
        (self.folder / "счёт.txt").write_text("Тема: Счёт\n\nВо вложении.\n", "utf-8")
        self.people = CrmUser(crm.url)
        self.contact = self.people.new_contact(IVAN, "Ольга Смирнова", "olga@client.example", "+79161234567")
        self.deal = self.people.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", self.contact, 50_000)
        self.hands = clock()
        self.client = client_of(crm.url)
        self._engine = RuleEngine.of(config_for(crm.url, folder), Account.read(self.client), self.hands)
        mail = section(post)
        documents = Documents(self.folder, self.store, self.client, self.engine, self.hands, self.hands)
        port = MailPort(
            mail,
            MailServer(mail, "", timeout=5),
            Templates(self.folder),
            Attachments(self.folder, DealFiles(self.client, self.engine), documents.enclosed, most),
            MailMemory(self.store, self.hands),
            self.client,
            self.engine,
            ACCOUNT,
            self.hands,
        )
        self.lane = ChannelSender(self.store, port, self.hands, self.hands)
        self._wants = 0

    def engine(self) -> RuleEngine:
        return self._engine

    def attach(self, name: str, content: str = "содержание") -> None:
        """A person drops a file on the deal's card."""
        body = {
            "entity_type": "leads", "entity_id": self.deal, "file_name": name, "user_id": self.people.users[IVAN],
            "content": content,
        }  # fmt: skip
        requests.post(f"{self.crm.url}/sandbox/ui/attach_file", json=body, timeout=30).raise_for_status()
        self.crm.later()

    def send(self, *attach: dict[str, Any], minutes: float = 0, **body: Any) -> None:
        """A rule wants the letter with these files; one round of the channel."""
        self._wants += 1
        body = {"template": "счёт", "service": True, "thread": "", "no_address": None, "attach": list(attach), **body}
        queue(self.store.store, Effect("send_letter", self.deal, body, "письмо «счёт»"), event_key=f"{self._wants}")
        self.round(minutes)

    def round(self, minutes: float = 0) -> None:
        self.hands.advance(timedelta(minutes=minutes))
        self.lane.send()

    def files(self) -> dict[str, bytes]:
        """Of the newest letter."""
        letter = self.post.letters[-1]
        assert isinstance(letter, EmailMessage)
        return {str(part.get_filename()): part.get_payload(decode=True) for part in letter.iter_attachments()}  # type: ignore[misc]

    def letters(self) -> list[tuple[str, str]]:
        """(state, error or what the journal says) of each, in their order."""
        with self.store.read() as connection:
            query = select(outbox).where(outbox.c.kind == "send_letter").order_by(outbox.c.id)
            rows = connection.execute(query).all()
        return [(row.state, row.error or (json.loads(row.result)["told"] if row.result else "")) for row in rows]

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            query = select(outbox.c.payload).where(outbox.c.kind == kind).order_by(outbox.c.id)
            return [json.loads(payload)["body"] for payload in connection.execute(query).scalars()]
