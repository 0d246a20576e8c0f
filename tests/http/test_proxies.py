"""Who is reached through a proxy and who is not."""

from __future__ import annotations

import pytest

from mcp_llm.errors import ConfigError
from mcp_llm.http.proxies import Proxies, is_loopback

PROXY = "http://proxy.invalid:3128"


@pytest.mark.parametrize(
    ("no", "host", "port", "direct"),
    [
        ("", "api.example.com", 443, False),
        ("*", "api.example.com", 443, True),
        ("example.com", "api.example.com", 443, True),
        ("example.com", "example.com", 443, True),
        (".example.com", "api.example.com", 443, True),
        ("*.example.com", "API.Example.com.", 443, True),
        ("example.com", "notexample.com", 443, False),
        ("other.org, example.com", "api.example.com", 443, True),
        ("example.com:443", "api.example.com", 443, True),
        ("example.com:8443", "api.example.com", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.1.2.3", "10.1.2.3", 80, True),
        ("fd00::/8", "fd00::1", 80, True),
        ("[fd00::1]", "fd00::1", 80, True),
        ("[fd00::1]:80", "fd00::1", 80, True),
        ("10.0.0.0/8", "ten.example.com", 80, False),
        ("not/a/network", "10.1.2.3", 80, False),
    ],
)
def test_no_proxy_names_the_hosts_that_are_reached_directly(no: str, host: str, port: int, direct: bool) -> None:
    chosen = Proxies(http=PROXY, https=PROXY, no=no).choose("https", host, port)
    assert chosen == (None if direct else PROXY)


def test_each_scheme_has_its_own_proxy_and_a_scheme_may_be_left_out() -> None:
    proxies = Proxies(http="web.invalid:1", https=None)
    assert proxies.choose("http", "api.example.com", 80) == "http://web.invalid:1"
    assert proxies.choose("https", "api.example.com", 443) is None


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_machine_is_loopback_under_all_its_names(host: str) -> None:
    assert is_loopback(host)
    assert Proxies(http=PROXY).choose("http", host, 80) is None


@pytest.mark.parametrize("host", ["localhost.example.com", "10.0.0.1", "128.0.0.1", "notlocalhost", "::2"])
def test_other_machines_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "url", ["socks5://p.invalid:1", "ftp://p.invalid", "http://", "http://p.invalid:99999", "http://[bad"]
)
def test_a_proxy_that_cannot_be_used_is_a_config_error_without_its_password(url: str) -> None:
    secret = url.replace("://", "://me:hunter2@")
    with pytest.raises(ConfigError, match="HTTP_PROXY") as caught:
        Proxies(http=secret).choose("http", "api.example.com", 80)
    assert "hunter2" not in str(caught.value)
