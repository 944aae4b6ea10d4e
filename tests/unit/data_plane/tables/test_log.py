"""A log: frames in order, pending ones visible, torn tails cut at every byte, a full disk undone."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from harness.data_plane.tables import frames
from harness.data_plane.tables.frames import FILE_HEADER, INSERT, MODIFY, REMOVE, encode
from harness.data_plane.tables.log import Log


def some_frames(count: int) -> list[bytes]:
    kinds = (INSERT, MODIFY, REMOVE)
    return [
        encode(kinds[i % 3], 1000 + i, i, i, b"pk%d" % i, b"s" * (i % 3), b"x" * (i * 7 % 50)) for i in range(count)
    ]


def read_all(log: Log) -> list[tuple[int, frames.Frame]]:
    return list(log.frames_from(len(FILE_HEADER)))


def test_frame_comes_back() -> None:
    data = encode(MODIFY, 123, 45, 1 << 41, b"pk", b"sk", b'{"a":{"S":"x"}}')
    frame = frames.decode(b"..." + data, 3)
    assert frame == (MODIFY, 123, 45, 1 << 41, b"pk", b"sk", b'{"a":{"S":"x"}}', len(data))
    assert frames.is_valid(data)


def test_every_flipped_bit_is_found() -> None:
    data = encode(INSERT, 1, 2, 3, b"pk", b"", b"image")
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        # A longer length is an incomplete frame, which is as good.
        assert not frames.is_valid(bytes(damaged)), bit


@pytest.mark.parametrize("named", [True, False])
def test_appended_frames_are_read_before_and_after_a_flush(tmp_path: Path, named: bool) -> None:
    log = Log(tmp_path / "a.log" if named else None)
    offsets = []
    for number, frame in enumerate(some_frames(20)):
        offsets.append(log.append(frame))
        if number % 3 == 0:
            log.flush()
        assert log.frame(offsets[-1]).pk == b"pk%d" % number
        assert [at for at, _ in read_all(log)] == offsets
    assert all(log.starts_frame(at) for at in offsets)
    assert not any(log.starts_frame(at + 1) for at in offsets)
    assert not log.starts_frame(log.end)
    log.close()


def test_frames_longer_than_one_read_are_read(tmp_path: Path) -> None:
    log = Log(tmp_path / "a.log")
    big = encode(INSERT, 1, 2, 0, b"pk", b"", b"x" * 400_000)
    offsets = [log.append(big), log.append(some_frames(1)[0]), log.append(big)]
    log.flush()
    assert [at for at, _ in log.frames_from(len(FILE_HEADER), 1000)] == offsets
    assert len(log.frame(offsets[2]).image) == 400_000
    assert log.starts_frame(offsets[2])
    log.close()
    again = Log(tmp_path / "a.log")
    assert [at for at, _ in again.recover()] == offsets
    again.close()


def test_tail_torn_at_any_byte_is_cut_and_writing_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = Log(path)
    written = some_frames(4)
    ends = [len(FILE_HEADER)]
    for frame in written:
        log.append(frame)
        ends.append(log.end)
    log.flush()
    log.close()
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        torn = Log(path)
        kept = [frame.pk for _, frame in torn.recover()]
        complete = sum(1 for end in ends[1:] if end <= size)
        assert kept == [b"pk%d" % i for i in range(complete)], size
        assert path.stat().st_size == torn.end == ends[complete]
        torn.append(written[3])
        torn.flush()
        assert [frame.pk for _, frame in read_all(torn)] == [*kept, b"pk3"]
        torn.close()


def test_damage_before_the_end_is_an_error_and_cuts_nothing(tmp_path: Path) -> None:
    """Only a frame without its end is what a kill leaves; anything else would be lost in silence."""
    path = tmp_path / "a.log"
    log = Log(path)
    offsets = [log.append(frame) for frame in some_frames(5)]
    log.flush()
    log.close()
    whole = path.read_bytes()
    for at in range(offsets[1], offsets[2]):
        data = bytearray(whole)
        data[at] ^= 0xFF
        path.write_bytes(data)
        again = Log(path)
        with pytest.raises(OSError, match=f"is damaged at byte {offsets[1]}"):
            list(again.recover())
        again.close()
        assert path.read_bytes() == data
    path.write_bytes(whole[: offsets[4]] + bytes(1))
    again = Log(path)
    assert [at for at, _ in again.recover()] == offsets[:4]
    again.close()


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"something else altogether")
    with pytest.raises(OSError, match="not a log of this version"):
        Log(path)
    assert path.read_bytes() == b"something else altogether"


def test_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "a.log")
    log.append(some_frames(1)[0])
    log.flush()
    size = log.end
    log.append(some_frames(2)[1])
    write, calls = os.pwrite, []

    def half(descriptor: int, data: memoryview, offset: int) -> int:
        calls.append(offset)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:10], offset)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="space"):
        log.flush()
    monkeypatch.undo()
    assert (tmp_path / "a.log").stat().st_size == size
    log.discard()
    assert log.end == size
    log.close()
