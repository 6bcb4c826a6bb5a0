"""Figures of one run of ``make bench``, each beside its goal."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from bench.alone import Idle, Lone
from bench.load import Delivered
from bench.naive import Naive
from bench.storm import Filled, Storm
from bench.ticks import Ticks
from bench.webinar import Imported

REQUESTS_PER_SECOND = 7


@dataclass
class Figures:
    """``fills`` and ``storms`` by size, the smallest first."""

    naive: Naive
    received: Delivered
    starts: list[float]
    lone: Lone
    idle: Idle
    ticks: Ticks
    webinar: Imported
    fills: list[Filled] = field(default_factory=list)
    storms: list[Storm] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """One line of the table. ``is_met``: None where the run was too small to say."""

    work: str
    goal: str
    measured: str
    is_met: bool | None


def rows(figures: Figures) -> list[Row]:
    """The table of the goals, with what was measured beside each."""
    return [
        _few_requests(figures),
        *(_as_fast_as_allowed(storm) for storm in figures.storms[1:]),
        _receiving(figures.received),
        _lone(figures.lone),
        _idle(figures.idle),
        _tick(figures.ticks),
        _fill(figures.fills),
        _start(figures.starts),
        _webinar(figures.webinar),
        _growth(figures.storms),
    ]


def _few_requests(figures: Figures) -> Row:
    storm, naive = figures.storms[0], figures.naive
    times = naive.requests_for(storm.events) / storm.requests
    longer = naive.seconds_for(storm.events) / storm.seconds
    return Row(
        f"{storm.events:,} stage webhooks on {storm.events:,} deals, a task for each",
        "≤ 12 requests for 1,000",
        f"{storm.requests} requests, {_faults(storm)}; "
        f"naive: {naive.requests_for(storm.events):,} requests, × {times:.0f}; its time × {longer:.0f}",
        storm.requests <= 12 and _is_right(storm),
    )


def _as_fast_as_allowed(storm: Storm) -> Row:
    allowed = 1.5 * storm.requests / REQUESTS_PER_SECOND + 5
    return Row(
        f"{storm.events:,} such webhooks at once",
        "wall ≤ 1.5 × (requests ÷ 7) + 5 s",
        f"{storm.requests} requests, {storm.seconds / allowed:.2f} of what is allowed, {_faults(storm)}",
        storm.seconds <= allowed and _is_right(storm),
    )


def _is_right(storm: Storm) -> bool:
    return storm.tasks == storm.events and not storm.doubled and not storm.received.refused


def _faults(storm: Storm) -> str:
    return f"{storm.events - storm.tasks + storm.doubled} lost, {storm.doubled} doubled"


def _receiving(received: Delivered) -> Row:
    rate, p99 = received.median_per_second, received.p99
    return Row(
        "receiving, SQLite, durable, 8 connections",
        "≥ 1,000 webhooks/s, p99 < 50 ms",
        f"{len(received.seconds):,} webhooks, {received.refused} refused; {rate / 1000:.2f} × 1,000/s; "
        f"p99 {p99 / 0.05:.2f} of 50 ms",
        rate >= 1000 and p99 < 0.05 and not received.refused,
    )


def _lone(lone: Lone) -> Row:
    first, effect = median(lone.to_first_request), median(lone.to_effect)
    return Row(
        "a lone webhook to an idle bridge",
        "p50 < 300 ms to the API call",
        f"{first / 0.3:.2f} of it to the read, {effect / 0.3:.2f} to the write that 7/s puts 0.16 s later",
        first < 0.3,
    )


def _idle(idle: Idle) -> Row:
    return Row(
        f"idle, {idle.deals:,} deals in the mirror, {idle.seconds:.0f} s",
        "≤ 1 request/min, < 1 % CPU, < 120 MB",
        f"{idle.requests} requests ({idle.requests_per_minute:.1f}/min), {idle.cpu:.2f} % CPU, {idle.memory:.0f} MB",
        idle.requests_per_minute <= 1 and idle.cpu < 1 and idle.memory < 120,
    )


def _webinar(imported: Imported) -> Row:
    return Row(
        f"import of {imported.attendees:,} attendees, {imported.contacts:,} contacts known",
        "≤ 500 requests for 10,000, ≤ 1.5 ms of processor each",
        f"{imported.requests} requests, {imported.cpu / imported.attendees * 1000:.2f} ms, "
        f"{imported.failed} not carried out, {imported.doubled} doubled; "
        f"naive: {imported.naive:,} requests, × {imported.naive / imported.requests:.0f}",
        imported.requests <= imported.attendees * 500 / 10_000
        and not imported.failed
        and not imported.doubled
        and imported.cpu / imported.attendees <= 0.0015,
    )


def _tick(ticks: Ticks) -> Row:
    return Row(
        f"tick of all timed checks over {ticks.deals:,} mirrored deals, {ticks.timers:,} steps to come, nothing due",
        "< 0.5 s CPU, 0 requests",
        f"{ticks.cpu / 0.5:.5f} of 0.5 s CPU, 0 requests: it has no client to ask with",
        ticks.cpu < 0.5,
    )


def _fill(fills: list[Filled]) -> Row:
    small, large = fills[0], fills[-1]
    allowed = large.requests / REQUESTS_PER_SECOND * 1.5 + 5
    return Row(
        f"initial load of {large.deals:,} deals",
        "pages of 250, bound by the rate limit, flat memory",
        f"{large.requests} requests, {large.seconds / allowed:.2f} of 1.5 × (requests ÷ 7) + 5 s, "
        f"memory × {large.memory / small.memory:.2f} of that for {small.deals:,}",
        large.requests <= large.deals / 250 + 3 and large.seconds <= allowed and large.memory < 1.25 * small.memory,
    )


def _start(starts: list[float]) -> Row:
    return Row(
        "start to first accepted webhook",
        "< 2 s",
        f"{median(starts) / 2:.2f} × 2 s (median of {len(starts)}; {min(starts) / 2:.2f} to {max(starts) / 2:.2f})",
        median(starts) < 2,
    )


def _growth(storms: list[Storm]) -> Row:
    first, last = storms[0], storms[-1]
    times = last.events / first.events
    grown = {
        "requests": last.requests / first.requests,
        "time": last.seconds / first.seconds,
        "CPU": last.cpu / first.cpu,
        "memory": last.memory / first.memory,
    }
    return Row(
        f"cost growth, events × {times:.0f}",
        "linear or better",
        ", ".join(f"{name} × {by:.1f}" for name, by in grown.items()),
        None if len(storms) < 2 else all(by <= times * 1.1 for by in grown.values()),
    )
