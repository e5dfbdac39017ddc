import threading

import numpy as np

from tests.support.apps import encode_image, load_repository, make_repository_folder, serve


def list_workers():
    return {thread.ident for thread in threading.enumerate() if thread.name.startswith("work_")}


def test_all_threads_are_started_before_the_first_request(tmp_path):
    others = list_workers()
    image = encode_image(np.zeros((300, 300), np.uint8))
    with serve(load_repository(make_repository_folder(tmp_path))) as client:
        started = list_workers() - others
        for _ in range(3):
            assert client.post("/v1/segment", content=image).status_code == 200
            assert client.post("/v1/preview", content=image).status_code == 200
        assert list_workers() - others == started

    assert len(started) >= 5
    assert not list_workers() & started
