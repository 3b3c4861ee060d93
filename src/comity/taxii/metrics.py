# SPDX-License-Identifier: Apache-2.0
"""Shell: what a monitoring system asks for, in the text format of Prometheus.

Two kinds: what was counted of requests since this process began, and what the store holds at the moment of asking.
Parties stand in the labels, so this is told on loopback alone (`taxii.admin`). Nothing of any object or agreement
stands here but how many there are.

Where workers answer, each counts for itself, and the first process tells the sums (`Counted`), also of those that have
ended.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from comity.ids import Instant
from comity.node.figures import Figures
from comity.node.follow import Followed
from comity.taxii.guard import Visit

__all__ = ["CONTENT_TYPE", "Counted", "Metrics", "Requests", "add_counted"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_POLLS = frozenset({"objects", "object", "manifest", "versions"})
_OK = 200
_SECOND = 1_000_000

Counted = Mapping[str, Mapping[str, float]]
"""What was counted of requests: by family, and by the name and labels of a figure as one text."""


class Requests:
    """What one process has counted of requests."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        by = ("resource", "party")
        self._requests = Counter("comity_requests", "Requests answered.", (*by, "status"), registry=self._registry)
        self._bytes = Counter("comity_response_bytes", "Bytes of bodies given.", by, registry=self._registry)
        self._seconds = Histogram(
            "comity_request_seconds",
            "From the head of a request to the last byte of its answer.",
            ("resource",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._polls = Counter("comity_polls", "Pages given, empty ones too.", ("party",), registry=self._registry)
        self._objects = Counter(
            "comity_objects_released", "Objects, ids or versions given.", by, registry=self._registry
        )
        self._crowded = Counter(
            "comity_bodies_refused", "Bodies that there was no room for.", ("party",), registry=self._registry
        )
        self._remember = lru_cache(maxsize=4_096)(self._find)

    def observe(self, visit: Visit) -> None:
        """Count one request."""
        requests, octets, seconds, polls, objects = self._remember(visit.resource, visit.party or "", visit.status)
        requests.inc()
        octets.inc(visit.body_bytes)
        seconds.observe(visit.seconds)
        if visit.crowded:
            self._crowded.labels(visit.party or "").inc()
        if polls is not None and objects is not None:
            polls.inc()
            objects.inc(visit.objects)

    def _find(
        self, resource: str, party: str, status: int
    ) -> tuple[Counter, Counter, Histogram, Counter | None, Counter | None]:
        """The counts of one kind of request; the last two are of polls that were answered."""
        polled = resource in _POLLS and status == _OK
        return (
            self._requests.labels(resource, party, str(status)),
            self._bytes.labels(resource, party),
            self._seconds.labels(resource),
            self._polls.labels(party) if polled else None,
            self._objects.labels(resource, party) if polled else None,
        )

    def format(self) -> bytes:
        """Everything counted so far, as text."""
        return generate_latest(self._registry)

    def count(self) -> Counted:
        """Everything counted so far; not when each count began, which says nothing of a sum."""
        return {
            family.name: {
                json.dumps([sample.name, dict(sample.labels)]): sample.value
                for sample in family.samples
                if not sample.name.endswith("_created")
            }
            for family in self._registry.collect()
        }

    def put_together(self, counted: Counted) -> Iterable[Metric]:
        """The same families with what was counted elsewhere."""
        for family in self._registry.collect():
            told = Metric(family.name, family.documentation, family.type)
            for named, value in counted.get(family.name, {}).items():
                name, labels = json.loads(named)
                told.add_sample(name, labels, value)
            yield told


def add_counted(one: Counted, other: Counted) -> Counted:
    """The sum of both, figure by figure."""
    return {
        family: {
            name: one.get(family, {}).get(name, 0.0) + other.get(family, {}).get(name, 0.0)
            for name in {**one.get(family, {}), **other.get(family, {})}
        }
        for family in {**one, **other}
    }


class Metrics:
    """The figures of one process and its node. `certificate_expires_at` gives None without TLS.

    `counted` gives what workers have counted of requests; without it this process counts them, and `held` gives the
    bytes of bodies that it holds.
    """

    def __init__(
        self,
        figures: Callable[[], Figures],
        *,
        connections: Callable[[], int],
        certificate_expires_at: Callable[[], Instant | None],
        counted: Callable[[], Counted] | None = None,
        held: Callable[[], int] | None = None,
    ) -> None:
        self._registry = CollectorRegistry()
        self._held = held
        self._figures = figures
        self._connections = connections
        self._certificate_expires_at = certificate_expires_at
        self._counted = counted
        self._requests = Requests()
        self._registry.register(self)

    def observe(self, visit: Visit) -> None:
        """Count one request."""
        self._requests.observe(visit)

    def count_requests(self) -> Counted:
        """What this process has counted of requests."""
        return self._requests.count()

    def format(self) -> bytes:
        """Everything, as text.

        Raises:
            UnavailableError, CorruptionError: the store cannot be read.
        """
        requests = self._requests.format() if self._counted is None else b""
        return requests + generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: the library asks when this is registered, and the store need not be read for it."""
        return []

    def collect(self) -> Iterable[Metric]:
        """What workers have counted, what the store holds, and what runs out when."""
        if self._counted is not None:
            yield from self._requests.put_together(self._counted())
        found = self._figures()
        yield _gauge("comity_open_connections", "Connections now open.", self._connections())
        if self._held is not None:
            yield _gauge("comity_held_body_bytes", "Bytes of bodies being received and worked on.", self._held())
        yield _gauge("comity_log_entries", "Entries of the log.", found.log_entries)
        yield _gauge("comity_outbox_messages", "Messages that partners have not acknowledged.", found.outbox)
        states = GaugeMetricFamily("comity_agreements", "Agreements by where they stand.", labels=("state",))
        for state, count in found.agreements.items():
            states.add_metric([state.value], count)
        yield states
        manifests = GaugeMetricFamily(
            "comity_manifest_expiry_timestamp_seconds", "When the manifest of a party runs out.", labels=("party",)
        )
        for party, at in found.manifests.items():
            manifests.add_metric([party], at / _SECOND)
        yield manifests
        yield from _tell_followed(found.followed)
        certificate = self._certificate_expires_at()
        if certificate is not None:
            yield _gauge(
                "comity_tls_certificate_expiry_timestamp_seconds",
                "When the certificate runs out.",
                certificate / _SECOND,
            )


def _tell_followed(followed: Sequence[Followed]) -> Iterable[Metric]:
    """How it stands with each channel that is followed; what is not known of one is left out."""
    by = ("giver", "agreement", "channel")
    failures = GaugeMetricFamily("comity_follow_failures", "Tries in a row that have failed.", labels=by)
    in_step = GaugeMetricFamily(
        "comity_follow_in_step_timestamp_seconds", "When a giver last had nothing more in a channel.", labels=by
    )
    taken = GaugeMetricFamily(
        "comity_follow_taken_timestamp_seconds", "When something of a channel last came in.", labels=by
    )
    paused = GaugeMetricFamily(
        "comity_follow_paused_until_timestamp_seconds",
        "Until when nothing of a channel is asked for, as its giver has brought in as much as it may on a day.",
        labels=by,
    )
    for item in followed:
        named, progress = [item.giver, item.agreement, item.channel], item.progress
        failures.add_metric(named, progress.failures)
        if progress.in_step_at is not None:
            in_step.add_metric(named, progress.in_step_at / _SECOND)
        if progress.taken_at is not None:
            taken.add_metric(named, progress.taken_at / _SECOND)
        if progress.paused_until is not None:
            paused.add_metric(named, progress.paused_until / _SECOND)
    return failures, in_step, taken, paused


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
