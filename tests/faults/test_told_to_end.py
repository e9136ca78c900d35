"""What is told to end ends: signals that come at odd moments, to a process or to the thread that waits for them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fhir_server.cli.alarm import Alarm
from tests.ports import free_port

SECONDS = 90


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_is_told_again_to_end_before_it_listens_ends_all_the_same() -> None:
    story = """
import signal
from granian._signals import set_sync_signals
from fhir_server.cli.processes import hear_once

hear_once()
set_sync_signals()
signal.raise_signal(signal.SIGINT)
signal.raise_signal(signal.SIGTERM)
signal.raise_signal(signal.SIGTERM)
print("goes on")
"""
    told = subprocess.run([sys.executable, "-c", story], capture_output=True, timeout=SECONDS, text=True)

    assert told.stdout == "goes on\n", told.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_is_told_to_end_until_it_does() -> None:
    story = """
import multiprocessing, signal, time
from types import SimpleNamespace
from fhir_server.cli.processes import Process

ready = multiprocessing.Event()

def end_when_told_twice():
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    ready.set()
    while len(told) < 2:
        time.sleep(0.01)

if __name__ == "__main__":
    process = Process(SimpleNamespace(interrupt_signal=True), 0, end_when_told_twice, ())
    process.start()
    ready.wait()
    process.terminate()
    process.join(60)
    print(process.is_alive(), process.inner.exitcode)
"""
    told = subprocess.run([sys.executable, "-c", story], capture_output=True, timeout=SECONDS, text=True)

    assert told.stdout == "False 0\n", told.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, -signal.SIGINT)])
def test_a_process_that_is_told_to_end_while_it_finalizes_an_object_ends_in_order(number: int, code: int) -> None:
    story = f"""
import os, signal, time
from fhir_server.cli.ending import ending_on_sigterm

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background ignore it

class Session:
    def __del__(self):
        os.kill(os.getpid(), {number:d})
        print("dropped")

with ending_on_sigterm():
    try:
        Session()
        time.sleep({SECONDS})
    finally:
        print("in order")
print("went on")
"""
    ended = subprocess.run([sys.executable, "-c", story], capture_output=True, timeout=SECONDS, text=True)

    assert (ended.returncode, ended.stdout) == (code, "in order\n"), ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_a_finalizer_that_fails_by_itself_is_told_of_as_ever() -> None:
    story = """
from fhir_server.cli.ending import ending_on_sigterm

class Session:
    def __del__(self):
        raise ValueError("its own fault")

with ending_on_sigterm():
    Session()
print("went on")
"""
    ended = subprocess.run([sys.executable, "-c", story], capture_output=True, timeout=SECONDS, text=True)

    assert ended.stdout == "went on\n"
    assert "ValueError: its own fault" in ended.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_is_told_to_end_at_its_birth_ends_as_soon_as_it_can() -> None:
    story = """
import multiprocessing, signal, time
from fhir_server.cli.ending import end_on_sigterm, ending_on_sigterm, keep_for_children

def be_born():
    time.sleep(0.1)
    end_on_sigterm()
    print("serves", flush=True)

if __name__ == "__main__":
    with ending_on_sigterm():
        keep_for_children()
        signal.signal(signal.SIGTERM, lambda *_: print("told", flush=True))
        born = multiprocessing.get_context("fork").Process(target=be_born)
        born.start()
        born.terminate()
        born.join()
        print(born.exitcode, flush=True)
        signal.raise_signal(signal.SIGTERM)
"""
    told = subprocess.run([sys.executable, "-c", story], stdout=subprocess.PIPE, timeout=SECONDS).stdout

    assert told == b"0\ntold\n", "the child ends before it serves, and its parent hears signals as before"


def test_a_signal_may_interrupt_itself_and_every_wait() -> None:
    story = """
import os, signal
from fhir_server.cli.alarm import Alarm

seen = 0

def handle(*_):
    global seen
    seen += 1
    alarm.set()
    if seen % 3 == 0 and seen < 3000:
        os.kill(os.getpid(), signal.SIGUSR1)

alarm = Alarm(lambda: seen >= 3000)
signal.signal(signal.SIGUSR1, handle)
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
while seen < 3000:
    alarm.wait()
    alarm.clear()
signal.setitimer(signal.ITIMER_REAL, 0)
alarm.clear()
assert alarm.is_set() and alarm.wait(0)
print("ended")
"""
    told = subprocess.run([sys.executable, "-c", story], stdout=subprocess.PIPE, timeout=SECONDS).stdout

    assert told == b"ended\n"


def test_nothing_that_was_set_is_forgotten_until_it_is_cleared() -> None:
    alarm = Alarm(lambda: False)

    assert not alarm.wait(0)
    alarm.set()
    assert alarm.wait(0)
    assert alarm.wait(0)
    alarm.clear()
    assert not alarm.wait(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("away", [True, False], ids=["named", "embedded"])
def test_what_runs_until_it_is_told_to_end_ends_in_order_while_it_waits_for_its_database(
    tmp_path: Path, number: int, command: str, away: bool
) -> None:
    """The database that is named is away; for an embedded one the worker waits until the server has started it."""
    story = f"""
import os, signal, threading, time
from fhir_server.cli import database, main, running

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background ignore it

def wait_and_be_told(*_):
    threading.Timer(0.2, os.kill, (os.getpid(), {number:d})).start()
    time.sleep({SECONDS})

if {away}:
    running._when_the_database_answers = wait_and_be_told
    running.server = lambda _: type("Server", (), {{"serve": wait_and_be_told}})()
else:
    database.EmbeddedMongo.__enter__ = wait_and_be_told
running.SECONDS_TO_START = 0.0
main(["{command}"])
"""
    given = {"SAMEN_DATA": str(tmp_path), "SAMEN_PORT": str(free_port())}
    given |= {"SAMEN_MONGODB_URL": "mongodb://127.0.0.1:1/"} if away else {}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAMEN_")}
    ended = subprocess.run([sys.executable, "-c", story], capture_output=True, timeout=SECONDS, env=kept | given)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_told_to_end_while_it_is_read_says_nothing(number: int) -> None:
    story = f"""
import os, signal, sys
from importlib.abc import MetaPathFinder
from fhir_server.__main__ import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background ignore it

class Interrupted(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "fhir_server.cli.running":
            os.kill(os.getpid(), {number:d})

sys.meta_path.insert(0, Interrupted())
main()
"""
    ended = subprocess.run([sys.executable, "-c", story], capture_output=True, timeout=SECONDS)

    assert (ended.returncode, ended.stderr) == (-number, b"")
