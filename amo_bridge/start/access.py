"""Access to an account met for the first time: token or code, what it allows, where secrets are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import tomlkit

from amo_bridge.config.loader import load_text, secret
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.oauth import CONSENT_SITES
from amo_bridge.errors import ConfigError, CrmError, CrmRefused, CrmStopped
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.runtime.connection import CLIENT_ID, CLIENT_SECRET, TOKEN, account_client, oauth_tokens, tokens
from amo_bridge.storage.database import Store
from amo_bridge.storage.secrets import KeptSecrets, small_state

ADDRESS = "AMO_BRIDGE_ACCOUNT_URL"
PUBLIC = "AMO_BRIDGE_PUBLIC_URL"
WEBHOOKS = "/api/v4/webhooks"


@dataclass(frozen=True)
class Access:
    """How the account is reached. ``token``: a long-lived one; else ``client_id``, ``client_secret`` and the ``code``
    of the integration's window, which must lead back to ``public_url``."""

    address: str
    token: str = ""
    client_id: str = ""
    client_secret: str = ""
    code: str = ""
    public_url: str = ""


def full_address(told: str) -> str:
    """What people type for their account's address: «shop», «shop.amocrm.ru», the address of a page."""
    told = told.strip()
    if "://" not in told:
        host, _, _ = told.partition("/")
        return f"https://{host if '.' in host or ':' in host else host + '.amocrm.ru'}" if host else ""
    scheme, _, rest = told.partition("://")
    host = rest.partition("/")[0]
    # The token is not to travel in clear; amoCRM itself is nowhere but behind https.
    is_amocrm = host.lower().endswith(tuple(CONSENT_SITES))
    return f"{'https' if is_amocrm and scheme.lower() == 'http' else scheme}://{host}"


class AccountAccess:
    """``path``: where the config will stand. ``config``: a bare one of this account, without any rule. Raises
    ConfigError for an address that is none."""

    def __init__(self, access: Access, path: Path, environment: Mapping[str, str]) -> None:
        self.access = access
        self._outside = environment
        told = environment.get(ADDRESS, "").strip().rstrip("/")
        if told and told.lower() != access.address.lower():
            words = f"переменная {ADDRESS} называет другой аккаунт ({told}): уберите её или назовите его"
            raise ConfigError([words])
        if access.token and (other := secret(environment, TOKEN)) and other != access.token:
            raise ConfigError([f"переменная {TOKEN} (или {TOKEN}_FILE) хранит другой токен, а она важнее: уберите её"])
        bridge = {"public_url": access.public_url} if access.public_url else {}
        head = {"account": {"url": access.address}, "bridge": bridge}
        self.config: Config = load_text(path, tomlkit.dumps(head), environment)

    @property
    def is_given(self) -> bool:
        """Does the environment have the token?"""
        return bool(secret(self._outside, TOKEN))

    def client(self) -> CrmClient:
        """Raises ConfigError when there is nothing to ask with."""
        return account_client(self.config, self._environment())

    def connect(self) -> Account:
        """The account, read by what was typed; a code is used up. Raises CrmError, ConfigError, StoreUnavailable."""
        if self.access.code and not self.access.token:
            self._prepare()
            environment = self._environment()
            state = small_state(self.config, environment)
            oauth_tokens(self.config, environment, state).exchange_code(self.access.code.strip())
        account = Account.read(self.client())
        if not account.id:
            raise ConfigError([f"{self.access.address} отвечает, но это не amoCRM: в ответе нет номера аккаунта"])
        return account

    def keep(self) -> None:
        """Keep what was typed, encrypted, in the data folder or the database. Raises StoreUnavailable, ConfigError."""
        self._prepare()
        kept = KeptSecrets(self.config, self._outside)
        for name, value in self._typed().items():
            if not kept.is_set_outside(name):
                kept.keep(name, value)

    @property
    def token_ends_at(self) -> float | None:
        """Unix seconds; None if nobody knows."""
        return tokens(self.config, self._environment()).expires_at

    def _prepare(self) -> None:
        """A database of one's own is to have its tables before anything can be kept in it; a folder makes its own."""
        if self.config.bridge.database:
            store = Store.at(self.config.bridge.database, self.config.data_folder)
            try:
                store.prepare()
            finally:
                store.close()

    def _typed(self) -> dict[str, str]:
        if self.access.token:
            return {TOKEN: self.access.token}
        keys = {CLIENT_ID: self.access.client_id, CLIENT_SECRET: self.access.client_secret}
        return {name: value for name, value in keys.items() if value}

    def _environment(self) -> dict[str, str]:
        """What is typed now is what is tried, whatever the environment has."""
        typed = self._typed()
        others = {name: value for name, value in self._outside.items() if name not in (TOKEN, f"{TOKEN}_FILE")}
        return {**(others if typed else dict(self._outside)), **typed}


def allowance(account: Account, client: CrmClient) -> Iterator[tuple[bool, str]]:
    """What the account has and what its plan allows (is it well, Russian). Raises CrmError when amoCRM is gone."""
    live = {one.id: f"«{one.name}»" for one in account.pipelines if not one.is_archived}
    stages = sum(one.kind == "open" and one.pipeline_id in live for one in account.stages)
    people = sum(one.is_active for one in account.users)
    yield True, f"воронок {len(live)}, этапов в них {stages}: {', '.join(live.values())}"
    yield (
        True,
        f"полей сделки {len(account.fields())}, контакта {len(account.fields('contacts'))}; сотрудников {people}",
    )
    try:
        client.get(WEBHOOKS)
    except (CrmStopped, CrmRefused):
        yield False, "вебхуков тариф или права токена не дают: мост узнаёт о переменах раз в пять минут"
    except CrmError as error:
        yield False, f"о вебхуках amoCRM не ответила ({error.status or 'нет ответа'}): спросим при запуске"
    else:
        yield True, "вебхуки тариф даёт"
