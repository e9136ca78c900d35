"""The command that loads plain FHIR, such as Synthea writes it, in the operator's import scope."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fhir_server.app import Parts, build
from fhir_server.cli.database import mongodb, settings_of_environment
from fhir_server.fhir.actor import IMPORT, Actor
from fhir_server.fhir.errors import FhirError, MalformedRequest, Unavailable
from fhir_server.fhir.json import NotJson, decode_sent
from fhir_server.fhir.outcome import Issue
from fhir_server.interactions.loading import Loaded, load

MOST_ISSUES_OF_A_FILE = 10

Result = Loaded | FhirError


@click.command("load", short_help="Load the transaction Bundles of a folder.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--client", "client_id", required=True, help="The operator's client, registered with samen/import.")
@click.option("--again", is_flag=True, help="Load what was loaded before once more, as new resources.")
def load_folder(folder: Path, client_id: str, again: bool) -> None:
    """Load every transaction Bundle (*.json) of FOLDER: each file whole or not at all, each content once.

    Files go in by their names' order through the gate of every write: validated and audited, in the name of the
    client. The import scope opens no plans and does not ask whether what a reference names exists. A load that was cut
    off goes on where it ended. The exit code is 1 when some file was refused; the others are loaded all the same.

    \b
    Examples:
      fhir-server register-client --organization Organization/1 --scope 'system/*.cruds' --scope samen/import
      fhir-server load synthea/fhir --client client-0123456789abcdef
      fhir-server load synthea/fhir --client client-0123456789abcdef --again
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise click.ClickException(f"there are no files *.json in {folder}")
    settings = settings_of_environment()
    with mongodb(settings) as url:
        parts = build(replace(settings, mongodb_url=url))
        with closing(parts.store), closing(parts.registry):
            results = dict(_loaded(files, parts, operator(parts, client_id), again=again))
    _tell(results)


def operator(parts: Parts, client_id: str, scope: str = IMPORT) -> Actor:
    """The operator that a registered client speaks for. Raises ClickException unless it has the scope."""
    client = parts.registry.client(client_id)
    if client is None or client.revoked:
        raise click.ClickException(f"there is no client {client_id}")
    if scope not in client.scopes:
        raise click.ClickException(f"{client_id} is not registered with the scope {scope}")
    return Actor(organization=client.organization, scopes=frozenset(client.scopes), client_id=client.id)


def _loaded(files: Sequence[Path], parts: Parts, actor: Actor, *, again: bool) -> Iterator[tuple[Path, Result]]:
    with Progress(
        TextColumn("loading"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        for file in progress.track(files):
            yield file, _load(file, parts, actor, again=again)


def _load(file: Path, parts: Parts, actor: Actor, *, again: bool) -> Result:
    try:
        body = file.read_bytes()
    except OSError as error:
        return MalformedRequest(f"The file cannot be read: {error.strerror}.")
    content = f"sha256:{hashlib.sha256(body).hexdigest()}"
    try:
        return load(decode_sent(body), content, actor, parts.services, again=again)
    except NotJson as error:
        return MalformedRequest(f"The file is not JSON: {error}.", error.path)
    except Unavailable:
        raise
    except FhirError as refusal:
        return refusal


def _tell(results: dict[Path, Result]) -> None:
    loaded = [result for result in results.values() if isinstance(result, Loaded)]
    refused = {file: result.issues for file, result in results.items() if isinstance(result, FhirError)}
    new = [result for result in loaded if not result.already]
    click.echo(f"files loaded: {len(new)}, with {sum(result.resources for result in new)} resources")
    if len(new) < len(loaded):
        click.echo(f"files that had been loaded before: {len(loaded) - len(new)}")
    for file, issues in refused.items():
        _tell_refusal(file, issues)
    if refused:
        raise click.ClickException(f"files refused: {len(refused)} of {len(results)}; nothing of them is stored")


def _tell_refusal(file: Path, issues: Sequence[Issue]) -> None:
    click.echo(f"{file.name}:", err=True)
    for issue in issues[:MOST_ISSUES_OF_A_FILE]:
        click.echo(f"  {issue.path or 'Bundle'}: {issue.diagnostics}", err=True)
    if len(issues) > MOST_ISSUES_OF_A_FILE:
        click.echo(f"  and {len(issues) - MOST_ISSUES_OF_A_FILE} more", err=True)
