# SPDX-License-Identifier: Apache-2.0
"""Shell: long work that a person starts, leaves and finds again: an import, a preview, an audit.

The work goes on when its page is left. Its end is kept for an hour, in this process alone: what it committed stands
whatever becomes of the process, and what it did not commit is begun again by doing it again.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from comity.console.pages import find_typed, make_page, show, show_failure
from comity.console.visit import Failed, Visit, find_visit
from comity.errors import ConflictError, NotFoundError
from comity.ids import PersonId
from comity.operations.reply import Json, Reply, fail_with

__all__ = ["ROUTES", "Job", "Jobs", "receiving", "start_job"]

_AT_ONCE = 4
_AT_ONCE_OF_PROGRAMS = 3
"""Of all programs of one person."""

_AT_ONCE_OF_ALL = 8
_RECEIVED_AT_ONCE = 2
_KEPT = 20
"""Of one person, and of all the person's programs."""

_KEPT_SECONDS = 3_600.0
_PATIENCE_SECONDS = 0.05
"""What is done by then is shown at once, as if it were no long work."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One piece of work: what it is called, the operation, where its result is shown, and since when it runs.

    `began_at` and `ended_at` are on the clock of the event loop. `done` of `of` is how far it says to be (0 of 0: it
    does not say). `program` is which of the person's programs began it (None: the person did). `typed` is what the
    person wrote in its form, which is shown again where the work fails.
    """

    number: int
    title: str
    operation: str
    to: str
    began_at: float
    ended_at: float | None = None
    program: str | None = None
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
    done: int = 0
    of: int = 0
    task: asyncio.Task[Reply] | None = field(default=None, repr=False)

    @property
    def reply(self) -> Reply | None:
        """What came of it, once it has ended."""
        return self.task.result() if self.task is not None and self.task.done() else None

    def tell(self, done: int, of: int) -> None:
        """Take note of how much of how much is done."""
        self.done, self.of = done, of


class Jobs:
    """The work of all people of one node; each sees its own alone, and a program what it began itself."""

    def __init__(self) -> None:
        self._jobs = dict[PersonId, dict[int, Job]]()
        self.received = asyncio.Semaphore(_RECEIVED_AT_ONCE)
        self._last = 0

    def start(self, visit: Visit, operation: str, arguments: Mapping[str, Json], *, title: str, to: str) -> Job:
        """The work, begun.

        Raises:
            Failed: the person has so much under way already.
        """
        own = self.require_room(visit)
        self._last += 1
        loop = asyncio.get_running_loop()
        job = Job(
            number=self._last, title=title, operation=operation, to=to, began_at=loop.time(), program=visit.program
        )
        job.task = loop.create_task(visit.ask(operation, arguments, job.tell))
        job.task.add_done_callback(lambda _: setattr(job, "ended_at", loop.time()))
        kept = self._jobs.setdefault(visit.person.id, {})
        for old in [item for item in own if item.reply is not None][: max(0, len(own) + 1 - _KEPT)]:
            del kept[old.number]
        kept[job.number] = job
        return job

    def require_room(self, visit: Visit) -> list[Job]:
        """Do nothing for who may begin more; returned is what counts with it: programs leave people theirs.

        Raises:
            Failed: so much is under way already.
        """
        own = [job for job in self._list_all(visit) if (job.program is None) == (visit.program is None)]
        most = _AT_ONCE if visit.program is None else _AT_ONCE_OF_PROGRAMS
        if sum(job.reply is None for job in own) >= most:
            message = f"{most} pieces of your work are under way; wait until one has ended"
            raise Failed(fail_with(ConflictError(message)))
        if sum(job.reply is None for jobs in self._jobs.values() for job in jobs.values()) >= _AT_ONCE_OF_ALL:
            message = f"{_AT_ONCE_OF_ALL} pieces of work of this party's people are under way; wait until one has ended"
            raise Failed(fail_with(ConflictError(message)))
        return own

    def list_own(self, visit: Visit) -> list[Job]:
        """The work that who visits may see, the oldest first."""
        return [job for job in self._list_all(visit) if visit.program in {None, job.program}]

    def _list_all(self, visit: Visit) -> list[Job]:
        """The person's work, the oldest first. Whatever ended over an hour ago, of anybody, is forgotten here."""
        now = asyncio.get_running_loop().time()
        for person, jobs in list(self._jobs.items()):
            self._jobs[person] = {
                job.number: job for job in jobs.values() if job.ended_at is None or now - job.ended_at <= _KEPT_SECONDS
            }
            if not self._jobs[person]:
                del self._jobs[person]
        return list(self._jobs.get(visit.person.id, {}).values())

    def find_own(self, visit: Visit, number: str) -> Job:
        """The person's work of that number.

        Raises:
            Failed: there is none, or no longer.
        """
        for job in self.list_own(visit):
            if str(job.number) == number:
                return job
        message = "there is no such work of yours here any more; what it did is on record, whatever became of its page"
        raise Failed(fail_with(NotFoundError(message)))


@asynccontextmanager
async def receiving(request: Request) -> AsyncIterator[None]:
    """Room for what a program sends: it is in memory from here to the end of its work.

    Raises:
        Failed: so much of it is under way already.
    """
    jobs: Jobs = request.app.state.jobs
    async with jobs.received:
        jobs.require_room(find_visit(request))
        yield


async def start_job(
    request: Request, operation: str, arguments: Mapping[str, Json], *, title: str, to: str
) -> Response:
    """The way to the page of some work that was begun: a page that is loaded again begins nothing.

    `to` is the page that its result leads to. A program is told the way in JSON.

    Raises:
        Failed: the person has so much under way already.
    """
    jobs: Jobs = request.app.state.jobs
    job = jobs.start(find_visit(request), operation, arguments, title=title, to=to)
    job.typed = find_typed(request)
    if job.task is not None:
        await asyncio.wait({job.task}, timeout=_PATIENCE_SECONDS)
    if job.program is not None:
        at = f"/jobs/{job.number}.json"
        return JSONResponse({"job": job.number, "at": at}, status_code=202, headers={"Location": at})
    return RedirectResponse(f"/jobs/{job.number}", status_code=303)


async def list_jobs(request: Request) -> Response:
    """The person's work, the newest first."""
    jobs: Jobs = request.app.state.jobs
    listed = [_describe(job) for job in reversed(jobs.list_own(find_visit(request)))]
    return show(request, "jobs.html", {"jobs": listed})


async def show_job(request: Request) -> Response:
    """How far some work is, and what came of it; the page of what is under way loads itself again."""
    jobs: Jobs = request.app.state.jobs
    job = jobs.find_own(find_visit(request), request.path_params["number"])
    reply = job.reply
    if reply is not None and reply.result is None:
        request.state.typed = job.typed
        return show_failure(request, reply)
    return show(request, "job.html", {**_describe(job), "result": None if reply is None else reply.result})


def _describe(job: Job) -> dict[str, Json]:
    end = asyncio.get_running_loop().time() if job.ended_at is None else job.ended_at
    return {
        "number": job.number,
        "title": job.title,
        "operation": job.operation,
        "to": job.to,
        "done": job.done,
        "of": job.of,
        "seconds": round(end - job.began_at, 1),
        "code": None if job.reply is None else job.reply.code,
    }


ROUTES: list[Route] = [*make_page("/jobs", list_jobs), *make_page("/jobs/{number}", show_job)]
