# SPDX-License-Identifier: Apache-2.0
"""Shell: documents to print: the certificate of an agreement and the report of an audit, each one HTML file.

A certificate can also be a PDF.

Every text in it can be another party's, and is hostile: the templates escape all they are given, no value is markup,
and the document itself forbids scripts and whatever is outside it (its Content-Security-Policy names nothing but the
one style it has). What makes the PDF is told to fetch nothing.

The HTML is made wherever it is asked for; a PDF takes seconds and much memory, and is made in the process of a command,
never in the one that serves.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from comity.errors import ConfigError

__all__ = ["format_html", "format_pdf", "format_report", "make_policy"]

_TEMPLATE = "certificate.html"
_REPORT = "report.html"
_STYLE = "certificate.css"
_MISSING = (
    "a PDF needs WeasyPrint, Pango and a font: install the extra (pip install 'comity[pdf]') and, on Debian,"
    " apt-get install libpango-1.0-0 libpangoft2-1.0-0 fonts-dejavu-core; --format html needs none of them"
)


def format_html(certificate: Mapping[str, Any]) -> bytes:
    """The result of `agreement.certificate` as an HTML document; the same bytes for the same result."""
    return _render(_TEMPLATE, certificate)


def format_report(audit: Mapping[str, Any]) -> bytes:
    """The result of an audit as an HTML document to print; the same bytes for the same result."""
    return _render(_REPORT, audit)


def make_policy() -> str:
    """The Content-Security-Policy under which a browser shows such a document: its one style, and nothing else."""
    style = f"style-src 'sha256-{_read_style()[1]}'"
    return f"default-src 'none'; {style}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _render(template: str, content: Mapping[str, Any]) -> bytes:
    style, digest = _read_style()
    text = (
        _make_environment()
        .get_template(template)
        .render(
            c=content,
            style=Markup(style),  # noqa: S704 (a file of this package, without a word of anybody else)
            style_digest=digest,
        )
    )
    return text.encode()


def _read_style() -> tuple[str, str]:
    """The style, and its SHA-256 as a policy names it."""
    environment = _make_environment()
    assert environment.loader is not None  # noqa: S101 (given there)
    style, _, _ = environment.loader.get_source(environment, _STYLE)
    return style, base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")


@lru_cache(maxsize=1)
def _make_environment() -> Environment:
    return Environment(
        loader=PackageLoader("comity.operations"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def format_pdf(certificate: Mapping[str, Any]) -> bytes:
    """The same document as a tagged PDF (PDF/UA-1); its times are those of the certificate.

    Raises:
        ConfigError: what it needs is not installed; the message says how to get it.
    """
    try:
        from weasyprint import HTML, URLFetcher
    except (ImportError, OSError) as error:
        raise ConfigError(f"{_MISSING} ({str(error).splitlines()[0]})") from error
    document = HTML(
        string=format_html(certificate).decode(),
        base_url=None,
        url_fetcher=URLFetcher(allowed_protocols=(), fail_on_errors=True),
    )
    data = document.write_pdf(pdf_variant="pdf/ua-1")
    assert isinstance(data, bytes)  # noqa: S101 (it writes to no target)
    return data
