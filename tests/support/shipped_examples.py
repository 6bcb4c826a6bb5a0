"""The shipped examples at work: the sandbox with an example's account, and the example as the bridge's config."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.sandbox.account_start import load_world
from support.local_crm import LocalCrm, served
from support.running_bridge import UNHURRIED

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def stopped_at(moment: str, account: Path) -> Iterator[LocalCrm]:
    """That account's amoCRM, its clock standing still at «2026-10-05T12:00» in its own zone."""
    with served(load_world(account)) as crm:
        crm.control("POST", "clock", {"set": moment, "freeze": True})
        yield crm


def example(name: str, crm: LocalCrm, folder: Path) -> Config:
    """examples/<name>.toml for this amoCRM, its data in the folder."""
    told = {"AMO_BRIDGE_ACCOUNT_URL": crm.url, "AMO_BRIDGE_DATA": str(folder / "data")}
    config = load(EXAMPLES / f"{name}.toml", told)
    return replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))
