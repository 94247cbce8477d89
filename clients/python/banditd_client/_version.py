"""The version of the distribution, read by the build and sent to servers as part of the user agent."""

__version__ = "0.1.0"
