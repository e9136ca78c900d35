"""Commands that run until they are told to end: the server and the delivery worker."""

import ctypes
import gc
import logging
import multiprocessing
import os
import pkgutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import click
from granian.constants import HTTPModes, Interfaces
from granian.log import LOGGING_CONFIG

from fhir_server.cli.database import mongodb, settings_of_environment
from fhir_server.cli.ending import end_on_sigterm, ending_on_sigterm, keep_for_children
from fhir_server.cli.listening import claimed
from fhir_server.cli.logs import log_without_trouble
from fhir_server.cli.processes import Processes, hear_once
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.errors import Unavailable
from fhir_server.settings import Settings, SettingsError, variable
from fhir_server.store.journal import make_folder

APPLICATION = "fhir_server.cli.running:application"
FACTORY = "fhir_server.app:create_app"
PROGRAMMES = "fhir_server.app:programmes"
WORKER = "fhir_server.app:run_worker"
WORKER_SEEN = "fhir_server.app:worker_seen"

# Measured: four hide the wait for the journal of MongoDB; eight ask more of their questions together.
BLOCKING_THREADS = 8
_ALLOCATIONS = 10_000  # between two looks for garbage; a request makes some thousands, nearly all gone at its end
_M_ARENA_MAX = -8  # of glibc's malloc.h
SECONDS_TO_FINISH = 30
SECONDS_TO_START = 15
SILENCE = timedelta(minutes=1)

log = logging.getLogger(__name__)


@click.command(short_help="Serve FHIR and the viewer until Ctrl-C.")
@click.option("--host", help="Address to listen on, instead of SAMEN_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on, instead of SAMEN_PORT.")
@click.option("--workers", type=click.IntRange(1, 256), help="Server processes, instead of SAMEN_WORKERS.")
def serve(**options: Any) -> None:
    """Serve FHIR and the viewer until SIGTERM or Ctrl-C.

    Without SAMEN_MONGODB_URL an embedded MongoDB is started under SAMEN_DATA and stopped at the end; other commands
    share it, so stop the server last.

    \b
    Examples:
      fhir-server serve
      fhir-server serve --port 8081
      SAMEN_MONGODB_URL='mongodb://db1,db2,db3/?replicaSet=samen' fhir-server serve --workers 4
    """
    # The server's processes read the environment, so whatever is decided here is told there.
    os.environ.update({variable(name): str(value) for name, value in options.items() if value is not None})
    settings = settings_of_environment()
    _check_journal(settings)
    pkgutil.resolve_name(PROGRAMMES)()  # one with a mistake is told here, and not by each process as it crashes
    log_without_trouble()
    with _until_ctrl_c(), ending_on_sigterm(), claimed(settings.host, settings.port), mongodb(settings) as url:
        os.environ[variable("mongodb_url")] = url
        keep_for_children()
        server(settings).serve()


@click.command(short_help="Deliver notifications, index and tidy until Ctrl-C.")
@click.option("--check", is_flag=True, help="Say whether a worker of this machine works, and do nothing else.")
def worker(*, check: bool) -> None:
    """Deliver notifications until SIGTERM or Ctrl-C; any number of these may run beside the server.

    It also indexes what is stored by new search parameters, looks again at deletes, and puts the audit of processes
    that ended in its place: at least one must run, whoever subscribes.

    With --check it ends at once: with 0 when a worker of this machine gave a sign of life within the last minute.

    \b
    Examples:
      fhir-server worker
      fhir-server worker --check
    """
    settings = settings_of_environment()
    if check:
        _check_worker(settings)
        return
    pkgutil.resolve_name(PROGRAMMES)()
    log_without_trouble()
    logging.basicConfig(level=logging.INFO, format="[%(levelname)s] %(message)s", stream=sys.stdout)
    with _until_ctrl_c(), ending_on_sigterm(), mongodb(settings, patience=SECONDS_TO_START) as url:
        run = pkgutil.resolve_name(WORKER)
        _when_the_database_answers(lambda: run(replace(settings, mongodb_url=url)), "works")


