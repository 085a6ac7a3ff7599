"""The shipped nginx.conf in front of the portal's web server: a real nginx, a real certificate, a real sign-in."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.production.conftest import HOST, ROOT, Production, free_port, wait_until
from tests.wire.certificates import self_signed, trusting

PASSWORD = "a-long-password-of-adam"


class Proxy:
    """nginx with the configuration of deploy/, on two free ports, its certificate made for this run."""

    def __init__(self, folder: Path, web_port: int) -> None:
        self.folder, self.http, self.https = folder, free_port(), free_port()
        self.pem = self_signed(folder)
        shipped = (ROOT / "deploy" / "nginx.conf").read_text()
        site = re.sub(r"\s+listen \[::\]:.*", "", shipped)
        for old, new in (
            ("listen 80;", f"listen 127.0.0.1:{self.http};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.https} ssl;"),
            ("127.0.0.1:8000", f"127.0.0.1:{web_port}"),
        ):
            assert old in site
            site = site.replace(old, new)
        site = re.sub(r"(ssl_certificate(?:_key)?\s+)\S+;", rf"\1{self.pem};", site)
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # Started by root, its workers would be somebody who may not enter this folder.
        user = "user root;" if os.getuid() == 0 else ""
        self.configuration = folder / "nginx.conf"
        self.configuration.write_text(
            f"daemon off; pid {folder}/nginx.pid; error_log stderr; {user} events {{}}\n"
            f"http {{\naccess_log off;\n{temporary}{site}}}\n"
        )

    def browser(self) -> httpx.Client:
        """Trusts the certificate, and keeps cookies."""
        return httpx.Client(verify=trusting(self.pem), trust_env=False, timeout=30)

    def address(self, path: str) -> str:
        return f"https://127.0.0.1:{self.https}{path}"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, redis_server_url: str) -> Iterator[Proxy]:
    if not (program := shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")):
        pytest.skip("no nginx on this machine")
    folder = tmp_path_factory.mktemp("proxy")
    tree = folder / "tree"
    tree.mkdir()
    portal = Production(tree, {"REDIS_URL": redis_server_url})
    portal.environment["CSRF_TRUSTED_ORIGINS"] = f"https://{HOST}"
    portal.copy_tree()
    portal.commands(["collectstatic", "--noinput"], ["migrate", "--noinput"])
    portal.command("shell", "-c", _MAKE_ADAM.format(password=PASSWORD))
    portal.start("web", "-m", "gunicorn", "-c", "python:offline_portal.gunicorn", "offline_portal.wsgi")
    found = Proxy(folder, portal.port)
    command = [program, "-p", str(folder), "-c", str(found.configuration)]
    with subprocess.Popen(command, stderr=(folder / "nginx.log").open("wb")) as server:
        try:
            wait_until(lambda: listens(found.https) and listens(portal.port), 40)
            yield found
        finally:
            server.terminate()
            server.wait(20)
            portal.end()


_MAKE_ADAM = """
from django.contrib.auth.models import Group, User
User.objects.create_user("adam", password="{password}").groups.add(Group.objects.get_or_create(name="admin")[0])
"""


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(browser: httpx.Client, proxy: Proxy, path: str, **form: str) -> httpx.Response:
    """By the name of the portal, as a browser would: a GET, or a POST with the token of the page's form."""
    headers = {"Host": HOST}
    page = browser.get(proxy.address(path), headers=headers)
    if not form:
        return page
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token
    headers |= {"Origin": f"https://{HOST}", "Referer": f"https://{HOST}{path}"}
    form["csrfmiddlewaretoken"] = token[1]
    return browser.post(proxy.address(path), data=form, headers=headers)


def test_plain_http_leads_to_https(proxy: Proxy) -> None:
    with proxy.browser() as browser:
        answer = browser.get(f"http://127.0.0.1:{proxy.http}/sends/", headers={"Host": HOST})
    assert (answer.status_code, answer.headers["Location"]) == (301, f"https://{HOST}/sends/")


def test_adam_signs_in_through_the_proxy(proxy: Proxy) -> None:
    with proxy.browser() as browser:
        stranger = ask(browser, proxy, "/")
        assert stranger.status_code == 302
        sign_in = stranger.headers["Location"].split("?")[0]
        entered = ask(browser, proxy, sign_in, login="adam", password=PASSWORD)
        assert entered.status_code == 302, entered.text
        home = ask(browser, proxy, "/")
    assert home.status_code == 200 and "adam" in home.text
    assert "max-age=" in home.headers["Strict-Transport-Security"]


def test_what_a_client_says_about_its_protocol_does_not_count(proxy: Proxy) -> None:
    with proxy.browser() as browser:
        answer = browser.get(proxy.address("/"), headers={"Host": HOST, "X-Forwarded-Proto": "http"})
    # Were it believed, the portal would send an https client to https for ever.
    assert answer.status_code == 302 and not answer.headers["Location"].startswith("https://")


def test_another_name_is_not_answered(proxy: Proxy) -> None:
    with proxy.browser() as browser:
        answer = browser.get(proxy.address("/"), headers={"Host": "attacker.example"})
    assert answer.status_code == 400 and "attacker" not in answer.text
