"""Bytes ↔ arrays; limits are checked from the header, before anything is decoded."""
