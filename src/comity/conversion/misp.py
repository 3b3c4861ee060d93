# SPDX-License-Identifier: Apache-2.0
"""Shell: misp-stix in a process of its own: one MISP event becomes STIX 2.1 objects, or a bundle becomes an event.

Run as a program by `conversion.child`. What it is asked and says is JSON:

    {"event": {…}}      → {"objects": [{…}, …], "errors": ["…"], "warnings": ["…"]}
    {"objects": [{…}]}  → {"event": {…}, "errors": ["…"], "warnings": ["…"]}

misp-stix leaves children of a marked event unmarked and drops its distribution, so neither is its to say: whoever asks
has read both before and puts them on the objects (`intake.misp`).

The library is loaded when the first event comes: it takes over a second, and whoever only looks at this module has no
need of it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from comity.conversion.child import serve_frames

__all__ = ["main"]

_MOST_LISTED = 1_000
_TRACE = re.compile(r"\s+File \".*\n(?: .*\n)*", re.ASCII)
"""Where in a library something went wrong: it says nothing to who reads the list, but where this is installed."""
_OURS = "misp:"


def main() -> None:
    """Answer until nothing more is asked."""
    serve_frames(_respond)


def _respond(frame: bytes) -> bytes:
    asked = json.loads(frame)
    said = _convert_event(asked["event"]) if "event" in asked else _convert_objects(asked["objects"])
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _convert_event(event: dict[str, Any]) -> dict[str, Any]:
    parser = import_module("misp_stix_converter").MISPtoSTIX21Parser()
    try:
        parser.parse_misp_event(event)
        objects = [json.loads(item.serialize()) if hasattr(item, "serialize") else item for item in parser.stix_objects]
    except Exception as error:  # noqa: BLE001 (whatever a library raises over a file is told, and the next file is read)
        return {"objects": [], "errors": [_describe(error)], "warnings": []}
    return {"objects": objects, "errors": _list(parser.errors), "warnings": _list(parser.warnings)}


def _convert_objects(objects: list[dict[str, Any]]) -> dict[str, Any]:
    library = import_module("misp_stix_converter")
    made_from_misp = any(str(label).startswith(_OURS) for item in objects for label in item.get("labels", ()))
    parser = library.InternalSTIX2toMISPParser() if made_from_misp else library.ExternalSTIX2toMISPParser()
    try:
        parser.load_stix_bundle(import_module("stix2.v21").Bundle(*objects, allow_custom=True))
        parser.parse_stix_bundle(single_event=True)
        event = json.loads(parser.misp_event.to_json())
    except Exception as error:  # noqa: BLE001 (as above)
        return {"event": None, "errors": [_describe(error)], "warnings": []}
    return {"event": event, "errors": _list(parser.errors), "warnings": _list(parser.warnings)}


def _list(found: Mapping[str, Iterable[object]]) -> list[str]:
    said = [_TRACE.sub(" ", str(message)) for messages in found.values() for message in messages]
    return said[:_MOST_LISTED]


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:1_000]


if __name__ == "__main__":
    main()
