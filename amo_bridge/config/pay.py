"""``[pay]``: what managers are paid for in a month, and by what in amoCRM it is known (M17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from amo_bridge.dates.calendar import Day
from amo_bridge.rules.option_types import CustomFieldName, DateFieldName, EmployeeName, StageName, Strict

Sum = Annotated[int, Field(ge=1, le=10**12)]
"""Whole units of the currency; whether it is added or taken off is said by what it is for."""
Measure = Literal["renewed", "kept", "balance", "amount"]


class PayRate(Strict):
    """A sum for each client, known by a deal that comes onto one of ``stages``, or by one of ``fields`` filled or
    changed. A field with a date says the day itself; anything else happened when it was recorded."""

    sum: Sum
    stages: tuple[StageName, ...] = ()
    fields: tuple[CustomFieldName, ...] = ()

    @model_validator(mode="after")
    def known_by_something(self) -> Self:
        if not self.stages and not self.fields:
            raise ValueError("нужны stages (этапы) или fields (поля), по которым это видно в amoCRM")
        return self


class BestManager(Strict):
    """``by``: the measure; ``balance``: renewed clients less lost ones; ``amount``: the sum of all other lines.

    ``ties``: what becomes of the bonus when several are best: ``each`` gets it, it is ``split``, or ``none`` gets it
    and the head decides. ``least``: with less nobody is best."""

    sum: Sum
    by: Measure = "renewed"
    ties: Literal["each", "split", "none"] = "none"
    least: int = 1


class Employment(Strict):
    """One's own terms. ``from``, ``to``: the first and the last day at work; None: without an end."""

    first: Day | None = Field(default=None, alias="from")
    last: Day | None = Field(default=None, alias="to")
    salary: Annotated[int, Field(ge=0, le=10**12)] | None = None

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.first and self.last and self.last < self.first:
            raise ValueError(f"to = «{self.last}» раньше, чем from = «{self.first}»")
        return self


class PaySection(Strict):
    """``currency``: its code; None: the account's. ``people``: whose sheets there are. ``started``: the date with which
    a client's service begins.

    ``month_days``: after so many days a client counts as served for a month: earlier neither a renewal nor a loss
    counts, and two payments within so many days are one renewal. ``refund_days``: the first days, in which a refund
    costs; ``start_day_counts``: the day of ``started`` is the first of them.
    ``whose``: the client is whose he was ``then``, or with whom his service began (``start``).
    ``fines``: clause → sum, for violations that were recorded without one. ``part_month``: how the salary of who came
    or left within the month is reckoned. ``logins``: who of the bridge's users sees whose sheet as his own.
    """

    currency: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    people: Annotated[tuple[EmployeeName, ...], Field(min_length=1)]
    started: DateFieldName
    salary: Annotated[int, Field(ge=0, le=10**12)] = 0
    month_days: Annotated[int, Field(ge=1, le=366)] = 27
    refund_days: Annotated[int, Field(ge=1, le=366)] = 10
    start_day_counts: bool = True
    renewed: PayRate | None = None
    lost: PayRate | None = None
    refunded: PayRate | None = None
    kept: Sum | None = None
    whose: Literal["then", "start"] = "then"
    best: BestManager | None = None
    fines: Mapping[str, Sum] = Field(default_factory=dict)
    employed: Mapping[EmployeeName, Employment] = Field(default_factory=dict)
    part_month: Literal["working days", "calendar days", "whole"] = "working days"
    logins: Mapping[str, EmployeeName] = Field(default_factory=dict)

    @model_validator(mode="after")
    def refunds_are_known(self) -> Self:
        if self.kept is not None and self.refunded is None:
            raise ValueError("kept (клиент без возврата) не посчитать без refunded: по чему видно, что деньги вернули?")
        if self.lost is not None and self.lost.fields:
            raise ValueError("lost: потерянного клиента видно по этапам (stages), полей здесь не бывает")
        return self

    @property
    def fields(self) -> tuple[CustomFieldName | DateFieldName, ...]:
        """All fields whose past counts."""
        rates = (self.renewed, self.refunded)
        return (self.started, *(name for rate in rates if rate for name in rate.fields))
