"""The nouns of banditd as plain values."""
