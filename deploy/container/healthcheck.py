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
SAGEMAKER_PORT = 8080
SAGEMAKER_FOLDER = "/opt/ml/model"
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


def find_port() -> int:
    """Find the port that the server listens on, as service/platforms.py does."""
    for name in ("LACUNA_PORT", "AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT"):
        text = os.environ.get(name, "")
        # Kubernetes sets LACUNA_PORT to an address for a service called `lacuna`.
        if text and "://" not in text:
            return int(text)
    is_sagemaker = os.path.isdir(SAGEMAKER_FOLDER)  # noqa: PTH112 (starts faster than pathlib)
    return SAGEMAKER_PORT if is_sagemaker else DEFAULT_PORT


if __name__ == "__main__":
    listens_on = os.environ.get("LACUNA_HOST", "")
    sys.exit(
        check(
            "127.0.0.1" if listens_on in ANY_ADDRESS else listens_on,
            find_port(),
        )
    )
