"""Training networks on texture mosaics and on folders of images."""
