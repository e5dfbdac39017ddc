"""Fake models that remember, wait or fail."""

from __future__ import annotations

import threading

from service.errors import InferenceError
from service.runtime.fake import FakeRuntime


class Recording(FakeRuntime):
    """Remembers the shapes it was called with."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def run(self, images, masks, *, probabilities):
        self.shapes.append(images.shape)
        return super().run(images, masks, probabilities=probabilities)


class Failing(FakeRuntime):
    """Fails whatever it is given."""

    def run(self, images, masks, *, probabilities):
        raise InferenceError("the model failed: no memory")


class Poisoned(Recording):
    """Fails every batch that holds an image of this brightness."""

    def __init__(self, poison):
        super().__init__()
        self.poison = poison

    def run(self, images, masks, *, probabilities):
        answer = super().run(images, masks, probabilities=probabilities)
        if (images == self.poison).any():
            raise ZeroDivisionError("poison")
        return answer


class Gated(Recording):
    """Begins to run, and ends only once it is let."""

    def __init__(self):
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def run(self, images, masks, *, probabilities):
        self.begun.set()
        assert self.go.wait(30)
        return super().run(images, masks, probabilities=probabilities)
