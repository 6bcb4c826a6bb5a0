"""What tests of the document storage share: a local amoCRM with files on a deal, the port, a clock moved by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import select

from amo_bridge.channels.sender import ChannelSender
from amo_bridge.channels.storage import StoragePort
from amo_bridge.channels.storage_services import StorageService
from amo_bridge.config.channels import StorageSection
from amo_bridge.crm.account import Account
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox, stored_files
from support.fakes import ACCOUNT, client_of, clock, queue
from support.local_crm import LocalCrm
from support.running_bridge import config_for

IVAN = "Иван Петров"
PAGES = "https://bridge.example"
LINKS = {"Ссылка на КП": ["КП"], "Ссылка на договор": ["Договор"]}
FOLDER_FIELD = "Папка Google Drive"


class DocumentOffice:
    """One deal, «Ромашка». ``pages``: where the bridge's pages are.
    ``account_id``: another number of the account's than amoCRM gives."""

    def __init__(
        self,
        store: Store,
        crm: LocalCrm,
        folder: Path,
        service: StorageService,
        section: StorageSection | None = None,
        *,
        pages: str = PAGES,
        account_id: int | None = None,
    ) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.crm = crm
        self.service = service
        self.people = CrmUser(crm.url)
        contact = self.people.new_contact(IVAN, "Анна")
        self.deal = self.people.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", contact, 1000)
        self.hands = clock()
        self.client = client_of(crm.url)
        config = config_for(crm.url, folder)
        config = replace(config, bridge=config.bridge.model_copy(update={"tell": IVAN}))
        account = Account.read(self.client)
        account = replace(account, id=account_id or account.id)
        self._engine = RuleEngine.of(config, account, self.hands, pages_url=pages)
        uploads = folder / "uploads"
        self.spool = uploads / str(account.id)
        port = StoragePort(
            section or StorageSection(keep_free_mb=0),
            service,
            uploads,
            self.store,
            self.client,
            self.engine,
            self.hands,
            self.hands,
        )
        self.port = port
        self.lane = ChannelSender(self.store, port, self.hands, self.hands)
        self._wants = 0

    def engine(self) -> RuleEngine:
        return self._engine

    def attach(self, name: str, content: str = "содержание") -> str:
        """A person drops a file on the deal's card; its uuid."""
        user = self.people.users[IVAN]
        body = {"entity_type": "leads", "entity_id": self.deal, "file_name": name, "user_id": user, "content": content}
        answer = requests.post(f"{self.crm.url}/sandbox/ui/attach_file", json=body, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["file_uuid"])

    def want(self, name: str, uuid: str | None, *, deal: int = 0, links: Mapping[str, Sequence[str]] = LINKS) -> None:
        """A rule wants it stored."""
        self._wants += 1
        body = {"file_name": name, "file_uuid": uuid, "folder": "Ромашка", "link_field": FOLDER_FIELD, "links": links}
        effect = Effect("store_file", deal or self.deal, body, f"копия файла «{name}»")
        queue(self.store.store, effect, event_key=f"want {self._wants}")

    def store_file(self, name: str, content: str = "содержание", **more: Any) -> str:
        """Attached, wanted and sent."""
        uuid = self.attach(name, content)
        self.want(name, uuid, **more)
        self.round()
        return uuid

    def round(self) -> None:
        """Send until nothing moves."""
        for _ in range(20):
            try:
                if not self.lane.send():
                    return
            except BridgeError:
                return

    def later(self, **time: float) -> None:
        self.hands.advance(timedelta(**time))
        self.round()

    def rows(self) -> list[Any]:
        """What is known to lie in the storage."""
        with self.store.read() as connection:
            return list(connection.execute(select(stored_files).order_by(stored_files.c.id)))

    def fields(self) -> dict[str, str]:
        """Field → the address that was decided for it last; written into amoCRM by nobody here."""
        account = Account.read(self.client)
        names = {field.id: field.name for field in account.fields("leads")}
        found: dict[str, str] = {}
        for body in self.bodies("patch_deal"):
            for cell in body["custom_fields_values"]:
                found[names[cell["field_id"]]] = cell["values"][0]["value"]
        return found

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            query = select(outbox.c.payload).where(outbox.c.kind == kind).order_by(outbox.c.id)
            return [json.loads(payload)["body"] for payload in connection.execute(query).scalars()]

    def told(self) -> str:
        """What the journal says of what was to be stored last."""
        with self.store.read() as connection:
            query = select(outbox.c.result, outbox.c.error).where(outbox.c.kind == "store_file")
            row = connection.execute(query.order_by(outbox.c.id.desc())).first()
        assert row is not None
        return row.error or (json.loads(row.result)["told"] if row.result else "")

    def state(self) -> list[str]:
        """The states of what was to be stored."""
        with self.store.read() as connection:
            query = select(outbox.c.state).where(outbox.c.kind == "store_file").order_by(outbox.c.id)
            return list(connection.execute(query).scalars())
