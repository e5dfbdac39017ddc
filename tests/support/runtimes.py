"""Fake models that remember, wait or fail."""

from __future__ import annotations

import threading

import numpy as np

from lacuna.errors import InferenceError
from service.runtime.fake import FakeRuntime
from service.runtime.protocol import BatchOutput


class Recording(FakeRuntime):
    """Remembers the shapes it was called with."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def run(self, images, masks, *, probabilities, keep=None):
        self.shapes.append(images.shape)
        return super().run(images, masks, probabilities=probabilities, keep=keep)


class Unsure(FakeRuntime):
    """Is as sure of its first class as a pixel's valid neighbourhood is bright.

    Attributes:
        asked: whether probabilities were wanted, of each call.
    """

    def __init__(self):
        super().__init__()
        self.asked = []

    def run(self, images, masks, *, probabilities, keep=None):
        self.asked.append(probabilities)
        labels, _ = super().run(images, masks, probabilities=False, keep=keep)
        if not probabilities:
            return BatchOutput(labels, None)
        count = masks[..., None].astype(np.float32)
        mean = np.where(masks[..., None], images, 0).sum(axis=-1, keepdims=True) / 255
        rest = np.repeat((1 - mean) / 2, 2, axis=-1)
        return BatchOutput(labels, np.concatenate([mean, rest], axis=-1).astype(np.float32) * count)


class Failing(FakeRuntime):
    """Fails whatever it is given."""

    def run(self, images, masks, *, probabilities, keep=None):
        raise InferenceError("the model failed: no memory")


class Poisoned(Recording):
    """Fails every batch that holds an image of this brightness."""

    def __init__(self, poison):
        super().__init__()
        self.poison = poison

    def run(self, images, masks, *, probabilities, keep=None):
        answer = super().run(images, masks, probabilities=probabilities, keep=keep)
        if (images == self.poison).any():
            raise ZeroDivisionError("poison")
        return answer


class Greedy(Recording):
    """Has memory for so many pixels in a call."""

    def __init__(self, most_pixels):
        super().__init__()
        self.most_pixels = most_pixels

    def run(self, images, masks, *, probabilities, keep=None):
        answer = super().run(images, masks, probabilities=probabilities, keep=keep)
        if masks.size > self.most_pixels:
            raise MemoryError("no memory for a tensor")
        return answer


class Gated(Recording):
    """Begins to run, and ends only once it is let."""

    def __init__(self):
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def run(self, images, masks, *, probabilities, keep=None):
        self.begun.set()
        assert self.go.wait(30)
        return super().run(images, masks, probabilities=probabilities, keep=keep)


SEVEN = 7


class OnSevens(FakeRuntime):
    """Passes the contract check; does what its heirs do to images of nothing but sevens."""

    def run(self, images, masks, *, probabilities, keep=None):
        if masks.any() and (images[masks] == SEVEN).all():
            self.misbehave()
        return super().run(images, masks, probabilities=probabilities, keep=keep)

    def misbehave(self):
        raise NotImplementedError


class FailingOnSevens(OnSevens):
    """Fails them."""

    def misbehave(self):
        raise InferenceError("the model failed: no memory")


class HeldOnSevens(OnSevens):
    """Is held up by them until it is let go."""

    def __init__(self):
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def misbehave(self):
        self.begun.set()
        assert self.go.wait(60)


class SteppedOnSevens(OnSevens):
    """Runs as many calls on them as it is given steps."""

    def __init__(self):
        super().__init__()
        self.steps = threading.Semaphore(0)

    def misbehave(self):
        assert self.steps.acquire(timeout=60)


class Misshapen(OnSevens):
    """Answers them with a row too few."""

    def run(self, images, masks, *, probabilities, keep=None):
        output = FakeRuntime.run(self, images, masks, probabilities=probabilities, keep=keep)
        if not (masks.any() and (images[masks] == SEVEN).all()):
            return output
        scores = output.probabilities
        return BatchOutput(output.labels[:, 1:], None if scores is None else scores[:, 1:])


class Timed(OnSevens):
    """Takes a time that its pixels decide, and no processor for it; with sevens it never ends."""

    def __init__(self, call_s=0.01, pixel_s=0.0):
        super().__init__()
        self.call_s, self.pixel_s = call_s, pixel_s
        self.never = threading.Event()

    def run(self, images, masks, *, probabilities, keep=None):
        self.never.wait(self.call_s + self.pixel_s * masks.size)
        return super().run(images, masks, probabilities=probabilities, keep=keep)

    def misbehave(self):
        self.never.wait()


class InTwoPrecisions(FakeRuntime):
    """Has a second runtime for bfloat16.

    Args:
        fast: the second runtime.
    """

    def __init__(self, fast):
        super().__init__()
        self.fast = fast

    def in_bfloat16(self):
        return self.fast


class Darkening(FakeRuntime):
    """Labels what is brighter than a number as if it were dark, and is sure of it."""

    def __init__(self, brightness=250):
        super().__init__()
        self.brightness = brightness

    def run(self, images, masks, *, probabilities, keep=None):
        dark = np.where(images > self.brightness, 0, images)
        return super().run(dark, masks, probabilities=probabilities, keep=keep)


class ReadsTheBatch(FakeRuntime):
    """Breaks the promise: darkens an image by how much of the whole batch is valid."""

    def run(self, images, masks, *, probabilities, keep=None):
        return super().run(images * masks.mean(), masks, probabilities=probabilities, keep=keep)
