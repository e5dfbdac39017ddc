import tensorflow as tf

from model.data.streams import draw_ahead


def test_batches_come_in_their_order():
    assert list(draw_ahead(tf.data.Dataset.range(9)).as_numpy_iterator()) == list(range(9))


def test_no_thread_tunes_the_stream_for_which_its_end_would_wait():
    assert draw_ahead(tf.data.Dataset.range(9)).options().autotune.enabled is False
