"""The lacuna server: images and masks in, masked segmentations out."""
