"""A token endpoint as a process of its own. Run by `egress_programs.py`.

It writes its port, and one line of JSON for each request: the form and the `Authorization` that came. How it answers
stands in the file that it is given, and is read for each request: status, and the JSON text of the body, in which
`NUMBER` is the number of the request.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    count = 0
    behaviour: Path

    def do_POST(self) -> None:
        """Give a token, or whatever is asked for."""
        Handler.count += 1
        length = int(self.headers["Content-Length"])
        form = dict(parse_qsl(self.rfile.read(length).decode()))
        _say(path=self.path, form=form, authorization=self.headers["Authorization"])
        status, _, text = self.behaviour.read_text().partition(" ")
        body = text.replace("NUMBER", str(Handler.count)).encode()
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing but what is counted."""


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    Handler.behaviour = Path(sys.argv[1])
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    _say(port=listening.server_address[1])
    listening.serve_forever()
