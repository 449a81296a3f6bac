"""A real Prometheus on loopback: scrapes each half second, with the rules of `deploy/alerts`, and answers queries."""

import http.client
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

import yaml

from machine.prometheus import prometheus
from tests.e2e.stacks.programs import LOOPBACK, REPOSITORY, Program, free_port
from tests.support.waiting import wait_for

RULES: Final = REPOSITORY / "deploy/alerts/chandlery.rules.yaml"
JOB: Final = "chandlery"
_OFTEN: Final = "500ms"
_ANSWER_SECONDS: Final = 30.0
_SUCCESS: Final = "success"


class PrometheusServer:
    """Keeps what it has scraped in a folder of the test; ends with the block."""

    def __init__(self, folder: Path, *, targets: Sequence[str]) -> None:
        self.port = free_port()
        configuration = folder / "prometheus.yml"
        configuration.write_text(yaml.safe_dump(_configured(targets)))
        command = [
            str(prometheus().server),
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--log.level=warn",
        ]
        # A tenth of the memory that it would take for a large installation.
        self.program = Program("prometheus", command, environment={"GOGC": "50"}, log=folder / "prometheus.log")

    def __enter__(self) -> Self:
        self.program.start()
        wait_for(lambda: self._get("/-/ready")[0], lambda status: status == http.client.OK, what="Prometheus")
        return self

    def __exit__(self, *_: object) -> None:
        self.program.stop()

    def query(self, expr: str) -> list[dict[str, Any]]:
        """What the expression is now; fails with Prometheus' own words if it cannot be evaluated."""
        answer = self._asked("/api/v1/query", query=expr)
        assert answer["status"] == _SUCCESS and not answer.get("warnings"), f"{answer} for: {expr}"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def value(self, expr: str) -> float | None:
        """The one value that it is now; None if there is none."""
        found = self.query(expr)
        return float(found[0]["value"][1]) if found else None

    def names(self) -> set[str]:
        """Of all metrics that it knows."""
        return set(self._asked("/api/v1/label/__name__/values")["data"])

    def series(self, selector: str) -> list[dict[str, str]]:
        """The labels of all series of a selector, which is what a variable of a dashboard asks for."""
        answer = self._asked("/api/v1/series", **{"match[]": selector})
        assert answer["status"] == _SUCCESS, f"{answer} for: {selector}"
        found: list[dict[str, str]] = answer["data"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Each rule with its health."""
        groups = self._asked("/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def await_scrape(self) -> None:
        """Wait until all targets were scraped after this moment."""
        now = self.value("vector(time())") or 0.0
        wait_for(
            lambda: self.value(f'min(timestamp(up{{job="{JOB}"}}) * up{{job="{JOB}"}})') or 0.0,
            lambda at: at > now,
            what="a scrape of all targets",
        )

    def log_tails(self) -> dict[str, str]:
        return {"prometheus": self.program.log_tail()}

    def _asked(self, path: str, **words: str) -> Any:
        status, text = self._get(f"{path}?{urlencode(words)}")
        assert text, f"{path}: {status}"
        return json.loads(text)

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()


def _configured(targets: Sequence[str]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": _OFTEN, "scrape_timeout": _OFTEN, "evaluation_interval": _OFTEN},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": list(targets)}]}],
    }