def _until_ctrl_c() -> suppress:
    """What runs until it is told to end has done its work when it is, also while it still waits for its database."""
    return suppress(KeyboardInterrupt)


def _check_journal(settings: Settings) -> None:
    """Raises SettingsError when reads could not be recorded."""
    if settings.audit_reads != "local":
        return
    try:
        make_folder(settings.journal_folder)
    except OSError as error:
        told = f"{settings.journal_folder} cannot be written ({error.strerror}); reads are recorded there"
        raise SettingsError(f"SAMEN_AUDIT_FOLDER: {told}, or set SAMEN_AUDIT_READS to journaled") from error


def _check_worker(settings: Settings) -> None:
    with mongodb(settings) as url:
        try:
            seen = pkgutil.resolve_name(WORKER_SEEN)(replace(settings, mongodb_url=url))
        except Unavailable as error:
            raise click.ClickException("The database does not answer.") from error
    age = now() - seen if seen else None
    if age is None or age > SILENCE:
        told = f"The last sign of life was at {instant(seen)}." if seen else "There was no sign of life within a day."
        raise click.ClickException(f"No worker works on this machine. {told}")
    click.echo("A worker works on this machine.")


def server(settings: Settings) -> Processes:
    """The HTTP server, not yet started: processes that each build the application, eight threads in each."""
    ours = {"handlers": ["console"], "level": "INFO", "propagate": False}
    loggers: Any = LOGGING_CONFIG["loggers"]
    return Processes(
        APPLICATION,
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        blocking_threads=BLOCKING_THREADS,
        http=HTTPModes.http1,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=SECONDS_TO_FINISH,
        log_dictconfig={
            "filters": {"chosen": {"()": f"{__name__}.Chosen"}},
            "loggers": {**loggers, "_granian": {**loggers["_granian"], "filters": ["chosen"]}, "fhir_server": ours},
        },
    )


class Chosen(logging.Filter):
    """Leaves out of the log that the threads are many for the processors: their number is ours, and was measured."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        return not record.getMessage().startswith(f"Configuration allows spawning up to {BLOCKING_THREADS} Python")


def application() -> Any:
    """The WSGI application, made inside a server process; the process ends when the server itself has died.

    Otherwise the processes of a killed server would keep its port and the folder of its database.
    """
    end_on_sigterm()  # until Granian takes over
    hear_once()
    server = multiprocessing.parent_process()  # who that was, also when it died before this line
    threading.Thread(
        target=_end_with, args=(server.pid if server else os.getppid(),), name="parent", daemon=True
    ).start()
    # No line of the log tells of a thread, a process or a place in the code: nothing of it is looked for.
    logging.raiseExceptions = False
    logging._srcfile = None  # as the documentation of `logging` has it
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    _share_memory()
    built = _when_the_database_answers(pkgutil.resolve_name(FACTORY), "serves")
    # What the definitions became stays for good: garbage is not looked for in it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 20)
    return built


def _share_memory() -> None:
    """Have the threads of this process share two pools of memory, where the C library is glibc.

    Each thread would get one of its own, most of which lies idle: seven MB of 154 after much work.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _when_the_database_answers(build: Callable[[], Any], does: str) -> Any:
    """What `build` makes, as soon as there is a database; `does` says what this process does then.

    A process that ended instead would be taken for one that crashes at each start, and the whole server would give up:
    also one that answers, while the database is away, and only has one of its processes to replace. A worker that ended
    would be missed when its subscribers are.
    """
    told = False
    while True:
        try:
            return build()
        except Unavailable:
            if not told:
                log.error("this process %s as soon as the database answers; SAMEN_MONGODB_URL says where it is", does)
            told = True
        time.sleep(1.0)


def _end_with(parent: int | None) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
