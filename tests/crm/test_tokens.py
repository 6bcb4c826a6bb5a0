"""A refresh token works once: nobody may spend it twice, lose what it brought, or tell it to a log."""

from __future__ import annotations

import base64
import contextlib
import json
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from cryptography.fernet import Fernet
from responses.registries import OrderedRegistry
from support.client_fakes import BASE, UNAUTHORIZED, Clock

from amo_bridge.crm.oauth import OAuth
from amo_bridge.crm.tokens import (
    RETRY_SECONDS,
    FileTokenStore,
    LongLivedToken,
    OAuthTokens,
    TokenPair,
)
from amo_bridge.errors import ConfigError, CrmBlocked, CrmUnauthorized, CrmUncertain, NotConnected, StoreUnavailable
from amo_bridge.file_lock import file_lock

TOKEN_URL = f"{BASE}/oauth2/access_token"
REDIRECT = "https://bridge.example/oauth"
DAY = 86400


def oauth_problem(status: int, hint: str | None) -> dict[str, Any]:
    told = {
        "hint": hint,
        "title": "Некорректный запрос",
        "type": "https://developers.amocrm.ru/v3/errors/OAuthProblemJson",
        "status": status,
        "detail": "В запросе отсутствует ряд параметров или параметры невалидны",
    }
    return {key: value for key, value in told.items() if value is not None}


REVOKED = oauth_problem(401, "Token has been revoked")


