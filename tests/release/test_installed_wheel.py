"""The wheel, installed where this checkout is not: it carries all that Chandlery needs when it runs."""

import tomllib

from tests.e2e.stacks.programs import REPOSITORY
from tests.release.packages import Environment


def test_installed_wheel_says_its_version(installed: Environment) -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    said = installed.run("--version")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == f"chandlery, version {version}\n"
