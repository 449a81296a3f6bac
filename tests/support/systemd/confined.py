"""Starts a program in the confines of a unit: no way to new rights, no capability, and its system calls alone.

    python confined.py ERRNO PROGRAM … < names-of-system-calls

The names come on the standard input; any other call fails with ERRNO. It is libseccomp that systemd itself uses for
`SystemCallFilter=`.
"""

import ctypes
import ctypes.util
import os
import sys
from typing import Final

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_PR_SET_NO_NEW_PRIVS: Final = 38


def main() -> None:
    """Filter, then become the program."""
    code, *command = sys.argv[1:]
    names = sys.stdin.read().split()
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    library = ctypes.CDLL(ctypes.util.find_library("seccomp") or "libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ERRNO | int(code))))
    for name in names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        # Below zero are those of other processors.
        if number >= 0 and library.seccomp_rule_add(context, ctypes.c_uint32(_ALLOW), number, 0) != 0:
            raise OSError(f"{name} could not be allowed")
    if library.seccomp_load(context) != 0:
        raise OSError("the filter could not be loaded")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
