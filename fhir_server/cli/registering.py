"""Commands that say who may come in: clients, users, and the key that signs their tokens."""

import sys
from typing import Any

import click

from fhir_server.auth.clients import register_client as add_client
from fhir_server.auth.local_issuer import LocalIssuer
from fhir_server.auth.scopes import EVERYTHING
from fhir_server.auth.users import LANGUAGES, ROLES, plain_username
from fhir_server.auth.users import change_password as set_password
from fhir_server.auth.users import register_user as add_user
from fhir_server.cli.database import registry, settings_of_environment
from fhir_server.fhir import dates
from fhir_server.store.mongo.entrances import CLIENT, USER


@click.command("register-client", short_help="Register a program of an organisation.")
@click.option("--organization", required=True, help="The organisation that the client acts for: Organization/7.")
@click.option("--scope", "scopes", multiple=True, default=(EVERYTHING,), show_default=True, help="May be repeated.")
@click.option("--name", default="", help="A name for people, such as the program's.")
def register_client(organization: str, scopes: tuple[str, ...], name: str) -> None:
    """Register a program of an organisation; its id and secret are printed once, the secret is kept nowhere.

    \b
    Examples:
      fhir-server register-client --organization Organization/7 --scope 'system/*.cruds' --scope samen/open-plans
      fhir-server register-client --organization Organization/1 --scope 'system/*.cruds' --scope samen/import
    """
    with registry(settings_of_environment()) as opened:
        client, secret = add_client(opened, organization=organization, scopes=scopes, name=name, now=dates.now())
    click.echo(f"client_id: {client.id}\nclient_secret: {secret}")


@click.command("revoke-client", short_help="End a client, and soon its tokens.")
@click.argument("client_id")
def revoke_client(client_id: str) -> None:
    """End a client: no new tokens, and those it has end within a minute.

    \b
    Example:
      fhir-server revoke-client client-0123456789abcdef
    """
    with registry(settings_of_environment()) as opened:
        known = opened.revoke_client(client_id)
        if known:
            opened.entrances.end(CLIENT, client_id, dates.now())
    _say(known, f"{client_id} is revoked", f"there is no client {client_id}")


@click.command("register-user", short_help="Register a person who signs in to the viewer.")
@click.argument("username")
@click.option("--organization", required=True, help="The organisation that the person works for: Organization/7.")
@click.option("--person", help="The person: Practitioner/3.")
@click.option("--name", default="", help="The name that the viewer shows; the user name when not given.")
@click.option("--role", type=click.Choice(ROLES), default=ROLES[0], show_default=True)
@click.option("--language", type=click.Choice(LANGUAGES), default=LANGUAGES[0], show_default=True)
def register_user(username: str, name: str, **given: Any) -> None:
    """Register a person who signs in to the viewer; the password is asked for, or read from standard input.

    \b
    Examples:
      fhir-server register-user els --organization Organization/7 --person Practitioner/3 --name 'Els Peeters'
      fhir-server register-user els --organization Organization/7 < password.txt
    """
    password = _password()
    with registry(settings_of_environment()) as opened:
        user = add_user(opened, username=username, password=password, name=name or username, now=dates.now(), **given)
    click.echo(f"{user.username} may sign in")


@click.command("change-password", short_help="Give a user a new password.")
@click.argument("username")
def change_password(username: str) -> None:
    """Give a user a new password and end the user's sessions; one who was deactivated stays so, and gets none.

    \b
    Example:
      fhir-server change-password els
    """
    password = _password()
    with registry(settings_of_environment()) as opened:
        known = set_password(opened, username, password)
    _say(known, f"{username} has a new password", f"there is no user {username} who may sign in")


@click.command("deactivate-user", short_help="Let a user sign in no more.")
@click.argument("username")
def deactivate_user(username: str) -> None:
    """End a user's sessions and let the user sign in no more.

    \b
    Example:
      fhir-server deactivate-user els
    """
    with registry(settings_of_environment()) as opened:
        known = opened.deactivate_user(plain_username(username))
        if known:
            opened.entrances.end(USER, plain_username(username), dates.now())
    _say(known, f"{username} signs in no more", f"there is no user {username}")


@click.command("rotate-signing-key", short_help="Sign access tokens with a new key.")
def rotate_signing_key() -> None:
    """Sign access tokens with a new key; tokens of the key before it stay valid until a second rotation.

    \b
    Example:
      fhir-server rotate-signing-key
    """
    settings = settings_of_environment()
    with registry(settings) as opened:
        LocalIssuer(
            opened,
            issuer=settings.origin,
            audience=settings.public_url,
            lifetime=settings.token_life,
            clock=dates.now,
        ).rotate()
    click.echo("access tokens are signed with a new key")


def _say(known: bool, done: str, refused: str) -> None:
    if not known:
        raise click.ClickException(refused)
    click.echo(done)


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
