"""`[server]` of toolgate.toml, and what the server makes of it."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from toolgate.bootstrap.server import is_local, server_settings
from toolgate.config import Settings, load_settings
from toolgate.config.server import Address
from toolgate.domain.errors import ConfigurationError
from toolgate.surfaces.http.settings import ServerSettings

AUTH = '[auth]\nsession = "8h"\n'


def settings_of(folder: Path, *texts: str) -> Settings:
    files = [folder / f"{number}.toml" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, encoding="utf-8")
    return load_settings(*files)


def known(folder: Path, text: str, address: str = "127.0.0.1:8080") -> ServerSettings:
    host, _, port = address.rpartition(":")
    return server_settings(settings_of(folder, text), Address(host, int(port)))


@pytest.mark.req("M1.13")
@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ('listen = "nonsense"', "write HOST:PORT"),
        ("listen = 99999", "write HOST:PORT"),
        ("listen = true", "write a text"),
        ('public_url = "gate.example.com"', "write scheme, name and port alone"),
        ('public_url = "https://gate.example.com/path"', "write scheme, name and port alone"),
        ('public_url = "https://ana@gate.example.com"', "write scheme, name and port alone"),
        ('public_url = "ftp://gate.example.com"', "write scheme, name and port alone"),
        ('public_url = "https://gate.example.com:x"', "write scheme, name and port alone"),
        ('trusted_proxies = ["10.0.0.0/99"]', "write an address or a network"),
        ('trusted_proxies = "10.0.0.1"', "write a list of texts"),
        ("metrics = true", "'protected'"),
        ("body_limit = 5", "between '1KiB' and '64MiB'"),
        ('body_limit = "1TiB"', "KiB"),
        ('listne = "127.0.0.1:80"', "did you mean 'listen'?"),
    ],
)
def test_a_mistake_in_the_section_is_answered_with_its_line_and_what_is_right(
    tmp_path: Path, line: str, mend: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_of(tmp_path, f"[server]\n{line}\n")

    assert f"0.toml:2: server.{line.partition(' ')[0]}" in str(refused.value)
    assert mend in str(refused.value)


@pytest.mark.req("M1.13")
def test_a_later_file_has_the_last_word_key_by_key(tmp_path: Path) -> None:
    server = settings_of(
        tmp_path,
        '[server]\nlisten = "127.0.0.1:1"\nmetrics = "public"\nbody_limit = "2MiB"',
        "[server]\nlisten = 8081\ntrusted_proxies = ['10.0.0.0/8', '::1']",
    ).server

    assert server.listen is not None
    assert server.listen.value == ("127.0.0.1", 8081)
    assert server.metrics is not None
    assert server.metrics.value == "public"
    assert server.body_limit is not None
    assert server.body_limit.value == 2 * 1024 * 1024
    assert server.trusted_proxies is not None
    assert server.trusted_proxies.value == (ip_network("10.0.0.0/8"), ip_network("::1"))


@pytest.mark.req("M4.26", "M4.29")
def test_a_server_on_this_machine_is_called_by_the_names_of_this_machine(tmp_path: Path) -> None:
    found = known(tmp_path, "")

    assert found.public_url == "http://127.0.0.1:8080"
    assert found.names == {"127.0.0.1:8080", "localhost:8080", "[::1]:8080"}
    assert found.origins == {f"http://{name}" for name in found.names}
    assert (found.local, found.secure) == (True, False)


@pytest.mark.req("M4.26")
@pytest.mark.parametrize(
    "url", ["https://Gate.example.com", "https://gate.example.com/", "https://gate.example.com:443"]
)
def test_a_public_name_is_known_with_and_without_its_usual_port(tmp_path: Path, url: str) -> None:
    found = known(tmp_path, f'{AUTH}[server]\npublic_url = "{url}"\n', "0.0.0.0:8080")

    assert {"gate.example.com", "gate.example.com:443"} <= found.names
    assert "gate.example.com:8080" not in found.names
    assert found.origins == {"https://gate.example.com"}
    assert (found.local, found.secure) == (False, True)


@pytest.mark.req("M4.26")
def test_an_unusual_port_is_part_of_the_name(tmp_path: Path) -> None:
    found = known(tmp_path, f'{AUTH}[server]\npublic_url = "https://[2001:db8::1]:8443"\n', "[::]:8080")

    assert found.origins == {"https://[2001:db8::1]:8443"}
    assert "[2001:db8::1]:8443" in found.names
    assert "[2001:db8::1]" not in found.names


@pytest.mark.req("M4.26", "M1.13")
def test_a_server_on_every_address_has_to_say_what_it_is_called(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"server\.public_url: it listens on every address"):
        known(tmp_path, AUTH, "0.0.0.0:8080")


@pytest.mark.req("M4.29", "M1.13")
def test_without_a_login_it_cannot_be_meant_for_others(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"0\.toml:2: server\.public_url: others are meant to reach it"
    ):
        known(tmp_path, '[server]\npublic_url = "https://gate.example.com"\n')


@pytest.mark.req("M4.29")
@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_only_what_cannot_leave_this_machine_is_local(host: str, local: bool) -> None:
    assert is_local(host) is local
