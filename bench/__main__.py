"""`python -m bench`: measure, show, keep. The exit code says only whether it could measure, never how fast it is."""

import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pymongo
from rich.console import Console

from bench.figures import Figure, keep, show
from bench.ground import Ground
from bench.load import WrongAnswer
from bench.rounds import QUICK, Scale
from bench.rows import LEFT_OUT, ROWS
from fhir_server.demo.processes import NotStarted


@click.command()
@click.option(
    "--quick", is_flag=True, help="Short rounds and small caseloads: to see that it works, not how fast it is."
)
@click.option("--only", type=click.Choice(list(ROWS)), multiple=True, help="Only this row; may be repeated.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds of each side.")
@click.option("--seconds", type=click.FloatRange(0.1), help="Length of a round.")
@click.option("--connections", type=click.IntRange(1, 64), help="Connections that ask at the same time.")
@click.option("--tasks", type=click.IntRange(100), help="Tasks of the large caseload.")
@click.option(
    "--synthea",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="SAMEN_TEST_SYNTHEA",
    help="A folder of Synthea's transaction Bundles, for the row synthea.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("var/bench"),
    show_default=True,
    help="Where the embedded MongoDB, logs and figures lie; large caseloads are kept there and used again.",
)
def main(quick: bool, only: tuple[str, ...], data: Path, synthea: Path | None, **asked: Any) -> None:
    """Measure the rows of the performance budget, each against its baseline in turn.

    Without SAMEN_MONGODB_URL an embedded MongoDB is started. In a given one only databases named samen_bench and
    samen_bench_N are touched. docs/performance.md says what the rows mean.

    \b
    Examples:
      python -m bench
      python -m bench --quick --only read
      python -m bench --only worklist --only organisation --tasks 300000
      python -m bench --only peer
      python -m bench --only read --only create --connections 1
    """
    scale = replace(QUICK if quick else Scale(), **{_FIELDS[name]: value for name, value in asked.items() if value})
    console = Console(highlight=False)
    figures: list[Figure] = []
    missed: list[str] = []
    with Ground(data, scale, synthea) as ground:
        for name in only or ROWS:
            console.print(f"measuring {name} ...", style="dim")
            try:
                measured = ROWS[name](ground)
                figures += measured
                if not measured:
                    console.print(f"{name} was left out: {LEFT_OUT[name]}", style="yellow")
            except (WrongAnswer, NotStarted) as error:
                console.print(f"{name} could not be measured: {error}", style="red")
                missed.append(name)
            keep(figures, _machine(ground), ground.data / "figures.json")
        machine = _machine(ground)
    show(figures, console)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()), style="dim")
    if missed:
        raise click.ClickException(f"not measured: {', '.join(missed)}")


_FIELDS = {"rounds": "rounds", "seconds": "seconds", "connections": "connections", "tasks": "many_tasks"}


def _machine(ground: Ground) -> dict[str, str]:
    return {
        "processors": str(os.cpu_count()),
        "load": " ".join(f"{each:.1f}" for each in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown",
        "python": platform.python_version(),
        "pymongo": pymongo.version,
        "mongodb": str(ground.client.server_info()["version"]),
        "rounds": f"{ground.scale.rounds} of {ground.scale.seconds:g} s on {ground.scale.connections} connections",
    }


if __name__ == "__main__":
    main()
