"""The list of trusted issuers as it is written in the settings: JSON, checked to the last member."""

from typing import Any

from marshmallow import Schema, ValidationError, fields
from marshmallow.validate import Length

from fhir_server.auth.addresses import is_private_channel
from fhir_server.auth.issuers import ANY_ORGANIZATION, TrustedIssuer
from fhir_server.auth.scopes import EVERYTHING, is_scope
from fhir_server.fhir.json import NotJson, decode
from fhir_server.fhir.reference import parse_reference


def _is_channel(url: str) -> None:
    if not is_private_channel(url):
        raise ValidationError("must be https (plain http only on loopback), without a user name")


def _is_organization(organization: str) -> None:
    reference = parse_reference(organization)
    if organization != ANY_ORGANIZATION and (reference is None or reference.type != "Organization"):
        raise ValidationError("must be a reference such as Organization/7, or * for any")


def _is_known(scope: str) -> None:
    if not is_scope(scope):
        raise ValidationError("is a scope that this server does not know")


class _Issuer(Schema):
    issuer = fields.String(required=True, validate=Length(min=1))
    jwks_url = fields.String(required=True, validate=_is_channel)
    audience = fields.String(required=True, validate=Length(min=1))
    organization_claim = fields.String(load_default="organization", validate=Length(min=1))
    organizations = fields.List(fields.String(validate=_is_organization), required=True, validate=Length(min=1))
    scopes = fields.List(fields.String(validate=_is_known), load_default=[EVERYTHING])


def trusted_issuers(text: str) -> tuple[TrustedIssuer, ...]:
    """The issuers that `text`, a JSON list of objects, names. Raises ValidationError, whose messages name the place."""
    try:
        entries = decode(text.encode())
    except NotJson as error:
        raise ValidationError(f"must be JSON: {error}") from error
    if not isinstance(entries, list):
        raise ValidationError("must be a JSON list of issuers")
    issuers = tuple(_issuer(entry) for entry in _Issuer(many=True).load(entries))
    if len({issuer.issuer for issuer in issuers}) < len(issuers):
        raise ValidationError("names one issuer twice")
    return issuers


def _issuer(given: dict[str, Any]) -> TrustedIssuer:
    lists: dict[str, Any] = {name: tuple(given.pop(name)) for name in ("organizations", "scopes")}
    return TrustedIssuer(**given, **lists)
