"""The command that indexes what is stored by search parameters that were defined since."""

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from fhir_server.cli.database import mongodb, settings_of_environment
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.indexing.own_parameters import SETTLED
from fhir_server.store.mongo.indexing.reindexing import Reindexing


@click.command(short_help="Index what is stored by new search parameters.")
@click.option("--at-once", is_flag=True, help="Do not wait for running servers to know the parameters: none runs.")
def reindex(at_once: bool) -> None:
    """Index what is stored by the search parameters that were defined since.

    The worker does this by itself; this does it now, and shows how far it is. It begins when every running server knows
    the parameters, half a minute after it first sees them. A run that was cut off goes on where it ended.

    \b
    Examples:
      fhir-server reindex
      fhir-server reindex --at-once
    """
    settings = settings_of_environment()
    with mongodb(settings) as url:
        connection = Connection(url, settings.database)
        try:
            settled = 0.0 if at_once else SETTLED
            _show(Reindexing(connection, settled=settled, full_text=settings.full_text))
        finally:
            connection.close()


def _show(indexing: Reindexing) -> None:
    if not indexing.waiting():
        click.echo("nothing to index")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}
        for progress in indexing.run():
            if progress.type not in tasks:
                tasks[progress.type] = bars.add_task(progress.type, total=None)
            begins = f" (begins in {progress.begins_in:.0f} s)" if progress.begins_in else ""
            task = tasks[progress.type]
            bars.update(task, description=progress.type + begins, completed=progress.done, total=progress.total or None)
    if indexing.too_large:
        named = ", ".join(sorted(indexing.too_large))
        told = f"too large to be stored with what searches need of it, so that its type waits: {named}"
        raise click.ClickException(f"{told}. Let its author divide it, or retire the parameter")
    click.echo("all is indexed")
