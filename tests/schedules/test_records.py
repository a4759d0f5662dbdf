"""The file of tuning records: what survives it, and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewright.schedules.records import Excluded, Records
from edgewright.schedules.select import candidates
from edgewright.spec.errors import OutputError, RecordsError
from edgewright.spec.target import CORES
from tests.schedules.tuning_records import A72, LAYER, MACHINE, SESSION, record, records

OFFERS = candidates(LAYER, A72, "blocked", 2)
ONE = replace(
    record({OFFERS[0]: 200.0, OFFERS[1]: 100.0}, OFFERS[0]), excluded=(Excluded("k", "crashed"),)
)
KEY = ONE.workload


def test_records_survive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    made = records(ONE, replace(ONE, threads=1))
    made.save(path)
    read = Records.load(path)
    assert sorted(read.records, key=lambda r: r.threads) == [replace(ONE, threads=1), ONE]
    assert (read.machine, read.sessions) == (MACHINE, (SESSION,))
    assert read.sha256 == made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [entry.name for entry in tmp_path.iterdir()] == ["records.json"]
    assert path.stat().st_mode & 0o044


def test_the_order_of_records_changes_nothing() -> None:
    other = replace(ONE, workload="another")
    assert records(ONE, other).dump() == records(other, ONE).dump()


def test_the_hash_is_of_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    path.write_text(records(ONE).dump() + "\n")
    assert Records.load(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def edited(edit: Callable[[dict[str, Any]], None]) -> str:
    raw = json.loads(records(ONE).dump())
    edit(raw)
    return json.dumps(raw)


def set_first(**changes: Any) -> str:
    return edited(lambda raw: raw["records"][0].update(changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "are damaged: the file is not valid JSON"),
        ("[" * 100_000, "are damaged: the file is not valid JSON"),
        ("[]", "is no file of tuning records"),
        ('{"schema_version": 1}', "is no file of tuning records"),
        (edited(lambda raw: raw.update(schema_version=2)), "are of version 2"),
        (edited(lambda raw: raw.pop("machine")), "the file lacks 'machine'"),
        (edited(lambda raw: raw.update(more=1)), "has the unknown key 'more'"),
        (edited(lambda raw: raw["records"].append(raw["records"][0])), "holds two records for"),
        (edited(lambda raw: raw["sessions"].clear()), "names the unknown session 0"),
        (set_first(threads="4"), "holds no int at 'records[0].threads'"),
        (set_first(threads=0), "holds 0 threads"),
        (set_first(kernel="gone"), "does not measure the kernel 'gone' once"),
        (set_first(measured=[]), "does not measure the kernel"),
        (
            edited(lambda raw: raw["records"][0]["measured"][0].update(median_ns=-1.0)),
            "a time of -1.0 ns",
        ),
        (
            edited(lambda raw: raw["records"][0]["measured"][0].update(median_ns=float("nan"))),
            "a time of nan ns",
        ),
    ],
)
def test_a_file_that_is_not_sound_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    path.write_text(text)
    with pytest.raises(RecordsError) as caught:
        Records.load(path)
    assert message in str(caught.value)
    assert "records.json" in str(caught.value) and caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="No such file"):
        Records.load(tmp_path / "none.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordsError, match="it is no text"):
        Records.load(tmp_path / "binary")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"none/records\.json' cannot be written \(No such"):
        records(ONE).save(tmp_path / "none" / "records.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError):
        records(ONE).save(tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_a_record_serves_its_target_only() -> None:
    known = records(ONE, replace(ONE, threads=1))
    assert known.find(KEY, A72) == ONE
    assert known.find(KEY, replace(A72, name="rpi4", num_cores=2)) == ONE
    assert known.find("another", A72) == "this workload was not measured"
    foreign = known.find(KEY, CORES["cortex-a53"])
    assert foreign == (
        "measured for cortex-a72 (aarch64-unknown-linux-gnu), not for cortex-a53 "
        "(aarch64-unknown-linux-gnu)"
    )
    featured = known.find(KEY, replace(A72, mattr=("+dotprod",)))
    assert isinstance(featured, str) and "not for cortex-a72 +dotprod" in featured


def test_a_new_record_replaces_the_one_of_the_same_conditions() -> None:
    newer = replace(ONE, rounds=7)
    assert records(ONE, replace(ONE, threads=1)).with_record(newer).records == (
        replace(ONE, threads=1),
        newer,
    )
    assert ONE.gain == 2.0
