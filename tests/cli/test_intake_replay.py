"""``amo-bridge intake replay``: the saved requests of all vendors come to what is expected, and nothing is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from amo_bridge.cli import main

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "tests" / "samples" / "vendors").glob("*/*.meta.json"))
KEYS = ["http", "answer", "dedupe_key", "enquiry", "call", "status", "why"]
ENQUIRY = ["source", "name", "phones", "emails", "text", "utm", "roistat_visit"]


def replay(path: Path, *options: str) -> str:
    done = CliRunner().invoke(
        main, ["intake", "replay", str(path), "--config", str(ROOT / "config.example.toml"), *options]
    )
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name.partition('.')[0]}")
def test_a_saved_request_comes_to_what_is_expected(path: Path) -> None:
    expected = json.loads(path.read_text("utf-8"))["expect"]
    found = json.loads(replay(path, "--json"))
    assert list(found) == KEYS
    assert found["http"] == expected.get("http", 200)
    assert "answer" not in expected or found["answer"] == expected["answer"]
    _compare_enquiry(expected.get("enquiry"), found)
    _compare(found["call"], expected.get("call") or (expected.get("enquiry") or {}).get("call") or {})
    states = {"outbox_id": "outbox_id", "state": "state", "sms_id": "vendor_id"}
    _compare(found["status"], {states[key]: value for key, value in expected.get("status", {}).items()})
    assert expected.get("link_param", "") in found["why"]


def _compare_enquiry(expected: dict[str, Any] | None, found: dict[str, Any]) -> None:
    enquiry = found["enquiry"]
    assert (enquiry is None) == (expected is None), found["why"]
    if expected is None or enquiry is None:
        return
    assert list(enquiry) == ENQUIRY
    _compare(enquiry, {key: expected[key] for key in ENQUIRY if key in expected})
    assert enquiry["text"].strip()
    assert (expected.get("text_contains") or "") in enquiry["text"]
    is_free = " " in expected.get("dedupe_key", "any stable")
    assert found["dedupe_key"]
    assert is_free or found["dedupe_key"].endswith(expected["dedupe_key"].rpartition(":")[2])


def _compare(found: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    assert {key: (found or {}).get(key) for key in expected} == expected


def test_a_person_reads_it_as_a_table() -> None:
    output = replay(ROOT / "tests" / "samples" / "vendors" / "tilda" / "01-contact-form.meta.json")
    assert all(word in output for word in ("Тильда", "Анна Тестова", "+79000000001", "utm_source=yandex", "1000123"))


def test_a_call_and_a_state_are_tables_too() -> None:
    folder = ROOT / "tests" / "samples" / "vendors"
    assert "исходящий" in replay(folder / "zadarma" / "04-notify-out-end.meta.json")
    assert "delivered" in replay(folder / "smsru" / "01-delivered.meta.json")


def saved(folder: Path, **more: Any) -> Path:
    told = {
        "vendor": "jivo",
        "method": "POST",
        "secrets": {"path_token": "right"},
        "body": '{"event_name":"x"}',
        **more,
    }
    path = folder / "one.meta.json"
    path.write_text(json.dumps(told), "utf-8")
    return path


@pytest.mark.parametrize(
    ("more", "http"),
    [
        ({}, 200),
        ({"path": "/in/jivo/right"}, 200),
        ({"url": "https://bridge.example/in/jivo/wrong?a=1"}, 403),
        ({"path_token": "wrong"}, 403),
        ({"secrets": {}}, 404),
        ({"vendor": "unknown"}, 404),
        ({"method": "DELETE"}, 405),
    ],
)
def test_the_secret_end_of_the_address_is_compared_where_it_is_known(
    more: dict[str, Any], http: int, tmp_path: Path
) -> None:
    found = json.loads(replay(saved(tmp_path, **more), "--json"))
    assert found["http"] == http
    assert found["enquiry"] is None
    assert found["why"]


def test_the_sites_of_the_config_hold_for_a_saved_form(tmp_path: Path) -> None:
    form = {"vendor": "html", "body": "name=a&phone=89000000041", "headers": {"Origin": "https://evil.example"}}
    assert json.loads(replay(saved(tmp_path, **form), "--json"))["http"] == 403


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "это не JSON"), ("[]", "нет vendor"), ('{"vendor": "jivo", "body_file": "none.json"}', "не читается")],
)
def test_what_is_no_saved_request_is_told(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "one.meta.json"
    path.write_text(text, "utf-8")
    done = CliRunner().invoke(main, ["intake", "replay", str(path), "--config", str(ROOT / "config.example.toml")])
    assert done.exit_code != 0
    assert words in done.output


def test_the_addresses_for_the_vendors_cabinets_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMO_BRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("AMO_BRIDGE_PUBLIC_URL", "https://bridge.example")
    monkeypatch.setenv("AMO_BRIDGE_INTAKE_ZADARMA_SECRET", "s")
    command = ["intake", "addresses", "--config", str(ROOT / "config.example.toml")]
    first, second = (CliRunner().invoke(main, command).output for _ in range(2))
    assert first == second
    assert "https://bridge.example/in/tilda/in-" in first
    assert "закрыто, нет AMO_BRIDGE_INTAKE_VK_SECRET" in first
    assert "AMO_BRIDGE_INTAKE_ZADARMA_SECRET" not in first


def test_without_a_section_there_are_no_addresses(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[account]\nurl = "https://example.amocrm.ru"\n', "utf-8")
    done = CliRunner().invoke(main, ["intake", "addresses", "--config", str(path)])
    assert done.exit_code != 0
    assert "нет раздела [intake]" in done.output


def test_reading_one_needs_neither_the_store_nor_the_engine() -> None:
    """Scripts read hundreds of them, each by a command."""
    arguments = ["intake", "replay", str(SAMPLES[0]), "--json", "--config", str(ROOT / "config.example.toml")]
    code = (
        f"import sys; from amo_bridge.cli import main; main({arguments!r}, standalone_mode=False); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.rpartition("}\n")[2].split())
    assert "amo_bridge.intake.reception" in loaded
    ours = ("amo_bridge.engine", "amo_bridge.storage", "amo_bridge.runtime", "amo_bridge.channels.registry")
    heavy = ("sqlalchemy", "cryptography", "apscheduler", "flask", *ours)
    assert not [name for name in sorted(loaded) if name.startswith(heavy)]
