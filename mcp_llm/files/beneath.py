"""Opening a file beneath an allowed folder, without a moment in which a symbolic link could be swapped in.

On Linux `openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)`, with the deny list checked against what was really opened;
elsewhere a walk from folder to folder that follows no link at all. Blocking. It opens and reads; it judges no content.
A hard link inside a root is readable: it cannot be told from any other file.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import stat
import sys
from typing import TYPE_CHECKING

from mcp_llm.errors import Denied, InvalidInput, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OPENAT2 = 437  # the same number on every architecture
_NO_MAGICLINKS, _BENEATH = 0x02, 0x08
_RETRIES = 8

SECRET_FOLDERS = frozenset({".ssh", ".aws", ".gnupg", ".azure", ".kube", ".docker", ".gcloud", ".password-store"})
SECRET_FILES = (
    ".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.pkcs12", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.gpg", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".npmrc",
    ".pypirc", ".htpasswd", ".git-credentials", "credentials", "credentials.json", "client_secret*.json",
    "service-account*.json", "service_account*.json", "application_default_credentials.json", "*.tfstate", "*.ovpn",
    "shadow", "gshadow", "state.db*",
)  # fmt: skip
PUBLIC_FILES = (".env.example", ".env.sample", ".env.template", "*.pub")
_SYSTEM = ("/proc/", "/sys/", "/dev/")
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))})

OUTSIDE = "The file is outside the allowed folders: move it into one of them, or add its folder to `files.roots`."
SPECIAL = "This is not a regular file (a device, pipe or socket, or the kernel's own), so it is not read."
SECRET = "Files of this name hold keys or passwords and are never read: copy what is needed into another file."


def read(path: str, roots: Sequence[str], limit: int) -> tuple[bytes, str]:
    """The bytes of a regular file beneath one of the roots, and its base name.

    A relative path is taken from the first root. Raises Denied (outside, a secret, not a regular file; the same words
    whether the file exists or not), InvalidInput (missing, no permission, a folder), TooLarge over `limit` bytes.
    """
    if not roots:
        raise Denied("No folder is allowed for files: list the allowed ones in the setting `files.roots`.")
    if "\0" in path or not path.strip():
        raise InvalidInput("The file path is empty or holds a NUL character: pass a plain path.")
    roots = [root for root in roots if "\0" not in root]
    root, inside = _locate(path, roots)
    check_name(inside)
    if os.path.join(root, inside).startswith(_SYSTEM):
        raise Denied(SPECIAL)
    try:
        with _opened(root, inside) as descriptor:
            return _read(descriptor, limit), os.path.basename(inside)
    except (OSError, ValueError) as error:
        raise _explain(error) from None


def names(path: str, roots: Sequence[str], most: int) -> list[str]:
    """The names of a folder's files, sorted, beneath one of the roots; secrets are left out. Raises as `read` does."""
    if not roots:
        raise Denied("No folder is allowed for files: list the allowed ones in the setting `files.roots`.")
    if "\0" in path or not path.strip():
        raise InvalidInput("The folder's path is empty or holds a NUL character: pass a plain path.")
    root, inside = _locate(path, [root for root in roots if "\0" not in root])
    try:
        if os.open not in os.supports_dir_fd:
            found = _files(os.path.join(root, inside), most)
        else:
            with _opened(root, inside) as descriptor:
                if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                    raise InvalidInput("This is a file: name the folder that it is in.")
                found = _files(descriptor, most)
    except (OSError, ValueError) as error:
        raise _explain(error) from None
    kept = []
    for name in sorted(found):
        with contextlib.suppress(Denied):
            check_name(os.path.join(inside, name))
            kept.append(name)
    return kept


def _files(folder: str | int, most: int) -> list[str]:
    found = []
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number == most:
                raise TooLarge(f"The folder has over {most} entries: take a smaller one.")
            if entry.is_file():
                found.append(entry.name)
    return found


def _locate(path: str, roots: Sequence[str]) -> tuple[str, str]:
    """The root that the path is in by its letters, and the rest of it; nothing on disk is asked about the path."""
    full = os.path.expanduser(path) if path.startswith("~") else path
    full = os.path.normpath(os.path.join(os.path.abspath(os.path.expanduser(roots[0])), full))
    for root in roots:
        plain = os.path.abspath(os.path.expanduser(root))
        for base in (plain, os.path.realpath(plain)):
            with contextlib.suppress(ValueError):  # another drive
                if os.path.commonpath([base, full]) == base:
                    return os.path.realpath(plain), os.path.relpath(full, base)
    raise Denied(OUTSIDE)