def jwt(**claims: Any) -> str:
    def part(told: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")

    return f"{part({'typ': 'JWT', 'alg': 'RS256'})}.{part(claims)}.signature"


def new_pair(number: int, **more: Any) -> dict[str, Any]:
    usual = {"token_type": "Bearer", "expires_in": DAY, "server_time": 1751621727}
    return usual | {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}"} | more


class MemoryStore:
    """Keeps pairs in memory; ``full`` is a full disk from the so many-th save on."""

    def __init__(self, pair: TokenPair | None = None) -> None:
        self.pair = pair
        self.saves = 0
        self.full_from: int | None = None

    def load(self, name: str) -> TokenPair | None:
        return self.pair

    def save(self, name: str, pair: TokenPair) -> None:
        self.saves += 1
        if self.full_from is not None and self.saves >= self.full_from:
            raise StoreUnavailable("disk full")
        self.pair = pair


@pytest.fixture
def amocrm() -> Any:
    with responses.RequestsMock(registry=OrderedRegistry) as mock:
        yield mock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pair_1(clock: Clock, *, left: float, access: str = "access-1") -> TokenPair:
    return TokenPair(access, "refresh-1", clock.now + left, BASE)


def oauth_tokens(store: Any, clock: Clock, lock: Callable[[], Any] = contextlib.nullcontext) -> OAuthTokens:
    return OAuthTokens(store, OAuth("uuid", "very-secret", REDIRECT), BASE, lock, clock=clock)


def asks_with(refresh_token: str) -> list[Any]:
    body = {
        "client_id": "uuid",
        "client_secret": "very-secret",
        "redirect_uri": REDIRECT,
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
    }
    return [responses.matchers.json_params_matcher(body)]


def test_a_code_becomes_a_kept_pair(amocrm: Any, clock: Clock) -> None:
    store = MemoryStore()
    amocrm.post(TOKEN_URL, json=new_pair(1))
    tokens = oauth_tokens(store, clock)
    with pytest.raises(CrmUnauthorized, match="подключите"):
        tokens.access_token()
    tokens.exchange_code("def502")
    assert tokens.access_token() == "access-1"
    assert store.pair == TokenPair("access-1", "refresh-1", clock.now + DAY, BASE)


@pytest.mark.parametrize(
    ("status", "hint", "words"),
    [
        (400, "Authorization code has expired", "20 минут"),
        (401, "Authorization code has expired", "20 минут"),
        (400, "Authorization code has been revoked", "уже использован"),
        (400, "Cannot decrypt the authorization code", "не целиком"),
        (400, "Check the `client_secret` parameter", "Секретный ключ"),
        (400, "Redirect URI is not associated with client", "перенаправления"),
        (401, None, "ключи интеграции"),
    ],
)
def test_a_refused_code_is_explained_to_the_user(
    amocrm: Any, clock: Clock, status: int, hint: str | None, words: str
) -> None:
    amocrm.post(TOKEN_URL, status=status, json=oauth_problem(status, hint))
    with pytest.raises(CrmUnauthorized) as caught:
        oauth_tokens(MemoryStore(), clock).exchange_code("code")
    assert words in caught.value.detail
    assert (caught.value.status, caught.value.hint) == (status, hint)


def test_the_token_is_renewed_at_half_of_its_life_and_not_earlier(amocrm: Any, clock: Clock) -> None:
    store = MemoryStore(pair_1(clock, left=DAY / 2 + 1))
    tokens = oauth_tokens(store, clock)
    assert tokens.access_token() == "access-1"
    clock.now += 2
    amocrm.post(TOKEN_URL, json=new_pair(2), match=asks_with("refresh-1"))
    assert tokens.access_token() == "access-2"
    assert store.pair is not None
    assert store.pair.refresh_token == "refresh-2"


def test_a_bad_minute_of_amocrm_does_not_matter_while_the_old_token_lives(amocrm: Any, clock: Clock) -> None:
    tokens = oauth_tokens(MemoryStore(pair_1(clock, left=DAY / 2)), clock)
    for _ in range(2):
        amocrm.post(TOKEN_URL, status=502, body="<html></html>")
    assert tokens.access_token() == "access-1"
    clock.now += RETRY_SECONDS - 1
    assert tokens.access_token() == "access-1"

    clock.now += 1
    amocrm.post(TOKEN_URL, json=new_pair(2))
    assert tokens.access_token() == "access-2"


def test_a_token_at_its_end_is_not_used_when_there_is_no_new_one(amocrm: Any, clock: Clock) -> None:
    tokens = oauth_tokens(MemoryStore(pair_1(clock, left=0)), clock)
    for _ in range(2):
        amocrm.post(TOKEN_URL, body=requests.ReadTimeout())
    with pytest.raises(CrmUncertain):
        tokens.access_token()


def test_an_answer_lost_before_amocrm_acted_costs_nothing(amocrm: Any, clock: Clock) -> None:
    tokens = oauth_tokens(MemoryStore(pair_1(clock, left=DAY)), clock)
    amocrm.post(TOKEN_URL, body=requests.ReadTimeout())
    amocrm.post(TOKEN_URL, json=new_pair(2), match=asks_with("refresh-1"))
    assert tokens.renew("access-1") == "access-2"


def test_an_answer_lost_after_amocrm_acted_means_connect_again(amocrm: Any, clock: Clock) -> None:
    tokens = oauth_tokens(MemoryStore(pair_1(clock, left=DAY)), clock)
    amocrm.post(TOKEN_URL, body=requests.ReadTimeout())
    amocrm.post(TOKEN_URL, status=401, json=REVOKED)
    with pytest.raises(CrmUnauthorized, match="подключите аккаунт заново"):
        tokens.renew("access-1")


def test_with_its_refresh_token_spent_the_access_token_works_to_its_end(amocrm: Any, clock: Clock) -> None:
    store = MemoryStore(pair_1(clock, left=DAY / 2))
    tokens = oauth_tokens(store, clock)
    amocrm.post(TOKEN_URL, body=requests.ReadTimeout())
    amocrm.post(TOKEN_URL, status=401, json=REVOKED)
    assert tokens.access_token() == "access-1"
    ends_at = clock.now + DAY / 2
    assert tokens.expires_at == ends_at, "people are told of this end"
    for each in (tokens, oauth_tokens(store, clock)):
        clock.now = ends_at - 1
        assert each.access_token() == "access-1", "amoCRM is not asked again: the token is spent"
        with pytest.raises(NotConnected, match="подключите аккаунт заново"):
            each.renew("access-1")
        clock.now = ends_at
        with pytest.raises(NotConnected, match="подключите аккаунт заново"):
            each.access_token()


def test_an_account_connected_again_is_found_by_whoever_still_uses_the_old_token(amocrm: Any, clock: Clock) -> None:
    store = MemoryStore(replace(pair_1(clock, left=DAY / 3), spent=True))
    tokens = oauth_tokens(store, clock)
    assert tokens.access_token() == "access-1"
    store.pair = TokenPair("access-2", "refresh-2", clock.now + DAY, BASE)
    assert tokens.access_token() == "access-1"
    clock.now += RETRY_SECONDS
    assert tokens.access_token() == "access-2"


@pytest.mark.parametrize("hint", [None, "Check the `client_secret` parameter"])
def test_what_a_person_can_put_right_does_not_make_the_refresh_token_a_spent_one(
    amocrm: Any, clock: Clock, hint: str | None
) -> None:
    tokens = oauth_tokens(MemoryStore(pair_1(clock, left=DAY / 2)), clock)
    amocrm.post(TOKEN_URL, status=401, json=oauth_problem(401, hint))
    assert tokens.access_token() == "access-1"
    clock.now += RETRY_SECONDS
    amocrm.post(TOKEN_URL, json=new_pair(2))
    assert tokens.access_token() == "access-2"


def test_a_token_that_somebody_else_renewed_is_taken_over(amocrm: Any, clock: Clock) -> None:
    store = MemoryStore(pair_1(clock, left=DAY))
    tokens = oauth_tokens(store, clock)
    assert tokens.access_token() == "access-1"
    store.pair = TokenPair("access-2", "refresh-2", clock.now + DAY, BASE)
    assert tokens.renew("access-1") == "access-2"
    assert len(amocrm.calls) == 0


def test_a_full_disk_shows_before_the_refresh_token_is_spent(amocrm: Any, clock: Clock) -> None:
    store = MemoryStore(pair_1(clock, left=DAY))
    store.full_from = 1
    with pytest.raises(StoreUnavailable):
        oauth_tokens(store, clock).renew("access-1")
    assert len(amocrm.calls) == 0


def test_a_pair_that_could_not_be_saved_is_saved_at_the_next_try(amocrm: Any, clock: Clock) -> None:
    store = MemoryStore(pair_1(clock, left=DAY))
    store.full_from = 2
    tokens = oauth_tokens(store, clock)
    amocrm.post(TOKEN_URL, json=new_pair(2))
    with pytest.raises(StoreUnavailable):
        tokens.renew("access-1")
    assert tokens.access_token() == "access-1"

    store.full_from = None
    assert tokens.renew("access-1") == "access-2"
    assert store.pair is not None
    assert store.pair.refresh_token == "refresh-2"


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, UNAUTHORIZED), (404, {"title": "Not Found", "status": 404}), (400, oauth_problem(400, "Invalid account"))],
)
def test_a_renamed_account_is_found(amocrm: Any, clock: Clock, status: int, body: dict[str, Any]) -> None:
    access = jwt(api_domain="api-b.amocrm.ru")
    store = MemoryStore(pair_1(clock, left=DAY, access=access))
    tokens = oauth_tokens(store, clock)
    amocrm.post(TOKEN_URL, status=status, json=body)
    amocrm.get(
        "https://api-b.amocrm.ru/oauth2/account/current/subdomain",
        json={"id": 1, "subdomain": "renamed", "domain": "renamed.amocrm.ru", "top_level_domain": "ru"},
        match=[responses.matchers.header_matcher({"X-Refresh-Token": "refresh-1"})],
    )
    amocrm.post("https://renamed.amocrm.ru/oauth2/access_token", json=new_pair(2), match=asks_with("refresh-1"))
    assert tokens.renew(access) == "access-2"
    assert tokens.base_url == "https://renamed.amocrm.ru"
    assert oauth_tokens(store, clock).base_url == "https://renamed.amocrm.ru"


