"""``[evening_list]``: at the end of a working day everybody is told which of his tasks are not done."""

from __future__ import annotations

from datetime import time

from amo_bridge.config.names import UserName
from amo_bridge.config.strict import Strict


class EveningListSection(Strict):
    """``at``: o'clock, by the account's clocks. ``to``: whom; without it everybody whom the bridge can tell."""

    at: time = time(18, 30)
    to: tuple[UserName, ...] = ()
