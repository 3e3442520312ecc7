"""A network as a process in a user's own program on Lava. In a folder of its own, as Lava loads all files beside a
process to find its models."""