def test_a_revoked_token_of_an_account_that_was_not_renamed(amocrm: Any, clock: Clock) -> None:
    access = jwt(api_domain="api-b.amocrm.ru")
    amocrm.post(TOKEN_URL, status=401, json=REVOKED)
    amocrm.get("https://api-b.amocrm.ru/oauth2/account/current/subdomain", status=401, json=UNAUTHORIZED)
    with pytest.raises(CrmUnauthorized) as caught:
        oauth_tokens(MemoryStore(pair_1(clock, left=DAY, access=access)), clock).renew(access)
    assert caught.value.hint == "Token has been revoked"


def test_a_block_is_not_taken_for_a_dead_token(amocrm: Any, clock: Clock) -> None:
    amocrm.post(TOKEN_URL, status=403, body="<html><head><title>403 Forbidden</title></head></html>")
    with pytest.raises(CrmBlocked):
        oauth_tokens(MemoryStore(pair_1(clock, left=DAY)), clock).renew("access-1")


@pytest.mark.parametrize(
    ("told", "left"),
    [
        (new_pair(2, expires_in=3600), 3600),
        (new_pair(2, expires_in=None, access_token=jwt(exp=1_700_000_000 + 7200)), 7200),
        (new_pair(2, expires_in="soon"), DAY),
    ],
)
def test_when_a_token_ends(amocrm: Any, clock: Clock, told: dict[str, Any], left: float) -> None:
    store = MemoryStore(pair_1(clock, left=0))
    amocrm.post(TOKEN_URL, json=told)
    oauth_tokens(store, clock).access_token()
    assert store.pair is not None
    assert store.pair.expires_at == clock.now + left


