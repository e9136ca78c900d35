"""Commands that show Samen at work."""

import os
import signal
from typing import Any

import click

from fhir_server.cli.database import settings_of_environment
from fhir_server.cli.ending import ending_on_sigterm
from fhir_server.demo.processes import NotStarted
from fhir_server.demo.run import DemoRefused, reset, run
from fhir_server.settings import variable


@click.command(short_help="Tell the ALS story, and leave the server running.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on, instead of SAMEN_PORT.")
def demo(**options: Any) -> None:
    """Tell the ALS story with invented people on a database of its own, then leave the server running until Ctrl-C.

    \b
    Examples:
      fhir-server demo
      fhir-server demo --port 8081
    """
    os.environ.update({variable(name): str(value) for name, value in options.items() if value is not None})
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background ignore it
        with ending_on_sigterm(and_hangup=True):
            run(settings_of_environment())
    except (DemoRefused, NotStarted) as refusal:
        raise click.ClickException(str(refusal)) from refusal
    except (KeyboardInterrupt, SystemExit):
        click.echo("Ended. The data are kept; `make demo-reset` forgets them.")


@click.command("demo-reset", short_help="Forget the demo's data.")
def demo_reset() -> None:
    """Forget the demo's data; the demo must have ended.

    Whatever else an embedded MongoDB under SAMEN_DATA holds, such as what `fhir-server serve` stored there, goes too.

    \b
    Example:
      fhir-server demo-reset
    """
    try:
        click.echo("the demo's data are gone" if reset(settings_of_environment()) else "there were no data")
    except DemoRefused as refusal:
        raise click.ClickException(str(refusal)) from refusal
