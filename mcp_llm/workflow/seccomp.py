"""A second wall inside the first: the system calls that Python code in a step may not make, as a BPF program. Pure.

No new process or thread, so nothing outlives the step; no socket, as not every kind belongs to a network namespace; no
memory that its limit does not count; nothing that reaches other processes, mounts, keys or the kernel. What is refused
fails with EPERM.
"""

from __future__ import annotations

import struct
from typing import Final

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050001
_NUMBER, _ARCHITECTURE = 0, 4
_X32: Final = 0x40000000
"""From here on the numbers of another calling convention of the same processor, which would be a way around."""

REFUSED: Final = (
    *("clone", "clone3", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "socket"),
    *("mount", "umount2", "unshare", "setns", "pivot_root", "chroot", "keyctl", "add_key", "request_key", "bpf"),
    *("perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "kexec_load"),
    *("memfd_create", "memfd_secret", "shmget"),
    *("init_module", "finit_module", "delete_module", "open_by_handle_at", "quotactl", "reboot", "swapon", "acct"),
)
_NUMBERS: Final[dict[str, tuple[int, dict[str, int]]]] = {
    "x86_64": (
        0xC000003E,
        {
            "clone": 56,
            "clone3": 435,
            "fork": 57,
            "vfork": 58,
            "ptrace": 101,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "socket": 41,
            "mount": 165,
            "umount2": 166,
            "unshare": 272,
            "setns": 308,
            "pivot_root": 155,
            "chroot": 161,
            "keyctl": 250,
            "add_key": 248,
            "request_key": 249,
            "bpf": 321,
            "perf_event_open": 298,
            "userfaultfd": 323,
            "io_uring_setup": 425,
            "io_uring_enter": 426,
            "io_uring_register": 427,
            "kexec_load": 246,
            "init_module": 175,
            "finit_module": 313,
            "delete_module": 176,
            "open_by_handle_at": 304,
            "quotactl": 179,
            "reboot": 169,
            "swapon": 167,
            "acct": 163,
            "memfd_create": 319,
            "memfd_secret": 447,
            "shmget": 29,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "clone": 220,
            "clone3": 435,
            "ptrace": 117,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "socket": 198,
            "mount": 40,
            "umount2": 39,
            "unshare": 97,
            "setns": 268,
            "pivot_root": 41,
            "chroot": 51,
            "keyctl": 219,
            "add_key": 217,
            "request_key": 218,
            "bpf": 280,
            "perf_event_open": 241,
            "userfaultfd": 282,
            "io_uring_setup": 425,
            "io_uring_enter": 426,
            "io_uring_register": 427,
            "kexec_load": 104,
            "init_module": 105,
            "finit_module": 273,
            "delete_module": 106,
            "open_by_handle_at": 265,
            "quotactl": 60,
            "reboot": 142,
            "swapon": 224,
            "acct": 89,
            "memfd_create": 279,
            "memfd_secret": 447,
            "shmget": 194,
        },
    ),
}


def program(machine: str) -> bytes | None:
    """The filter for a processor as `uname -m` names it; None for one whose numbers are not known here."""
    if (known := _NUMBERS.get(machine)) is None:
        return None
    architecture, numbers = known
    wanted = [numbers[name] for name in REFUSED if name in numbers]
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, len(wanted) + 1, 0, _X32),
    ]
    steps += [(_EQUAL, len(wanted) - index, 0, number) for index, number in enumerate(wanted)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
