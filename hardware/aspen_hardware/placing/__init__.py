"""Which neurons sit on which core, and the design rules of a chip."""
