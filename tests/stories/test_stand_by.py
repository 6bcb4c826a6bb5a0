"""Two processes on one store: one works, the other stands by, and takes over when the first is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER

NEW = "Продажи / Новый клиент"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_second_takes_over(
    kind: str,
    request: pytest.FixtureRequest,
    start_bridge: Callable[..., RunningBridge],
    config: Config,
    sandbox: LocalCrm,
    office: CrmUser,
) -> None:
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
        config = replace(config, bridge=config.bridge.model_copy(update={"database": url}))
    first = start_bridge(config).wait_ready()
    second = start_bridge(config)
    wait_until(lambda: second.bridge.is_ready, "the second stands by")
    assert (first.bridge.is_leading, second.bridge.is_leading) == (True, False)

    one = office.new_deal(MANAGER, "Первая", NEW, office.new_contact(MANAGER, "Анна"), 100)
    first.settle(sandbox)
    assert len(office.tasks(one)) == 1

    first.stop()
    wait_until(lambda: second.bridge.is_leading, "the second leads")
    second.wait_ready()
    two = office.new_deal(MANAGER, "Вторая", NEW, office.new_contact(MANAGER, "Борис"), 100)
    second.settle(sandbox)
    assert (len(office.tasks(one)), len(office.tasks(two))) == (1, 1)
