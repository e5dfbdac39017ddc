from model.atomic import replace_file


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    replace_file(path, b"long ago")
    replace_file(path, b"now")

    assert path.read_bytes() == b"now"
