"""Account of a rehearsal: a masked snapshot, the real account as it is now, or the shipped example.

A snapshot's names, phones, addresses and free texts are replaced, each always by the same. What rules decide by stays:
stages, dates, numbers, choices of lists, switches, whether a field is filled, and texts that are a user's name (a role
may stand in a field). The secret of the replacement is thrown away, so nobody can go back; two contacts with one phone
still have one phone.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from amo_bridge.config.model import Config
from amo_bridge.crm.account import LOST, WON, gather
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import embedded
from amo_bridge.errors import BridgeError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rehearsal.known_state import NOTHING, Known, on_since
from amo_bridge.rehearsal.simulation import TOKEN
from amo_bridge.sandbox import snapshot_start
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.seeding import seed
from amo_bridge.sandbox.world import World
from amo_bridge.text.names import normalise

Row = dict[str, Any]
TEXTS = frozenset(
    {"text", "textarea", "url", "streetaddress", "smart_address", "legal_entity", "file", "tracking_data"}
)
"""Types of fields whose values people write."""
PHONE_DIGITS = 10**7


class Masking:
    """``users``: the account's own people, who stay. ``kept``: names of fields that stay as they are."""

    def __init__(self, users: Collection[str], kept: Iterable[str] = ()) -> None:
        self._users = {normalise(name) for name in users}
        self._kept = {normalise(name) for name in kept}
        self._secret = secrets.token_bytes(32)

    def masked(self, kind: str, row: Mapping[str, Any]) -> Row:
        """A row of ``kind`` (leads, contacts, companies, tasks) without people in it."""
        if kind == "tasks":
            return {**row, "text": self._text(kind, row.get("text")), "result": []}
        changed = dict(row)
        changed["name"] = self._text(kind, row.get("name"))
        if kind == "contacts":
            changed["first_name"], changed["last_name"] = changed["name"], ""
        changed["custom_fields_values"] = [
            self._field(field) for field in row.get("custom_fields_values") or ()
        ] or None
        return changed

    def _field(self, field: Mapping[str, Any]) -> Row:
        if normalise(str(field.get("field_name") or "")) in self._kept:
            return dict(field)
        kind, code = field.get("field_type"), field.get("field_code")
        if kind == "multitext" or code in ("PHONE", "EMAIL"):
            return self._with_values(field, lambda value: self._contact_way(str(code), value))
        if kind in TEXTS or kind is None:
            return self._with_values(field, lambda value: self._text("fields", value))
        return dict(field)

    def _with_values(self, field: Mapping[str, Any], masked: Any) -> Row:
        values = [{**value, "value": masked(value.get("value"))} for value in field.get("values") or ()]
        return {**field, "values": values}

    def _contact_way(self, code: str, value: object) -> str:
        number = self._number("ways", str(value))
        if code == "EMAIL":
            return f"client{number}@example.com"
        return f"+7900{number % PHONE_DIGITS:07d}"

    def _text(self, kind: str, value: object) -> object:
        if not isinstance(value, str):
            # A file, an address in parts: nothing of it is known to be harmless.
            return value if value in (None, True, False) or isinstance(value, int | float) else None
        if not value.strip() or normalise(value) in self._users:
            return value
        words = {"leads": "Сделка", "contacts": "Клиент", "companies": "Компания", "tasks": "Задача"}
        return f"{words.get(kind, 'Текст')} {self._number(kind, value):08d}"[:40]

    def _number(self, kind: str, value: str) -> int:
        digest = hmac.new(self._secret, f"{kind}\0{value}".encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") % 10**8


# The snapshot's file: JSON lines, gzipped. The first line tells of the whole, every other one is a row of a list.
#
# It holds the agency's clients (unless masked), so nobody but its owner may read it; it is whole, or not there.

FORMAT = 1


class SnapshotRefused(BridgeError):
    """The file can't be written, or is no snapshot; the text says why (Russian)."""


@dataclass(frozen=True)
class Head:
    """``account``: what crm/account_reading gathered; ``known``: what rehearsal/known_state.py recalled."""

    url: str
    taken_at: datetime
    is_masked: bool
    account: Row
    known: Known


def write(path: Path, head: Head, rows: Iterable[tuple[str, Row]]) -> int:
    """Write a new file; how many rows. Raises SnapshotRefused, OSError, and what reading ``rows`` raises."""
    about = {
        "format": FORMAT,
        "url": head.url,
        "taken_at": head.taken_at.isoformat(),
        "is_masked": head.is_masked,
        "account": head.account,
        "known": head.known,
    }
    count = 0
    with _new_file(path) as file:
        file.write(_line(about))
        for kind, row in rows:
            file.write(_line([kind, row]))
            count += 1
    return count


def read(path: Path) -> tuple[Head, Iterator[tuple[str, Row]]]:
    """The head, and the rows as they are asked for. Raises SnapshotRefused."""
    lines = _lines(path)
    about = next(lines, None)
    if not isinstance(about, dict) or "account" not in about:
        raise SnapshotRefused(f"{path} — не снимок аккаунта: сделайте его командой amo-bridge snapshot")
    if about.get("format") != FORMAT:
        raise SnapshotRefused(
            f"{path} — снимок другого вида ({about.get('format')}): сделайте новый этой версией моста"
        )
    head = Head(
        url=str(about["url"]),
        taken_at=datetime.fromisoformat(about["taken_at"]),
        is_masked=bool(about["is_masked"]),
        account=about["account"],
        known={**NOTHING, **about["known"]},
    )
    return head, ((kind, row) for kind, row in lines)


def _lines(path: Path) -> Iterator[Any]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
    except FileNotFoundError as error:
        raise SnapshotRefused(f"файла {path} нет") from error
    except (OSError, EOFError, ValueError) as error:
        raise SnapshotRefused(f"снимок {path} не читается: {error}") from error


@contextmanager
def _new_file(path: Path) -> Iterator[gzip.GzipFile]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise SnapshotRefused(f"файл {path} уже есть: назовите новый") from error
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6) as file:
                yield file
            raw.flush()
            os.fsync(raw.fileno())
    except BaseException:
        path.unlink()
        raise


