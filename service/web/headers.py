"""What every answer tells a browser to keep to."""

from __future__ import annotations

Header = tuple[bytes, bytes]

_PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

POLICY = b"content-security-policy"

SECURITY_HEADERS: tuple[Header, ...] = (
    # A segmentation is never to be guessed to be a page, whatever its bytes are.
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

PAGE_POLICY_HEADER: Header = (POLICY, _PAGE_POLICY.encode())
"""Nothing inline, nothing from elsewhere, in no frame. A page may send a stricter or other one."""


def list_missing(headers: list[Header]) -> list[Header]:
    """List what is to be added to the headers of an answer."""
    missing = list(SECURITY_HEADERS)
    for name, value in headers:
        if name == b"content-type":
            if value.startswith(b"text/html"):
                missing.append(PAGE_POLICY_HEADER)
        elif name == POLICY:
            return list(SECURITY_HEADERS)
    return missing
