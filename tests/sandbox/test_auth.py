"""Bearer tokens, users named in headers, rights, OAuth with every refusal that it has."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from support.sandbox_http import receiver
from werkzeug.test import TestResponse

from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.server import create_app
from amo_bridge.sandbox.world import World

UNAUTHORIZED = {
    "title": "Unauthorized",
    "type": "https://httpstatus.es/401",
    "status": 401,
    "detail": "Invalid user name or password",
}
BAD_REQUEST = {
    "title": "Некорректный запрос",
    "type": "https://developers.amocrm.ru/v3/errors/OAuthProblemJson",
    "detail": "В запросе отсутствует ряд параметров или параметры невалидны",
}


@pytest.fixture
def world() -> World:
    return load_world()


@pytest.fixture
def client(world: World) -> Iterator[FlaskClient]:
    with create_app(world).test_client() as client:
        yield client


@pytest.fixture
def integration(world: World) -> dict[str, Any]:
    return dict(next(iter(world.table("oauth_clients").values())))


def user(world: World, name: str) -> int:
    return next(user["id"] for user in world.table("users").values() if user["name"] == name)


def get(
    client: FlaskClient, path: str = "/api/v4/account", token: str = "sandbox-token", **headers: Any
) -> TestResponse:
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return client.get(path, headers={"Authorization": f"Bearer {token}", **named})


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer unknown", "Basic sandbox-token", "sandbox-token"])
def test_without_a_known_bearer_token_nobody_gets_in(client: FlaskClient, header: str | None) -> None:
    answer = client.get("/api/v4/leads", headers={} if header is None else {"Authorization": header})

    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert answer.json == UNAUTHORIZED


def test_an_unknown_address_without_a_token_is_401_and_not_404(client: FlaskClient) -> None:
    assert client.get("/api/v4/xyz").status_code == 401
    assert get(client, "/api/v4/xyz").status_code == 404


def test_a_token_ends_by_the_sandboxs_clock(client: FlaskClient, world: World) -> None:
    body = {"token": "short", "user_id": user(world, "Елена Орлова"), "expires_in": 60}
    client.post("/sandbox/tokens", json=body)
    before = get(client, token="short").status_code

    client.post("/sandbox/clock", json={"advance": 61})

    assert (before, get(client, token="short").status_code) == (200, 401)


def test_a_revoked_token_ends_at_once(client: FlaskClient) -> None:
    client.delete("/sandbox/tokens/sandbox-token")

    assert get(client).status_code == 401


def test_an_administrators_token_may_act_as_another_user(client: FlaskClient, world: World) -> None:
    manager = user(world, "Иван Петров")

    assert get(client, X_Context_User_ID=manager).json["current_user_id"] == manager
    assert get(client, "/api/v4/users", X_Context_User_ID=manager).status_code == 403


def test_acting_as_nobody_or_as_somebody_inactive_is_refused(client: FlaskClient, world: World) -> None:
    manager = user(world, "Иван Петров")
    world.table("users")[manager] = {**world.table("users")[manager], "is_active": False}

    assert get(client, X_Context_User_ID=manager).status_code == 401
    assert get(client, X_Context_User_ID=1).status_code == 401
    assert get(client, X_Context_User_ID="Иван".encode().hex()).status_code == 401


def test_a_managers_token_may_not_act_as_somebody_else(client: FlaskClient, world: World) -> None:
    client.post("/sandbox/tokens", json={"token": "manager", "user_id": user(world, "Иван Петров")})

    assert get(client, token="manager", X_Context_User_ID=user(world, "Мария Кузнецова")).status_code == 401


def test_an_administrators_token_outlives_his_deactivation(client: FlaskClient, world: World) -> None:
    admin = user(world, "Интеграция amo-bridge")
    world.table("users")[admin] = {**world.table("users")[admin], "is_active": False}

    assert get(client).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v4/users", 403),
        ("GET", "/api/v4/webhooks", 403),
        ("POST", "/api/v4/webhooks", 403),
        ("POST", "/api/v4/leads/custom_fields", 403),
        ("POST", "/api/v4/leads/pipelines", 403),
        ("GET", "/api/v4/leads/custom_fields", 200),
        ("GET", "/api/v4/leads/pipelines", 200),
    ],
)
def test_what_only_an_administrator_may(client: FlaskClient, world: World, method: str, path: str, status: int) -> None:
    client.post("/sandbox/tokens", json={"token": "manager", "user_id": user(world, "Иван Петров")})

    answer = client.open(path, method=method, json=[{}], headers={"Authorization": "Bearer manager"})

    assert answer.status_code == status


def test_a_person_acts_as_himself(client: FlaskClient, world: World) -> None:
    person = user(world, "Мария Кузнецова")
    headers = {"Authorization": "Bearer sandbox-token", "X-Sandbox-Person": str(person)}

    client.post("/api/v4/leads", json=[{"name": "Новая"}], headers=headers)

    [deal] = world.table("leads").values()
    assert (deal["created_by"], deal["responsible_user_id"]) == (person, person)


def test_files_need_their_scope(client: FlaskClient, world: World) -> None:
    body = {"token": "no-files", "user_id": user(world, "Елена Орлова"), "scopes": ["crm"]}
    client.post("/sandbox/tokens", json=body)

    answer = get(client, "/drive/v1.0/files", token="no-files")

    assert (answer.status_code, answer.json["detail"]) == (403, "Invalid scope")
    assert get(client, token="no-files").status_code == 200


# --- OAuth -------------------------------------------------------------------------------------------------------


def authorize(client: FlaskClient, integration: dict[str, Any], **more: str) -> dict[str, str]:
    query = {"client_id": integration["client_id"], "auto": "1", **more}
    answer = client.get("/oauth", query_string=query)
    assert answer.location.startswith(integration["redirect_uri"])
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


def exchange(client: FlaskClient, integration: dict[str, Any], **sent: Any) -> TestResponse:
    body = {name: integration[name] for name in ("client_id", "client_secret", "redirect_uri")} | sent
    return client.post("/oauth2/access_token", json={name: value for name, value in body.items() if value is not None})


def code_pair(client: FlaskClient, integration: dict[str, Any]) -> dict[str, Any]:
    code = authorize(client, integration)["code"]
    answer = exchange(client, integration, grant_type="authorization_code", code=code)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def test_the_authorize_page_offers_both_answers(client: FlaskClient, integration: dict[str, Any]) -> None:
    page = client.get("/oauth", query_string={"client_id": integration["client_id"], "state": "s&1"}).text

    assert "decision=allow" in page
    assert "decision=deny" in page
    assert "state=s%261" in page


def test_allowing_redirects_with_everything_the_integration_needs(
    client: FlaskClient, integration: dict[str, Any]
) -> None:
    params = authorize(client, integration, state="abc")

    assert params.pop("code")
    assert params == {
        "referer": "localhost",
        "state": "abc",
        "platform": "1",
        "client_id": integration["client_id"],
    }


def test_denying_redirects_with_an_error(client: FlaskClient, integration: dict[str, Any]) -> None:
    query = {"client_id": integration["client_id"], "decision": "deny", "state": "abc"}

    answer = client.get("/oauth", query_string=query)

    assert answer.location == integration["redirect_uri"] + "?error=access_denied&state=abc"


def test_a_code_gives_a_pair_that_works(client: FlaskClient, integration: dict[str, Any]) -> None:
    pair = code_pair(client, integration)

    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 86400)
    assert get(client, token=pair["access_token"]).status_code == 200


def test_a_form_body_is_taken_as_well(client: FlaskClient, integration: dict[str, Any]) -> None:
    code = authorize(client, integration)["code"]
    names = ("client_id", "client_secret", "redirect_uri")
    body = {name: integration[name] for name in names} | {"grant_type": "authorization_code", "code": code}

    assert client.post("/oauth2/access_token", data=body).status_code == 200


def test_a_refresh_token_works_once(client: FlaskClient, integration: dict[str, Any]) -> None:
    pair = code_pair(client, integration)

    first = exchange(client, integration, grant_type="refresh_token", refresh_token=pair["refresh_token"])
    second = exchange(client, integration, grant_type="refresh_token", refresh_token=pair["refresh_token"])

    assert get(client, token=first.json["access_token"]).status_code == 200
    assert (second.status_code, second.json) == (401, {**BAD_REQUEST, "status": 401, "hint": "Token has been revoked"})


def test_access_ends_after_a_day_and_refresh_after_three_months(
    client: FlaskClient, integration: dict[str, Any]
) -> None:
    pair = code_pair(client, integration)

    client.post("/sandbox/clock", json={"advance": 86400})
    ended = get(client, token=pair["access_token"]).status_code
    client.post("/sandbox/clock", json={"advance": 90 * 86400})
    answer = exchange(client, integration, grant_type="refresh_token", refresh_token=pair["refresh_token"])

    assert ended == 401
    assert (answer.status_code, answer.json["hint"]) == (400, "Invalid refresh token")


def test_a_short_life_can_be_set(client: FlaskClient, integration: dict[str, Any]) -> None:
    client.post("/sandbox/oauth", json={"access_life": 5})

    pair = code_pair(client, integration)
    client.post("/sandbox/clock", json={"advance": 5})

    assert pair["expires_in"] == 5
    assert get(client, token=pair["access_token"]).status_code == 401


@pytest.mark.parametrize(
    ("sent", "hint"),
    [
        ({"client_id": None}, "Check the `client_id` parameter"),
        ({"client_secret": None}, "Check the `client_secret` parameter"),
        ({"redirect_uri": "https://elsewhere.example/"}, "Redirect URI is not associated with client"),
        ({"code": "garbage"}, "Cannot decrypt the authorization code"),
        ({"grant_type": "refresh_token", "refresh_token": "garbage"}, "Invalid refresh token"),
    ],
)
def test_every_wrong_parameter_has_its_hint(
    client: FlaskClient, integration: dict[str, Any], sent: dict[str, Any], hint: str
) -> None:
    code = authorize(client, integration)["code"]

    answer = exchange(client, integration, **{"grant_type": "authorization_code", "code": code, **sent})

    assert (answer.status_code, answer.json) == (400, {**BAD_REQUEST, "status": 400, "hint": hint})


def test_a_wrong_secret_has_no_hint(client: FlaskClient, integration: dict[str, Any]) -> None:
    answer = exchange(client, integration, grant_type="authorization_code", code="x", client_secret="wrong")

    assert answer.status_code == 401
    assert (answer.json["title"], "hint" in answer.json) == ("Некорректный клиент", False)


def test_a_code_works_once_and_for_twenty_minutes(client: FlaskClient, integration: dict[str, Any]) -> None:
    used, late = (authorize(client, integration)["code"] for _ in range(2))
    exchange(client, integration, grant_type="authorization_code", code=used)
    again = exchange(client, integration, grant_type="authorization_code", code=used)

    client.post("/sandbox/clock", json={"advance": 20 * 60})
    expired = exchange(client, integration, grant_type="authorization_code", code=late)

    assert again.json["hint"] == "Authorization code has been revoked"
    assert expired.json["hint"] == "Authorization code has expired"


def test_a_wrong_account_can_be_played(client: FlaskClient, integration: dict[str, Any]) -> None:
    client.post("/sandbox/oauth", json={"wrong_account": True})

    assert exchange(client, integration, grant_type="refresh_token").json["hint"] == "Invalid account"


def test_a_renamed_account_is_found_by_the_refresh_token_which_stays_good(
    client: FlaskClient, integration: dict[str, Any]
) -> None:
    refresh = code_pair(client, integration)["refresh_token"]
    path = "/oauth2/account/current/subdomain"

    found = client.get(path, headers={"X-Refresh-Token": refresh})

    assert found.json == {"id": 31257294, "subdomain": "agency", "domain": "localhost", "top_level_domain": "ru"}
    assert exchange(client, integration, grant_type="refresh_token", refresh_token=refresh).status_code == 200
    assert client.get(path, headers={"X-Refresh-Token": refresh}).status_code == 401


def test_disconnecting_kills_the_tokens_and_tells_the_integration(
    client: FlaskClient, integration: dict[str, Any]
) -> None:
    pair = code_pair(client, integration)

    with receiver() as receiving:
        answer = client.post("/sandbox/ui/disconnect", json={"url": receiving.url + "?from=amo"})

    assert answer.json == {"revoked_tokens": 1, "hook_status": 200}
    query = {name: values[0] for name, values in parse_qs(urlsplit(receiving.gets[0]).query).items()}
    message = f"{integration['client_id']}|31257294".encode()
    signature = hmac.new(integration["client_secret"].encode(), message, hashlib.sha256).hexdigest()
    expected = {"account_id": "31257294", "client_uuid": integration["client_id"], "signature": signature}
    assert query == {"from": "amo", **expected}
    assert get(client, token=pair["access_token"]).status_code == 401
    refused = exchange(client, integration, grant_type="refresh_token", refresh_token=pair["refresh_token"])
    assert refused.json["hint"] == "Token has been revoked"
    assert get(client).status_code == 200


def test_a_long_lived_token_is_a_jwt_that_tells_when_it_ends(client: FlaskClient, world: World) -> None:
    made = client.post("/sandbox/tokens", json={"user_id": 10_000_001}).get_json()
    claims = json.loads(base64.urlsafe_b64decode(made["token"].split(".")[1] + "=="))
    assert claims["exp"] > world.clock.now() + 4 * 365 * 86400
    assert (claims["sub"], claims["api_domain"]) == ("10000001", "localhost")
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert client.get("/api/v4/account", headers=headers).get_json()["current_user_id"] == 10_000_001
    short = client.post("/sandbox/tokens", json={"user_id": 10_000_001, "expires_in": 60}).get_json()
    world.clock.freeze()
    world.clock.advance(61)
    assert client.get("/api/v4/account", headers={"Authorization": f"Bearer {short['token']}"}).status_code == 401
