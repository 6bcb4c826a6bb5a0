"""What tests of pages share: the pages of a bridge that is not at work, and visitors of every role."""

from __future__ import annotations

import re
import uuid
from html import unescape
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from running_bridge import ENVIRONMENT, config_for
from sqlalchemy import insert
from werkzeug.test import TestResponse

from amo_bridge.config.model import Config
from amo_bridge.engine.bridge import Bridge
from amo_bridge.engine.store import accounts
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.app import create_app
from amo_bridge.web.here import EXTENSION
from amo_bridge.web.office import Installed, Office

# Nobody listens there: what pages show comes from the store.
NOWHERE = "http://127.0.0.1:9"
PASSWORD = "правильный пароль"


class Pages:
    """The pages of ``bridge``, which has been made but not started. ``office`` is what is behind them."""

    def __init__(self, bridge: Bridge, installed: Installed | None = None, **how: Any) -> None:
        self.bridge = bridge
        self.app: Flask = create_app(bridge, bridge, bridge, bridge, installed=installed or bridge, **how)
        self.office: Office = self.app.extensions[EXTENSION]

    @classmethod
    def of(cls, config: Config) -> Pages:
        return cls(Bridge(config, ENVIRONMENT, NOWHERE))

    @classmethod
    def in_folder(cls, folder: Path, **environment: str) -> Pages:
        """The shipped example's, its data in ``folder``, its amoCRM nowhere."""
        return cls.of(config_for(NOWHERE, folder, **environment))

    def meet_account(self) -> int:
        """As if the bridge had met amoCRM once; returns the account's number in the store."""
        with self.office.store.write() as connection:
            row = {"amo_id": 99, "amojo_id": uuid.uuid4().hex, "url": self.bridge.config.account.url}
            return int(connection.execute(insert(accounts).values(row).returning(accounts.c.id)).scalar_one())

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
