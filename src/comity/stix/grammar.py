# SPDX-License-Identifier: Apache-2.0
"""Pure: whether a STIX pattern parses (STIX 2.1 §9), by the grammar that OASIS publishes, and where it does not.

    find_pattern_problem("[ipv4-addr:value == '198.51.100.3']")
        -> PatternProblem(line=1, column=18, rule="propTest", detail="not expected here; …")

The parser is made by ANTLR, in Python: some 4 µs for each character. Its input is bounded before it begins, in length
and in how deep brackets are nested; time is for the caller to bound (`operations.parser`), as a clock is none of this
floor.

Held against the grammar alone, and against the rule that a qualifier stands once at an observation (§9.4). Not checked:
whether a value can be one of the property it is compared with, such as a hash of another length, and whether the
regular expression after MATCHES is one. No message repeats what the pattern says: it may be kept longer than that.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from antlr4 import CommonTokenStream, InputStream
from antlr4.error.ErrorListener import ErrorListener
from stix2patterns.v21.grammars.STIXPatternLexer import STIXPatternLexer
from stix2patterns.v21.grammars.STIXPatternParser import STIXPatternParser
from stix2patterns.v21.validator import DuplicateQualifierTypeError, ValidationListener

__all__ = ["MAX_NESTING", "MAX_PATTERN", "PatternProblem", "find_pattern_problem"]

MAX_PATTERN: Final = 65_536
"""Characters of a pattern; some seven thousand comparisons."""

MAX_NESTING: Final = 64
"""Brackets within brackets."""

_TEXT = re.compile(r"'(?:[^'\\]|\\['\\])*+'")
_BRACKET = re.compile(r"[()\[\]]")
_MAX_EXPECTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternProblem:
    """Why a pattern does not parse: at `column` (from 1) of `line`, while `rule` of the grammar was being read.

    Where it is refused before it is parsed, or as a whole, `rule` is empty.
    """

    line: int
    column: int
    rule: str
    detail: str

    def __str__(self) -> str:
        within = f", in {self.rule}" if self.rule else ""
        return f"line {self.line}, column {self.column}{within}: {self.detail}"


def find_pattern_problem(pattern: str) -> PatternProblem | None:
    """Why the pattern does not parse; None where it does."""
    if len(pattern) > MAX_PATTERN:
        return _refuse(f"longer than {MAX_PATTERN} characters; divide it among several indicators")
    if _measure_nesting(pattern) > MAX_NESTING:
        return _refuse(f"brackets nested deeper than {MAX_NESTING}; write it with fewer")
    lexer = STIXPatternLexer(InputStream(pattern))
    lexer.removeErrorListeners()
    parser = STIXPatternParser(CommonTokenStream(lexer))
    parser.removeErrorListeners()
    parser.addErrorListener(_Stopping())
    # Heard while it is parsed, and no tree is kept: a walk of a tree goes as deep as the pattern has comparisons.
    parser.addParseListener(ValidationListener())
    parser.buildParseTrees = False
    try:
        parser.pattern()
    except _Stopped as stopped:
        return stopped.problem
    except DuplicateQualifierTypeError:
        token = parser.getCurrentToken()
        return PatternProblem(
            line=token.line,
            column=token.column + 1,
            rule="observationExpression",
            detail="a qualifier of one kind stands twice at one observation, before here; leave one (STIX 2.1 §9.4)",
        )
    except RecursionError:
        # Brackets can hide from the count behind a quote in a comment.
        return _refuse("nested too deep to be parsed; write it with fewer brackets")
    return None


class _Stopped(Exception):
    """The first thing that the grammar does not admit; what a parser says after it is guesswork."""

    def __init__(self, problem: PatternProblem) -> None:
        super().__init__()
        self.problem = problem


class _Stopping(ErrorListener):  # type: ignore[misc] # the library has no types
    def syntaxError(  # noqa: N802, PLR0917 (as the library calls it)
        self,
        recognizer: Any,  # noqa: ANN401
        offendingSymbol: Any,  # noqa: ANN401, ARG002, N803
        line: int,
        column: int,
        msg: str,  # noqa: ARG002
        e: Any,  # noqa: ANN401, ARG002
    ) -> None:
        names = [name if name != "<INVALID>" else other for name, other in _NAMES]
        expected = recognizer.getExpectedTokens().toString(names, names)
        expected = expected if len(expected) <= _MAX_EXPECTED else f"{expected[:_MAX_EXPECTED]}…"
        raise _Stopped(
            PatternProblem(
                line=line,
                column=column + 1,
                rule=recognizer.ruleNames[recognizer._ctx.getRuleIndex()],  # noqa: SLF001 (it has no other door)
                detail=f"what stands here is not expected; write {expected}",
            )
        )


_NAMES: Final = tuple(
    zip(
        [*STIXPatternParser.literalNames, *["<INVALID>"] * len(STIXPatternParser.symbolicNames)],
        STIXPatternParser.symbolicNames,
        strict=False,
    )
)


def _measure_nesting(pattern: str) -> int:
    """How deep brackets are nested that stand in no text."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(_TEXT.sub("", pattern)):
        depth += 1 if bracket in "([" else -1
        deepest = max(deepest, depth)
    return deepest


def _refuse(detail: str) -> PatternProblem:
    return PatternProblem(line=1, column=1, rule="", detail=detail)
