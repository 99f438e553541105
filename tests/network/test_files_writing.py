"""Files are replaced as a whole, whatever interrupts it, and keep what is theirs."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import schuss
from schuss.files.writing import replace

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions, links and limits")


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def network(width: int = 8) -> schuss.Network:
    return schuss.Network([schuss.Dense(4, width), schuss.Dense(width, 2)], seed=1)


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o444])
def test_a_replaced_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "net.npz"
    network().save(path)
    path.chmod(mode)
    network(9).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert schuss.load(path).layers[0].shape.columns == 9


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give a file away")
def test_a_replaced_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    network().save(path)
    os.chown(path, 12345, 54321)
    path.chmod(0o640)
    network(9).save(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 54321, 0o640)


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_file_follows_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        network().save(tmp_path / "net.npz")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "net.npz").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("ending", [".npz"])
def test_a_name_as_long_as_names_may_be(tmp_path: Path, ending: str) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    name = "n" * (longest - len(ending)) + ending
    for width in (8, 9):
        network(width).save(tmp_path / name)
        assert schuss.load(tmp_path / name).layers[0].shape.columns == width
    assert names(tmp_path) == [name]
    with pytest.raises(OSError, match="too long") as caught:
        network().save(tmp_path / ("n" + name))
    assert caught.value.filename.endswith("n" + name)
    assert names(tmp_path) == [name]


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"n\xff.npz")
    try:
        (tmp_path / name).write_bytes(b"")
    except OSError:
        pytest.skip("this file system has no such names")
    network().save(tmp_path / name)
    assert names(tmp_path) == [name]
    schuss.load(tmp_path / name)


@posix
def test_what_is_no_regular_file_is_left_alone(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.npz"
    os.mkfifo(fifo)
    (tmp_path / "full.npz").symlink_to("/dev/full")
    for path in (fifo, tmp_path / "full.npz"):
        with pytest.raises(OSError, match="no regular file") as caught:
            network().save(path)
        assert caught.value.filename == os.path.realpath(path)
        with pytest.raises(ValueError, match="no regular file"):
            schuss.load(path)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert names(tmp_path) == ["fifo.npz", "full.npz"]


@posix
def test_a_link_to_nothing_makes_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "link.npz").symlink_to(tmp_path / "net.npz")
    network().save(tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink()
    schuss.load(tmp_path / "net.npz")


@posix
@pytest.mark.parametrize("existing", [True, False])
def test_a_limit_of_file_sizes(tmp_path: Path, existing: bool) -> None:
    path = tmp_path / "net.npz"
    if existing:
        network().save(path)
    program = f"""
import resource, schuss
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
net = schuss.Network([schuss.Dense(300, 300)], seed=0)
try:
    net.save({str(path)!r})
except OSError as error:
    print(error.errno, error.filename)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.split() == [str(errno.EFBIG), str(path)]
    assert names(tmp_path) == (["net.npz"] if existing else [])
    if existing:
        assert schuss.load(path).layers == network().layers


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system with room for 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True, timeout=20)
    except OSError:
        pytest.skip("there is no mount command")
    if made.returncode != 0:
        pytest.skip("no file system may be mounted here")
    return folder


@posix
def test_a_full_disk(small_disk: Path) -> None:
    try:
        path = small_disk / "net.npz"
        network().save(path)
        before = path.read_bytes()
        with pytest.raises(OSError) as caught:  # noqa: PT011
            schuss.Network([schuss.Dense(300, 300)], seed=0).save(path)
        assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
        assert path.read_bytes() == before and names(small_disk) == ["net.npz"]
    finally:
        subprocess.run(["umount", str(small_disk)], capture_output=True, timeout=20)


def test_a_write_that_fails_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a full disk does, anywhere: some bytes are written, then no more."""
    target = tmp_path / "file"
    target.write_bytes(b"before")
    written = os.write
    left = 1000

    def some(file: int, data: bytes) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        n = written(file, data[: min(7, left)])
        left -= n
        return n

    monkeypatch.setattr(os, "write", some)
    replace(str(target), b"x" * 500)
    assert target.read_bytes() == b"x" * 500
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught:
        replace(str(target), b"y" * 1000)
    assert caught.value.filename == str(target)
    assert target.read_bytes() == b"x" * 500 and names(tmp_path) == ["file"]


WRITER = """
import sys
import numpy as np
from schuss.files.writing import replace

print("ready", flush=True)
k = 0
while True:
    replace(sys.argv[1], bytes([k % 251]) * 2_000_000)
    k += 1
"""


@posix
def test_a_killed_writer_leaves_one_whole_file(tmp_path: Path) -> None:
    """And nothing else, once the target was written again."""
    target = tmp_path / "file"
    (tmp_path / "other").write_bytes(b"")
    pauses = np.random.default_rng(0).uniform(0.001, 0.03, 12)
    abandoned = 0
    for pause in pauses:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE)
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
        time.sleep(pause)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        abandoned += len(names(tmp_path)) - 1 - target.exists()
        if target.exists():
            content = target.read_bytes()
            assert len(content) == 2_000_000 and content == content[:1] * len(content)
    assert abandoned > 0
    replace(str(target), b"again")
    assert names(tmp_path) == ["file", "other"]


@posix
def test_what_another_one_is_writing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, begun, go_on = tmp_path / "file", threading.Event(), threading.Event()
    fsync, first = os.fsync, threading.current_thread()

    def slow(file: int) -> None:
        if threading.current_thread() is not first and not begun.is_set():
            begun.set()
            assert go_on.wait(20)
        fsync(file)

    monkeypatch.setattr(os, "fsync", slow)
    other = threading.Thread(target=replace, args=(str(target), b"slow"))
    other.start()
    assert begun.wait(20)
    assert len(names(tmp_path)) == 1
    replace(str(target), b"fast")
    assert target.read_bytes() == b"fast" and len(names(tmp_path)) == 2
    go_on.set()
    other.join(20)
    assert target.read_bytes() == b"slow" and names(tmp_path) == ["file"]


def test_many_writers_of_one_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    failures: list[BaseException] = []

    def write(k: int) -> None:
        try:
            for _ in range(20):
                replace(str(target), bytes([k]) * 10_000)
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert not failures
    content = target.read_bytes()
    assert len(content) == 10_000 and content == content[:1] * len(content)
    assert names(tmp_path) == ["file"]
