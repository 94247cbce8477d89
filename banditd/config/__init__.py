"""Configuration: one tree of frozen values, from TOML and the environment."""
