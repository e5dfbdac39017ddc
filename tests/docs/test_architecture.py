"""docs/architecture.md names files that there are, each once on the way of a request."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
WAY = TEXT[TEXT.index("## The way of a request") : TEXT.index("## Life")]


def test_each_file_on_the_way_is_there_and_named_once():
    named = Counter(re.findall(r"`((?:lacuna|service)/[\w/]+\.py)`", WAY))

    assert len(named) > 30
    assert set(named.values()) == {1}
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_file_of_the_packages_that_is_named_is_there():
    packages = re.split(r"^\*\*`(\w+)/`\*\*", TEXT[: TEXT.index("## The way")], flags=re.MULTILINE)[
        1:
    ]

    for package, text in zip(packages[::2], packages[1::2], strict=True):
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", text):
            if not name.startswith(package):
                assert (ROOT / package / name).exists(), f"{package}/{name}"
