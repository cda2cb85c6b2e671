"""A real OpenID provider for tests: Django OAuth Toolkit in a process of its own, with its own
database, users, sign-in page and key. `python -m tests.provider PORT FOLDER BACK` serves it."""

import sys
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

CLIENT, SECRET = "kaona-console", "a secret between the provider and the console"
PEOPLE = {"somchai": True, "malee": True, "unsure": False}
"""Users, and whether the provider has verified their address; their passwords are their names."""
KEY = "key.pem"
"""The provider's private key, in its folder; the tests make it."""


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def _configure(port: int, folder: Path) -> None:
    from django.conf import settings

    settings.configure(
        SECRET_KEY="only in tests",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        LOGIN_URL="/login/",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "op.db")}
        },
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": f"http://127.0.0.1:{port}/o",
            "OIDC_RSA_PRIVATE_KEY": (folder / KEY).read_text(),
            "OAUTH2_VALIDATOR_CLASS": "tests.provider_claims.Claims",
            "SCOPES": {"openid": "who", "email": "address"},
            "PKCE_REQUIRED": True,
        },
    )


def _fill(back: str) -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from oauth2_provider.models import get_application_model

    call_command("migrate", verbosity=0)
    for name in PEOPLE:
        get_user_model().objects.create_user(name, f"{name}@agency.go.th", name)
    get_application_model().objects.create(
        client_id=CLIENT,
        client_secret=SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris=back,
        skip_authorization=True,
        algorithm="RS256",
    )


def _sign_in(request: Any) -> Any:
    """The provider's own page for a name and a password."""
    from django.contrib.auth import authenticate, login
    from django.http import HttpResponse, HttpResponseRedirect

    if request.method == "POST":
        found = authenticate(username=request.POST["name"], password=request.POST["password"])
        if found is not None:
            login(request, found)
            return HttpResponseRedirect(request.GET["next"])
    return HttpResponse("who are you?")


def serve(port: int, folder: Path, back: str) -> None:
    _configure(port, folder)
    import django
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import include, path

    django.setup()
    _fill(back)
    globals()["urlpatterns"] = [
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        path("login/", _sign_in),
    ]
    with make_server("127.0.0.1", port, WSGIHandler(), handler_class=Quiet) as server:
        server.serve_forever()


if __name__ == "__main__":
    sys.modules["tests.provider"] = sys.modules["__main__"]
    serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
