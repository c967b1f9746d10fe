"""Where a database is: a DSN taken apart into what the driver reads, and what may be said of it aloud.

Not here: connecting (``link``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from toolgate.domain.errors import ConfigurationError

SCHEMES = ("postgresql", "postgres")
DEFAULT_SCHEMA = "toolgate"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,57}")
"""Five characters short of what Postgres takes: the job engine's schema is called after the ledger's."""
_ESCAPED = "write a port as a number, and special characters of a password as %XX: '@' as %40, ':' as %3A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A database and the schema in it that is the ledger's.

    Attributes:
        dsn: for the driver. It may hold a password, so it is not in the ``repr``.
        schema: where the tables lie.
        shown: the database without anything secret, for messages.
    """

    dsn: str = field(repr=False)
    schema: str
    shown: str

    @classmethod
    def parse(cls, store: str) -> Address:
        """Take ``postgresql://user:password@host:port/database?schema=toolgate`` apart.

        ``schema`` is ours and is taken out; every other parameter is the driver's (sslmode, host, …).

        Raises:
            ConfigurationError: if it is no such address. The message repeats nothing of it.
        """
        try:
            parts = urlsplit(store)
            host = parts.hostname or ""
            _ = [urlsplit(f"//{one}").port for one in parts.netloc.rpartition("@")[2].split(",")]
        except ValueError:
            raise ConfigurationError(f"store=: the address of Postgres cannot be read; {_ESCAPED}") from None
        if parts.netloc.count("@") > 1:
            raise ConfigurationError(f"store=: the address of Postgres holds '@' twice; {_ESCAPED}")
        if parts.scheme not in SCHEMES:
            raise ConfigurationError("store=: an address of Postgres begins with 'postgresql://'")
        if parts.fragment or " " in parts.netloc:
            raise ConfigurationError(
                "store=: the address of Postgres holds a character that ends it early; write '#', '/', '?' and "
                "spaces of a password as %23, %2F, %3F and %20"
            )
        given = parse_qsl(parts.query, keep_blank_values=True)
        schemas = [value for name, value in given if name == "schema"]
        schema = schemas[-1] if schemas else DEFAULT_SCHEMA
        if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
            raise ConfigurationError(
                "store=: schema= is a name of small letters, digits and underscores that does not begin with pg_"
            )
        query = urlencode([(name, value) for name, value in given if name != "schema"], quote_via=quote)
        socket = next((value for name, value in given if name == "host"), "")
        return cls(
            dsn=urlunsplit((parts.scheme, parts.netloc, parts.path, query, "")),
            schema=schema,
            shown=f"the database {parts.path.strip('/') or '(default)'} at {host or socket or 'this machine'}",
        )