def test_an_answer_without_tokens_is_no_pair(amocrm: Any, clock: Clock) -> None:
    for _ in range(2):
        amocrm.post(TOKEN_URL, json={"token_type": "Bearer"})
    with pytest.raises(CrmUncertain):
        oauth_tokens(MemoryStore(pair_1(clock, left=0)), clock).access_token()


def test_a_long_lived_token() -> None:
    token = LongLivedToken(" " + jwt(exp=1_800_000_000) + "\n")
    assert token.expires_at == 1_800_000_000
    assert token.access_token().endswith(".signature")
    assert token.renew(token.access_token()) is None
    assert LongLivedToken("not.a.jwt").expires_at is None
    assert LongLivedToken("opaque").expires_at is None


@pytest.mark.parametrize("value", ["", "  ", "два слова", "a b", "токен", "a\nb"])
def test_a_token_copied_wrong_is_said_so_without_showing_it(value: str) -> None:
    with pytest.raises(ConfigError, match="скопируйте его ещё раз") as caught:
        LongLivedToken(value)
    assert not value.strip() or value not in str(caught.value)


def test_secrets_do_not_show(amocrm: Any, clock: Clock) -> None:
    tokens = oauth_tokens(MemoryStore(pair_1(clock, left=0)), clock)
    amocrm.post(TOKEN_URL, status=401, json=REVOKED)
    with pytest.raises(CrmUnauthorized) as caught:
        tokens.access_token()
    shown = f"{caught.value!r} {tokens!r} {pair_1(clock, left=0)!r} {LongLivedToken('long-lived')!r}"
    for secret in ("refresh-1", "access-1", "very-secret", "long-lived"):
        assert secret not in shown


# --- two processes ----------------------------------------------------------------------------------------------------


class OneUseServer(ThreadingHTTPServer):
    """Renews each refresh token once. Its first answer waits a little for a second request, which a right client never
    sends: so two clients that do not lock each other out are sure to meet here."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), OneUse)
        self.asked: list[str] = []
        self.second = threading.Event()


class OneUse(BaseHTTPRequestHandler):
    server: OneUseServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        token = body["refresh_token"]
        first = token not in self.server.asked
        self.server.asked.append(token)
        if first:
            self.server.second.wait(0.5)
        else:
            self.server.second.set()
        self._answer(*((200, new_pair(len(self.server.asked) + 1)) if first else (401, REVOKED)))

    def _answer(self, status: int, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def one_use() -> Iterator[OneUseServer]:
    server = OneUseServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def renew_in_process(folder: str, base_url: str, key: str, together: Any, results: Any) -> None:
    store = FileTokenStore(Path(folder) / "tokens.db", {"AMO_BRIDGE_KEY": key})
    lock = partial(file_lock, Path(folder) / "tokens.lock")
    tokens = OAuthTokens(store, OAuth("uuid", "secret", REDIRECT), base_url, lock)
    failed = "access-1"
    together.wait(60)
    results.put(tokens.renew(failed))


def test_two_processes_renew_once(one_use: OneUseServer, tmp_path: Path) -> None:
    base_url = f"http://127.0.0.1:{one_use.server_address[1]}"
    key = Fernet.generate_key().decode()
    store = FileTokenStore(tmp_path / "tokens.db", {"AMO_BRIDGE_KEY": key})
    store.save("amocrm", TokenPair("access-1", "refresh-1", 0, base_url))

    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(2), context.Queue()
    arguments = (str(tmp_path), base_url, key, together, results)
    workers = [context.Process(target=renew_in_process, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    got = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()

    assert got == ["access-2", "access-2"]
    assert one_use.asked == ["refresh-1"]
    assert store.load("amocrm") is not None
    previous = store.previous("amocrm")
    assert previous is not None
    assert previous.refresh_token == "refresh-1"
