"""Tests of banditd_client, against a real gRPC server that answers by script."""
