"""One correction of what the tree brings along, without which this build could not read custom resources.

Its `reflect2` (1.0.1) calls a function of Go's runtime that takes one more argument since Go 1.18, the memory to work
in; kube-apiserver panics as soon as it walks a map by it. This is what reflect2 1.0.2 does
(https://github.com/modern-go/reflect2, go_above_118_map.go). Compilers older than 1.18 are refused.
"""

import re
from pathlib import Path
from typing import Final

from machine.console import MachineFault

_FOLDER: Final = "vendor/github.com/modern-go/reflect2"
_OLDEST: Final = (1, 18)
_REST_OF_ITERATOR: Final = """\
	t, h, buckets, bptr, overflow, oldoverflow unsafe.Pointer
	startBucket uintptr
	offset uint8
	wrapped bool
	B, i uint8
	bucket, checkBucket uintptr
"""
_ITERATE: Final = """\
	it := new(hiter)
	mapiterinit(type2.rtype, *(*unsafe.Pointer)(obj), it)
	return &UnsafeMapIterator{
		hiter:      it,
"""
_CHANGES: Final = {
    "unsafe_link.go": (
        (
            "func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer) *hiter",
            "func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer, it *hiter)",
        ),
        (
            "\t// rest fields are ignored\n",
            # As large as in Go's runtime, which writes into it.
            _REST_OF_ITERATOR,
        ),
    ),
    "unsafe_map.go": (
        (
            "\treturn &UnsafeMapIterator{\n\t\thiter:      mapiterinit(type2.rtype, *(*unsafe.Pointer)(obj)),\n",
            _ITERATE,
        ),
    ),
}


def patch(tree: Path, *, compiler: str) -> None:
    """Change the files, unless that has been done. Raises MachineFault if they, or the compiler, are others."""
    version = re.search(r"go(\d+)\.(\d+)", compiler)
    if version is None or (int(version[1]), int(version[2])) < _OLDEST:
        raise MachineFault(f"Go 1.18 or newer is needed, as Debian 12 has it; this is: {compiler}")
    for name, changes in _CHANGES.items():
        path = tree / _FOLDER / name
        text = changed = path.read_text()
        for old, new in changes:
            if new in changed:
                continue
            if old not in changed:
                raise MachineFault(f"{name} of reflect2 is not the one that this recipe corrects")
            changed = changed.replace(old, new)
        if changed != text:
            draft = path.with_suffix(".draft")
            draft.write_text(changed)
            draft.replace(path)
