"""People and programs whom an OpenID Connect issuer vouches for.

``OidcIssuer`` fills the ports ``Issuer`` (a signed access token as a bearer) and ``SignIn`` (a browser's sign-in).
``trust`` says what is believed, ``verify`` checks one token, ``issuer_keys`` holds the issuer's keys (``key_set``) as
long as is good (``kept``), ``fetch`` is the only way out, ``claims`` makes principals. Not here: tokens of our own
(``operations.tokens``).
"""

from toolgate.adapters.identity.issuer import OidcIssuer
from toolgate.adapters.identity.trust import Client, Trust

__all__ = ["Client", "OidcIssuer", "Trust"]
