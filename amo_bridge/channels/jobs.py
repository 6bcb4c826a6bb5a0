"""Jobs beside the outbox: series of letters, Roistat, sheets, Megaplan, buttons under messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from amo_bridge.channels.approvals import Approvals
from amo_bridge.channels.daily_reports import DailyReportButtons
from amo_bridge.channels.mail_series import SeriesJob
from amo_bridge.channels.megaplan import MegaplanJob
from amo_bridge.channels.policies import PolicyButtons
from amo_bridge.channels.presses import ButtonJob, ButtonSubject, StaffBots
from amo_bridge.channels.registry import ChannelContext
from amo_bridge.channels.roistat import RoistatCostsJob, RoistatJob
from amo_bridge.channels.sheets import ReportRows, SheetJob, SheetSource
from amo_bridge.channels.shift_starts import ShiftStartButtons
from amo_bridge.channels.spend_sheet import SpendSheetJob
from amo_bridge.channels.vendors import MEGAPLAN, ROISTAT, SHEET_SERVICES, messengers_of
from amo_bridge.config.channels import SheetsSection


def series_job(context: ChannelContext) -> SeriesJob:
    """What has to be run every minute for series of letters."""
    return SeriesJob(context.store, context.rule_engine, context.clock, context.account_clock)


def roistat_job(context: ChannelContext) -> RoistatJob | None:
    """What sends deals to Roistat, to be run every minute; None where the config has no ``[roistat]``."""
    roistat = ROISTAT.open(context.config, context.environment)
    return RoistatJob(roistat, context.store, context.rule_engine, context.clock) if roistat else None


def roistat_costs_job(context: ChannelContext) -> RoistatCostsJob | None:
    """What reads expenses from Roistat every morning; None where no field is to get them."""
    section = context.config.channels.roistat
    if section is None or section.attraction_field is None:
        return None
    roistat = ROISTAT.open(context.config, context.environment)
    return RoistatCostsJob(roistat, context.store, context.rule_engine, context.clock) if roistat else None


def sheet_jobs(context: ChannelContext, sources: Mapping[str, Callable[[str, str], SheetSource]]) -> Iterator[SheetJob]:
    """What keeps daily reports and KPI in tables, as far as the config asks for it. ``sources``: key of the section
    that names the sheet → what is kept in it, made of the job's name and the sheet's."""
    for vendor in SHEET_SERVICES:
        if not vendor.is_connected(context.config):
            continue
        section: SheetsSection = getattr(context.config.channels, vendor.section)
        kept: list[SheetSource] = []
        if context.config.daily_report is not None:
            kept.append(ReportRows(context.store, context.account_clock, vendor.section, section.daily_reports))
        for key, source in sources.items():
            if sheet := getattr(section, key):
                kept.append(source(f"{vendor.section}_{key}", sheet))
        sheets = vendor.client_of(context.config, context.environment)
        for one in kept:
            yield SheetJob(sheets, one, context.store, context.rule_engine, context.clock, context.account_clock)


def spend_sheet_job(context: ChannelContext) -> SpendSheetJob | None:
    """What reads clients' spending from people's table; None where the config does not ask for it."""
    section = context.config.channels.spend_sheet
    if section is None or not section.enabled:
        return None
    vendor = next(one for one in SHEET_SERVICES if one.section == section.vendor)
    sheets = vendor.client_of(context.config, context.environment)
    return SpendSheetJob(sheets, context.store, context.rule_engine, context.clock, context.account_clock)


def megaplan_job(
    context: ChannelContext, tell: Callable[[str, str], None], came: Callable[[], None]
) -> MegaplanJob | None:
    """What hands tasks on to Megaplan and hears what became of them; None where the config has no ``[megaplan]``."""
    section = context.config.channels.megaplan
    if section is None:
        return None
    megaplan = MEGAPLAN.client_of(context.config, context.environment)
    rules, clocks = context.rule_engine, (context.clock, context.account_clock)
    return MegaplanJob(megaplan, section, context.store, rules, *clocks, tell, came)


def button_job(context: ChannelContext, settled: Callable[[], None] = lambda: None) -> ButtonJob | None:
    """What asks people by buttons and hears their presses; None where the config asks nobody."""
    config = context.config
    approvals = config.channels.approvals
    if approvals is None and not any((config.daily_report, config.policies, config.shift_start)):
        return None
    pressed = config.intake.staff_bots if config.intake else ()
    messengers = messengers_of(config, context.environment)
    bots = StaffBots({way: bot for way, bot in messengers.items() if way in pressed}, context.clock)
    rules, clock = context.rule_engine, context.clock
    subjects: list[ButtonSubject] = []
    if approvals is not None:
        subjects.append(Approvals(approvals, bots, context.store, context.client, rules, clock))
    if config.daily_report is not None:
        subjects.append(DailyReportButtons(bots, context.store, rules, clock, context.account_clock))
    if config.policies is not None:
        subjects.append(PolicyButtons(bots, context.store, rules, clock, context.account_clock))
    if config.shift_start is not None:
        subjects.append(ShiftStartButtons(bots, context.store, rules, clock, context.account_clock))
    return ButtonJob(subjects, bots, context.store, rules, clock, settled)
