"""The models that can be chosen, and which of them are eligible."""
