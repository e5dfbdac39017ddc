"""Security headers of responses, for browsers."""

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
    # A browser must not guess that a segmentation is a page.
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

PAGE_POLICY_HEADER: Header = (POLICY, _PAGE_POLICY.encode())
"""Default policy of pages: no inline code, no other origins, no frames. A route may override it."""


def list_missing(headers: list[Header]) -> list[Header]:
    """Return the security headers that a response lacks."""
    missing = list(SECURITY_HEADERS)
    for name, value in headers:
        if name == b"content-type":
            if value.startswith(b"text/html"):
                missing.append(PAGE_POLICY_HEADER)
        elif name == POLICY:
            return list(SECURITY_HEADERS)
    return missing
