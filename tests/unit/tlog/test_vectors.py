# SPDX-License-Identifier: Apache-2.0
"""Proofs, notes and checkpoints, each with one thing wrong: what is right verifies, and nothing else does."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comity.errors import ComityError
from comity.tlog.merkle import verify_consistency, verify_inclusion
from comity.tlog.note import parse_checkpoint, parse_note, verify_note
from tests.vectors.tlog.make import FOLDER, vectors

VECTORS = sorted(FOLDER.glob("*.json"))


def act_on_inclusion(given: dict[str, Any]) -> dict[str, object]:
    leaf, root, *proof = (bytes.fromhex(item) for item in (given["leaf_hash"], given["root"], *given["proof"]))
    return {"root": verify_inclusion(leaf, given["index"], given["size"], proof, root).hex()}


def act_on_consistency(given: dict[str, Any]) -> dict[str, object]:
    old, new, *proof = (bytes.fromhex(item) for item in (given["old_root"], given["new_root"], *given["proof"]))
    return {"root": verify_consistency(given["old_size"], given["new_size"], proof, old, new).hex()}


def act_on_note(given: dict[str, Any]) -> dict[str, object]:
    data = given["note"].encode() if "note" in given else base64.b64decode(given["base64"])
    return {"text": verify_note(parse_note(data), given["name"], base64.b64decode(given["key"]))}


def act_on_checkpoint(given: dict[str, Any]) -> dict[str, object]:
    checkpoint = parse_checkpoint(given["text"])
    return {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}


ACTS: dict[str, Callable[[dict[str, Any]], dict[str, object]]] = {
    "verify_inclusion": act_on_inclusion,
    "verify_consistency": act_on_consistency,
    "verify_note": act_on_note,
    "parse_checkpoint": act_on_checkpoint,
}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_bytes())
    try:
        found = ACTS[vector["in"]["act"]](vector["in"])
    except ComityError as error:
        found = {"error": error.code}
    assert found == vector["expect"], vector["desc"]


def test_vectors_are_what_their_maker_makes() -> None:
    assert {path.name: path.read_bytes() for path in VECTORS} == vectors()
