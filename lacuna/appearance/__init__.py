"""Values of images compared with those of the images that a model was trained on.

A model's manifest holds `ChannelStatistics`, which the trainer measures and the server compares
with each image. Only valid pixels are looked at, and only their places relative to one another
count, so padding changes nothing.
"""
