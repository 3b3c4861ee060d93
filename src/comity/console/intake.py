# SPDX-License-Identifier: Apache-2.0
"""Shell: a file taken in: uploaded, looked through, and then taken in with what a person says of it.

Between the two steps the file is in the memory of this process, for the person who brought it, and nowhere else: it is
dropped when it is taken in, when the person brings another one, and after an hour.
"""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from comity.canonical import canonical_bytes, sha256_digest
from comity.console.jobs import receiving, start_job
from comity.console.pages import make_page, read_fields, read_form, require_fields, show
from comity.console.visit import Failed, Visit, find_visit, require_program
from comity.errors import ComityError, ConflictError, MalformedRequest, NotFoundError
from comity.ids import PersonId
from comity.operations.reply import Json, fail_with
from comity.vocabulary import KINDS

__all__ = ["FORMATS", "ROUTES", "TLP", "Upload", "Uploads"]

MOST_BYTES: Final = 64 * 1024 * 1024
_MOST_REST: Final = 1024 * 1024
_MOST_HELD: Final = 4
_HELD_SECONDS: Final = 3_600.0
_ROWS: Final = 100
_MOST_NAME: Final = 200

FORMATS: Final = ("stix-2.1", "stix-2.0", "misp-event", "misp-manifest", "csv", "tsv", "un-list", "ftm")
"""The words for formats that a person can say (`intake.formats`) of what is read here."""

_FIELDS: Final = ("file", "format", "source", "mapping", "tlp", "subjects", "regions", "kinds")
_MOST_FILES = 2
"""From a program: more than the one that is wanted, so that a field that came as a file can be named."""

TLP: Final = ("clear", "green", "amber", "amber+strict", "red")
"""The TLP levels, as a person can say them (`intake.marking`)."""


@dataclass(slots=True, kw_only=True)
class Upload:
    """A file that a person brought, and what was said of how to read it; `at` is on the clock of the event loop."""

    name: str
    data: bytes
    reading: Mapping[str, Json]
    at: float

    @property
    def digest(self) -> str:
        """Which file it is, and how it is read."""
        said: dict[str, Json] = {**self.reading, "name": self.name, "data": sha256_digest(self.data)}
        return sha256_digest(canonical_bytes(said))

    def make_arguments(self) -> dict[str, Json]:
        """The arguments by which an operation reads it."""
        return {**self.reading, "name": self.name, "data": base64.b64encode(self.data).decode()}


class Uploads:
    """The files that wait to be taken in: one for each person, and few in all."""

    def __init__(self) -> None:
        self._held = dict[PersonId, Upload]()

    def put(self, visit: Visit, upload: Upload) -> None:
        """Hold it in the place of the person's last one.

        Raises:
            Failed: too many people have one here.
        """
        self._forget_old(upload.at)
        if visit.person.id not in self._held and len(self._held) >= _MOST_HELD:
            raise _fail(ConflictError(f"{_MOST_HELD} files of others wait here to be taken in; try again later"))
        self._held[visit.person.id] = upload

    def find(self, visit: Visit, *, now: float) -> Upload | None:
        """The person's file."""
        self._forget_old(now)
        return self._held.get(visit.person.id)

    def drop(self, visit: Visit, upload: Upload) -> None:
        """Hold it no longer; another one that came since stays."""
        if self._held.get(visit.person.id) is upload:
            del self._held[visit.person.id]

    def _forget_old(self, now: float) -> None:
        for person in [person for person, upload in self._held.items() if now - upload.at > _HELD_SECONDS]:
            del self._held[person]


async def show_intake(request: Request) -> Response:
    """The form for a file, the one that waits, and the files that were taken in before, the newest first."""
    visit = find_visit(request)
    visit.require("object.add")
    upload = _find_uploads(request).find(visit, now=_tell_time())
    files = await visit.read("object.files", {"last": _ROWS})
    waiting = None if upload is None else {"name": upload.name, "bytes": len(upload.data)}
    return show(
        request, "intake.html", {"files": files["files"][::-1], "waiting": waiting}, formats=FORMATS, rows=_ROWS
    )


async def bring_file(request: Request) -> Response:
    """Hold the file, and begin to look it through: what is understood of it is on the page of that work."""
    visit = find_visit(request)
    visit.require("object.look")
    form = await read_form(request, most_bytes=MOST_BYTES + _MOST_REST, most_files=1)
    try:
        upload = await _read_upload(form)
    finally:
        await form.close()
    _find_uploads(request).put(visit, upload)
    return await start_job(request, "object.look", upload.make_arguments(), title="Look through", to="/intake/take")


