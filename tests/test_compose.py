"""compose.yaml's commands, variables, secrets and rights, read and tried; tests/image/prove.py runs its services."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url
from support.doc_files import ROOT

from amo_bridge.cli import main
from amo_bridge.config.loader import load
from amo_bridge.server.gunicorn import GRACE

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "amo-bridge"]
# Of the Compose specification, what this file uses: a typo in a key is not taken for a key.
TOP = {"services", "configs", "secrets", "networks", "volumes"}
KEYS = {
    "image", "build", "restart", "init", "user", "read_only", "cap_drop", "security_opt", "stop_grace_period",
    "profiles", "environment", "secrets", "volumes", "tmpfs", "ports", "command", "deploy", "depends_on", "configs",
    "healthcheck", "networks", "cap_add",
}  # fmt: skip

every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
each_of_ours = pytest.mark.parametrize("name", OURS)


def of_profile(profile: str) -> set[str]:
    return {name for name, service in SERVICES.items() if profile in service["profiles"]}


def role_of(name: str) -> str:
    program, subcommand, *arguments = SERVICES[name]["command"]
    assert program == "amo-bridge"
    options = main.commands[subcommand].make_context(subcommand, list(arguments)).params
    assert (options["host"], options["port"]) == ("0.0.0.0", 8080)
    assert str(options["config_path"]) == "/app/config.toml"
    # Of what stands before it only the one that gives https names visitors; the worker has none.
    assert options["proxies"] == (0 if options["role"] == "worker" else 1)
    return str(options["role"])


def test_every_key_is_one_of_compose() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == TOP
    for service in SERVICES.values():
        assert set(service) <= KEYS


def test_either_one_process_or_several_never_both() -> None:
    assert of_profile("embedded") == {"https", "bridge"}
    assert of_profile("postgres") == {"https", "web", "worker", "db"}
    assert of_profile("embedded") | of_profile("postgres") == set(SERVICES)
    assert "COMPOSE_PROFILES=embedded" in (ROOT / ".env").read_text("utf-8").splitlines()


def test_each_process_has_its_role_and_there_are_two_of_each() -> None:
    assert {name: role_of(name) for name in OURS} == {"bridge": "all", "web": "web", "worker": "worker"}
    assert [SERVICES[name]["deploy"] for name in ("web", "worker")] == [{"replicas": 2}] * 2


@each_of_ours
def test_the_variables_are_documented(name: str) -> None:
    documented = (ROOT / "docs" / "variables.md").read_text("utf-8")
    for variable in SERVICES[name]["environment"]:
        assert f"`{variable}`" in documented, variable


@every_service
def test_secrets_come_as_files_that_the_service_is_given(service: dict[str, Any]) -> None:
    given = set(service.get("secrets", ()))
    assert given <= set(COMPOSE["secrets"])
    named = set()
    for variable, value in service.get("environment", {}).items():
        if re.search("TOKEN|SECRET|KEY|PASSWORD", variable):
            assert variable.endswith("_FILE"), "a secret by value is seen by whoever inspects the container"
            assert value.startswith("/run/secrets/")
            named.add(value.removeprefix("/run/secrets/"))
    assert named == given


def test_the_folder_of_secrets_gets_neither_into_git_nor_into_the_image() -> None:
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert "/secrets/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert "secrets" in (ROOT / ".dockerignore").read_text("utf-8").splitlines()


def test_only_who_asks_amocrm_has_its_token() -> None:
    assert [name for name in OURS if "amo_token" in SERVICES[name]["secrets"]] == ["bridge", "worker"]


@every_service
def test_nobody_is_root_or_may_become_it(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@each_of_ours
def test_the_file_system_is_read_only_but_for_the_data(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    written = {place.partition(":")[0] for place in service["tmpfs"]}
    written |= {volume.split(":")[1] for volume in service["volumes"] if not volume.endswith(":ro")}
    assert {"/tmp", "/data"} == written


def test_only_the_proxy_is_reached_from_outside_and_only_it_is_in_the_bridges_network() -> None:
    """So only what it says about a visitor's address can be believed."""
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["https"]
    assert SERVICES["https"]["ports"] == ["80:8080", "443:8443", "127.0.0.1:8080:8081"]
    in_front = {name for name, service in SERVICES.items() if "front" in service["networks"]}
    assert in_front == {"https", "bridge", "web"}
    for name in ("bridge", "web"):
        assert SERVICES[name]["networks"]["front"] == {"aliases": ["receiver"]}
    used = {network for service in SERVICES.values() for network in service["networks"]}
    assert used == set(COMPOSE["networks"])


def test_the_address_of_the_database_is_one_that_the_bridge_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "db_password").write_text("hunter2\n")
    told = dict(SERVICES["worker"]["environment"])
    told["AMO_BRIDGE_DATABASE_PASSWORD_FILE"] = str(tmp_path / "db_password")
    told.pop("AMO_BRIDGE_PUBLIC_URL")
    url = make_url(load(ROOT / "config.example.toml", told).bridge.database)
    theirs = SERVICES["db"]["environment"]
    assert (url.host, url.username, url.database) == ("db", theirs["POSTGRES_USER"], theirs["POSTGRES_DB"])
    assert url.password == "hunter2"


def test_who_needs_the_database_waits_until_it_answers() -> None:
    for name in ("web", "worker"):
        assert SERVICES[name]["depends_on"] == {"db": {"condition": "service_healthy"}}
        assert SERVICES[name]["environment"].items() >= COMPOSE["x-shared"].items()
    assert SERVICES["db"]["healthcheck"]["test"][1] == "pg_isready"


@each_of_ours
def test_a_request_on_its_way_may_end_before_the_kill(name: str) -> None:
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > GRACE


def test_volumes_are_declared() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert {volume for volume in used if not volume.startswith("./")} == set(COMPOSE["volumes"])


def test_the_proxy_gets_the_file_that_is_tested() -> None:
    """By tests/test_caddyfile.py."""
    assert COMPOSE["configs"] == {"caddyfile": {"file": "./deploy/Caddyfile"}}
    assert SERVICES["https"]["configs"] == [{"source": "caddyfile", "target": "/etc/caddy/Caddyfile"}]
    assert set(re.findall(r"\{\$(\w+)\}", (ROOT / "deploy" / "Caddyfile").read_text("utf-8"))) == {"BRIDGE_DOMAIN"}
    assert "BRIDGE_DOMAIN" in SERVICES["https"]["environment"]
    assert "BRIDGE_DOMAIN=localhost" in (ROOT / ".env").read_text("utf-8").splitlines()
    assert "/https/" in (ROOT / ".gitignore").read_text("utf-8").splitlines(), "private keys"
