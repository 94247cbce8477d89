"""banditd decides, for each prompt, which LLM should answer it, and learns from what came of it."""

__version__ = "0.1.0"
