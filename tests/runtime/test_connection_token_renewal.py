"""Renewing against the local amoCRM, whose refresh tokens work once: by two processes at once, with lost answers."""

from __future__ import annotations

import base64
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import config_for

from amo_bridge.config.model import Config
from amo_bridge.errors import CrmUnauthorized, NotConnected
from amo_bridge.runtime.connection import oauth_tokens
from amo_bridge.sandbox import tokens as sandbox_tokens
from amo_bridge.sandbox.auth import is_admin
from amo_bridge.storage.database import Store
from amo_bridge.storage.secrets import account_name, small_state

CLIENT = "2f6b1c0e-7d43-4f7a-9a51-5b0f3d6e8c11"
REDIRECT = "https://bridge.example/connect/callback"
ENVIRONMENT = {
    "AMO_BRIDGE_CLIENT_ID": CLIENT,
    "AMO_BRIDGE_CLIENT_SECRET": "sandbox-secret",
    "AMO_BRIDGE_REDIRECT_URI": REDIRECT,
    # Always the same: the processes that are started here read this file anew.
    "AMO_BRIDGE_KEY": base64.urlsafe_b64encode(b"k" * 32).decode(),
}
TOKEN_PATH = "POST /oauth2/access_token"


@pytest.fixture(params=["sqlite", "postgresql"])
def config(request: pytest.FixtureRequest, sandbox: LocalCrm, tmp_path: Path) -> Config:
    """Connected, with a token that is near its end."""
    database = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    config = config_for(sandbox.url, tmp_path / "data", AMO_BRIDGE_DATABASE=database)
    store = Store.at(database, config.data_folder)
    store.prepare()
    store.close()
    connect(config, sandbox)
    state = small_state(config, ENVIRONMENT)
    pair = state.tokens.load(account_name(config))
    assert pair is not None
    state.tokens.save(account_name(config), replace(pair, expires_at=0.0))
    sandbox.forget_requests()
    return config


def connect(config: Config, sandbox: LocalCrm) -> None:
    clients = sandbox.world.table("oauth_clients")
    clients[CLIENT] = {**clients[CLIENT], "redirect_uri": REDIRECT}
    administrator = next(user for user, row in sandbox.world.table("users").items() if is_admin(row))
    with sandbox.world.lock:
        code = sandbox_tokens.issue_code(sandbox.world, CLIENT, administrator)
    oauth_tokens(config, ENVIRONMENT, small_state(config, ENVIRONMENT)).exchange_code(code)


def ask(url: str, folder: str, database: str, together: Any, results: Any) -> None:
    """One process: a token, or why there is none."""
    config = config_for(url, Path(folder), AMO_BRIDGE_DATABASE=database)
    tokens = oauth_tokens(config, ENVIRONMENT, small_state(config, ENVIRONMENT))
    together.wait(60)
    try:
        results.put(tokens.access_token())
    except CrmUnauthorized as error:
        results.put(error.detail)


def ask_in_processes(config: Config, number: int = 2) -> list[str]:
    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(number), context.Queue()
    arguments = (config.account.url, str(config.data_folder), config.bridge.database, together, results)
    processes = [context.Process(target=ask, args=arguments) for _ in range(number)]
    for process in processes:
        process.start()
    told = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return told


def works(token: str, sandbox: LocalCrm) -> bool:
    return sandbox_tokens.valid_token(sandbox.world, token) is not None


def test_two_processes_renew_once(config: Config, sandbox: LocalCrm) -> None:
    first, second = ask_in_processes(config)
    assert first == second
    assert works(first, sandbox)
    assert sandbox.requests()[TOKEN_PATH] == 1


def test_a_request_that_never_arrived_is_made_again(config: Config, sandbox: LocalCrm) -> None:
    sandbox.fault("refuse_before", path="/oauth2/access_token", count=1)
    first, second = ask_in_processes(config)
    assert first == second
    assert works(first, sandbox)
    assert sandbox.requests()[TOKEN_PATH] == 2


def test_a_lost_answer_costs_the_access_and_both_say_what_to_do(config: Config, sandbox: LocalCrm) -> None:
    sandbox.fault("lost_answer", path="/oauth2/access_token", count=1)
    told = ask_in_processes(config)
    assert sorted(told) == [
        "Доступ к amoCRM отозван или уже обновлён в другом месте: подключите аккаунт заново",
        "Токен обновления уже использован, ответ amoCRM потерян: подключите аккаунт заново",
    ]
    # Who lost the answer asks once more; the other one knows by then that it is in vain.
    assert sandbox.requests()[TOKEN_PATH] == 2

    connect(config, sandbox)
    first, second = ask_in_processes(config)
    assert first == second
    assert works(first, sandbox)


def test_after_the_disconnect_hook_nobody_asks_any_more(config: Config, sandbox: LocalCrm) -> None:
    mine, others = (oauth_tokens(config, ENVIRONMENT, small_state(config, ENVIRONMENT)) for _ in range(2))
    mine.revoke()
    for tokens in (mine, others):
        with pytest.raises(NotConnected, match="Интеграция отключена в amoCRM"):
            tokens.access_token()
    assert sandbox.requests() == {}


def test_a_refresh_token_dies_unused_after_three_months(config: Config, sandbox: LocalCrm) -> None:
    tokens = oauth_tokens(config, ENVIRONMENT, small_state(config, ENVIRONMENT))
    pair = small_state(config, ENVIRONMENT).tokens.load(account_name(config))
    assert pair is not None
    assert tokens.expires_at == pair.got_at + 89 * 86400
