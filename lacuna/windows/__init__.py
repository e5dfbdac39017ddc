"""Windows: the parts of an image that a model computes, and the assembly of their outputs."""
