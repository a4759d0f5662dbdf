from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgewright.deploy import output_folder
from edgewright.deploy.output_folder import check_output, disk_errors, staged_folder
from edgewright.spec.errors import EnvironmentFailure, OutputError


def never(folder: Path) -> bool:
    return False


def always(folder: Path) -> bool:
    return True


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b" / "out"
    with staged_folder(place, replaceable=never) as staging:
        (staging / "file").write_text("x")
        assert not place.exists()
        assert staging.parent == place.parent
    assert tree(tmp_path) == {"a", "a/b", "a/b/out", "a/b/out/file"}
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(place.stat().st_mode) == 0o777 & ~mask


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), SystemExit(1)])
def test_whatever_stops_it_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    place = tmp_path / "a" / "b" / "out"
    with (
        pytest.raises(type(error)),
        staged_folder(place, replaceable=never) as staging,
    ):
        (staging / "file").write_text("x")
        raise error
    assert tree(tmp_path) == set()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    with staged_folder(place, replaceable=never) as staging:
        (staging / "file").write_text("x")
    assert tree(tmp_path) == {"out", "out/file"}


def test_a_folder_that_is_not_empty_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    with (
        pytest.raises(OutputError, match="is not empty"),
        staged_folder(tmp_path / "out", replaceable=never),
    ):
        pytest.fail("it must not be entered")
    assert tree(tmp_path) == {"out", "out/mine"}


def test_what_may_be_replaced_is_replaced_at_the_end(tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / "old").write_text("old")
    with staged_folder(place, replaceable=always) as staging:
        (staging / "new").write_text("new")
        assert tree(place) == {"old"}
    assert tree(tmp_path) == {"out", "out/new"}


def test_a_failed_replacement_keeps_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / "old").write_text("old")
    rename = Path.rename

    def fail_into_place(source: Path, target: Path) -> Path:
        if Path(target) == place and source.name != "replaced":
            raise OSError(errno.EIO, "Input/output error")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", fail_into_place)
    with (
        pytest.raises(EnvironmentFailure, match="Input/output error"),
        staged_folder(place, replaceable=always) as staging,
    ):
        (staging / "new").write_text("new")
    assert tree(tmp_path) == {"out", "out/old"}


def test_a_symbolic_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with staged_folder(tmp_path / "link", replaceable=never) as staging:
        (staging / "file").write_text("x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "file").read_text() == "x"


def test_a_place_under_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"cannot be made.*/file' is no folder"):
        check_output(tmp_path / "file" / "out", replaceable=never)
    with pytest.raises(OutputError, match="exists and is no folder"):
        check_output(tmp_path / "file", replaceable=always)


def test_a_place_that_may_not_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests may run as root, who may write anywhere: the system's answer is replaced.
    monkeypatch.setattr(output_folder.os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="is not writable"):
        check_output(tmp_path / "out", replaceable=never)


def test_a_kernel_file_system_is_refused_with_nothing_left() -> None:
    with (
        pytest.raises(OutputError, match="'/proc/edgewright' cannot be written"),
        staged_folder(Path("/proc/edgewright"), replaceable=never),
    ):
        pytest.fail("it must not be entered")


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.ENOSPC, EnvironmentFailure, "the disk is full"),
        (errno.EDQUOT, EnvironmentFailure, "the disk is full"),
        (errno.EIO, EnvironmentFailure, "could not be written"),
        (errno.EROFS, OutputError, "cannot be written"),
        (errno.EACCES, OutputError, "cannot be written"),
    ],
)
def test_the_systems_errors_become_ours(number: int, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught, disk_errors(Path("out")):
        raise OSError(number, os.strerror(number))
    assert caught.value.remedy


def test_a_compiler_that_writes_on_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path / "out", replaceable=never) as s:
        subprocess.Popen(
            [sys.executable, "-c", "for i in range(3000): open(str(i), 'w').close()"],
            cwd=s,
            stderr=subprocess.DEVNULL,
        )
        while not any(s.iterdir()):
            time.sleep(0.001)
        raise KeyboardInterrupt
    assert tree(tmp_path) == set()
