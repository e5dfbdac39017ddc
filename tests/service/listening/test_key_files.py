"""Keys are replaced while the server runs, and a faulty file changes nothing."""

import asyncio
import logging
import os

import pytest

from lacuna.errors import ConfigurationError
from service.listening.access import AccessControl
from service.listening.key_files import POLL_S, KeyFiles
from service.listening.keys import KeyRing, read_keys
from service.web.access import check_access
from tests.support.waiting import let_pass, run_virtually

OLD, NEW, THIRD = "a-client-key-0001", "a-client-key-0002", "a-client-key-0003"


def name_key(key):
    return KeyRing([key]).find(key.encode()).name


class Keys:
    """File of keys, and the access control that they are for."""

    def __init__(self, folder):
        self.file = folder / "keys"
        self.reads = 0
        self.file.write_text(OLD)
        self.access = AccessControl()
        self.files = KeyFiles(self.access, self.read, [self.file])
        self.access.replace_keys(self.read())

    def read(self):
        self.reads += 1
        try:
            keys = read_keys(self.file.read_text())
        except OSError as error:
            raise ConfigurationError(str(error)) from None
        if not keys:
            raise ConfigurationError("there must be a key")
        return KeyRing(keys)

    def is_known(self, key):
        scope = {"headers": [(b"x-api-key", key.encode())], "path": "/v1/segment"}
        return check_access(self.access, scope) is None


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path)


def test_keys_are_rotated(keys, caplog):
    caplog.set_level(logging.INFO)
    keys.file.write_text(f"{OLD}\n{NEW}\n")
    asyncio.run(keys.files.read_again())
    assert keys.is_known(OLD)
    assert keys.is_known(NEW)

    keys.file.write_text(NEW)
    asyncio.run(keys.files.read_again())
    assert not keys.is_known(OLD)
    assert keys.is_known(NEW)

    first, second = [vars(record) for record in caplog.records]
    assert first["msg"] == second["msg"] == "keys are read anew"
    assert (first["keys"], first["added"], first["removed"]) == (2, [name_key(NEW)], [])
    assert (second["keys"], second["added"], second["removed"]) == (1, [], [name_key(OLD)])
    assert first["files"] == [str(keys.file)]
    assert not any(key in str(record) for key in (OLD, NEW) for record in (first, second))


@pytest.mark.parametrize("text", ["", "# none\n", "short", f"{NEW}\ntoo short"])
def test_a_faulty_file_keeps_the_old_keys_and_is_an_error_in_the_log(keys, caplog, text):
    keys.file.write_text(text)
    asyncio.run(keys.files.read_again())

    assert keys.is_known(OLD)
    assert not keys.is_known(NEW)
    (record,) = caplog.records
    assert (record.levelname, record.message) == ("ERROR", "keys stay as they were")
    assert record.reason


def test_a_file_that_is_gone_keeps_the_old_keys(keys):
    keys.file.unlink()
    asyncio.run(keys.files.read_again())

    assert keys.is_known(OLD)
    assert not keys.is_known(NEW)


def test_without_files_nothing_is_read_and_the_log_says_so(caplog):
    caplog.set_level(logging.INFO)

    asyncio.run(KeyFiles(AccessControl(), KeyRing).read_again())

    assert caplog.messages == ["nothing is read anew, because no file of keys is set"]


def poll(keys, times=1):
    async def poll_on():
        for _ in range(times):
            await keys.files.poll()

    asyncio.run(poll_on())


def test_a_changed_file_is_read_once_it_no_longer_changes(keys):
    keys.file.write_text(f"{NEW}\n")
    poll(keys)
    assert not keys.is_known(NEW)
    keys.file.write_text(f"{NEW}\n{THIRD}\n")
    poll(keys)
    assert not keys.is_known(NEW)

    poll(keys)
    assert keys.is_known(NEW)
    assert keys.is_known(THIRD)
    assert not keys.is_known(OLD)


def test_a_secret_that_kubernetes_swaps_by_a_link_is_noticed(tmp_path):
    for number, key in enumerate((OLD, NEW), 1):
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        (folder / "keys").write_text(key)
        os.utime(folder / "keys", (1, 1))  # equal sizes and times: only the file is another
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "keys").symlink_to("../..data/keys")
    access = AccessControl()
    file = tmp_path / "mounted" / "keys"
    files = KeyFiles(access, lambda: KeyRing(read_keys(file.read_text())), [file])

    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    asyncio.run(files.poll())
    asyncio.run(files.poll())

    assert check_access(access, {"headers": [(b"x-api-key", NEW.encode())], "path": "/v2"}) is None
    assert access.needs_keys


def test_a_file_that_stays_is_not_read_again_and_a_faulty_one_is_reported_once(keys, caplog):
    poll(keys, 3)
    assert keys.reads == 1

    keys.file.write_text("short")
    poll(keys, 5)
    assert keys.reads == 2
    assert caplog.messages == ["keys stay as they were"]

    keys.file.write_text(NEW)
    poll(keys, 2)
    assert keys.is_known(NEW)


def test_a_change_between_the_first_look_and_the_first_reading_is_not_lost(tmp_path):
    file = tmp_path / "keys"
    file.write_text(OLD)
    access = AccessControl(KeyRing([OLD]))
    files = KeyFiles(access, lambda: KeyRing(read_keys(file.read_text())), [file])
    file.write_text(f"{NEW}\n")
    asyncio.run(files.poll())
    asyncio.run(files.poll())

    assert check_access(access, {"headers": [(b"x-api-key", NEW.encode())], "path": "/v2"}) is None


def test_files_are_watched_until_the_application_ends(keys):
    waits = []

    async def wait(seconds):
        waits.append(seconds)
        if len(waits) == 1:
            keys.file.write_text(f"{NEW}\n")
        if len(waits) == 4:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(keys.files.watch(wait))

    assert waits == [POLL_S] * 4
    assert keys.is_known(NEW)
    assert keys.reads == 2


def test_with_no_files_nothing_is_watched():
    async def watch():
        await asyncio.wait_for(KeyFiles(AccessControl(), KeyRing).watch(let_pass), 1)

    run_virtually(watch())
