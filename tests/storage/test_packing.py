"""Packed columns: what is read is what was written, of this release and of those that packed nothing."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from sqlalchemy import select, text

from amo_bridge.storage import packing
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.packing import DICTIONARIES, SKIPS, WEBHOOK, pack, unpack
from amo_bridge.storage.tables import inbox

MOVE = (
    b"account%5Bsubdomain%5D=agency&account%5Bid%5D=31257294&leads%5Bstatus%5D%5B0%5D%5Bid%5D=30003000"
    b"&leads%5Bstatus%5D%5B0%5D%5Bstatus_id%5D=70000002&leads%5Bstatus%5D%5B0%5D%5Bold_status_id%5D=70000003"
    b"&leads%5Bstatus%5D%5B0%5D%5Bpipeline_id%5D=9000001&leads%5Bstatus%5D%5B0%5D%5Bupdated_at%5D=1796067659"
)
BODIES = [
    b"", b"\0", b"\0\1", b"\0\1not deflated", b"\0\2", b"\0\7", b"\0\1\0", b"{}", b"leads", bytes(range(256)), MOVE,
    MOVE * 300,
]  # fmt: skip


@pytest.mark.parametrize("number", [WEBHOOK, SKIPS])
@pytest.mark.parametrize("body", BODIES)
def test_what_is_packed_is_read_as_it_was(body: bytes, number: int) -> None:
    assert unpack(pack(body, number)) == body


@pytest.mark.parametrize("body", BODIES)
def test_what_an_older_release_wrote_is_read_as_it_is(body: bytes) -> None:
    assert unpack(body) == body


def deflated(plain: bytes, behind: bytes = b"") -> bytes:
    """What somebody may have sent to an older release: as if it were packed."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, packing.WINDOW, zdict=DICTIONARIES[WEBHOOK])
    return bytes([0, WEBHOOK]) + deflate.compress(plain) + deflate.flush() + behind


def test_a_body_of_an_older_release_does_not_swell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LONGEST", 10_000)
    assert unpack(deflated(bytes(10_000))) == bytes(10_000)
    assert unpack(swelling := deflated(bytes(10_001))) == swelling
    assert unpack(followed := deflated(b"leads", b"more")) == followed
    with pytest.raises(ValueError, match="10000"):
        pack(bytes(10_001), WEBHOOK)


def test_dictionaries_never_change() -> None:
    """Rows were written with them: what has changed needs a number of its own."""
    assert {number: zlib.crc32(known) for number, known in DICTIONARIES.items()} == {
        WEBHOOK: 3637906682,
        SKIPS: 863686589,
    }


def test_a_webhook_takes_a_quarter_of_its_length() -> None:
    assert len(pack(MOVE, WEBHOOK)) < len(MOVE) / 4


def test_the_inbox_has_bodies_packed_and_plain_ones_alike(store: Store, tmp_path: Path) -> None:
    mine = AccountStore(store, 1)
    with mine.write() as connection:
        connection.execute(inbox.insert(), {"account": 1, "received_at": 0.0, "body": MOVE, "state": "new"})
        stored = connection.execute(text("SELECT body FROM inbox")).scalar_one()
        statement = text("INSERT INTO inbox (account, received_at, body, state) VALUES (1, 0.0, :body, 'new')")
        connection.execute(statement, {"body": MOVE})
        assert [*connection.execute(select(inbox.c.body).order_by(inbox.c.id)).scalars()] == [MOVE, MOVE]
    assert len(bytes(stored)) < len(MOVE) / 4
