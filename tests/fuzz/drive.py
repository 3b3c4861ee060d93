# SPDX-License-Identifier: Apache-2.0
"""Any bytes to any parser, led by the lines of ours that they reach (Atheris, libFuzzer).

    python -m tests.fuzz.drive --seconds 600 [--only tlog.note.parse_note] [--keep FOLDER]

The first byte of what libFuzzer makes says which parser the rest goes to. It begins from the corpus, one folder for
each parser. Of findings that say the same it writes the first to FOLDER/PARSER, as the corpus has it, and goes on; what
takes far too long or too much memory ends it, and becomes `timeout-…` or `oom-…` in FOLDER, with that first byte.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

__all__ = ["CORPUS", "read_corpus"]

CORPUS = Path(__file__).parent / "corpus"

_MOST_BYTES = 8_192
_MOST_MEBIBYTES = 1_024
_TIMEOUT_SECONDS = 10
_SECONDS_TO_START = 120


def read_corpus(name: str) -> list[tuple[str, bytes]]:
    """The inputs that are kept for one parser, each behind the name of its file."""
    return [(path.name, path.read_bytes()) for path in sorted((CORPUS / name).glob("*"))]


def main() -> int:
    """0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", action="append", default=[], metavar="PARSER")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where findings are written; build/fuzz")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    keep = given.keep or Path("build/fuzz")
    keep.mkdir(parents=True, exist_ok=True)
    if given.child is not None:
        _fuzz(given.child, given.only, seconds=given.seconds, keep=keep)
    with tempfile.TemporaryDirectory(prefix="comity-fuzz-") as folder:
        command = [sys.executable, "-m", "tests.fuzz.drive", "--seconds", str(given.seconds), "--child", folder]
        command += [word for name in given.only for word in ("--only", name)]
        command += ["--keep", str(keep)]
        done = subprocess.run(command, check=False, timeout=given.seconds + _SECONDS_TO_START)
    found = sorted(path for path in keep.rglob("*") if path.is_file())
    for path in found:
        sys.stdout.write(f"found: {path}\n")
    return done.returncode or len(found)


def _fuzz(folder: Path, only: Sequence[str], *, seconds: int, keep: Path) -> None:
    """Fuzz until the time is over or something is found; this process ends there."""
    import atheris  # noqa: PLC0415 (not there on every machine: who reads the corpus does not need it)

    with atheris.instrument_imports(include=["comity"]):
        from tests.fuzz import targets  # noqa: PLC0415 (what is imported here is watched)

    chosen = [targets.TARGETS[name] for name in only or targets.TARGETS]
    for place, target in enumerate(chosen):
        for name, data in read_corpus(target.name):
            (folder / f"{place:03}-{name}").write_bytes(bytes([place]) + data)

    said = set[str]()

    def test_one(data: bytes) -> None:
        if not data:
            return
        target = chosen[data[0] % len(chosen)]
        try:
            targets.attempt(target, data[1:])
        except targets.Finding as finding:
            what = f"{target.name} {type(finding.__cause__).__name__} {_find_line(finding.__cause__)}"
            if what not in said:
                said.add(what)
                _write_finding(keep / target.name, data[1:], finding)

    options = [f"-max_total_time={seconds}", f"-max_len={_MOST_BYTES}", f"-rss_limit_mb={_MOST_MEBIBYTES}"]
    options += [f"-timeout={_TIMEOUT_SECONDS}", f"-artifact_prefix={keep}/", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(folder)], test_one)
    atheris.Fuzz()


def _find_line(error: BaseException | None) -> str:
    """Where in our own code the error arose last."""
    frames = (
        [frame for frame in traceback.extract_tb(error.__traceback__) if "comity" in frame.filename] if error else []
    )
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _write_finding(folder: Path, data: bytes, finding: Exception) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    sys.stderr.write(f"{path}: {finding}\n")


if __name__ == "__main__":
    sys.exit(main())
