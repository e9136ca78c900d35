"""Commands that show who may come in, without a secret: clients and users, and since when."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import click

from fhir_server.auth.clients import check_organization
from fhir_server.cli.database import registry, settings_of_environment
from fhir_server.store.mongo.entrances import CLIENT, USER, Entrance

_NOTHING = "-"

_of_one = click.option("--organization", help="Only those of this organisation: Organization/7.")
_active = click.option("--active", is_flag=True, help="Only those who may come in.")


@click.command("list-clients", short_help="Show the clients, also those that were revoked.")
@_of_one
@_active
def list_clients(*, organization: str | None, active: bool) -> None:
    """Show every client: for whom it acts, since when, when it last came for a token (to the hour), and its scopes.

    Times are in UTC; what happened before this server kept them is shown as -.

    \b
    Examples:
      fhir-server list-clients
      fhir-server list-clients --organization Organization/7 --active
    """
    _check(organization)
    with registry(settings_of_environment()) as opened:
        known, entrances = opened.clients(), opened.entrances.of(CLIENT)
    rows = [
        (
            each.id,
            each.organization,
            _state(not each.revoked, "revoked", entrances.get(each.id, Entrance())),
            _told(each.created),
            _told(entrances.get(each.id, Entrance()).came),
            " ".join(each.scopes),
            each.name,
        )
        for each in sorted(known, key=lambda client: (client.organization, client.created))
        if organization in {None, each.organization} and not (active and each.revoked)
    ]
    _show(("CLIENT", "ORGANIZATION", "STATE", "REGISTERED", "LAST TOKEN", "SCOPES", "NAME"), rows)


@click.command("list-users", short_help="Show the users, also those that were deactivated.")
@_of_one
@_active
def list_users(*, organization: str | None, active: bool) -> None:
    """Show every user of the viewer: for whom the person works, since when, and the last sign-in (to the hour).

    Times are in UTC; what happened before this server kept them is shown as -.

    \b
    Examples:
      fhir-server list-users
      fhir-server list-users --organization Organization/7 --active
    """
    _check(organization)
    with registry(settings_of_environment()) as opened:
        known, entrances = opened.users(), opened.entrances.of(USER)
    rows = [
        (
            each.username,
            each.organization,
            _state(each.active, "deactivated", entrances.get(each.username, Entrance())),
            _told(each.created),
            _told(entrances.get(each.username, Entrance()).came),
            each.role,
            each.person or _NOTHING,
            each.name,
        )
        for each in sorted(known, key=lambda user: (user.organization, user.username))
        if organization in {None, each.organization} and not (active and not each.active)
    ]
    _show(("USER", "ORGANIZATION", "STATE", "REGISTERED", "LAST SIGN-IN", "ROLE", "PERSON", "NAME"), rows)


def _check(organization: str | None) -> None:
    if organization is not None:
        check_organization(organization)


def _state(active: bool, ended: str, entrance: Entrance) -> str:
    if active:
        return "active"
    return f"{ended} {_told(entrance.ended)}" if entrance.ended else ended


def _told(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}" if moment else _NOTHING


def _show(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """The rows in columns; what a terminal would take for a command is left out of them."""
    shown = [head, *([_printable(each) for each in row] for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    for row in shown:
        click.echo("  ".join(each.ljust(width) for each, width in zip(row, widths, strict=True)).rstrip())


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text) or _NOTHING
