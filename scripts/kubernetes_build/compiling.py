"""The programs, compiled by Debian's Go from the tree that was unpacked, without modules and without a network.

Debian leaves out one generated file, the OpenAPI definitions; the tree brings its generator along.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

from kubernetes_build.cluster_cache import PROGRAMS, VERSION
from kubernetes_build.debian_source import run
from machine.console import MachineFault, say

IMPORT_PATH: Final = "k8s.io/kubernetes"
_OPENAPI: Final = "pkg/generated/openapi"
_GENERATED: Final = "zz_generated.openapi"
_TAG: Final = "+k8s:openapi-gen=true"
_NOT_OURS: Final = ("code-generator", "sample-apiserver")
"""Parts of the tree that are tagged and are in neither program."""
_REPORT_SECONDS: Final = 20.0
_MOST_AT_ONCE: Final = 4
"""Compilers; one takes up to half a gigabyte."""


class GoBuild:
    """One tree, at `gopath/src/k8s.io/kubernetes` of a work folder; what was compiled is kept until all is done."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self.tree = work / "gopath" / "src" / IMPORT_PATH
        self.bin = work / "bin"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GO")},
            "GOPATH": str(work / "gopath"),
            "GOCACHE": str(work / "compiled"),
            "GO111MODULE": "off",
            "GOTOOLCHAIN": "local",
            # Neither program needs C, and Debian's golang-go does not need a compiler of it.
            "CGO_ENABLED": "0",
            "LC_ALL": "C",
        }

    def compiler(self) -> str:
        """As it calls itself."""
        return self._go("version").strip()

    def generate(self) -> None:
        """Write the OpenAPI definitions, unless that has been done. Raises MachineFault."""
        target = self.tree / _OPENAPI / f"{_GENERATED}.go"
        if target.exists():
            return
        say("generating the OpenAPI definitions, half a minute")
        generator = self.bin / "openapi-gen"
        self._go("build", "-o", str(generator), "./vendor/k8s.io/kube-openapi/cmd/openapi-gen")
        output = self._work / "generated"
        command = [
            *(str(generator), "-i", ",".join(self._tagged()), "-p", f"{IMPORT_PATH}/{_OPENAPI}", "-O", _GENERATED),
            *("-h", "hack/boilerplate/boilerplate.generatego.txt", "-r", str(output / "violations")),
            *("--output-base", str(output)),
        ]
        output.mkdir(exist_ok=True)
        run(command, folder=self.tree, environment=self._environment)
        draft = target.with_suffix(".draft")
        shutil.copy(output / IMPORT_PATH / _OPENAPI / target.name, draft)
        draft.rename(target)

    def compile(self) -> None:
        """Compile and link both programs, and tell how far it is. Raises MachineFault with the compiler's words."""
        packages = [f"./cmd/{name}" for name in PROGRAMS]
        every = len(self._go("list", "-deps", *packages).splitlines())
        say(f"compiling {every} packages, several minutes")
        at_once = str(min(os.cpu_count() or 1, _MOST_AT_ONCE))
        command = ["go", "build", "-v", "-p", at_once, "-ldflags", _linker_flags(), "-o", f"{self.bin}/", *packages]
        log = self._work / "go-build.log"
        with (
            log.open("w") as written,
            subprocess.Popen(
                command,
                cwd=self.tree,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            began = said = time.monotonic()
            for done, line in enumerate(process.stdout or (), start=1):
                written.write(line)
                if time.monotonic() - said > _REPORT_SECONDS:
                    said = time.monotonic()
                    say(f"compiled {done} of at most {every} packages in {said - began:.0f} s")
        if process.returncode != 0:
            tail = "\n".join(log.read_text().splitlines()[-15:])
            raise MachineFault(f"go build failed with status {process.returncode}:\n{tail}")

    def _tagged(self) -> list[str]:
        """The import paths of all packages with types that OpenAPI describes."""
        folders = set()
        for top in ("staging/src/k8s.io", "pkg"):
            for path in (self.tree / top).rglob("*.go"):
                if path.parent not in folders and _TAG in path.read_text(errors="replace"):
                    folders.add(path.parent)
        found = sorted(str(folder.relative_to(self.tree)) for folder in folders)
        wanted = [path for path in found if not any(part in path for part in _NOT_OURS)]
        # `vendor` has links to what is staged, by which all import it.
        return [f"{IMPORT_PATH}/{path.replace('staging/src/', 'vendor/', 1)}" for path in wanted]

    def _go(self, *words: str) -> str:
        return run(["go", *words], folder=self.tree, environment=self._environment)


def _linker_flags() -> str:
    """No tables for debuggers, and the version that clients are told, which upstream's scripts take from git."""
    major, minor, _ = VERSION.split(".")
    told = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "archive"}
    packages = (f"{IMPORT_PATH}/vendor/k8s.io/{part}/version" for part in ("component-base", "client-go/pkg"))
    return " ".join(
        ["-s -w", *(f"-X {package}.{name}={value}" for package in packages for name, value in told.items())]
    )
