"""Scoring networks on mosaics and on images, and counting the labels that padding changes."""
