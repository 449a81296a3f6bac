"""Signatures: a command of the one who releases, called once for each artefact and for the sums.

The command has `{file}`, which is signed, and `{signature}`, which it writes; no shell is in between.

    gpg --batch --armor --output {signature} --detach-sign {file}
    minisign -S -x {signature} -m {file}
    cosign sign-blob --yes --bundle {signature} {file}
"""

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from machine.console import MachineFault

_PARTS: Final = ("{file}", "{signature}")
_SECONDS: Final = 300
"""A person may have to touch a token, or to type a password."""


def read_command(text: str) -> list[str]:
    """The words of the command. Raises MachineFault that says what is missing."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise MachineFault(f"SIGN cannot be read: {error}") from None
    missing = [part for part in _PARTS if not any(part in word for word in words)]
    if missing:
        raise MachineFault(
            f"SIGN has no {' and no '.join(missing)}: it is a command such as "
            "'gpg --batch --armor --output {signature} --detach-sign {file}'"
        )
    if shutil.which(words[0]) is None:
        raise MachineFault(f"{words[0]} of SIGN is not installed, or cannot be run")
    return words


def sign_all(files: Sequence[Path], command: Sequence[str], *, suffix: str) -> list[Path]:
    """A signature beside each file, its name with the suffix behind it. Raises MachineFault at the first failure."""
    return [_sign(path, command, path.with_name(path.name + suffix)) for path in files]


def _sign(path: Path, command: Sequence[str], signature: Path) -> Path:
    words = [word.replace("{file}", str(path)).replace("{signature}", str(signature)) for word in command]
    status = subprocess.run(words, timeout=_SECONDS, check=False).returncode
    if status != 0:
        raise MachineFault(f"{words[0]} of SIGN failed for {path.name} with status {status}; its own words are above")
    if not signature.exists() or not signature.stat().st_size:
        raise MachineFault(f"{words[0]} of SIGN ended well for {path.name}, and wrote no signature")
    return signature
