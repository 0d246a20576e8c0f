"""Artifacts: the same bytes once, private on disk, found by hash and owner, never by a path."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mcp_llm.errors import InvalidInput, StoreError
from mcp_llm.store.artifacts import Artifact, Artifacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
HASH = hashlib.sha256(PNG).hexdigest()


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "home" / "artifacts")


def contents(artifacts: Artifacts, sha256: str, principal: str = "local") -> bytes:
    with artifacts.open(sha256, principal=principal) as file:
        return file.read()


def test_what_is_put_is_found_by_its_hash_with_what_it_is(artifacts: Artifacts) -> None:
    made = artifacts.put(PNG, "image/PNG; charset=binary", name="sun set.png")
    assert made == Artifact(HASH, "image/png", len(PNG), "sun set.png")
    assert artifacts.get(HASH) == made
    assert contents(artifacts, HASH) == PNG
    assert artifacts.path(made).name == f"{HASH}.png"
    assert artifacts.all() == [made]


def test_the_same_bytes_are_kept_once_and_belong_to_whoever_made_them(artifacts: Artifacts) -> None:
    artifacts.put(PNG, "image/png", name="mine", principal="me")
    artifacts.put(PNG, "image/png", name="yours", principal="you")
    pictures = [path for path in artifacts.folder.iterdir() if path.suffix == ".png"]
    names = [known.name for who in ("me", "you") if (known := artifacts.get(HASH, principal=who))]
    assert (len(pictures), names) == (1, ["mine", "yours"])
    assert artifacts.get(HASH) is None
    assert artifacts.all() == []
    with pytest.raises(InvalidInput, match="there is no artifact"):
        artifacts.open(HASH)


@pytest.mark.skipif(os.name != "posix", reason="mode bits are POSIX")
def test_files_and_folder_are_the_owners_alone_whatever_the_umask(artifacts: Artifacts) -> None:
    old = os.umask(0)
    try:
        artifacts.put(PNG, "image/png")
    finally:
        os.umask(old)
    assert stat.S_IMODE(artifacts.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in artifacts.folder.iterdir()} == {0o600}


@pytest.mark.parametrize("hash_", ["", "..", "../state.db", HASH.upper(), f"{HASH}\0", f"{HASH}\n", "a" * 63, "é" * 64])
def test_what_is_no_hash_is_unknown_and_touches_no_file(artifacts: Artifacts, hash_: str) -> None:
    artifacts.put(PNG, "image/png")
    assert artifacts.get(hash_) is None
    with pytest.raises(InvalidInput, match="there is no artifact"):
        artifacts.open(hash_)


@pytest.mark.parametrize("mime", ["", "png", "image/../../x", "a b/c", "image/png\0"])
def test_a_mime_type_has_to_be_one(artifacts: Artifacts, mime: str) -> None:
    with pytest.raises(InvalidInput, match="no MIME type"):
        artifacts.put(PNG, mime)
    assert not artifacts.folder.exists()


def test_a_name_is_words_and_never_a_place(artifacts: Artifacts) -> None:
    named = [artifacts.put(PNG, "image/png", name=name).name for name in ("../../etc/passwd", "\0\n", "")]
    assert named == [".. .. etc passwd", f"{HASH[:12]}.png", f"{HASH[:12]}.png"]
    assert {path.parent for path in artifacts.folder.rglob("*")} == {artifacts.folder}


def test_a_file_that_somebody_deleted_is_said_to_be(artifacts: Artifacts) -> None:
    artifacts.path(artifacts.put(PNG, "image/png")).unlink()
    with pytest.raises(InvalidInput, match="was deleted"):
        artifacts.open(HASH)


def test_a_record_that_somebody_broke_is_an_unknown_artifact(artifacts: Artifacts) -> None:
    artifacts.put(PNG, "image/png")
    next(artifacts.folder.glob("*.json")).write_text('{"sha256": 1}')
    assert artifacts.get(HASH) is None


@pytest.mark.skipif(os.name != "posix", reason="links need no rights on POSIX")
def test_links_are_not_followed(artifacts: Artifacts, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"key")
    made = artifacts.put(PNG, "image/png")
    artifacts.path(made).unlink()
    artifacts.path(made).symlink_to(secret)
    with pytest.raises(StoreError):
        artifacts.open(HASH)
    elsewhere = Artifacts(tmp_path / "link")
    elsewhere.folder.symlink_to(artifacts.folder)
    with pytest.raises(StoreError, match="symbolic link"):
        elsewhere.put(PNG, "image/png")


def test_many_writers_of_the_same_bytes_leave_one_whole_file(artifacts: Artifacts) -> None:
    data = PNG * 4000
    threads = [threading.Thread(target=artifacts.put, args=(data, "image/png")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(artifacts, hashlib.sha256(data).hexdigest()) == data
    assert len(list(artifacts.folder.iterdir())) == 2


def test_a_record_that_goes_while_they_are_listed_takes_no_other_with_it(tmp_path: Path) -> None:
    class Going(type(tmp_path)):  # type: ignore[misc]  # the folder's own kind of path
        """Lists a file that is gone when it is looked at."""

        def glob(self, pattern: str, **how: Any) -> Iterator[Path]:
            yield self / f"{'0' * 64}.gone.json"
            yield from super().glob(pattern, **how)

    artifacts = Artifacts(Going(tmp_path / "artifacts"))
    made = artifacts.put(PNG, "image/png")
    assert artifacts.all() == [made]
