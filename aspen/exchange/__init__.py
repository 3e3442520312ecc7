"""Exchange formats: networks read from and written to the files of other tools."""
