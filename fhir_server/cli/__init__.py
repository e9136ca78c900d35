"""The commands of `fhir-server`. Settings come from SAMEN_ variables; docs/configuration.md lists them."""

import errno
import os
import sys
from dataclasses import fields
from typing import Any

import click

from fhir_server.app import programmes
from fhir_server.cli import demonstrating, indexing, listing, loading, purging, registering, running
from fhir_server.cli.database import settings_of_environment
from fhir_server.fhir.errors import FhirError
from fhir_server.settings import SettingsError, variable
from fhir_server.store.embedded import NoEmbeddedMongo
from fhir_server.store.mongo.registry import AlreadyRegistered

_REFUSALS = (SettingsError, NoEmbeddedMongo, AlreadyRegistered, FhirError, ValueError)


class Commands(click.Group):
    """Commands whose refusals are told as a sentence instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except _REFUSALS as refusal:
            raise click.ClickException(str(refusal)) from refusal
        except OSError as error:
            if error.errno == errno.EPIPE:  # who reads has gone: click ends in silence
                raise
            _forget_the_unwritten()
            place = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{place}{error.strerror or error}") from error


def _forget_the_unwritten() -> None:
    """What could not be written would be tried once more as the process ends, with an exit code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="samen", prog_name="fhir-server")
def main() -> None:
    """Samen: one shared care plan for everyone around a person.

    \b
    Examples:
      fhir-server serve
      fhir-server register-client --organization Organization/1 --scope 'system/*.cruds'
      fhir-server COMMAND --help
    """


@main.command("check-settings", short_help="Say how the server would run, or what is wrong.")
def check_settings() -> None:
    """Say how the server would run with the settings and programmes of now, or what is wrong with them.

    \b
    Example:
      SAMEN_PORT=8081 fhir-server check-settings
    """
    settings = settings_of_environment()
    for known in fields(settings):
        click.echo(f"{variable(known.name)} = {_shown(known.name, getattr(settings, known.name))}")
    click.echo(f"programmes: {', '.join(sorted(programmes()))}")
    click.echo(f"FHIR will be served at {settings.public_url}")


def _shown(name: str, value: object) -> str:
    if value in ("", (), None):
        return "(empty)"
    if name == "mongodb_url":
        return "(set; not shown, it may hold a password)"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


for command in (
    running.serve,
    running.worker,
    demonstrating.demo,
    demonstrating.demo_reset,
    loading.load_folder,
    purging.purge_person,
    indexing.reindex,
    registering.register_client,
    registering.revoke_client,
    registering.register_user,
    registering.change_password,
    registering.deactivate_user,
    registering.rotate_signing_key,
    listing.list_clients,
    listing.list_users,
):
    main.add_command(command)
