# ruff: noqa: INP001, T201 (a script that talks to `docker inspect`)
"""HEALTHCHECK of the image: requests /readyz of the server in the same container.

Exit status 0 if it answers 200, else 1. What it says is printed, so that `docker inspect` shows
which model is in what state. It runs every few seconds: standard library only, and `python -IS`.
"""

import http.client
import os
import sys

TIMEOUT_S = 4.0
DEFAULT_PORT = 8000
ANY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 (compared with, not bound to)


def check(host: str, port: int) -> int:
    """Ask once, print the answer, and give the exit status."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        print(response.read(65536).decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        print(f"/readyz must answer; {error!r}")
        return 1
    finally:
        connection.close()
    return 0 if response.status == 200 else 1


def read_port(text: str) -> int:
    """Read LACUNA_PORT, which Kubernetes sets to an address for a service called `lacuna`."""
    return DEFAULT_PORT if not text or "://" in text else int(text)


if __name__ == "__main__":
    listens_on = os.environ.get("LACUNA_HOST", "")
    sys.exit(
        check(
            "127.0.0.1" if listens_on in ANY_ADDRESS else listens_on,
            read_port(os.environ.get("LACUNA_PORT", "")),
        )
    )
