"""What every policy must keep."""
