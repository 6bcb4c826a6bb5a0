"""What tests of pages share: the pages of a bridge that is not at work, and visitors of every role."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert
from werkzeug.test import TestResponse

from amo_bridge.config.account_fit import fit
from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.account_cache import FORMAT
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.records import DealRecord
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.runtime.host import Application
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.accounts import KnownNames
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import small_state
from amo_bridge.storage.tables import accounts, journal, outbox
from amo_bridge.web.accounts import Accounts, AccountView
from amo_bridge.web.app import create_app
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION
from support.local_crm import TOKEN, served
from support.running_bridge import ENVIRONMENT, EXAMPLE, UNHURRIED

# Nobody listens there: what pages show comes from the store.
NOWHERE = "http://127.0.0.1:9"
PASSWORD = "правильный пароль"


@cache
def agency() -> Account:
    """The account that a new sandbox has, read once for all tests."""
    with served(load_world()) as crm:
        return Account.read(CrmClient(crm.url, LongLivedToken(TOKEN), LocalRateLimiter(UNHURRIED)))


class Pages:
    """The pages of ``bridge``, which has been made but not started. ``office`` is what is behind them."""

    def __init__(self, bridge: AccountRuntime, application: Application | None = None, **how: Any) -> None:
        self.bridge = bridge
        self.app: Flask = create_app(application or bridge, **how)
        self.office: Accounts = self.app.extensions[EXTENSION]

    @classmethod
    def of(cls, config: Config) -> Pages:
        return cls(AccountRuntime(config, ENVIRONMENT, NOWHERE))

    @classmethod
    def in_folder(cls, folder: Path) -> Pages:
        """A copy of the shipped example's, all in ``folder``, its amoCRM nowhere."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "config.toml"
        text = EXAMPLE.read_text("utf-8").replace("https://example.amocrm.ru", NOWHERE)
        path.write_text(text, "utf-8")
        return cls.of(load(path, {}))

    def meet_account(self) -> int:
        """As if the bridge had met amoCRM once; returns the account's number in the store."""
        with self.office.store.write() as connection:
            row = {"amo_id": 99, "amojo_id": uuid.uuid4().hex, "url": self.bridge.config.account.url}
            return int(connection.execute(insert(accounts).values(row).returning(accounts.c.id)).scalar_one())

    @property
    def account(self) -> AccountView:
        return self.office.account_at(None)

    def say(self, verdict: str, *, at: datetime | None = None, **more: Any) -> None:
        """A line in the journal, of A10's rule if nothing else is told."""
        row = {
            "account": self.account.key,
            "at": (at or datetime.now(UTC)).timestamp(),
            "event_id": 1,
            "deal_id": 30000001,
            "what": "этап",
            "rule": "stage_creates_tasks.new_client",
            "clause": "A10",
            "verdict": verdict,
        }
        with self.office.store.write() as connection:
            connection.execute(insert(journal).values({**row, **more}))

    def refuse(self, **more: Any) -> None:
        """An effect that amoCRM refused: «F1» is the first of them."""
        row = {
            "account": self.account.key,
            "key": f"key {more}",
            "rule": "r",
            "deal_id": 30000001,
            "kind": "create_task",
            "payload": '{"words": "задача"}',
            "state": "failed",
            "created_at": datetime.now(UTC).timestamp(),
            "error": "amoCRM отказала",
        }
        with self.office.store.write() as connection:
            connection.execute(insert(outbox).values({**row, **more}))

    def know_account(self, account: Account) -> None:
        """Its names are remembered, as a worker leaves them."""
        config = self.bridge.config
        kept = {"format": FORMAT, "account": account.to_json()}
        small_state(config, ENVIRONMENT).accounts.write(config.account.url, kept)

    def know_account_renamed(self, account: Account, old: str, new: str) -> None:
        """A worker has worked with this account; then a name in it was changed, ids stayed."""
        self.know_account(account)
        KnownNames(self.account.account_store).remember(fit(self.bridge.config, account).found)
        text = json.dumps(account.to_json(), ensure_ascii=False)
        assert f'"{old}"' in text
        self.know_account(Account.from_json(json.loads(text.replace(f'"{old}"', f'"{new}"'))))

    def know_deal(self, title: str, **more: Any) -> DealRecord:
        """A deal of the account of that name, as it was last seen; on the stage «Продажи / Новый клиент» if nothing
        else is told."""
        stage = agency().stage("Продажи / Новый клиент")
        facts = {"id": 30000001, "name": title, "pipeline_id": stage.pipeline_id, "status_id": stage.status_id}
        record = DealRecord(**{**facts, **more})
        now = datetime.now(UTC)
        with self.office.store.write() as connection:
            Mirror(AccountStore(self.office.store, self.account.key)).put(connection, [MirroredDeal(record, now)], now)
        return record

    def stranger(self) -> Visit:
        return Visit(self.app.test_client())

    def visit(self, role: Role, login: str = "") -> Visit:
        """Somebody who is logged in."""
        user = self.office.users.add(login or f"{role} {uuid.uuid4().hex[:6]}", role)
        assert user is not None
        visit = self.stranger()
        visit.become(self.office.users.sit_down(user.id))
        return visit

    def add_user(self, login: str, role: Role, password: str = PASSWORD) -> int:
        user = self.office.users.add(login, role)
        assert user is not None
        with self.office.store.write() as connection:
            self.office.users.set_password(connection, user.id, password)
        return user.id

    def close(self) -> None:
        self.bridge.stop()


class Visit:
    """A browser without a screen: cookies are kept, forms are sent with the token of the page they are on."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def become(self, secret: str) -> None:
        """The owner of this sitting."""
        with self.client.session_transaction() as session:
            session["_user_id"] = secret
            session.permanent = True

    def get(self, path: str, **how: Any) -> TestResponse:
        return self.client.get(path, buffered=True, **how)

    def post(
        self, path: str, data: dict[str, Any] | None = None, *, page: str | None = None, **how: Any
    ) -> TestResponse:
        """As the form on ``page`` would be sent; without ``page`` the form is on the page that it is sent to."""
        form = self.get(page or path)
        return self.client.post(path, data={"csrf_token": token_in(form), **(data or {})}, **how)


def token_in(page: TestResponse) -> str:
    """The token that protects the page's forms."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found is not None, f"no form on the page:\n{page.text[:2000]}"
    return found[1]


def words_of(page: TestResponse) -> str:
    """What a person reads: tags taken out, spaces made one."""
    body = page.text.partition("<body")[2] or page.text
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", f"<body{body}")).split())


def saved(visit: Visit, review: TestResponse, **changes: str) -> TestResponse:
    """Press «Сохранить» on the page that shows what would change."""
    text = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", review.text, re.DOTALL)
    assert text is not None
    form = dict(
        re.findall(
            r'<input type="hidden" name="(\w+)" value="([^"]*)"', review.text.partition('action="/config/save"')[2]
        )
    )
    # A browser ends lines by CR LF.
    told = form | {"text": unescape(text[1]).replace("\n", "\r\n")} | changes
    return visit.client.post("/config/save", data=told)
