"""Where there is no embedded MongoDB, the message says why and what to do."""

import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from fhir_server.store import mongod
from fhir_server.store.embedded import EmbeddedMongo, NoEmbeddedMongo
from fhir_server.store.folder_lock import FolderLock
from fhir_server.store.mongod import explain_end, find_mongod

FOLDER = Path("/data/samen")


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


@pytest.mark.usefixtures("no_wheel")
def test_a_platform_without_a_wheel_is_told_of_the_alternatives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(NoEmbeddedMongo, match=r"linux aarch64.*SAMEN_MONGODB_URL.*docker compose up"):
        find_mongod()


@pytest.mark.usefixtures("no_wheel")
@pytest.mark.parametrize(("system", "machine"), [("linux", "x86_64"), ("darwin", "arm64"), ("win32", "AMD64")])
def test_a_platform_with_a_wheel_is_told_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(NoEmbeddedMongo, match=r"pip install 'samen\[embedded\]'.*SAMEN_MONGODB_URL"):
        find_mongod()


def a_mongod(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str | None) -> None:
    """Put a program of our own where the wheel has its mongod; None puts what no system can run."""
    binary = folder / "package" / "db" / "bin" / "mongod"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!{sys.executable}\n{script}" if script is not None else "#!/nowhere/ld-linux\n")
    binary.chmod(0o755)
    spec = ModuleSpec("fiftyone", None, is_package=True)
    spec.submodule_search_locations = [str(folder / "package")]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)


LOADER = "mongod: error while loading shared libraries: {}: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("library", "package"),
    [("libcurl.so.4", "libcurl4"), ("libssl.so.3", "libssl3"), ("liblzma.so.5", "liblzma5")],
)
def test_a_missing_library_names_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str, package: str
) -> None:
    message = LOADER.format(library)
    a_mongod(monkeypatch, tmp_path, f"import sys; sys.stderr.write({message!r}); sys.exit(127)")
    with pytest.raises(NoEmbeddedMongo, match=rf"{re.escape(library)}: .*apt-get install {package}\b"):
        EmbeddedMongo(tmp_path / "data").start()


def test_a_binary_for_another_system_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    a_mongod(monkeypatch, tmp_path, None)
    with pytest.raises(NoEmbeddedMongo, match=r"glibc on x86-64.*SAMEN_MONGODB_URL"):
        EmbeddedMongo(tmp_path / "data").start()


def test_a_port_that_is_taken_each_time_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = f"open({str(count)!r}, 'a').write('x'); print('Address already in use'); raise SystemExit(48)"
    a_mongod(monkeypatch, tmp_path, script)
    with pytest.raises(NoEmbeddedMongo, match="other programs were first"):
        EmbeddedMongo(tmp_path / "data").start()
    assert count.read_text() == "xxx"


def test_a_mongod_that_never_becomes_ready_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    a_mongod(monkeypatch, tmp_path, script)
    for seconds in (3, 30):  # a busy machine may need more than the first to start it at all
        with pytest.raises(NoEmbeddedMongo, match=rf"not become ready within {seconds} s; its words: .*mongod\.log"):
            EmbeddedMongo(tmp_path / "data", seconds=seconds).start()
        if pid.exists() and pid.read_text():
            break
    assert mongod.command_line(int(pid.read_text())) == ""
    assert FolderLock(tmp_path / "data" / "owner.lock").acquire()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("./mongod: /lib/libc.so.6: version `GLIBC_2.34' not found (required by ./mongod)", r"too old.*GLIBC_2\.34"),
        ('{"msg":"Unable to create","attr":{"error":"No space left on device"}}', r"/data/samen is full"),
        ('{"error":"DBPathInUse: Unable to lock the lock file: /data/samen/db/mongod.lock"}', r"Another mongod uses"),
        ('{"error":"IllegalOperation: Attempted to create a lock file on a read-only directory"}', r"may not write"),
        ("first\nthe very last words\n\n", r"code 14: the very last words.*mongod\.log"),
        ("", r"code 14: it said nothing"),
        (LOADER.format("libunknown.so.9"), r"the one that holds libunknown\.so\.9"),
    ],
)
def test_the_last_words_of_mongod_become_a_sentence(words: str, told: str) -> None:
    assert re.search(told, explain_end(14, words, FOLDER))


def test_a_processor_without_avx_is_told() -> None:
    assert "need AVX" in explain_end(-4, "", FOLDER)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoEmbeddedMongo, match=r"file/data cannot be used: Not a directory"):
        EmbeddedMongo(tmp_path / "file" / "data").start()


def test_a_silent_owner_is_named(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "owner.lock")
    assert lock.acquire()
    (tmp_path / "mongod.json").write_text('{"port": 1, "owner": 4711, "ready": true}')
    try:
        with pytest.raises(NoEmbeddedMongo, match="Process 4711"):
            EmbeddedMongo(tmp_path, seconds=0.2).start()
    finally:
        lock.release()


def test_an_address_is_known_only_after_the_start(tmp_path: Path) -> None:
    with pytest.raises(NoEmbeddedMongo, match="not been started"):
        _ = EmbeddedMongo(tmp_path).url
