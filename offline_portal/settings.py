"""Django settings, all from the environment (the README lists every variable)."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF

from offline_portal import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent
DEBUG = env.flag("DEBUG")

PORTAL_DATA = Path(os.environ.get("PORTAL_DATA", "").strip() or BASE_DIR / "var").resolve()
# Uploads and the database hold personal data: nobody else on the machine may look in.
PORTAL_DATA.mkdir(parents=True, exist_ok=True, mode=0o700)
PORTAL_DEMO = env.flag("PORTAL_DEMO")
PORTAL_TIMEZONE = os.environ.get("PORTAL_TIMEZONE", "").strip() or "UTC"
PORTAL_ALLOW_PRIVATE_DESTINATIONS = env.flag("PORTAL_ALLOW_PRIVATE_DESTINATIONS")
PORTAL_REQUEST_DEADLINE = env.number("PORTAL_REQUEST_DEADLINE", 30)
PORTAL_RETRY_LIMIT = env.whole("PORTAL_RETRY_LIMIT", 8)
PORTAL_RETRY_BASE = env.number("PORTAL_RETRY_BASE", 2)
PORTAL_RETRY_CEILING = env.number("PORTAL_RETRY_CEILING", 300)
PORTAL_LEASE = env.number("PORTAL_LEASE", 45)
PORTAL_SWEEP_EVERY = env.number("PORTAL_SWEEP_EVERY", 10)
PORTAL_MAX_UPLOAD_MB = env.whole("PORTAL_MAX_UPLOAD_MB", 200)
PORTAL_MAX_ROWS = env.whole("PORTAL_MAX_ROWS", 1_048_576)
PORTAL_MAX_COLUMNS = env.whole("PORTAL_MAX_COLUMNS", 500)
PORTAL_MAX_CELL_KB = env.whole("PORTAL_MAX_CELL_KB", 1024)
PORTAL_SHIFT_SECONDS = 30
HOST = os.environ.get("HOST", "").strip() or "127.0.0.1"
PORT = env.whole("PORT", 8000)
EMULATOR_PORT = env.whole("EMULATOR_PORT", 8900)
EMULATOR_FTP_PORT = env.whole("EMULATOR_FTP_PORT", 8921)
EMULATOR_SFTP_PORT = env.whole("EMULATOR_SFTP_PORT", 8922)
WORKERS = env.whole("WORKERS", 1)

SECRET_KEY = env.key("SECRET_KEY", PORTAL_DATA, DEBUG)
PORTAL_ENCRYPTION_KEYS = [
    word.strip() for word in env.key("PORTAL_ENCRYPTION_KEYS", PORTAL_DATA, DEBUG).split(",") if word.strip()
]
PORTAL_INDEX_KEY = env.key("PORTAL_INDEX_KEY", PORTAL_DATA, DEBUG)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "offline_portal.apps.PortalConfig",
    "whitenoise.runserver_nostatic",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_htmx",
    "django_rq",
]
# The web server alone needs ninja. Were it an app, each program would import it, and that takes a fifth of its start.
NINJA = Path(find_spec("ninja").origin).parent  # type: ignore[arg-type, union-attr]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    # Before all that may need the database, so that its failures too get a page of ours.
    "offline_portal.screens.errors.Plainly",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "offline_portal.screens.viewer.Viewer",
]

ROOT_URLCONF = "offline_portal.urls"
WSGI_APPLICATION = "offline_portal.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates", NINJA / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "offline_portal.screens.frame.frame",
            ],
            "builtins": ["offline_portal.screens.pieces", "django.templatetags.static"],
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL", "").strip() or f"sqlite:///{PORTAL_DATA / 'portal.sqlite3'}", conn_max_age=60
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"] = {
        # A transaction that reads before it writes would fail at once when another writer came between.
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        # Sorting a million keys goes to a temporary file: memory must not grow with the rows.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;"
        " PRAGMA temp_store=FILE;",
    }
    # Workers of a test are other processes, so the test database is a file.
    DATABASES["default"]["TEST"] = {"NAME": str(PORTAL_DATA / "test.sqlite3")}
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # Nobody waits for a lock for ever, and a program that was stopped in mid-transaction does not keep its locks.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault(
        "options", "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s"
    )

REDIS_URL = env.redis_url(PORTAL_DATA)
_QUEUE = {"URL": REDIS_URL or "redis://127.0.0.1:6379/0", "SERIALIZER": "rq.serializers.JSONSerializer"}
RQ_QUEUES = {"intake": _QUEUE, "delivery": _QUEUE}
RQ = {"COMMIT_MODE": "auto"}
PORTAL_JOBS = {"offline_portal.wake.start"}
"""All that a worker runs, whatever else lies in Redis."""

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 15}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "offline_portal.access.signin.NoSignup"
ACCOUNT_LOGOUT_ON_GET = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
EMAIL_BACKEND = f"django.core.mail.backends.{'console' if DEBUG else 'smtp'}.EmailBackend"

LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static", NINJA / "static"]
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
MEDIA_ROOT = PORTAL_DATA / "files"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
FILE_UPLOAD_TEMP_DIR = None
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000
FILE_UPLOAD_HANDLERS = ["offline_portal.intake.receiving.Receiver"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "offline_portal.screens.errors.no_csrf"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if not DEBUG:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    # The proxy that ends TLS also sends http to https (deploy/nginx.conf).
    SILENCED_SYSTEM_CHECKS = ["security.W008"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        # Without Django's own handler, which writes every line a second time while DEBUG is on.
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {"level": "WARNING"},
        # Calls under another host name are answered 400; from the internet they come every day.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "httpx": {"level": "WARNING"},
        "rq": {"level": "WARNING"},
    },
}
