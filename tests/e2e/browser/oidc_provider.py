# SPDX-License-Identifier: Apache-2.0
"""An OpenID provider in a process of its own: Django and django-oauth-toolkit, with people, passwords and sessions.

It demands PKCE, the exact address of return and the client secret, and says when it authenticated somebody.

    python oidc_provider.py PORT CLIENT SECRET RETURN_URL NAME…     each NAME has the password of PASSWORD
"""

import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

PASSWORD = "a plain password of a test"

_LOGIN = """<!DOCTYPE html><title>Provider</title><h1>Provider</h1>
<form method="post">{% csrf_token %}{{ form.as_p }}<button>Log in</button></form>"""

urlpatterns: list[object] = []


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
        pass


def configure(port: int) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    loaders = [("django.template.loaders.locmem.Loader", {"registration/login.html": _LOGIN})]
    settings.configure(
        SECRET_KEY="of a test",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": loaders}}],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        LOGIN_URL="/login/",
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": pem,
            "OIDC_ISS_ENDPOINT": f"http://127.0.0.1:{port}/o",
            "PKCE_REQUIRED": True,
            "SCOPES": {"openid": "who you are"},
        },
    )
    django.setup()


def fill(client: str, secret: str, return_url: str, names: list[str]) -> None:
    from django.contrib.auth.models import User  # noqa: PLC0415 (there is none before Django is set up)
    from django.contrib.auth.views import LoginView  # noqa: PLC0415
    from oauth2_provider.models import Application  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    for name in names:
        # Somebody else's mail: nobody may be found by it.
        User.objects.create_user(name, email="aurelia-legal@aurelia.example", password=PASSWORD)
    Application.objects.create(
        client_id=client,
        client_secret=secret,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        algorithm=Application.RS256_ALGORITHM,
        redirect_uris=return_url,
        skip_authorization=True,
    )
    urlpatterns.extend([path("login/", LoginView.as_view()), path("o/", include("oauth2_provider.urls"))])


def main() -> None:
    """Serve on 127.0.0.1 until this process is ended."""
    port, client, secret, return_url, *names = sys.argv[1:]
    configure(int(port))
    fill(client, secret, return_url, names)
    with make_server("127.0.0.1", int(port), get_wsgi_application(), handler_class=_Quiet) as server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
