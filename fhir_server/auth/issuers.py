"""Who may say who somebody is: the issuers of access tokens that this server trusts, and how far."""

from dataclasses import dataclass

from fhir_server.auth.scopes import EVERYTHING

ANY_ORGANIZATION = "*"

# Asymmetric only: with a shared secret whoever can check a token can also make one, and `none` proves nothing.
ALGORITHMS = ("ES256", "ES384", "RS256", "RS384", "PS256", "PS384", "PS512")

# RFC 9068 names access tokens at+jwt; several identity providers still write JWT or nothing.
ACCESS_TOKEN_TYPES = ("at+jwt", "application/at+jwt")
ANY_TOKEN_TYPE = (*ACCESS_TOKEN_TYPES, "jwt", "")


@dataclass(frozen=True)
class TrustedIssuer:
    """An issuer of access tokens, and what it may claim.

    `organizations` are the references (`Organization/7`) that its tokens may speak for, `*` for any; `scopes` is the
    most that they may carry. A token's organisation is read from the claim `organization_claim`.
    """

    issuer: str
    audience: str
    jwks_url: str = ""
    organization_claim: str = "organization"
    organizations: tuple[str, ...] = ()
    scopes: tuple[str, ...] = (EVERYTHING,)
    algorithms: tuple[str, ...] = ALGORITHMS
    token_types: tuple[str, ...] = ANY_TOKEN_TYPE

    def vouches_for(self, organization: str) -> bool:
        """Whether a token of this issuer may speak for `organization`."""
        return ANY_ORGANIZATION in self.organizations or organization in self.organizations
