"""The simulator: replay logged comparisons, evaluate any policy offline, report with intervals."""
