"""From ``[auth.oidc]`` to the adapter that asks the issuer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from toolgate.adapters.identity import OidcIssuer
    from toolgate.config import Settings
    from toolgate.ports import Clock


def open_issuer(settings: Settings, clock: Clock) -> OidcIssuer | None:
    """The configured issuer; None where there is none. Nothing is asked of it yet.

    Raises:
        ConfigurationError: if the client's secret cannot be found, or what checks signatures is not installed.
    """
    oidc = settings.auth.oidc
    if oidc is None:
        return None
    try:
        from toolgate.adapters.identity import Client, OidcIssuer, Trust  # noqa: PLC0415 - comes with the server alone
    except ModuleNotFoundError as missing:
        if missing.name != "jwt":
            raise
        raise ConfigurationError(
            "[auth.oidc]: signatures cannot be checked here; install toolgate[server]"
        ) from None
    client = None
    if oidc.client_id is not None:
        client = Client(client_id=oidc.client_id, secret=oidc.client_secret(), scopes=oidc.client_scopes)
    trust = Trust(
        issuer=oidc.issuer,
        audience=oidc.audience,
        jwks_url=oidc.jwks_url,
        algorithms=frozenset(oidc.algorithms),
        types=frozenset(oidc.types),
        skew=oidc.skew,
        id_claim=oidc.claims.get("id", "sub"),
        tenant_claim=oidc.claims.get("tenant"),
        roles_claim=oidc.claims.get("roles"),
        scope_claim=oidc.claims.get("scope"),
        roles={group: frozenset(roles) for group, roles in oidc.roles.items()},
        agents=settings.agents,
        client=client,
    )
    return OidcIssuer(trust, clock=clock)
