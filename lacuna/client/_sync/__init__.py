# Generated from lacuna/client/_async by `make unasync`; edits belong there.
"""The client; `_sync` is generated from `_async`."""
