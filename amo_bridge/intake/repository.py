"""The store of vendors' requests as they came, and the secret ends of their addresses."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Row, func, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.model import Config
from amo_bridge.engine.inbox import CommitQueue
from amo_bridge.intake.reception import VENDORS, Vendor
from amo_bridge.intake.request import VendorRequest, clean
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, insert_new, notify
from amo_bridge.storage.secrets import account_name, small_state
from amo_bridge.storage.tables import LONGEST_INTAKE_KEY, intake_requests

BOX, DEAL = "Mailbox", "Deal"
"""Headers of a kept letter: the box it came to, the deal that its files belong to."""
RequestState = Literal["new", "files", "read", "broken"]
"""«files»: read, but the files of the letter are not in amoCRM yet."""
# By it the logs know a secret (logs.py).
_MARK = "in-"
_SECRET_BYTES = 32


@dataclass(frozen=True)
class IntakeAddress:
    """Where a vendor posts. ``name``: which of ``[intake.mapped.…]``."""

    vendor: Vendor
    name: str
    path: str
    secret: str


class IntakeAddresses:
    """The addresses of one account; they stay the same.

    The secret of each is made of one that is kept, encrypted. Everything raises StoreUnavailable, ConfigError for a
    wrong key.
    """

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        self.config = config
        self._state = small_state(config, environment)
        self._base = ""
        # Whoever guesses addresses must not cost more than a comparison.
        self._known: tuple[IntakeAddress, ...] | None = None

    def all(self) -> Sequence[IntakeAddress]:
        """Of the vendors that the config switches on."""
        if self._known is None:
            self._known = tuple(self._made())
        return self._known

    def _made(self) -> Iterator[IntakeAddress]:
        section = self.config.intake
        if section is None:
            return
        for vendor in VENDORS.values():
            for name in section.mapped if vendor.name == "mapped" else ("",):
                if section.of(vendor.name, name) is not None:
                    secret = self._secret_of(vendor.name, name)
                    yield IntakeAddress(vendor, name, f"{section.prefix}/{vendor.name}/{secret}", secret)

    def find(self, vendor: str, secret: str) -> IntakeAddress | None:
        """The address of this secret; all of the vendor's are compared, in constant time."""
        fits = [one for one in self.all() if one.vendor.name == vendor and _same(one.secret, secret)]
        return fits[0] if fits else None

    def _secret_of(self, vendor: str, name: str) -> str:
        made = hmac.new(self._kept().encode(), f"{vendor}\0{name}".encode(), hashlib.sha256).hexdigest()
        return f"{_MARK}{made[: 2 * _SECRET_BYTES - 24]}"

    def _kept(self) -> str:
        if not self._base:
            place = f"intake {account_name(self.config)}"
            with self._state.lock("secrets"):
                kept = self._state.secrets.read(place)
                if kept is None:
                    kept = secrets.token_urlsafe(_SECRET_BYTES)
                    self._state.secrets.write(place, kept)
            self._base = str(kept)
        return self._base


