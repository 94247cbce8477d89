"""Log lines and metrics: the shell's, never the core's."""