def _line(told: object) -> bytes:
    return (json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


# Reading an account for a snapshot: its names, deals, their people and their open tasks, page by page.
#
# Only what rules look at when nobody moves anything; notes, calls and files are left out, and so is what was finished.

Progress = Callable[[str, int], None]
PAGE = 250
LISTS: dict[str, tuple[str, dict[str, Any]]] = {
    "companies": ("/api/v4/companies", {"order": {"id": "asc"}}),
    "contacts": ("/api/v4/contacts", {"order": {"id": "asc"}, "with": "leads"}),
    "leads": ("/api/v4/leads", {"order": {"id": "asc"}, "with": "contacts,loss_reason"}),
    "tasks": ("/api/v4/tasks", {"order": {"id": "asc"}, "filter": {"is_completed": 0}}),
}
"""Kind → its list and how it is asked for; people before the deals that they are linked to."""


def account_of(client: CrmClient) -> Row:
    """The account's own names (some eight requests). Raises CrmError."""
    return gather(client)


def rows_of(client: CrmClient, progress: Progress = lambda kind, rows: None) -> Iterator[tuple[str, Row]]:
    """(kind, row) of everything, a page of 250 at a time; ``progress`` hears how many of a kind were read so far.

    Raises CrmError.
    """
    for kind, (path, asked) in LISTS.items():
        for number, row in enumerate(client.pages(path, asked, kind, limit=PAGE), start=1):
            if number % PAGE == 1:
                progress(kind, number - 1)
            if kind != "tasks" or not row.get("is_completed"):
                yield kind, row


def rows_of_one(client: CrmClient, deal_id: int) -> Iterator[tuple[str, Row]]:
    """One deal with its people and its open tasks; nothing if there is no such deal. Raises CrmError."""
    deal = client.get(f"/api/v4/leads/{deal_id}", {"with": "contacts,loss_reason"})
    if not deal:
        return
    for kind in ("companies", "contacts"):
        for side in embedded(deal, kind):
            if row := client.get(f"/api/v4/{kind}/{side['id']}", {"with": "leads"}):
                yield kind, row
    yield "leads", deal
    asked = {"filter": {"entity_type": "leads", "entity_id": [deal_id], "is_completed": 0}}
    for row in client.pages("/api/v4/tasks", asked, "tasks"):
        # Filters may be ignored in silence.
        if row.get("entity_id") == deal_id and row.get("entity_type") == "leads" and not row.get("is_completed"):
            yield "tasks", row


EXAMPLE_DEALS = 3
"""Deals on every stage of the example account."""


@dataclass(frozen=True)
class Source:
    """An account in a sandbox of its own, the moment it is from, and what the bridge knew of it then."""

    world: World
    taken_at: datetime
    known: Known

    def with_rules_on_since(self, config: Config, since: datetime) -> Source:
        """The same, as if all rules had been switched on then."""
        return replace(self, known=on_since(self.known, (rule.name for rule in config.rules), since))

    @property
    def timezone(self) -> str:
        return str(self.world.account["timezone"])

    @property
    def has_open_deals(self) -> bool:
        """Is there anything for rules to look at?"""
        return any(deal["status_id"] not in (WON, LOST) for deal in self.world.table("leads").values())

    def deal_names(self) -> dict[int, str]:
        """Deal id → name, new deals of the rehearsal too."""
        return {int(key): str(deal["name"]) for key, deal in self.world.table("leads").items()}


def from_file(path: Path) -> Source:
    """Raises SnapshotRefused."""
    head, rows = read(path)
    return Source(_world(head.account, rows), head.taken_at, head.known)


def from_account(
    client: CrmClient,
    now: datetime,
    known: Known,
    deal_id: int | None = None,
    *,
    progress: Progress = lambda kind, rows: None,
) -> Source:
    """The account as it is; with ``deal_id`` that deal alone. ``progress``: see rows_of. Raises CrmError,
    SnapshotRefused (no such deal)."""
    account = account_of(client)
    rows = list(rows_of(client, progress) if deal_id is None else rows_of_one(client, deal_id))
    if deal_id is not None and not rows:
        raise SnapshotRefused(f"сделки {deal_id} в аккаунте нет")
    return Source(_world(account, rows), now, known)


def _world(account: Mapping[str, Any], rows: Iterable[tuple[str, Mapping[str, Any]]]) -> World:
    world = World()
    try:
        snapshot_start.fill(world, account, rows, TOKEN)
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotRefused(f"снимок неполон или испорчен: {error!r}") from error
    return world


def example(now: datetime, account: Path | None = None) -> Source:
    """A shipped account (None: the agency) with some deals on every open stage that came there at ``now``: nothing of
    it is real."""
    world = load_world(account)
    world.table("tokens")[TOKEN] = {**world.table("tokens")["sandbox-token"], "token": TOKEN}
    world.clock.freeze()
    world.clock.set(now.timestamp() + EXAMPLE_DEALS)
    _add_deals(world)
    return Source(world, now, NOTHING)


def with_example_deals(source: Source) -> Source:
    """The same account with some invented deals on every open stage, that came there at its moment."""
    source.world.clock.freeze()
    source.world.clock.set(source.taken_at.timestamp() + EXAMPLE_DEALS)
    _add_deals(source.world)
    return source


def _add_deals(world: World) -> None:
    for status in list(world.table("statuses").values()):
        if status["type"] == 0 and status["id"] not in (WON, LOST):
            stage = {"pipeline_id": status["pipeline_id"], "status_id": status["id"]}
            seed(world, EXAMPLE_DEALS, stage, with_contacts=True)
