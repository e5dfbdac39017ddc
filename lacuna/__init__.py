"""lacuna: segmentation of images with missing pixels."""
