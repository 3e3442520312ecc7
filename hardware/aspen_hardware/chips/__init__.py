"""What a chip is: its file, and what the file may say."""
