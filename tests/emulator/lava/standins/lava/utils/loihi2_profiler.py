"""Stand-in for a module of Intel's extension; Lava takes its presence for that of the extension."""
