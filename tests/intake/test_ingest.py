"""Ingest: kept requests become enquiries, each once, whatever other vendors and sections number theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fakes import ACCOUNT, NOON, clock
from support.running_bridge import config_for

from amo_bridge.config.model import Config
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository
from amo_bridge.intake.ingest import Ingest
from amo_bridge.intake.repository import request_row
from amo_bridge.intake.request import VendorRequest
from amo_bridge.storage.database import AccountStore, Store, insert_new
from amo_bridge.storage.tables import intake_requests


class Quizzes:
    """Two sections of ``[intake.mapped.…]`` that number their enquiries, as their vendors do."""

    def __init__(self, store: Store, config: Config) -> None:
        assert config.intake is not None
        fields = {"fields": {"phone": "tel", "key": "number"}}
        section = config.intake.model_validate({"mapped": {"quiz": fields, "landing": fields}})
        self.store = AccountStore(store, ACCOUNT)
        self.ingest = Ingest(self.store, replace(config, intake=section), {}, clock())
        self.repository = EnquiryRepository(self.store, clock())

    def take(self, section: str, number: str, phone: str, *, request_key: str) -> None:
        body = json.dumps({"tel": phone, "number": number}).encode()
        request = VendorRequest("POST", body, received_at=NOON.timestamp())
        headers = {"Content-Type": "application/json"}
        row = request_row(
            ACCOUNT, vendor="mapped", name=section, key=request_key, request=request, headers=headers,
            state="new", why="",
        )  # fmt: skip
        with self.store.write() as connection:
            insert_new(connection, intake_requests, [row])
        self.ingest.run()

    def phones(self) -> list[Any]:
        return sorted(row.body.phones[0] for row in self.repository.find(EnquiryFilter()))


@pytest.fixture
def quizzes(store: Store, tmp_path: Path) -> Quizzes:
    return Quizzes(store, config_for("http://127.0.0.1:1", tmp_path))


def test_two_sections_that_number_alike_lose_nothing_of_each_other(quizzes: Quizzes) -> None:
    quizzes.take("quiz", "1", "+79000000001", request_key="1")
    quizzes.take("landing", "1", "+79000000002", request_key="1")
    quizzes.take("landing", "1", "+79000000002", request_key="again")
    assert quizzes.phones() == ["+79000000001", "+79000000002"]


def test_long_numbers_are_told_apart_by_their_ends(quizzes: Quizzes) -> None:
    beginning = "n" * 300
    quizzes.take("quiz", f"{beginning}1", "+79000000001", request_key="1")
    quizzes.take("quiz", f"{beginning}2", "+79000000002", request_key="2")
    quizzes.take("quiz", f"{beginning}2", "+79000000002", request_key="again")
    assert quizzes.phones() == ["+79000000001", "+79000000002"]