def check_name(inside: str) -> None:
    """Raise Denied when a folder or the file itself is one that holds secrets."""
    parts = [part.casefold().rstrip(" .") if os.name == "nt" else part.casefold() for part in inside.split(os.sep)]
    name = parts[-1]
    if any(part in SECRET_FOLDERS for part in parts) or parts[-2:] == [".git", "config"]:
        raise Denied(SECRET)
    if any(fnmatch.fnmatchcase(name, known) for known in PUBLIC_FILES):
        return
    if any(fnmatch.fnmatchcase(name, known) for known in SECRET_FILES):
        raise Denied(SECRET)
    if os.name == "nt" and (":" in inside or any(part.partition(".")[0] in _DEVICES for part in parts)):
        raise Denied("The path names a device or a hidden stream: pass a plain path.")


@contextlib.contextmanager
def _opened(root: str, inside: str) -> Iterator[int]:
    """A descriptor of the file, open for reading; closed afterwards."""
    if sys.platform == "win32" or os.open not in os.supports_dir_fd:
        descriptor = _open_resolved(root, inside)
    else:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = _open_beneath(folder, root, inside)
            descriptor = found if found is not None else _walk(folder, inside)
        finally:
            os.close(folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_beneath(folder: int, root: str, inside: str) -> int | None:
    """By openat2; None where the kernel (or a sandbox) does not have it, or cannot tell what was opened."""
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    how = (ctypes.c_uint64 * 3)(flags, 0, _BENEATH | _NO_MAGICLINKS)  # struct open_how: flags, mode, resolve
    for _ in range(_RETRIES):
        name = os.fsencode(inside)
        descriptor = libc.syscall(
            ctypes.c_long(_OPENAT2), ctypes.c_int(folder), name, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
        )
        if descriptor >= 0:
            return _checked(int(descriptor), root)
        code = ctypes.get_errno()
        if code in {errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG}:
            return None
        if code not in {errno.EAGAIN, errno.EINTR}:  # EAGAIN: something was renamed during the walk
            raise OSError(code, os.strerror(code))
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def _checked(descriptor: int, root: str) -> int | None:
    """The same descriptor when its real name is allowed too: a link inside the root may point at a secret in it."""
    try:
        real = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        os.close(descriptor)
        return None
    try:
        if real.startswith(_SYSTEM):
            raise Denied(SPECIAL)
        # A file deleted or moved away since is still the file that was beneath the root when it was opened.
        check_name(os.path.relpath(real.removesuffix(" (deleted)"), root))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _walk(folder: int, inside: str) -> int:
    """From folder to folder, following no link."""
    if sys.platform == "win32":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    parts = inside.split(os.sep)
    current = os.dup(folder)
    try:
        for part in parts[:-1]:
            if part == os.pardir:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = deeper
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
        return os.open(parts[-1], flags, dir_fd=current)
    except NotADirectoryError:
        # O_DIRECTORY meets a link: refused like every way out; a plain file in the middle of a path reads the same.
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
    finally:
        os.close(current)


def _open_resolved(root: str, inside: str) -> int:
    """Where folders cannot be opened (Windows): resolve, check, open, and check again what was opened."""
    path = os.path.realpath(os.path.join(root, inside))
    if os.path.commonpath([root, path]) != root:
        raise Denied(OUTSIDE)
    check_name(os.path.relpath(path, root))
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0))
    if os.path.realpath(path) != path or not os.path.samestat(os.fstat(descriptor), os.stat(path)):
        os.close(descriptor)
        raise Denied(OUTSIDE)
    return descriptor


def _read(descriptor: int, limit: int) -> bytes:
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise InvalidInput("This is a folder: name the files in it one by one.")
    if not stat.S_ISREG(found.st_mode):
        raise Denied(SPECIAL)
    if found.st_size > limit:
        raise TooLarge(f"The file has {found.st_size} bytes; at most {limit} are read: pass a smaller file.")
    pieces, left = [], limit + 1
    while left > 0 and (piece := os.read(descriptor, min(left, 1 << 20))):
        pieces.append(piece)
        left -= len(piece)
    if left <= 0:  # it grows, or its size was a lie
        raise TooLarge(f"The file has more than {limit} bytes: pass a smaller file.")
    return b"".join(pieces)


def _explain(error: OSError | ValueError) -> Exception:
    if isinstance(error, ValueError):  # a lone surrogate that the file system cannot spell
        return InvalidInput("The file path holds characters that cannot be in a path: pass a plain path.")
    if error.errno in {errno.EXDEV, errno.ELOOP}:
        return Denied(OUTSIDE)
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return InvalidInput("The file was not found in the allowed folders: check its name.")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return InvalidInput("Reading the file was refused (permission denied): make it readable for this program.")
    if error.errno == errno.ENAMETOOLONG:
        return InvalidInput("The file path is too long: pass a shorter one.")
    if error.errno in {errno.ENXIO, errno.ENODEV}:
        return Denied(SPECIAL)
    return InvalidInput(f"The file cannot be read ({error.strerror or 'unknown reason'}).")