@dataclass(frozen=True)
class KeptRequest:
    """A request in the store. ``repeats``: how often it came again."""

    id: int
    vendor: str
    name: str
    key: str
    request: VendorRequest
    state: RequestState
    why: str
    repeats: int


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that is to be kept, as the receiver has judged it."""

    address: IntakeAddress
    request: VendorRequest
    key: str
    is_broken: bool
    why: str


class IntakeInbox(CommitQueue[ReceivedRequest, bool]):
    """Commits requests, then calls ``wake``.

    ``put`` returns False for one that was there already, which is counted.
    """

    def __init__(self, store: AccountStore, clock: Clock, wake: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._wake = wake
        super().__init__(store, "intake-writer")

    def _length(self, item: ReceivedRequest) -> int:
        return len(item.request.body)

    def _write(self, connection: Connection, items: Sequence[ReceivedRequest]) -> Sequence[bool]:
        news = [self._is_new(connection, item) for item in items]
        notify(connection, self._store.account_id)
        return news

    def _after(self) -> None:
        self._wake()

    def _is_new(self, connection: Connection, item: ReceivedRequest) -> bool:
        vendor, request = item.address.vendor, item.request
        kept = {name: value for name in vendor.kept if (value := request.header(name))}
        row = request_row(
            self._store.account_id,
            vendor=vendor.name,
            name=item.address.name,
            key=item.key,
            request=request,
            headers=kept,
            state="broken" if item.is_broken else "new",
            why=item.why,
        )
        if insert_new(connection, intake_requests, [row]):
            return True
        same = [intake_requests.c[name] == row[name] for name in ("account", "vendor", "name", "key")]
        again = {"repeats": intake_requests.c.repeats + 1, "repeated_at": self._clock.now().timestamp()}
        connection.execute(update(intake_requests).where(*same).values(again))
        return False


def request_row(
    account: int,
    *,
    vendor: str,
    key: str,
    request: VendorRequest,
    headers: Mapping[str, str],
    state: RequestState,
    why: str,
    name: str = "",
) -> dict[str, Any]:
    """The row of a request. ``headers``: those that are kept."""
    return {
        "account": account,
        "vendor": vendor,
        "name": name,
        "key": short_key(key),
        "method": request.method[:8],
        "query": clean(request.query),
        "headers": json.dumps(dict(headers), ensure_ascii=False),
        "body": request.body,
        "received_at": request.received_at,
        "state": state,
        "why": clean(why),
    }


def known_request(connection: Connection, account: int, vendor: str, key: str) -> bool:
    """Has this come before? Of vendors that have one address."""
    table = intake_requests.c
    same = (table.account == account, table.vendor == vendor, table.name == "", table.key == short_key(key))
    return connection.execute(select(table.id).where(*same)).first() is not None


@dataclass(frozen=True)
class LastRequest:
    """The newest request of an address, when it came last. ``why``: what was made of it, Russian."""

    at: float
    state: RequestState
    why: str


class IntakeRequests:
    """Requests of one account, to be looked at. All methods raise StoreUnavailable."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def latest(self, most: int = 100, state: RequestState | None = None) -> list[KeptRequest]:
        """Newest first."""
        table = intake_requests.c
        wanted = (table.account == self._store.account_id, *((table.state == state,) if state else ()))
        query = select(intake_requests).where(*wanted).order_by(table.id.desc()).limit(most)
        with self._store.read() as connection:
            return [kept_request(row) for row in connection.execute(query)]

    def last_by_address(self) -> dict[tuple[str, str], LastRequest]:
        """(vendor, name) → the newest request there is of it."""
        table = intake_requests.c
        newest = select(func.max(table.id)).where(self._store.owns(intake_requests)).group_by(table.vendor, table.name)
        columns = (table.vendor, table.name, table.received_at, table.repeated_at, table.state, table.why)
        with self._store.read() as connection:
            rows = connection.execute(select(*columns).where(table.id.in_(newest))).all()
        return {
            (row.vendor, row.name): LastRequest(row.repeated_at or row.received_at, row.state, row.why) for row in rows
        }


def hand_over_files(connection: Connection, store: AccountStore, number: int, deal_id: int) -> None:
    """Have the files of a letter that is read put on this deal: mail_reader does it."""
    table = intake_requests
    mine = (store.owns(table), table.c.id == number, table.c.state == "read")
    headers = connection.execute(select(table.c.headers).where(*mine)).scalar()
    if headers is not None:
        told = json.dumps({**json.loads(headers), DEAL: str(deal_id)}, ensure_ascii=False)
        connection.execute(update(table).where(*mine).values(state="files", headers=told))


def kept_request(row: Row[tuple[object, ...]]) -> KeptRequest:
    """A row as an object."""
    request = VendorRequest(row.method, row.body, row.query, json.loads(row.headers), received_at=row.received_at)
    return KeptRequest(row.id, row.vendor, row.name, row.key, request, row.state, row.why, row.repeats)


def short_key(key: str) -> str:
    """A vendor's key may be as long as it likes."""
    key = clean(key)
    if len(key) <= LONGEST_INTAKE_KEY:
        return key
    return f"long:{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()}"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "replace"))
