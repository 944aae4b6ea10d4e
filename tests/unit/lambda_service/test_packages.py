"""Deployment packages: what a zip says of its files is kept, and hostile entries are refused with nothing left."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from harness.engines.packaging import build_code_zip
from harness.errors import TemplateError
from harness.lambda_service import packages

FILE, LINK, FOLDER, PIPE = stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO
Entry = tuple[str, int, str]


def zipped(*entries: Entry, system: int = 3) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, mode, text in entries:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = system, mode << 16
            archive.writestr(info, text)
    return target.getvalue()


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


def test_package_when_it_has_unix_modes_keeps_them(tmp_path: Path) -> None:
    folder = packages.store(
        tmp_path,
        zipped(
            ("bin/", FOLDER | 0o755, ""),
            ("bin/tool", FILE | 0o755, "#!"),
            ("bin/secret", FILE | 0o440, "x"),
            ("bin/root", FILE | 0o4755, "x"),
        ),
    )
    assert [mode(folder / "bin" / name) for name in ("tool", "secret", "root")] == [0o755, 0o440, 0o755]
    assert not (folder / "bin" / "root").stat().st_mode & stat.S_ISUID


def test_package_when_its_tool_knew_no_modes_is_readable(tmp_path: Path) -> None:
    dos = packages.store(tmp_path, zipped(("index.py", 0o755, "x"), ("lib/", 0, ""), system=0))
    assert [mode(dos / "index.py"), mode(dos / "lib")] == [0o644, 0o755]


def test_package_when_it_has_links_keeps_them_in_any_order(tmp_path: Path) -> None:
    folder = packages.store(
        tmp_path,
        zipped(
            ("current", LINK | 0o777, "versions/2"),
            ("versions/2/name", FILE | 0o644, "two"),
            ("versions/latest", LINK | 0o777, "../current/name"),
            ("dangling", LINK | 0o777, "nowhere"),
        ),
    )
    assert (folder / "current").is_symlink()
    assert (folder / "versions" / "latest").read_text() == "two"
    assert (folder / "dangling").is_symlink()


HOSTILE: dict[str, tuple[tuple[Entry, ...], str]] = {
    "parent": ((("../evil.py", FILE, ""),), "leads out of it"),
    "inner parent": ((("a/../../evil.py", FILE, ""),), "leads out of it"),
    "absolute": ((("/evil.py", FILE, ""),), "leads out of it"),
    "absolute link": ((("x", LINK, "/etc/passwd"),), "holds the link 'x' to '/etc/passwd'"),
    "parent link": ((("a/x", LINK, "../../evil"),), "holds the link 'a/x'"),
    "link through a link": (
        (("a/b/c", LINK, "../.."), ("x", LINK, "a/b/c/../evil")),
        "holds the link 'x'",
    ),
    "file through a link": ((("d", LINK, "sub"), ("d/file", FILE, "x")), "goes through the link d"),
    "link through a link's name": ((("d", LINK, "sub"), ("d/x", LINK, "y")), "cannot be unpacked|goes through"),
    "pipe": ((("x", PIPE, ""),), "neither a file, a folder nor a link"),
    "file and folder": ((("a", FILE, ""), ("a/b", FILE, "")), "cannot be unpacked"),
}


@pytest.mark.parametrize(("entries", "why"), HOSTILE.values(), ids=HOSTILE)
def test_package_when_hostile_is_refused_and_leaves_nothing(
    tmp_path: Path, entries: tuple[Entry, ...], why: str
) -> None:
    root = tmp_path / "deep" / "code"
    with pytest.raises(TemplateError, match=why):
        packages.store(root, zipped(*entries))
    assert list(root.iterdir()) == []
    assert list((tmp_path / "deep").iterdir()) == [root]


def test_package_when_an_entry_is_encrypted_is_refused_by_name(tmp_path: Path) -> None:
    data = bytearray(zipped(("secret.py", FILE | 0o644, "x")))
    # The flag of encryption, in the entry's own header and in the directory.
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(signature) + offset
        struct.pack_into("<H", data, place, 1)
    with pytest.raises(TemplateError, match=r"secret\.py.*is encrypted"):
        packages.store(tmp_path, bytes(data))


def test_package_when_compressed_otherwise_is_refused_by_name(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.py", "x")
    with pytest.raises(TemplateError, match=r"x\.py.*compressed by method 14"):
        packages.store(tmp_path, target.getvalue())


@pytest.mark.parametrize("damage", [slice(30, 40), slice(0, 4), slice(-22, -18)], ids=["content", "head", "end"])
def test_package_when_damaged_is_refused(tmp_path: Path, damage: slice) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", "word " * 100)
    data = bytearray(target.getvalue())
    data[damage] = bytes(len(data[damage]))
    with pytest.raises(TemplateError, match=r"is not a zip file|cannot be unpacked"):
        packages.store(tmp_path, bytes(data))


def test_package_when_it_would_unpack_to_more_than_250_megabytes_is_refused_unread(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(51):
            archive.writestr(f"zeros{number}", bytes(5 * 1024 * 1024))
    with pytest.raises(TemplateError, match=r"unpacks to 267386880 bytes, allowed are 262144000"):
        packages.store(tmp_path, target.getvalue())


def test_package_when_built_from_a_folder_keeps_programs_programs(tmp_path: Path) -> None:
    source = tmp_path / "code"
    source.mkdir()
    (source / "tool").write_text("#!/bin/sh\n")
    (source / "tool").chmod(0o700)
    (source / "index.py").write_text("x = 1\n")
    package = build_code_zip(source, tmp_path / "code.zip")
    folder = packages.store(tmp_path / "unpacked", package.read_bytes())
    assert [mode(folder / name) for name in ("tool", "index.py")] == [0o755, 0o644]
