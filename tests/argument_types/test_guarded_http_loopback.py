"""The guard on real sockets, on this machine only: HTTP, TLS with a real certificate, and a host declared inside."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from toolgate.adapters.guards import UrlRefused, guarded_async_client, guarded_client
from toolgate.domain.argument_types import LOOPBACK, AllowedUrl, InternalHost

pytestmark = pytest.mark.req("M2.9")


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"hello from {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is the library's
        """Keep the test's terminal quiet."""


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that breaks off a handshake is what some tests are about."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with Server(("127.0.0.1", 0), Page) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def declared(server: ThreadingHTTPServer, *, scheme: str, host: str = "demo.test") -> AllowedUrl:
    return AllowedUrl(
        hosts=(InternalHost(host, LOOPBACK),), schemes=(scheme,), ports={server.server_address[1]}
    )


def loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def test_a_host_declared_on_loopback_is_fetched_from_a_real_server(server: ThreadingHTTPServer) -> None:
    port = server.server_address[1]
    with guarded_client(declared(server, scheme="http"), resolver=loopback) as client:
        assert client.get(f"http://demo.test:{port}/").text == f"hello from demo.test:{port}"


async def test_the_async_client_fetches_by_address_and_by_the_systems_own_resolver(
    server: ThreadingHTTPServer,
) -> None:
    port = server.server_address[1]
    for host in ("127.0.0.1", "localhost"):
        async with guarded_async_client(declared(server, scheme="http", host=host)) as client:
            assert (await client.get(f"http://{host}:{port}/")).status_code == 200


def test_the_systems_own_resolver_is_judged_too(server: ThreadingHTTPServer) -> None:
    port = server.server_address[1]
    undeclared = AllowedUrl(hosts={"localhost"}, schemes=("http",), ports={port})
    with guarded_client(undeclared) as client, pytest.raises(UrlRefused):
        client.get(f"http://localhost:{port}/")


def certificate_for(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for ``name``, and a client's that trusts only that."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today)
        .not_valid_after(today + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    trusting = ssl.create_default_context(
        cadata=certificate.public_bytes(serialization.Encoding.PEM).decode()
    )
    return serving, trusting


@pytest.mark.parametrize(("certified", "trusted"), [("demo.test", True), ("other.test", False)])
def test_the_certificate_must_be_for_the_name_in_the_url_and_not_for_the_address(
    server: ThreadingHTTPServer, tmp_path: Path, certified: str, trusted: bool
) -> None:
    serving, trusting = certificate_for(certified, tmp_path)
    server.socket = serving.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    client = guarded_client(declared(server, scheme="https"), resolver=loopback, ssl_context=trusting)
    with client:
        if trusted:
            assert client.get(f"https://demo.test:{port}/").status_code == 200
        else:
            with pytest.raises(httpx.ConnectError, match="Hostname mismatch"):
                client.get(f"https://demo.test:{port}/")
