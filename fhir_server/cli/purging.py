"""The command that forgets a whole person, for the operator."""

import time
from collections import Counter
from contextlib import closing
from dataclasses import replace

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fhir_server.app import Parts, build
from fhir_server.cli.database import mongodb, settings_of_environment
from fhir_server.cli.loading import operator
from fhir_server.fhir.actor import OPERATE, Actor
from fhir_server.fhir.reference import parse_reference
from fhir_server.interactions.belongings import Belongings, belongings
from fhir_server.interactions.purging import MOST_NAMED, Purged, Surroundings, purge


@click.command("purge", short_help="Forget a person for good.")
@click.argument("person", metavar="PATIENT")
@click.option("--client", "client_id", required=True, help=f"The operator's client, registered with {OPERATE}.")
@click.option("--cut", "cut_outside", is_flag=True, help="Cut references from outside of the chart, if there are any.")
@click.option("--yes", "confirmed", is_flag=True, help="Do not ask.")
def purge_person(person: str, client_id: str, cut_outside: bool, confirmed: bool) -> None:
    """Forget the person PATIENT (Patient/[id]) for good: chart, plans, teams, Tasks, every version of them.

    In the audit a pseudonym takes the person's place. What is about others and refers to the person is listed, and
    nothing is done, unless --cut: then it stays without these references. It cannot be undone, and it does not reach
    backups. A purge that was cut off is ended by the same command. The server may go on running.

    \b
    Examples:
      fhir-server register-client --organization Organization/1 --scope samen/operate
      fhir-server purge Patient/7 --client client-0123456789abcdef
      fhir-server purge Patient/7 --client client-0123456789abcdef --cut --yes
    """
    _check_name(person)
    settings = settings_of_environment()
    with mongodb(settings) as url:
        parts = build(replace(settings, mongodb_url=url))
        with closing(parts.store), closing(parts.registry):
            actor = operator(parts, client_id, OPERATE)
            if parts.store.purges.find(person) is not None:
                click.echo(f"the purge of {person} had begun and was cut off; it goes on")
            elif not confirmed:
                _confirm(belongings(person, parts.services))
            _tell(_purged(person, actor, parts, cut_outside=cut_outside))
            for other in parts.store.purges.unfinished():
                click.echo(f"begun and not ended: the purge of {other}")


def _check_name(person: str) -> None:
    """Raises ClickException for anything but a person's reference: not a version of it, not an address."""
    named = parse_reference(person)
    if named is None or named.type != "Patient" or named.version is not None:
        raise click.ClickException(f"{person!r} is not the reference of a person, such as Patient/7; nothing was done")


def _confirm(found: Belongings) -> None:
    """Show what would go; Abort unless the person is named again."""
    counted = Counter(reference.partition("/")[0] for reference in found.references)
    click.echo("This would be removed, with every version:")
    for type_name, count in sorted(counted.items()):
        click.echo(f"  {count:6} {type_name}")
    for reference in found.outside[:MOST_NAMED]:
        click.echo(f"  outside of the chart, refers to it: {reference}")
    if len(found.outside) > MOST_NAMED:
        click.echo(f"  and {len(found.outside) - MOST_NAMED} more")
    if click.prompt(f"It cannot be undone. Type {found.person} to go on") != found.person:
        raise click.ClickException("that is another name; nothing was done")


def _purged(person: str, actor: Actor, parts: Parts, *, cut_outside: bool) -> Purged:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        shown = progress.add_task("reading what belongs to the person")

        def tell(step: str, done: int) -> None:
            progress.update(shown, description=f"{step}: {done}")

        def wait(seconds: float) -> None:
            progress.update(shown, description=f"waiting {seconds:.0f} s for writes that had begun before")
            time.sleep(seconds)

        return purge(person, actor, parts.services, Surroundings(wait, tell), cut_outside=cut_outside)


def _tell(purged: Purged) -> None:
    click.echo(f"resources removed: {purged.removed}")
    for reference in purged.cut:
        click.echo(f"references cut in {reference}")
    click.echo(f"in the audit the person is now {purged.pseudonym}")