async def _read_upload(form: FormData) -> Upload:
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise _fail(MalformedRequest("choose a file", where="file"))
    if (file.size or 0) > MOST_BYTES:
        said = f"a file of over {MOST_BYTES // 2**20} MiB is taken in by the operator: comity object add"
        raise _fail(MalformedRequest(said, where="file"))
    reading: dict[str, Json] = {"format": _read(form, "format"), "source": _read(form, "source")}
    if (mapping := _read(form, "mapping")) is not None:
        reading["mapping"] = base64.b64encode(mapping.encode()).decode()
    return Upload(name=file.filename[-_MOST_NAME:], data=await file.read(), reading=reading, at=_tell_time())


async def offer_taking(request: Request) -> Response:
    """The second step: what is said of the file that waits."""
    visit = find_visit(request)
    visit.require("object.add")
    upload = _require_upload(request, visit)
    waiting = {
        "name": upload.name,
        "bytes": len(upload.data),
        "format": upload.reading["format"],
        "source": upload.reading["source"],
        "mapped": "mapping" in upload.reading,
        "digest": upload.digest,
    }
    return show(request, "intake_take.html", waiting, levels=TLP, kinds=sorted(KINDS))


async def take_in(request: Request) -> Response:
    """Begin to take in the file that waits, with what is said of it: the one that was shown, and no other."""
    visit = find_visit(request)
    visit.require("object.add")
    form = await read_form(request)
    upload = _require_upload(request, visit)
    if _read(form, "digest") not in {None, upload.digest}:
        raise _fail(ConflictError("you have brought another file since; say of that one what is so of it"))
    arguments = upload.make_arguments() | _read_said(form)
    begun = await start_job(request, "object.add", arguments, title="Take in", to="/intake")
    _find_uploads(request).drop(visit, upload)
    return begun


async def take_in_at_once(request: Request) -> Response:
    """Begin to take in the file that a program sends, with what it says of it: the fields are those of both forms."""
    require_program(request).require("object.add")
    async with receiving(request):
        form = await read_fields(request, most_bytes=MOST_BYTES + _MOST_REST, most_files=_MOST_FILES)
        try:
            require_fields(form, _FIELDS, repeated=("kinds",))
            upload = await _read_upload(form)
        finally:
            await form.close()
        arguments = upload.make_arguments() | _read_said(form)
        return await start_job(request, "object.add", arguments, title="Take in", to="/intake")


def _read_said(form: FormData) -> dict[str, Json]:
    """What is said of everything in the file."""
    return {
        "tlp": _read(form, "tlp"),
        "subjects": [*(_read(form, "subjects") or "").split()],
        "regions": [*(_read(form, "regions") or "").replace(",", " ").split()],
        "kinds": [str(item) for item in form.getlist("kinds") if item],
    }


async def drop_file(request: Request) -> Response:
    """Hold the file no longer: nothing of it was kept."""
    visit = find_visit(request)
    visit.require("object.add")
    await read_form(request)
    if (upload := _find_uploads(request).find(visit, now=_tell_time())) is not None:
        _find_uploads(request).drop(visit, upload)
    return RedirectResponse("/intake", status_code=303)


async def show_file(request: Request) -> Response:
    """A file that was taken in before, and what of it was not read."""
    visit = find_visit(request)
    return show(request, "intake_file.html", await visit.read("object.file", {"file": request.path_params["number"]}))


def _find_uploads(request: Request) -> Uploads:
    uploads: Uploads = request.app.state.uploads
    return uploads


def _require_upload(request: Request, visit: Visit) -> Upload:
    upload = _find_uploads(request).find(visit, now=_tell_time())
    if upload is None:
        raise _fail(NotFoundError("no file of yours waits here to be taken in; bring it again"))
    return upload


def _read(form: FormData, name: str) -> str | None:
    """A field that was filled in."""
    value = form.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _tell_time() -> float:
    return asyncio.get_running_loop().time()


def _fail(error: ComityError) -> Failed:
    return Failed(fail_with(error))


ROUTES = [
    *make_page("/intake", show_intake),
    Route("/intake.json", take_in_at_once, methods=["POST"]),
    Route("/intake", bring_file, methods=["POST"]),
    *make_page("/intake/take", offer_taking),
    Route("/intake/take", take_in, methods=["POST"]),
    Route("/intake/drop", drop_file, methods=["POST"]),
    *make_page("/intake/files/{number}", show_file),
]
