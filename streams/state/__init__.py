"""Where the rolling stage keeps its state: fenced, and together with the position that it has reached."""
